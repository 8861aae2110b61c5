//! The gallery: photos read, decoded, encoded and loaded as reference images.
//!
//! Three stages work side by side and hand over through short channels, so that reading and decoding, the encoder and the
//! stores overlap and memory stays bounded whatever the size of the gallery: [`reader`](self::reader) → encoder →
//! [`writer`](self::writer).

mod reader;
mod writer;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use datasets::{Dataset, DecodeLimits};
use geocells::Hierarchy;
use image::RgbImage;
use models::Encoder;
use retrieval::references;
use serde::Serialize;
use storage::{CollectionName, CollectionSpec, FieldKind, VectorSpec};
use tokio::sync::mpsc;
use uuid::Uuid;

use self::reader::Candidate;
use self::writer::Loaded;
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
    /// Reference images of an earlier build that the dataset does not have, which were removed.
    pub removed: usize,
    /// Photos that could not be read.
    pub skipped: Vec<Skipped>,
    /// Seconds of reading and decoding, summed over batches. The three stages overlap.
    pub decode_seconds: f64,
    /// Seconds of the encoder.
    pub encode_seconds: f64,
    /// Seconds of the store and the catalog, summed over writes that may run side by side.
    pub load_seconds: f64,
}

/// What the gallery is made of and with.
pub(crate) struct Gallery<'a> {
    pub dataset: &'a Dataset,
    pub hierarchy: Arc<Hierarchy>,
    pub encoder: Arc<Encoder>,
    pub batch: usize,
    /// Reference images written together.
    pub together: usize,
    pub strict: bool,
    pub limits: DecodeLimits,
}

/// Decoded photos on their way to the encoder.
struct Decoded {
    candidates: Vec<Candidate>,
    images: Vec<RgbImage>,
    /// Photos of the dataset that were looked at when these were handed over.
    looked_at: usize,
}

/// Makes the collection of a release's reference images.
pub(crate) async fn create(target: Target<'_>, levels: usize, dimension: usize) -> Result<()> {
    let mut spec = CollectionSpec::new([VectorSpec::graph(references::VISUAL, dimension)])
        .with_index(references::GEOCELL, FieldKind::Keyword)
        .with_index(references::LOCATION, FieldKind::Geo)
        .with_index(references::CAPTURED_AT, FieldKind::Datetime);
    for level in 0..levels {
        spec = spec.with_index(references::level_field(level), FieldKind::Keyword);
    }
    let collection = CollectionName::references(target.release);
    Ok(target.store.create_collection(&collection, &spec).await?)
}

/// Loads all photos into the collection that [`create`] made and returns the ids of all reference images with the report. When it
/// is stopped, everything that was encoded is written first.
pub(crate) async fn load(
    target: Target<'_>,
    gallery: &Gallery<'_>,
) -> Result<(BTreeSet<Uuid>, GalleryReport)> {
    let (to_encoder, decoded) = mpsc::channel::<Decoded>(1);
    let (to_writer, encoded) = mpsc::channel::<Loaded>(1);
    // Not `try_join`: what was handed over before one stage failed is still to be written.
    let (read, encode, write) = futures::join!(
        reader::read_all(target, gallery, to_encoder),
        encode_all(target, gallery, decoded, to_writer),
        writer::write_all(target, gallery.together, encoded),
    );
    let load_seconds = write?;
    let encode = encode?;
    let (ids, mut report) = read?;
    report.load_seconds += load_seconds;
    report.encode_seconds = encode.seconds;
    report.encoded = encode.encoded;
    Ok((ids, report))
}

#[derive(Default)]
struct EncodeReport {
    encoded: usize,
    seconds: f64,
}

/// Encodes what the reader hands over until it ends.
async fn encode_all(
    target: Target<'_>,
    gallery: &Gallery<'_>,
    mut decoded: mpsc::Receiver<Decoded>,
    to_writer: mpsc::Sender<Loaded>,
) -> Result<EncodeReport> {
    let mut report = EncodeReport::default();
    while let Some(Decoded {
        candidates,
        images,
        looked_at,
    }) = decoded.recv().await
    {
        let mut loaded = Loaded::default();
        if !images.is_empty() {
            let started = Instant::now();
            let encoder = Arc::clone(&gallery.encoder);
            let encode = move || encoder.encode(&images);
            let encoded = tokio::task::spawn_blocking(encode)
                .await
                .map_err(|_| Error::Interrupted)??;
            report.seconds += started.elapsed().as_secs_f64();
            report.encoded += encoded.len();
            for (candidate, encoded) in candidates.into_iter().zip(encoded) {
                let Candidate { image, path, .. } = candidate;
                loaded
                    .points
                    .push(references::point(&image, &path, encoded.embedding));
                loaded.records.push(image);
            }
        }
        // A writer that has failed has gone; its own error is the one that is told.
        if to_writer.send(loaded).await.is_err() {
            break;
        }
        target.tell(Stage::References, looked_at, gallery.dataset.len());
    }
    Ok(report)
}
