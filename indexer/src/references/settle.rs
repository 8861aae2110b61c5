//! What an interrupted addition or deletion left half done.

use std::collections::BTreeSet;
use std::path::Path;

use storage::{
    AuditEntry, AuditFilter, Catalog, CollectionName, CollectionState, PointId, ReleaseId, VectorStore,
};
use uuid::Uuid;

use super::owned;
use super::remove::{DONE, INTENT, carry_out};
use crate::life::subject;
use crate::{Error, Result};

/// Points, records and audit entries looked at together.
const PAGE: usize = 1000;

/// What was settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Deletions that were begun, and are finished now.
    pub deletions: usize,
    /// Vectors of an interrupted addition that had no record yet, and are gone now.
    pub vectors: usize,
}

/// Completes begun deletions of a release and undoes what an interrupted addition left in the store alone. Where nothing was
/// interrupted it only looks.
///
/// # Errors
/// [`storage::Error::Held`] where another process is changing the release, [`Error::NotWhole`] where the store has lost vectors, and those of the store and the catalog.
pub async fn settle(
    release: &ReleaseId,
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
) -> Result<Settled> {
    let _hold = catalog.hold(release).await?;
    settle_held(release, photos, store, catalog).await
}

/// As [`settle`], but leaves alone a release that is not built, and one that another process is changing.
///
/// # Errors
/// As [`settle`].
pub async fn settle_if_built(
    release: &ReleaseId,
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
) -> Result<Settled> {
    match super::built(catalog, release).await {
        Err(Error::NotReady { .. }) => return Ok(Settled::default()),
        other => drop(other?),
    }
    match settle(release, photos, store, catalog).await {
        Err(Error::Storage(storage::Error::Held { .. })) => Ok(Settled::default()),
        other => other,
    }
}

/// As [`settle`], where the release is held already.
pub(crate) async fn settle_held(
    release: &ReleaseId,
    photos: &Path,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
) -> Result<Settled> {
    let mut settled = Settled::default();
    for intent in unfinished(release, catalog).await? {
        carry_out(release, &intent, photos, store, catalog).await?;
        tracing::info!(%release, intent = %intent.id, "finished an interrupted deletion of reference images");
        settled.deletions += 1;
    }
    remove_stray_copies(release, photos, catalog).await?;
    let collection = CollectionName::references(release);
    let info = store.collection(&collection).await?;
    let rows = catalog.counts(release).await?.reference_images;
    if info.state == CollectionState::Complete && info.points == rows {
        return Ok(settled);
    }
    settled.vectors = remove_unrecorded(release, &collection, store, catalog).await?;
    let points = store.count(&collection, None).await?;
    if points != rows {
        return Err(Error::NotWhole {
            release: release.clone(),
            reason: format!("{collection} has {points} vectors for {rows} reference images"),
        });
    }
    store.finish_load(&collection).await?;
    if settled.vectors > 0 {
        tracing::info!(%release, vectors = settled.vectors, "undid an interrupted addition of reference images");
    }
    Ok(settled)
}

/// Intents without their final entry, oldest first.
async fn unfinished(release: &ReleaseId, catalog: &dyn Catalog) -> Result<Vec<AuditEntry>> {
    let intents = all(release, INTENT, catalog).await?;
    if intents.is_empty() {
        return Ok(intents);
    }
    let done = all(release, DONE, catalog).await?;
    let done: BTreeSet<Uuid> = done
        .iter()
        .filter_map(|entry| entry.details.get("intent")?.as_str()?.parse().ok())
        .collect();
    let mut open: Vec<AuditEntry> = intents
        .into_iter()
        .filter(|intent| !done.contains(&intent.id))
        .collect();
    open.reverse();
    Ok(open)
}

/// All entries of an action on the release, newest first.
async fn all(release: &ReleaseId, action: &str, catalog: &dyn Catalog) -> Result<Vec<AuditEntry>> {
    let filter = AuditFilter {
        action: Some(action.to_owned()),
        subject: Some(subject(release)),
        ..AuditFilter::default()
    };
    let mut entries: Vec<AuditEntry> = Vec::new();
    loop {
        let after = entries.last().map(|entry| entry.id);
        let page = catalog.audit(&filter, after, PAGE).await?;
        let last = page.len() < PAGE;
        entries.extend(page);
        if last {
            return Ok(entries);
        }
    }
}

/// Deletes copied photos without a reference image.
pub(super) async fn remove_stray_copies(
    release: &ReleaseId,
    photos: &Path,
    catalog: &dyn Catalog,
) -> Result<()> {
    for copies in owned::list(photos, release)?.chunks(PAGE) {
        let digests: Vec<String> = copies.iter().map(|(_, digest)| digest.clone()).collect();
        let recorded = catalog.reference_images_by_sha256(release, &digests).await?;
        let recorded: BTreeSet<String> = recorded.into_iter().map(|image| image.path).collect();
        for (copy, _) in copies {
            let copy = std::path::absolute(copy).unwrap_or_else(|_| copy.clone());
            if !recorded.contains(&*copy.to_string_lossy()) {
                owned::remove(photos, release, &copy.to_string_lossy())?;
            }
        }
    }
    Ok(())
}

/// Deletes points that the catalog does not know, and returns how many there were.
async fn remove_unrecorded(
    release: &ReleaseId,
    collection: &CollectionName,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
) -> Result<usize> {
    let (mut after, mut removed) = (None, 0);
    loop {
        let page = store.scroll(collection, after, PAGE).await?;
        let ids: Vec<Uuid> = page
            .points
            .iter()
            .filter_map(|point| match point.id {
                PointId::Uuid(id) => Some(id),
                PointId::Number(_) => None,
            })
            .collect();
        let recorded = catalog.reference_images(release, &ids).await?;
        let recorded: BTreeSet<PointId> = recorded.iter().map(|image| image.id.into()).collect();
        let strangers: Vec<PointId> = page
            .points
            .iter()
            .map(|point| point.id)
            .filter(|id| !recorded.contains(id))
            .collect();
        if !strangers.is_empty() {
            store.delete(collection, &strangers).await?;
            removed += strangers.len();
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(removed),
        }
    }
}
