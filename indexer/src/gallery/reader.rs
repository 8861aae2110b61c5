//! The first stage: which photos are missing, and their pixels.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use datasets::Photo;
use geocells::{GeocellId, Hierarchy};
use image::RgbImage;
use rayon::prelude::*;
use retrieval::references;
use sha2::{Digest, Sha256};
use storage::{CollectionName, PointId, ReferenceImage};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Decoded, Gallery, GalleryReport, Skipped};
use crate::levels::Target;
use crate::progress::Stage;
use crate::{Error, Result};

/// Compressed bytes that are decoded at once: about 100 million pixels of camera JPEG, 300 MB in memory.
const DECODED_AT_ONCE: usize = 24 << 20;

/// A photo whose bytes were read.
pub(super) struct Candidate {
    pub(super) image: ReferenceImage,
    /// Its geocells, coarsest first.
    pub(super) path: Vec<GeocellId>,
    bytes: Vec<u8>,
    file: PathBuf,
}

/// Looks at all photos, hands those that are missing to the encoder, and returns the ids of all with what it noticed.
pub(super) async fn read_all(
    target: Target<'_>,
    gallery: &Gallery<'_>,
    to_encoder: mpsc::Sender<Decoded>,
) -> Result<(BTreeSet<Uuid>, GalleryReport)> {
    let mut report = GalleryReport::default();
    let mut ids = BTreeSet::new();
    let total = gallery.dataset.len();
    for start in (0..total).step_by(gallery.batch) {
        target.go_on(Stage::References)?;
        let looked_at = (start + gallery.batch).min(total);
        let rows = (start..looked_at)
            .map(|index| {
                (
                    gallery.dataset.photos()[index].clone(),
                    gallery.dataset.image_path(index),
                )
            })
            .collect();
        let started = Instant::now();
        let read = read(Arc::clone(&gallery.hierarchy), rows).await?;
        report.decode_seconds += started.elapsed().as_secs_f64();

        let mut fresh: Vec<Candidate> = Vec::new();
        for candidate in read {
            match candidate {
                Ok(new) => {
                    let known = |other: &Candidate| other.image.id == new.image.id;
                    if !ids.contains(&new.image.id) && !fresh.iter().any(known) {
                        fresh.push(new);
                    }
                }
                Err(skipped) => skip(&mut report, skipped, gallery.strict)?,
            }
        }
        let fresh = without_loaded(target, fresh, &mut ids, &mut report).await?;
        let mut chunks = chunks(fresh).into_iter().peekable();
        // A batch without a missing photo is handed over too, for the progress.
        let first = chunks.next().unwrap_or_default();
        for chunk in std::iter::once(first).chain(chunks) {
            let decoded = decode(gallery, chunk, looked_at, &mut report).await?;
            for candidate in &decoded.candidates {
                ids.insert(candidate.image.id);
                report.outside += usize::from(candidate.image.geocell.is_none());
            }
            // An encoder that has failed has gone; its own error is the one that is told.
            if to_encoder.send(decoded).await.is_err() {
                return Ok((ids, report));
            }
        }
    }
    Ok((ids, report))
}

/// Reads files and finds their geocells.
async fn read(
    hierarchy: Arc<Hierarchy>,
    rows: Vec<(Photo, PathBuf)>,
) -> Result<Vec<Result<Candidate, Skipped>>> {
    let work = move || {
        rows.into_par_iter()
            .map(|(photo, file)| candidate(&hierarchy, photo, file))
            .collect()
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Interrupted)
}

fn candidate(hierarchy: &Hierarchy, photo: Photo, file: PathBuf) -> Result<Candidate, Skipped> {
    let bytes = fs_err::read(&file).map_err(|error| Skipped {
        file: file.clone(),
        reason: error.to_string(),
    })?;
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    let path = hierarchy_path(hierarchy, photo.location);
    let image = ReferenceImage {
        id: ReferenceImage::id_of(&sha256, &photo.path.to_string_lossy()),
        path: std::path::absolute(&file)
            .unwrap_or_else(|_| file.clone())
            .to_string_lossy()
            .into_owned(),
        location: photo.location,
        geocell: (path.len() == hierarchy.depth())
            .then(|| path.last().copied())
            .flatten(),
        sha256,
        captured_at: photo.captured_at,
        uploader: photo.uploader,
    };
    Ok(Candidate {
        image,
        path,
        bytes,
        file,
    })
}

/// The geocells that contain a place, coarsest first, as far down as the partition goes there.
pub(crate) fn hierarchy_path(hierarchy: &Hierarchy, place: geocells::LatLng) -> Vec<GeocellId> {
    let located = hierarchy.locate(place);
    let cells = hierarchy.levels().iter().zip(&located);
    cells
        .map_while(|(partition, cell)| cell.map(|cell| partition.cells()[cell].id))
        .collect()
}

/// Drops what an earlier build loaded into both the store and the catalog. A stored vector that is not what was written is
/// loaded again.
async fn without_loaded(
    target: Target<'_>,
    candidates: Vec<Candidate>,
    ids: &mut BTreeSet<Uuid>,
    report: &mut GalleryReport,
) -> Result<Vec<Candidate>> {
    if target.reload || candidates.is_empty() {
        return Ok(candidates);
    }
    let started = Instant::now();
    let collection = CollectionName::references(target.release);
    let wanted: Vec<Uuid> = candidates.iter().map(|candidate| candidate.image.id).collect();
    let points: Vec<PointId> = wanted.iter().map(|id| PointId::Uuid(*id)).collect();
    let stored = target.store.get(&collection, &points, true).await?;
    let stored: BTreeSet<PointId> = stored
        .into_iter()
        .filter(references::is_as_written)
        .map(|point| point.id)
        .collect();
    let recorded = target.catalog.reference_images(target.release, &wanted).await?;
    let recorded: BTreeSet<Uuid> = recorded.into_iter().map(|image| image.id).collect();
    let mut missing = Vec::new();
    for candidate in candidates {
        let id = candidate.image.id;
        if stored.contains(&PointId::Uuid(id)) && recorded.contains(&id) {
            report.kept += usize::from(ids.insert(id));
            report.outside += usize::from(candidate.image.geocell.is_none());
        } else {
            missing.push(candidate);
        }
    }
    report.load_seconds += started.elapsed().as_secs_f64();
    Ok(missing)
}

/// Large photos in smaller batches, so that memory stays bounded.
fn chunks(candidates: Vec<Candidate>) -> Vec<Vec<Candidate>> {
    let mut chunks: Vec<Vec<Candidate>> = Vec::new();
    let mut bytes = usize::MAX;
    for candidate in candidates {
        bytes = bytes.saturating_add(candidate.bytes.len());
        match chunks.last_mut() {
            Some(chunk) if bytes <= DECODED_AT_ONCE => chunk.push(candidate),
            _ => {
                bytes = candidate.bytes.len();
                chunks.push(vec![candidate]);
            }
        }
    }
    chunks
}

/// Decodes photos; those that cannot be are skipped.
async fn decode(
    gallery: &Gallery<'_>,
    candidates: Vec<Candidate>,
    looked_at: usize,
    report: &mut GalleryReport,
) -> Result<Decoded> {
    let started = Instant::now();
    let limits = gallery.limits;
    let decode = move || -> Vec<Result<(Candidate, RgbImage), Skipped>> {
        let decoded = |mut candidate: Candidate| {
            let bytes = std::mem::take(&mut candidate.bytes);
            match datasets::decode_bytes(&bytes, &candidate.file, &limits) {
                Ok(image) => Ok((candidate, image)),
                Err(error) => Err(Skipped {
                    file: candidate.file,
                    reason: error.to_string(),
                }),
            }
        };
        candidates.into_par_iter().map(decoded).collect()
    };
    let results = tokio::task::spawn_blocking(decode)
        .await
        .map_err(|_| Error::Interrupted)?;
    report.decode_seconds += started.elapsed().as_secs_f64();
    let mut decoded = Decoded {
        candidates: Vec::with_capacity(results.len()),
        images: Vec::with_capacity(results.len()),
        looked_at,
    };
    for result in results {
        match result {
            Ok((candidate, image)) => {
                decoded.candidates.push(candidate);
                decoded.images.push(image);
            }
            Err(skipped) => skip(report, skipped, gallery.strict)?,
        }
    }
    Ok(decoded)
}

fn skip(report: &mut GalleryReport, skipped: Skipped, strict: bool) -> Result<()> {
    if strict {
        return Err(Error::BadPhoto {
            file: skipped.file.display().to_string(),
            reason: skipped.reason,
        });
    }
    tracing::warn!(file = %skipped.file.display(), reason = %skipped.reason, "photo skipped");
    report.skipped.push(skipped);
    Ok(())
}
