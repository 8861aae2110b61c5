//! Old releases give back their space.

use std::path::Path;

use retrieval::Checkpoints;
use serde::Serialize;
use serde_json::json;
use storage::{AuditEntry, Catalog, Release, ReleaseCounts, ReleaseId, ReleaseStatus, VectorStore};

use super::{follow_aliases, rollback_target, subject};
use crate::Result;
use crate::references::owned;

/// What a pruning would take and leave.
#[derive(Debug, Clone, Serialize)]
pub struct PrunePlan {
    /// Releases whose vectors, rows and copied photos go, oldest first.
    pub victims: Vec<Release>,
    /// Releases that stay, and why.
    pub kept: Vec<(ReleaseId, &'static str)>,
}

/// What became of one release.
#[derive(Debug, Clone, Serialize)]
pub struct Pruned {
    /// The release; its row and its predictions stay.
    pub release: ReleaseId,
    /// Rows deleted.
    pub rows: ReleaseCounts,
    /// Collections dropped.
    pub collections: usize,
}

/// Chooses what to prune: all but the active release, the one that a rollback would activate, unfinished builds, and the `keep`
/// newest others.
///
/// # Errors
/// Those of the store and the catalog.
pub async fn plan_prune(
    keep: usize,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<PrunePlan> {
    let (target, _) = rollback_target(Some(store), catalog, checkpoints).await?;
    let target = target.map(|release| release.id);
    let (mut victims, mut kept) = (Vec::new(), Vec::new());
    let mut others = 0;
    for release in catalog.releases().await? {
        let reason = match release.status {
            ReleaseStatus::Pruned => continue,
            ReleaseStatus::Active => Some("it answers"),
            ReleaseStatus::Building => Some("its build is not finished"),
            _ if target.as_ref() == Some(&release.id) => Some("a rollback would activate it"),
            ReleaseStatus::Ready | ReleaseStatus::Retired | ReleaseStatus::Failed => {
                others += 1;
                (others <= keep).then_some("it is among the newest")
            }
        };
        match reason {
            Some(reason) => kept.push((release.id, reason)),
            None => victims.push(release),
        }
    }
    victims.reverse();
    Ok(PrunePlan { victims, kept })
}

/// Prunes the releases of a plan. `photos`: the folder of photographs that were copied for releases.
///
/// First the catalog forgets the release's contents and marks it `pruned`, in one transaction, so that nobody can activate it any
/// more; then the vectors go. A kill in between leaves collections that [`reconcile`](super::reconcile) drops at the next start.
///
/// # Errors
/// [`storage::Error::Held`] where another process is changing a release, [`storage::Error::Conflict`] for one that was activated
/// since the plan was made; those of the store and the catalog.
pub async fn prune(
    plan: &PrunePlan,
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<Vec<Pruned>> {
    // A collection that an alias names cannot be dropped.
    follow_aliases(store, catalog).await?;
    let mut pruned = Vec::new();
    for victim in &plan.victims {
        let _hold = catalog.hold(&victim.id).await?;
        let details = json!({ "was": victim.status });
        let audit = AuditEntry::new("release.prune", subject(&victim.id), details);
        let rows = catalog.delete_release_contents(&victim.id, Some(&audit)).await?;
        let collections = drop_contents(victim, photos, store, catalog, checkpoints).await?;
        tracing::info!(release = %victim.id, collections, "release pruned");
        pruned.push(Pruned {
            release: victim.id.clone(),
            rows,
            collections,
        });
    }
    Ok(pruned)
}

/// Drops what a pruned release still has outside the catalog, and returns how many collections that were.
pub(super) async fn drop_contents(
    release: &Release,
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<usize> {
    let mut dropped = 0;
    for collection in store.list_collections().await? {
        if collection.belongs_to(&release.id) {
            store.drop_collection(&collection).await?;
            dropped += 1;
        }
    }
    owned::remove_all(photos, &release.id)?;
    let releases = catalog.releases().await?;
    let same = |other: &&Release| {
        other.status != ReleaseStatus::Pruned && other.checkpoint_id == release.checkpoint_id
    };
    if retrieval::is_url(&release.checkpoint_path) && !releases.iter().any(|other| same(&other)) {
        checkpoints.forget(&release.checkpoint_id).await?;
    }
    Ok(dropped)
}
