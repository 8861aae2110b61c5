//! Back to the release that answered before.

use std::collections::BTreeSet;

use retrieval::Checkpoints;
use serde::Serialize;
use storage::{AuditFilter, Catalog, Release, ReleaseId, ReleaseStatus, VectorStore};

use super::activate::{ACTIVATE, activate, check};
use super::subject;
use crate::{Error, Result};

/// What a rollback did.
#[derive(Debug, Clone, Serialize)]
pub struct Rollback {
    /// The release that answers now.
    pub release: Release,
    /// The release that answered before.
    pub from: Option<ReleaseId>,
    /// Nearer candidates that could not be used, and why.
    pub passed_over: Vec<(ReleaseId, String)>,
}

/// Activates the release that was active before the present one and is still whole.
///
/// # Errors
/// [`Error::NothingToRollBack`] with the reason of each candidate; those of the store and the catalog.
pub async fn rollback(
    store: Option<&dyn VectorStore>,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<Rollback> {
    let from = catalog.active_release().await?.map(|release| release.id);
    let (target, passed_over) = rollback_target(store, catalog, checkpoints).await?;
    let Some(target) = target else {
        return Err(Error::NothingToRollBack { passed_over });
    };
    Ok(Rollback {
        release: activate(&target.id, store, catalog, checkpoints).await?,
        from,
        passed_over,
    })
}

/// The release that a rollback would activate, and the nearer candidates that it would pass over.
///
/// # Errors
/// Those of the store and the catalog.
pub async fn rollback_target(
    store: Option<&dyn VectorStore>,
    catalog: &dyn Catalog,
    checkpoints: &Checkpoints,
) -> Result<(Option<Release>, Vec<(ReleaseId, String)>)> {
    let mut passed_over = Vec::new();
    for release in candidates(catalog).await? {
        match check(&release, store, checkpoints).await {
            Ok(()) => return Ok((Some(release), passed_over)),
            Err(Error::Storage(error)) if error.is_transient() => return Err(error.into()),
            Err(reason) => passed_over.push((release.id, reason.to_string())),
        }
    }
    Ok((None, passed_over))
}

/// Retired releases, the one that answered last first.
///
/// The audit log tells for each activation which release it replaced. Following it from the active release needs no clock, so
/// that machines whose clocks differ agree. Releases that the log does not lead to come after, by their time of activation.
async fn candidates(catalog: &dyn Catalog) -> Result<Vec<Release>> {
    let releases = catalog.releases().await?;
    let mut order: Vec<ReleaseId> = Vec::new();
    let mut seen = BTreeSet::new();
    let active = releases
        .iter()
        .find(|release| release.status == ReleaseStatus::Active);
    let mut at = active.map(|release| release.id.clone());
    while let Some(release) = at {
        if !seen.insert(release.clone()) {
            break;
        }
        at = replaced_by(catalog, &release).await?;
        order.extend(at.clone().filter(|previous| !seen.contains(previous)));
    }
    let mut retired: Vec<Release> = releases
        .into_iter()
        .filter(|release| release.status == ReleaseStatus::Retired)
        .collect();
    retired.sort_by_key(|release| {
        let place = order.iter().position(|id| *id == release.id);
        (
            place.unwrap_or(usize::MAX),
            std::cmp::Reverse(release.activated_at),
        )
    });
    Ok(retired)
}

/// The release that the last activation of `release` replaced.
async fn replaced_by(catalog: &dyn Catalog, release: &ReleaseId) -> Result<Option<ReleaseId>> {
    let filter = AuditFilter {
        action: Some(ACTIVATE.to_owned()),
        subject: Some(subject(release)),
        ..AuditFilter::default()
    };
    let last = catalog.audit(&filter, None, 1).await?.pop();
    let previous = last.and_then(|entry| entry.details.get("previous")?.as_str().map(str::to_owned));
    Ok(previous.map(ReleaseId::new).transpose()?)
}
