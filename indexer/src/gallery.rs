//! The gallery: photos read, decoded, encoded and loaded as reference images.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datasets::{Dataset, DecodeLimits};
use geocells::{GeocellId, Hierarchy};
use image::RgbImage;
use models::Encoder;
use rayon::prelude::*;
use retrieval::references;
use serde::Serialize;
use sha2::{Digest, Sha256};
use storage::{CollectionName, CollectionSpec, FieldKind, Point, PointId, ReferenceImage, VectorSpec};
use uuid::Uuid;

use crate::levels::Target;
use crate::progress::Stage;
use crate::{Error, Result};

/// A photo that could not become a reference image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file.
    pub file: PathBuf,
    /// Why, in words that name the remedy.
    pub reason: String,
}

/// What became of a dataset's photos.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GalleryReport {
    /// Reference images that were encoded now.
    pub encoded: usize,
    /// Reference images that an earlier, unfinished build had loaded.
    pub kept: usize,
    /// Photos outside every finest geocell: loaded, but no answer can lead to them.
    pub outside: usize,
    /// Photos that could not be read.
    pub skipped: Vec<Skipped>,
    /// Seconds of reading and decoding, summed over batches.
    pub decode_seconds: f64,
    /// Seconds of the encoder.
    pub encode_seconds: f64,
    /// Seconds of the store and the catalog.
    pub load_seconds: f64,
}

/// What the gallery is made of and with.
pub(crate) struct Gallery<'a> {
    pub dataset: &'a Dataset,
    pub hierarchy: &'a Hierarchy,
    pub encoder: Arc<Encoder>,
    pub dimension: usize,
    pub batch: usize,
    pub strict: bool,
    pub limits: DecodeLimits,
}

/// A photo whose bytes were read.
struct Candidate {
    image: ReferenceImage,
    path: Vec<GeocellId>,
    bytes: Vec<u8>,
    file: PathBuf,
}

/// Loads all photos and returns the ids of all reference images with the report.
pub(crate) async fn load(
    target: Target<'_>,
    gallery: &Gallery<'_>,
) -> Result<(BTreeSet<Uuid>, GalleryReport)> {
    let collection = CollectionName::references(target.release);
    target
        .store
        .create_collection(&collection, &spec(gallery))
        .await?;
    let mut report = GalleryReport::default();
    let mut ids = BTreeSet::new();
    let total = gallery.dataset.len();
    let mut pending = Pending::default();
    for start in (0..total).step_by(gallery.batch) {
        if let Err(stopped) = target.go_on(Stage::References) {
            pending.write(target, &collection, &mut report).await?;
            return Err(stopped);
        }
        let rows = start..(start + gallery.batch).min(total);
        let started = Instant::now();
        let read: Vec<_> = rows
            .clone()
            .into_par_iter()
            .map(|index| read(gallery, index))
            .collect();
        report.decode_seconds += started.elapsed().as_secs_f64();

        let mut fresh = Vec::new();
        for candidate in read {
            match candidate {
                Ok(candidate) if ids.contains(&candidate.image.id) => {}
                Ok(candidate) => fresh.push(candidate),
                Err(skipped) => skip(&mut report, skipped, gallery.strict)?,
            }
        }
        let fresh = without_loaded(target, &collection, fresh, &mut ids, &mut report).await?;
        for chunk in chunks(fresh) {
            encode(gallery, chunk, &mut pending, &mut ids, &mut report).await?;
            if pending.is_due() {
                pending.write(target, &collection, &mut report).await?;
            }
        }
        target.tell(Stage::References, rows.end, total);
    }
    pending.write(target, &collection, &mut report).await?;
    if ids.is_empty() {
        let reason = report
            .skipped
            .first()
            .map_or_else(|| "it is empty".to_owned(), |first| first.reason.clone());
        return Err(Error::NoPhotos {
            photos: total,
            reason,
        });
    }
    Ok((ids, report))
}

fn spec(gallery: &Gallery<'_>) -> CollectionSpec {
    let mut spec = CollectionSpec::new([VectorSpec::flat(references::VISUAL, gallery.dimension)])
        .with_index(references::GEOCELL, FieldKind::Keyword)
        .with_index(references::LOCATION, FieldKind::Geo)
        .with_index(references::CAPTURED_AT, FieldKind::Datetime);
    for level in 0..gallery.hierarchy.depth() {
        spec = spec.with_index(references::level_field(level), FieldKind::Keyword);
    }
    spec
}

/// Compressed bytes that are decoded at once: about 100 million pixels of camera JPEG, 300 MB in memory.
const DECODED_AT_ONCE: usize = 24 << 20;

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

fn read(gallery: &Gallery<'_>, index: usize) -> Result<Candidate, Skipped> {
    let file = gallery.dataset.image_path(index);
    let bytes = fs_err::read(&file).map_err(|error| Skipped {
        file: file.clone(),
        reason: error.to_string(),
    })?;
    let photo = &gallery.dataset.photos()[index];
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    let located = gallery.hierarchy.locate(photo.location);
    let cells = gallery.hierarchy.levels().iter().zip(&located);
    let path: Vec<GeocellId> = cells
        .map_while(|(partition, cell)| cell.map(|cell| partition.cells()[cell].id))
        .collect();
    let image = ReferenceImage {
        id: ReferenceImage::id_of(&sha256, &photo.path.to_string_lossy()),
        path: std::path::absolute(&file)
            .unwrap_or_else(|_| file.clone())
            .to_string_lossy()
            .into_owned(),
        location: photo.location,
        geocell: (path.len() == gallery.hierarchy.depth())
            .then(|| path.last().copied())
            .flatten(),
        sha256,
        captured_at: photo.captured_at,
        uploader: photo.uploader.clone(),
    };
    Ok(Candidate {
        image,
        path,
        bytes,
        file,
    })
}

/// Drops what an earlier build loaded into both the store and the catalog.
async fn without_loaded(
    target: Target<'_>,
    collection: &CollectionName,
    candidates: Vec<Candidate>,
    ids: &mut BTreeSet<Uuid>,
    report: &mut GalleryReport,
) -> Result<Vec<Candidate>> {
    if target.reload {
        return Ok(candidates);
    }
    let started = Instant::now();
    let wanted: Vec<Uuid> = candidates.iter().map(|candidate| candidate.image.id).collect();
    let points: Vec<PointId> = wanted.iter().map(|id| PointId::Uuid(*id)).collect();
    let stored = target.store.get(collection, &points, false).await?;
    let stored: BTreeSet<PointId> = stored.into_iter().map(|point| point.id).collect();
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

/// Encoded reference images that are not written yet. Every write is made durable, which costs the same for one image as for
/// many, so they are written together.
#[derive(Default)]
struct Pending {
    points: Vec<Point>,
    records: Vec<ReferenceImage>,
    since: Option<Instant>,
}

impl Pending {
    /// Images written together, at most about this many.
    const ENOUGH: usize = 1024;
    /// Work that a kill may cost, where encoding is slow.
    const LONGEST: Duration = Duration::from_secs(10);

    fn push(&mut self, point: Point, record: ReferenceImage) {
        self.since.get_or_insert_with(Instant::now);
        self.points.push(point);
        self.records.push(record);
    }

    fn is_due(&self) -> bool {
        self.points.len() >= Self::ENOUGH || self.since.is_some_and(|since| since.elapsed() >= Self::LONGEST)
    }

    async fn write(
        &mut self,
        target: Target<'_>,
        collection: &CollectionName,
        report: &mut GalleryReport,
    ) -> Result<()> {
        let Pending { points, records, .. } = std::mem::take(self);
        if points.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        target.store.upsert(collection, points).await?;
        target
            .catalog
            .insert_reference_images(target.release, &records)
            .await?;
        report.load_seconds += started.elapsed().as_secs_f64();
        Ok(())
    }
}

/// Decodes and encodes photos; they wait in `pending` to be written.
async fn encode(
    gallery: &Gallery<'_>,
    candidates: Vec<Candidate>,
    pending: &mut Pending,
    ids: &mut BTreeSet<Uuid>,
    report: &mut GalleryReport,
) -> Result<()> {
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
    let decoded = tokio::task::spawn_blocking(decode)
        .await
        .map_err(|_| Error::Interrupted)?;
    report.decode_seconds += started.elapsed().as_secs_f64();

    let (mut kept, mut images) = (Vec::new(), Vec::new());
    for result in decoded {
        match result {
            Ok((candidate, image)) => {
                // The same photo twice in one batch.
                if kept
                    .iter()
                    .all(|other: &Candidate| other.image.id != candidate.image.id)
                {
                    kept.push(candidate);
                    images.push(image);
                }
            }
            Err(skipped) => skip(report, skipped, gallery.strict)?,
        }
    }
    if kept.is_empty() {
        return Ok(());
    }

    let started = Instant::now();
    let encoder = Arc::clone(&gallery.encoder);
    let encode = move || encoder.encode(&images);
    let encoded = tokio::task::spawn_blocking(encode)
        .await
        .map_err(|_| Error::Interrupted)??;
    report.encode_seconds += started.elapsed().as_secs_f64();

    for (candidate, encoded) in kept.into_iter().zip(encoded) {
        let Candidate { image, path, .. } = candidate;
        let mut point = Point::new(image.id, [(references::VISUAL, encoded.embedding)]);
        point.payload = references::payload(&image, &path);
        ids.insert(image.id);
        report.encoded += 1;
        report.outside += usize::from(image.geocell.is_none());
        pending.push(point, image);
    }
    Ok(())
}
