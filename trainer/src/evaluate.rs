//! A checkpoint judged on a dataset: five thresholds, levels, calibration, chance and a flat baseline.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use datasets::{Dataset, DecodeLimits};
use geocells::{Accuracy, Kilometres, LatLng};
use image::RgbImage;
use models::{Calibration, Checkpoint, Crops, Encoder, SegmenterChoice};
use rayon::prelude::*;
use retrieval::ExactIndex;
use serde::Serialize;

use crate::calibrate::{self, negative_log_likelihood, observe, threshold_errors};
use crate::photos::Skipped;
use crate::progress::Report;
use crate::{Error, Progress, Result, Stage, validation};

/// Photos decoded and encoded at a time.
const CHUNK: usize = 128;

/// How an evaluation is carried out.
#[derive(Debug, Clone)]
pub struct EvaluationOptions {
    /// Indices into the dataset of the photos to judge on; `None` means all.
    pub photos: Option<Vec<usize>>,
    /// Where tensors live.
    pub device: Device,
    /// Views of a photo that are encoded and averaged; the field's benchmarks are often told with ten.
    pub crops: Crops,
    /// Where segmentation maps come from.
    pub segmenter: SegmenterChoice,
}

/// What an evaluation found.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluationReport {
    /// The checkpoint's content id.
    pub checkpoint: String,
    /// Views of each photo.
    pub crops: usize,
    /// Photos judged.
    pub photos: usize,
    /// Photos that could not be read, with the reason.
    pub skipped: Vec<Skipped>,
    /// Accuracy by exact hierarchical inference over all levels.
    pub accuracy: Accuracy,
    /// Expected accuracy of answering with a random finest cell, each weighted by its photo count: what somebody reaches who knows
    /// where people take photos and does not look.
    pub chance: Accuracy,
    /// Accuracy of the same model answering with the finest level's own table alone.
    pub flat: Accuracy,
    /// Accuracy of an answer that always chose the finest cell whose location is nearest to the truth: what the partition permits.
    pub ceiling: Accuracy,
    /// The levels, coarsest first.
    pub levels: Vec<LevelReport>,
    /// Share of the photos whose true place lies in some finest cell: the others cannot be answered exactly.
    pub coverage: f64,
    /// Expected calibration error of P(within r) at 1, 25, 200, 750 and 2,500 km.
    pub calibration_error: [f64; 5],
    /// Mean negative log likelihood (nats) of the true finest cell, over the covered photos; `None` if there are none.
    pub negative_log_likelihood: Option<f64>,
    /// Photos a second, decoding included.
    pub images_per_second: f64,
}

/// One level of the hierarchy, judged.
#[derive(Debug, Clone, Serialize)]
pub struct LevelReport {
    /// The level, 0 the coarsest.
    pub level: usize,
    /// Its geocells.
    pub cells: usize,
    /// Share of the photos whose true place lies in a cell of this level.
    pub coverage: f64,
    /// Share of the covered photos for which the best path down to this level ends in the true cell; 0 without covered photos.
    pub cell_accuracy: f64,
    /// Accuracy of answering with the location of the best path's cell at this level.
    pub accuracy: Accuracy,
}

/// Judges the checkpoint in the folder `checkpoint` on photos of `dataset`.
///
/// # Errors
/// A checkpoint that does not open, no readable photo.
pub fn evaluate(
    checkpoint: &Path,
    dataset: &Dataset,
    options: &EvaluationOptions,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<EvaluationReport> {
    let checkpoint = Checkpoint::open(checkpoint)?;
    let encoder = Encoder::open(&checkpoint, &options.device, options.segmenter.clone())?;
    let photos = options
        .photos
        .clone()
        .unwrap_or_else(|| (0..dataset.len()).collect());
    if let Some(beyond) = photos.iter().find(|i| **i >= dataset.len()) {
        return Err(Error::Dataset(format!(
            "photo {beyond} was asked for, but the dataset {} ends at {}",
            dataset.root().display(),
            dataset.len()
        )));
    }
    let started = Instant::now();
    let encoded = encode(&encoder, dataset, &photos, options.crops, progress, cancel)?;
    let images_per_second = encoded.truths.len() as f64 / started.elapsed().as_secs_f64();
    let model = checkpoint.model(&options.device)?;
    let index = ExactIndex::of_model(&model.geographic, checkpoint.hierarchy())?;
    let mut report = judge(&index, &encoded.visual, &encoded.truths, checkpoint.calibration())?;
    report.checkpoint = checkpoint.id().to_owned();
    report.crops = options.crops.count();
    report.skipped = encoded.skipped;
    report.images_per_second = images_per_second;
    Ok(report)
}

struct EncodedPhotos {
    visual: Tensor,
    truths: Vec<LatLng>,
    skipped: Vec<Skipped>,
}

fn encode(
    encoder: &Encoder,
    dataset: &Dataset,
    photos: &[usize],
    crops: Crops,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<EncodedPhotos> {
    let (mut rows, mut truths, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let mut width = 0;
    let started = Instant::now();
    for (k, chunk) in photos.chunks(CHUNK).enumerate() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Encode.phrase(),
                run: dataset.root().to_path_buf(),
            });
        }
        let decoded: Vec<(usize, datasets::Result<RgbImage>)> = chunk
            .par_iter()
            .map(|i| {
                (
                    *i,
                    datasets::decode_image(dataset.image_path(*i), &DecodeLimits::default()),
                )
            })
            .collect();
        let mut images = Vec::with_capacity(chunk.len());
        for (index, decoded) in decoded {
            match decoded {
                Ok(image) => {
                    images.push(image);
                    truths.push(dataset.photos()[index].location);
                }
                Err(e) => skipped.push(Skipped {
                    index,
                    file: dataset.image_path(index),
                    reason: e.to_string(),
                }),
            }
        }
        if !images.is_empty() {
            for photo in encoder.encode_crops(&images, crops)? {
                width = photo.embedding.len();
                rows.extend(photo.embedding);
            }
        }
        let done = (k * CHUNK + chunk.len()) as u64;
        let rate = done as f64 / started.elapsed().as_secs_f64();
        progress(&Progress {
            images_per_second: Some(rate),
            remaining_seconds: Some((photos.len() as u64 - done) as f64 / rate),
            ..Progress::counted(Stage::Encode, done, photos.len() as u64)
        });
    }
    if truths.is_empty() {
        let reason = skipped.first().map_or_else(
            || "there are none".to_owned(),
            |s| format!("{}: {}", s.file.display(), s.reason),
        );
        return Err(Error::Dataset(format!(
            "no photo of {} could be read ({reason}); check the dataset's paths",
            dataset.root().display()
        )));
    }
    Ok(EncodedPhotos {
        visual: Tensor::from_vec(rows, (truths.len(), width), &Device::Cpu)?,
        truths,
        skipped,
    })
}

/// Judges unit visual embeddings `[photos, width]` with known places.
///
/// # Errors
/// The index's; no photo.
pub fn judge(
    index: &ExactIndex,
    visual: &Tensor,
    truths: &[LatLng],
    calibration: &Calibration,
) -> Result<EvaluationReport> {
    let depth = index.cells().depth();
    let levels = (0..depth)
        .map(|level| judge_level(index, level, visual, truths))
        .collect::<Result<Vec<_>>>()?;
    let finest = &levels[depth - 1];
    let photos: Vec<u64> = index.cells().finest().iter().map(|c| c.photos).collect();
    let observations = observe(index, visual, truths)?;
    let answers = calibrate::stated(index, visual, calibration)?;
    Ok(EvaluationReport {
        checkpoint: String::new(),
        crops: 1,
        photos: truths.len(),
        skipped: Vec::new(),
        accuracy: finest.accuracy,
        chance: validation::chance(index.cells().finest(), truths)?,
        flat: Accuracy::from_errors(&flat_errors(index, visual, truths)?)?,
        ceiling: Accuracy::from_errors(&nearest_errors(index, truths))?,
        coverage: finest.coverage,
        levels,
        calibration_error: threshold_errors(&answers, truths),
        negative_log_likelihood: (!observations.is_empty())
            .then(|| negative_log_likelihood(&observations, &photos, calibration)),
        images_per_second: 0.0,
    })
}

fn judge_level(index: &ExactIndex, level: usize, visual: &Tensor, truths: &[LatLng]) -> Result<LevelReport> {
    let partition = &index.cells().hierarchy().levels()[level];
    let cells = partition.cells();
    let best = index.top(level, visual, 1)?;
    let (mut errors, mut covered, mut right) = (Vec::with_capacity(truths.len()), 0usize, 0usize);
    for (best, truth) in best.iter().flatten().zip(truths) {
        errors.push(cells[best.cell].location.distance(*truth));
        if let Some(cell) = partition.locate(*truth) {
            covered += 1;
            right += usize::from(cell == best.cell);
        }
    }
    Ok(LevelReport {
        level,
        cells: cells.len(),
        coverage: covered as f64 / truths.len() as f64,
        cell_accuracy: right as f64 / covered.max(1) as f64,
        accuracy: Accuracy::from_errors(&errors)?,
    })
}

/// Distances from each place to the nearest location of a finest cell.
fn nearest_errors(index: &ExactIndex, truths: &[LatLng]) -> Vec<Kilometres> {
    let cells = index.cells().finest();
    let nearest = |truth: &LatLng| cells.iter().map(|c| c.location.distance(*truth)).min();
    truths.par_iter().filter_map(nearest).collect()
}

/// Errors of the finest level's own table: the cell whose geographic embedding is nearest, coarser levels ignored.
fn flat_errors(index: &ExactIndex, visual: &Tensor, truths: &[LatLng]) -> Result<Vec<Kilometres>> {
    let cosines = index.cosines(index.cells().depth() - 1, visual)?;
    let cells = index.cells().finest();
    let highest = |row: &Vec<f32>| {
        row.iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(c, _)| c)
    };
    Ok(cosines
        .iter()
        .zip(truths)
        .map(|(row, truth)| cells[highest(row)].location.distance(*truth))
        .collect())
}
