//! What a build would take, before it writes anything.

use std::path::Path;
use std::time::Instant;

use datasets::Dataset;
use rayon::prelude::*;
use serde::Serialize;

use crate::build::{BuildOptions, location, open};
use crate::gallery::Skipped;
use crate::verify::evenly;
use crate::{Error, Result};

/// Photos that are read, decoded and encoded to measure the time.
const SAMPLE: usize = 64;

/// Bytes that the embedded store keeps of one vector's number on disk: four of the vector itself, five of the engine's log.
const DISK_BYTES_A_NUMBER: u64 = 9;

/// Bytes of a point besides its vectors: id, payload, indexes of the payload, and its row in the catalog. Measured on the embedded
/// store and SQLite; a test compares the sum with what a build takes.
const DISK_BYTES_A_POINT: u64 = 2600;

/// Bytes of an empty collection of the embedded store. Measured in the same way.
const DISK_BYTES_A_COLLECTION: u64 = 256 << 10;

/// What a build would write and how long it would take.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// Content id of the checkpoint.
    pub checkpoint: String,
    /// Photos of the dataset.
    pub photos: usize,
    /// Components of an embedding.
    pub dimension: usize,
    /// The levels, coarsest first.
    pub levels: Vec<LevelEstimate>,
    /// Bytes of all vectors as 32-bit numbers: what memory a store that keeps them there needs.
    pub vector_bytes: u64,
    /// Bytes on the disk of an embedded store and its catalog, about.
    pub disk_bytes: u64,
    /// Photos that the time was measured on.
    pub sampled: usize,
    /// Photos of the sample that cannot be read.
    pub unreadable: Vec<Skipped>,
    /// Photos a second, from the sample; `None` where none could be read.
    pub photos_a_second: Option<f64>,
    /// Seconds for all photos at that rate; writing and verifying take more.
    pub seconds: Option<f64>,
}

/// One level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LevelEstimate {
    /// 0 is the coarsest.
    pub level: usize,
    /// Its geocells.
    pub geocells: usize,
}

/// Measures a sample of the photos and adds up sizes. Nothing is written and no store is opened.
///
/// # Errors
/// Those of the checkpoint and the encoder.
pub async fn estimate(checkpoint: &Path, dataset: &Dataset, options: &BuildOptions) -> Result<Estimate> {
    let model = open(&location(checkpoint), options).await?;
    let sample: Vec<_> = evenly(dataset.len(), SAMPLE)
        .into_iter()
        .map(|index| dataset.image_path(index))
        .collect();
    let sampled = sample.len();
    let (limits, batch, encoder) = (options.limits, options.batch.max(1), model.encoder.clone());
    let measure = move || -> Result<(usize, Vec<Skipped>, f64)> {
        let (mut read, mut unreadable) = (0, Vec::new());
        let started = Instant::now();
        for chunk in sample.chunks(batch) {
            let decoded: Vec<_> = chunk
                .par_iter()
                .map(|file| {
                    datasets::decode_image(file, &limits).map_err(|error| Skipped {
                        file: file.clone(),
                        reason: error.to_string(),
                    })
                })
                .collect();
            let mut images = Vec::with_capacity(decoded.len());
            for image in decoded {
                match image {
                    Ok(image) => images.push(image),
                    Err(skipped) => unreadable.push(skipped),
                }
            }
            read += images.len();
            encoder.encode(&images)?;
        }
        Ok((read, unreadable, started.elapsed().as_secs_f64()))
    };
    let (read, unreadable, seconds) = tokio::task::spawn_blocking(measure)
        .await
        .map_err(|_| Error::Interrupted)??;
    let rate = (read > 0 && seconds > 0.0).then(|| read as f64 / seconds);

    let levels: Vec<LevelEstimate> = (model.hierarchy.levels().iter().enumerate())
        .map(|(level, partition)| LevelEstimate {
            level,
            geocells: partition.cells().len(),
        })
        .collect();
    let geocells: usize = levels.iter().map(|level| level.geocells).sum();
    let dimension = model.exact.dimension();
    // A geocell has two vectors: its own embedding and its path's.
    let numbers = (dataset.len() as u64 + 2 * geocells as u64) * dimension as u64;
    let points = dataset.len() as u64 + geocells as u64;
    let collections = levels.len() as u64 + 1;
    Ok(Estimate {
        checkpoint: model.checkpoint,
        photos: dataset.len(),
        dimension,
        levels,
        vector_bytes: 4 * numbers,
        disk_bytes: DISK_BYTES_A_COLLECTION * collections
            + DISK_BYTES_A_NUMBER * numbers
            + DISK_BYTES_A_POINT * points,
        sampled,
        unreadable,
        photos_a_second: rate,
        seconds: rate.map(|rate| dataset.len() as f64 / rate),
    })
}
