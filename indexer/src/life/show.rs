//! Everything about one release.

use retrieval::Checkpoints;
use serde::Serialize;
use storage::{Catalog, CollectionState, Release, ReleaseCounts, ReleaseId, ReleaseStatus, VectorStore};

use super::collections;
use crate::Result;

/// A release with what the stores hold of it now.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseDetails {
    /// As the catalog has it.
    pub release: Release,
    /// Rows of the catalog now; reference images may have been added or removed since it became ready.
    pub rows: ReleaseCounts,
    /// Its collections; `None` where the vector store was not asked.
    pub collections: Option<Vec<CollectionLine>>,
    /// Why its checkpoint cannot be used; `None` where it can.
    pub checkpoint_problem: Option<String>,
}

/// A collection of a release.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionLine {
    /// Its name.
    pub name: String,
    /// Points in it; `None` where it is missing.
    pub points: Option<u64>,
    /// Whether everything that was written is there.
    pub state: Option<CollectionState>,
}

/// Looks a release up everywhere.
///
/// # Errors
/// [`storage::Error::NotFound`] for an unknown release, and those of the store and the catalog.
pub async fn show(
    release: &ReleaseId,
    store: Option<&dyn VectorStore>,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<ReleaseDetails> {
    let release = catalog.release(release).await?;
    let rows = catalog.counts(&release.id).await?;
    let mut lines = Vec::new();
    if let Some(store) = store {
        for name in collections(&release) {
            let info = match store.collection(&name).await {
                Err(error) if error.is_not_found() => None,
                other => Some(other?),
            };
            lines.push(CollectionLine {
                name: name.to_string(),
                points: info.as_ref().map(|info| info.points),
                state: info.map(|info| info.state),
            });
        }
    }
    let checkpoint_problem = match release.status {
        ReleaseStatus::Pruned => None,
        _ => checkpoints
            .of_release(&release)
            .await
            .err()
            .map(|error| error.to_string()),
    };
    Ok(ReleaseDetails {
        release,
        rows,
        collections: store.map(|_| lines),
        checkpoint_problem,
    })
}
