//! Making a release the one that answers.

use retrieval::Checkpoints;
use serde_json::json;
use storage::{AuditEntry, Catalog, CollectionState, Release, ReleaseId, ReleaseStatus, VectorStore};

use super::{collections, follow_aliases, subject};
use crate::{Error, Result};

/// What the audit log calls an activation.
pub(super) const ACTIVATE: &str = "release.activate";

/// Makes a release the active one and retires the previous one, after a check that its checkpoint is still in place and unchanged
/// and its collections whole.
///
/// The catalog's transaction is what every reader goes by; the aliases of the vector store follow in one call. Without a store (an
/// embedded one that a running service has open), the service makes them follow. If this process dies between the two,
/// [`reconcile`](super::reconcile) at the next start does.
///
/// # Errors
/// [`Error::NotReady`] for a release that is not built, [`retrieval::Error::CheckpointMismatch`] for another checkpoint on disk,
/// [`Error::NotWhole`] for missing vectors, and those of the checkpoint, the store and the catalog.
pub async fn activate(
    release: &ReleaseId,
    store: Option<&dyn VectorStore>,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<Release> {
    let found = catalog.release(release).await?;
    check(&found, store, checkpoints).await?;
    let previous = catalog.active_release().await?.map(|active| active.id);
    if previous.as_ref() != Some(release) {
        // Before the change: a rollback follows these entries, which do not depend on anybody's clock, and an entry of an
        // activation that never happened is about a release that is not active.
        let details = json!({ "previous": previous });
        catalog
            .record_audit(&AuditEntry::new(ACTIVATE, subject(release), details))
            .await?;
    }
    let active = catalog.activate(release).await?;
    tracing::info!(release = %active.id, "release activated");
    if let Some(store) = store {
        follow_aliases(store, catalog).await?;
    }
    Ok(active)
}

/// Whether a release can be served: built, its checkpoint unchanged, its collections whole.
pub(super) async fn check(
    release: &Release,
    store: Option<&dyn VectorStore>,
    checkpoints: &Checkpoints,
) -> Result<()> {
    let built = matches!(
        release.status,
        ReleaseStatus::Ready | ReleaseStatus::Active | ReleaseStatus::Retired
    );
    if !built {
        return Err(Error::NotReady {
            release: release.id.clone(),
            status: release.status.to_string(),
        });
    }
    checkpoints.of_release(release).await?;
    let Some(store) = store else { return Ok(()) };
    let mut cells = 0;
    for collection in collections(release) {
        let not_whole = |reason: String| Error::NotWhole {
            release: release.id.clone(),
            reason,
        };
        let info = match store.collection(&collection).await {
            Err(error) if error.is_not_found() => return Err(not_whole(format!("{error}"))),
            other => other?,
        };
        let is_references = collection == storage::CollectionName::references(&release.id);
        // Reference images may be changed by another process meanwhile.
        let usable = match is_references {
            true => info.searchable,
            false => info.state != CollectionState::Incomplete,
        };
        if !usable || info.points == 0 {
            let (points, state) = (info.points, info.state);
            return Err(not_whole(format!(
                "{collection} is {state:?} with {points} points"
            )));
        }
        if !is_references {
            cells += info.points;
        }
    }
    match release.counts {
        Some(counts) if counts.geocells != cells => Err(Error::NotWhole {
            release: release.id.clone(),
            reason: format!("the store has {cells} of {} geocells", counts.geocells),
        }),
        _ => Ok(()),
    }
}
