//! A release's life after its build: which one answers, which one did before, and what becomes of the others.

mod activate;
mod aliases;
mod prune;
mod reconcile;
mod rollback;
mod show;

pub use activate::activate;
pub use aliases::follow_aliases;
pub use prune::{PrunePlan, Pruned, plan_prune, prune};
pub use reconcile::reconcile;
pub use rollback::{Rollback, rollback, rollback_target};
pub use show::{CollectionLine, ReleaseDetails, show};

use storage::{Catalog, CollectionName, Release, ReleaseId};

use crate::Result;

/// How the audit log names a release.
pub(crate) fn subject(release: &ReleaseId) -> String {
    format!("release {release}")
}

/// The collections that a release has.
pub(crate) fn collections(release: &Release) -> Vec<CollectionName> {
    let levels = (0..release.levels).map(|level| CollectionName::level(&release.id, level));
    levels.chain([CollectionName::references(&release.id)]).collect()
}

/// All releases, newest first.
///
/// # Errors
/// Those of the catalog.
pub async fn list(catalog: &dyn Catalog) -> Result<Vec<Release>> {
    Ok(catalog.releases().await?)
}
