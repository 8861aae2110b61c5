//! At a start: what an interrupted process left half done is completed or undone.

use std::path::Path;

use retrieval::Checkpoints;
use storage::{Catalog, ReleaseStatus, VectorStore};

use super::{follow_aliases, prune};
use crate::{Error, Result, references};

/// Completes or undoes what was interrupted: points the aliases at the active release, drops what pruned releases still have, and
/// settles additions and deletions of its reference images. A release that another process is changing is left to it.
///
/// Call it whenever stores are opened; where nothing was interrupted it only looks. `photos`: as for [`prune`](super::prune).
///
/// # Errors
/// Those of the store and the catalog.
pub async fn reconcile(
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<()> {
    // First, for a collection that an alias names cannot be dropped.
    if follow_aliases(store, catalog).await? {
        tracing::info!("aliases of the vector store follow the active release again");
    }
    let releases = catalog.releases().await?;
    let collections = store.list_collections().await?;
    for release in &releases {
        let left = collections
            .iter()
            .any(|collection| collection.belongs_to(&release.id));
        if release.status == ReleaseStatus::Pruned && left {
            let _hold = match catalog.hold(&release.id).await {
                Err(storage::Error::Held { .. }) => continue,
                other => other?,
            };
            let dropped = prune::drop_contents(release, photos, store, catalog, checkpoints).await?;
            tracing::info!(release = %release.id, dropped, "finished an interrupted pruning");
        }
    }
    if let Some(active) = releases
        .iter()
        .find(|release| release.status == ReleaseStatus::Active)
    {
        match references::settle_if_built(&active.id, photos, store, catalog).await {
            // A release that has lost something is told of when it is opened, by whoever needs it.
            Err(error @ (Error::NotWhole { .. } | Error::Storage(storage::Error::NotFound { .. }))) => {
                tracing::warn!(release = %active.id, %error, "the active release is not whole");
            }
            other => drop(other?),
        }
    }
    Ok(())
}
