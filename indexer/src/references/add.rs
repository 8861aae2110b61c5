//! More reference images for a release.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use datasets::{Dataset, DecodeLimits, Photo};
use geocells::Hierarchy;
use models::Encoder;
use serde::Serialize;
use serde_json::json;
use storage::{AuditEntry, Catalog, CollectionName, ReferenceImage, ReleaseId, VectorStore};
use uuid::Uuid;

use super::{built, settle};
use crate::gallery::{self, Gallery, Skipped};
use crate::levels::Target;
use crate::life::subject;
use crate::progress::Report;
use crate::{Error, Result};

/// Digests asked of the catalog at once.
const PAGE: usize = 500;

/// How reference images are added.
#[derive(Clone)]
pub struct AddOptions {
    /// The release's own encoder.
    pub encoder: Arc<Encoder>,
    /// The release's geocells.
    pub hierarchy: Arc<Hierarchy>,
    /// The folder of photographs that were copied for releases.
    pub photos: PathBuf,
    /// Copies the photos there instead of referring to them where they are.
    pub copy: bool,
    /// Photos encoded at once.
    pub batch: usize,
    /// Photos larger than this are skipped.
    pub limits: DecodeLimits,
    /// Who adds them, for the audit log.
    pub actor: Option<String>,
}

/// A photo that the release has already.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Duplicate {
    /// The file that was to be added.
    pub file: PathBuf,
    /// The reference image with the same bytes.
    pub of: Uuid,
    /// How far apart the two are said to have been taken, in kilometres.
    pub apart_km: f64,
}

/// What an addition did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Added {
    /// New reference images, in the order of their ids.
    pub added: Vec<Uuid>,
    /// Photos that the release had already.
    pub duplicates: Vec<Duplicate>,
    /// New reference images outside every finest geocell: no answer can lead to them.
    pub outside: usize,
    /// Photos that could not be read.
    pub skipped: Vec<Skipped>,
}

/// Adds photos with known places to a built release. They support answers from the next query on.
///
/// # Errors
/// [`Error::NotReady`], [`storage::Error::Held`] where another process is changing the release, [`Error::Cancelled`], and those of
/// reading, encoding, the store and the catalog.
pub async fn add(
    release: &ReleaseId,
    photos: &Dataset,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
    options: &AddOptions,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<Added> {
    built(catalog, release).await?;
    let _hold = catalog.hold(release).await?;
    settle::settle_held(release, &options.photos, store, catalog).await?;
    let mut added = Added::default();
    let fresh = without_duplicates(release, photos, catalog, &mut added).await?;
    let fresh = if options.copy {
        copy(release, fresh, options).await?
    } else {
        fresh
    };
    if fresh.is_empty() {
        return Ok(added);
    }
    let fresh = Dataset::new(photos.root(), fresh);
    let target = Target {
        release,
        store,
        catalog,
        reload: true,
        progress,
        cancel,
    };
    let gallery = Gallery {
        dataset: &fresh,
        hierarchy: Arc::clone(&options.hierarchy),
        encoder: Arc::clone(&options.encoder),
        batch: options.batch,
        together: 1024,
        strict: false,
        limits: options.limits,
    };
    let loaded = gallery::load(target, &gallery).await;
    // Also after a stop: what was written is to be searched.
    store.finish_load(&CollectionName::references(release)).await?;
    // Copies of photos that turned out to be unreadable.
    settle::remove_stray_copies(release, &options.photos, catalog).await?;
    let (ids, report) = loaded?;
    added.added = ids.into_iter().collect();
    added.outside = report.outside;
    added.skipped = report.skipped;
    let details = json!({ "added": added.added.len(), "duplicates": added.duplicates.len() });
    let mut audit = AuditEntry::new("references.add", subject(release), details);
    audit.actor.clone_from(&options.actor);
    catalog.record_audit(&audit).await?;
    tracing::info!(%release, added = added.added.len(), duplicates = added.duplicates.len(), "reference images added");
    Ok(added)
}

/// Photos whose bytes neither the release nor an earlier one of them has.
async fn without_duplicates(
    release: &ReleaseId,
    photos: &Dataset,
    catalog: &dyn Catalog,
    added: &mut Added,
) -> Result<Vec<Photo>> {
    let mut fresh = Vec::new();
    let mut seen: HashMap<String, (Uuid, geocells::LatLng)> = HashMap::new();
    let all: Vec<usize> = (0..photos.len()).collect();
    for page in all.chunks(PAGE) {
        let mut digests = Vec::with_capacity(page.len());
        for &index in page {
            digests.push(match &photos.photos()[index].sha256 {
                Some(known) => known.clone(),
                None => digest(&photos.image_path(index)).unwrap_or_default(),
            });
        }
        for image in catalog.reference_images_by_sha256(release, &digests).await? {
            seen.entry(image.sha256).or_insert((image.id, image.location));
        }
        for (&index, digest) in page.iter().zip(digests) {
            let photo = &photos.photos()[index];
            match seen.get(&digest) {
                Some((of, place)) => added.duplicates.push(Duplicate {
                    file: photos.image_path(index),
                    of: *of,
                    apart_km: place.distance(photo.location).get(),
                }),
                None => {
                    if !digest.is_empty() {
                        let id = ReferenceImage::id_of(&digest, &photo.path.to_string_lossy());
                        seen.insert(digest, (id, photo.location));
                    }
                    fresh.push(photo.clone());
                }
            }
        }
    }
    Ok(fresh)
}

/// A file's SHA-256; an unreadable file has none, and loading it says why.
fn digest(path: &Path) -> Option<String> {
    use sha2::{Digest, Sha256};
    let bytes = fs_err::read(path).ok()?;
    Some(format!("{:x}", Sha256::digest(&bytes)))
}

/// Copies photos into the data folder. Those that cannot be read stay as they are, and loading them says why.
async fn copy(release: &ReleaseId, photos: Vec<Photo>, options: &AddOptions) -> Result<Vec<Photo>> {
    let (release, folder) = (release.clone(), options.photos.clone());
    let work = move || -> Result<Vec<Photo>> {
        let mut copied = Vec::with_capacity(photos.len());
        for mut photo in photos {
            if let (Some(sha256), Ok(bytes)) = (digest(&photo.path), fs_err::read(&photo.path)) {
                let extension = photo
                    .path
                    .extension()
                    .map(|e| e.to_string_lossy().to_ascii_lowercase());
                let extension = extension.unwrap_or_else(|| "photo".to_owned());
                photo.path = super::owned::keep(&folder, &release, &sha256, &extension, &bytes)?;
            }
            copied.push(photo);
        }
        Ok(copied)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Interrupted)?
}
