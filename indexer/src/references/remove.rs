//! Reference images that are to be forgotten.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use storage::{AuditEntry, Catalog, CollectionName, PointId, ReleaseId, VectorStore};
use uuid::Uuid;

use super::{built, settle::settle_held};
use crate::life::subject;
use crate::{Error, Result};

/// What the audit log calls the intent to delete; its details list the ids.
pub(super) const INTENT: &str = "references.remove";
/// What the audit log calls a finished deletion; its details name the intent.
pub(super) const DONE: &str = "references.removed";

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Reference images that are gone: vector, row, and the photo where it was a copy.
    pub removed: Vec<Uuid>,
    /// Ids that the release did not have.
    pub unknown: Vec<Uuid>,
}

/// Deletes reference images of a built release. No answer shows them from the next query on.
///
/// The intent is written first, then the vectors go, then copied photos, then the rows with the final entry of the audit log
/// in one transaction. After a kill at any moment [`settle`](super::settle) finishes what was begun.
///
/// # Errors
/// [`Error::NotReady`], [`storage::Error::Held`] where another process is changing the release, and those of the store, the catalog
/// and the disk.
pub async fn remove(
    release: &ReleaseId,
    ids: &[Uuid],
    actor: Option<&str>,
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
) -> Result<Removed> {
    built(catalog, release).await?;
    let _hold = catalog.hold(release).await?;
    settle_held(release, photos, store, catalog).await?;
    let found = catalog.reference_images(release, ids).await?;
    let mut removed = Removed::default();
    for id in ids {
        if removed.removed.contains(id) || removed.unknown.contains(id) {
            continue;
        }
        match found.iter().any(|image| image.id == *id) {
            true => removed.removed.push(*id),
            false => removed.unknown.push(*id),
        }
    }
    if removed.removed.is_empty() {
        return Ok(removed);
    }
    let rows = catalog.counts(release).await?.reference_images;
    if removed.removed.len() as u64 >= rows {
        return Err(Error::Invalid(format!(
            "release {release} would have no reference image left; prune it, or add others first"
        )));
    }
    let mut intent = AuditEntry::new(INTENT, subject(release), json!({ "ids": removed.removed }));
    intent.actor = actor.map(str::to_owned);
    catalog.record_audit(&intent).await?;
    carry_out(release, &intent, photos, store, catalog).await?;
    tracing::info!(%release, removed = removed.removed.len(), "reference images removed");
    Ok(removed)
}

/// Does what an intent says, as often as need be.
pub(super) async fn carry_out(
    release: &ReleaseId,
    intent: &AuditEntry,
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
) -> Result<()> {
    let ids: Vec<Uuid> = intent
        .details
        .get("ids")
        .and_then(|ids| serde_json::from_value(ids.clone()).ok())
        .ok_or_else(|| {
            Error::Invalid(format!(
                "audit entry {} lists no ids; correct it in the catalog",
                intent.id
            ))
        })?;
    let collection = CollectionName::references(release);
    let points: Vec<PointId> = ids.iter().map(|id| PointId::Uuid(*id)).collect();
    store.delete(&collection, &points).await?;
    store.finish_load(&collection).await?;
    for image in catalog.reference_images(release, &ids).await? {
        super::owned::remove(photos, release, &image.path)?;
    }
    let mut done = AuditEntry::new(DONE, subject(release), json!({ "intent": intent.id }));
    done.actor.clone_from(&intent.actor);
    if catalog
        .delete_reference_images(release, &ids, Some(&done))
        .await?
        == 0
    {
        // The rows went another way; the intent is done all the same.
        catalog.record_audit(&done).await?;
    }
    Ok(())
}
