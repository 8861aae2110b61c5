//! A release's life after its build.

use storage::{Catalog, Release, ReleaseId, ReleaseStatus};

use crate::{Error, Result};

/// Makes a release the active one and retires the previous one, after a check that its checkpoint is still in place and unchanged.
///
/// # Errors
/// [`Error::NotReady`] for a release that is not built, [`retrieval::Error::CheckpointMismatch`] for another checkpoint on disk,
/// and those of the checkpoint and the catalog.
pub async fn activate(catalog: &dyn Catalog, release: &ReleaseId) -> Result<Release> {
    let found = catalog.release(release).await?;
    if matches!(
        found.status,
        ReleaseStatus::Building | ReleaseStatus::Failed | ReleaseStatus::Pruned
    ) {
        return Err(Error::NotReady {
            release: release.clone(),
            status: found.status.to_string(),
        });
    }
    let checked = tokio::task::spawn_blocking(move || retrieval::open_checkpoint(&found).map(drop));
    checked.await.map_err(|_| Error::Interrupted)??;
    let active = catalog.activate(release).await?;
    tracing::info!(release = %active.id, "release activated");
    Ok(active)
}

/// All releases, newest first.
///
/// # Errors
/// Those of the catalog.
pub async fn list(catalog: &dyn Catalog) -> Result<Vec<Release>> {
    Ok(catalog.releases().await?)
}
