//! A checkpoint judged on a dataset: five thresholds with intervals, levels, continents, calibration, regions, chance and a flat baseline.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};
use datasets::Dataset;
use geocells::{Accuracy, Kilometres, LatLng, THRESHOLDS};
use models::{Calibration, Checkpoint, Crops, Encoder, Precision, SegmenterChoice};
use rayon::prelude::*;
use retrieval::{Answer, ExactIndex};
use serde::Serialize;

use crate::benchmark::bootstrap::{Bootstrap, Interval};
use crate::benchmark::continents::{ContinentReport, by_continent, shares_within};
use crate::benchmark::encode::{Views, encode};
use crate::benchmark::look_up::{self, LookUpOptions, LookUpReport};
use crate::benchmark::region::{self, RegionReport};
use crate::benchmark::reliability::{Reliability, reliability, stated};
use crate::calibrate::{self, Stated, expected_calibration_error, negative_log_likelihood, observe};
use crate::photos::Skipped;
use crate::progress::Report;
use crate::{Error, Result, validation};

/// How an evaluation is carried out.
#[derive(Debug, Clone)]
pub struct EvaluationOptions {
    /// Indices into the dataset of the photos to judge on; `None` means all.
    pub photos: Option<Vec<usize>>,
    /// Where tensors live.
    pub device: Device,
    /// Number format of the tower's frozen blocks.
    pub precision: Precision,
    /// Views of a photo that are encoded and averaged; the field's benchmarks are often told with ten.
    pub crops: Crops,
    /// Where segmentation maps come from.
    pub segmenter: SegmenterChoice,
    /// Take the dataset's own segmentation maps instead of the segmenter's.
    pub dataset_maps: bool,
    /// Places of training or reference photos, by which P(within r) knows where in a cell photos are taken; never those of the
    /// judged photos. Empty: evenly over each cell.
    pub training_places: Vec<LatLng>,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Whether reference photos of the same spot are looked up, and where.
    pub look_up: Option<LookUpOptions>,
}

impl EvaluationOptions {
    /// All photos, one view each, the checkpoint's own segmenter, a thousand samples for intervals, no look-up.
    pub fn new(device: Device) -> Self {
        Self {
            photos: None,
            device,
            precision: Precision::F32,
            crops: Crops::One,
            segmenter: SegmenterChoice::Own,
            dataset_maps: false,
            training_places: Vec::new(),
            bootstrap: Bootstrap::default(),
            look_up: None,
        }
    }
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
    /// How the intervals below were made.
    pub bootstrap: Bootstrap,
    /// Intervals of accuracy, calibration error and coverage of regions; `None` when intervals are off.
    pub intervals: Option<Intervals>,
    /// Accuracy by continent of the true place.
    pub continents: Vec<ContinentReport>,
    /// The reliability of P(within r), nearest threshold first.
    pub reliability: Vec<Reliability>,
    /// How often 90 % regions hold the truth, and how large they are.
    pub region: RegionReport,
    /// Finding reference photos of the same spot, if it was asked for.
    pub look_up: Option<LookUpReport>,
    /// Every photo's answer, for a file of them.
    #[serde(skip)]
    pub answers: Vec<PhotoAnswer>,
}

/// Intervals of the main numbers, over photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Intervals {
    /// Of the shares within the five thresholds.
    pub within: [Interval; 5],
    /// Of the median error, km.
    pub median_km: Interval,
    /// Of the mean error, km.
    pub mean_km: Interval,
    /// Of the expected calibration error at the five thresholds.
    pub calibration_error: [Interval; 5],
    /// Of the share of truths inside their 90 % region.
    pub region_coverage: Interval,
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

/// The answer to one photo.
#[derive(Debug, Clone)]
pub struct PhotoAnswer {
    /// The photo's file.
    pub file: PathBuf,
    /// Where it was taken.
    pub truth: LatLng,
    /// Where the model says it was taken.
    pub location: LatLng,
    /// The distance between them.
    pub error: Kilometres,
    /// Probability of the answer's finest cell.
    pub confidence: f64,
    /// P(within r) at the five thresholds.
    pub within: [f64; 5],
    /// Whether the 90 % region holds the truth; `None` where the truth lies in no finest cell.
    pub in_region: Option<bool>,
    /// The area of that region, km².
    pub region_km2: f64,
    /// Whether the model says that it cannot tell.
    pub cannot_tell: bool,
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
    let encoder = Encoder::open_in(
        &checkpoint,
        &options.device,
        options.segmenter.clone(),
        options.precision,
    )?;
    let photos = options
        .photos
        .clone()
        .unwrap_or_else(|| (0..dataset.len()).collect());
    let views = Views {
        crops: options.crops,
        dataset_maps: options.dataset_maps,
    };
    let encoded = encode(&encoder, dataset, &photos, views, progress, cancel)?;
    let model = checkpoint.model(&options.device)?;
    let index = ExactIndex::of_model(&model.geographic, checkpoint.hierarchy())?
        .with_places(options.training_places.iter().copied());
    let judged = Judged {
        index: &index,
        visual: &encoded.visual,
        truths: &encoded.truths,
        calibration: checkpoint.calibration(),
    };
    let mut report = judge(judged, &options.bootstrap)?;
    for (answer, photo) in report.answers.iter_mut().zip(&encoded.indices) {
        answer.file = dataset.image_path(*photo);
    }
    if let Some(wanted) = &options.look_up {
        if !look_up::usable_radius(wanted.radius_m) {
            return Err(Error::Config(format!(
                "a look-up within {} m means nothing; choose metres above 0 and at most 25,000, such as 25",
                wanted.radius_m
            )));
        }
        let other = match &wanted.gallery {
            None => None,
            Some(gallery) => {
                let photos: Vec<usize> = (0..gallery.len()).collect();
                Some((
                    gallery,
                    encode(&encoder, gallery, &photos, views, progress, cancel)?,
                ))
            }
        };
        let own = (dataset, &encoded);
        let (gallery, gallery_photos) = other
            .as_ref()
            .map_or(own, |(dataset, encoded)| (*dataset, encoded));
        let asked = look_up::colour_histograms(dataset, &encoded)?;
        let offered = look_up::colour_histograms(gallery, gallery_photos)?;
        report.look_up = Some(look_up::judge(
            &encoded.truths,
            &gallery_photos.truths,
            other.is_none(),
            &[
                ("visual embedding", &encoded.visual, &gallery_photos.visual),
                ("colour histogram", &asked, &offered),
            ],
            wanted.radius_m,
            &options.bootstrap,
        )?);
    }
    report.checkpoint = checkpoint.id().to_owned();
    report.crops = options.crops.count();
    report.skipped = encoded.skipped;
    report.images_per_second = encoded.images_per_second;
    Ok(report)
}

/// Photos with known places and what judges them.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The cells and embeddings.
    pub index: &'a ExactIndex,
    /// Unit visual embeddings, `[photos, width]`.
    pub visual: &'a Tensor,
    /// The photos' places.
    pub truths: &'a [LatLng],
    /// What makes the probabilities honest.
    pub calibration: &'a Calibration,
}

/// Judges unit visual embeddings with known places.
///
/// # Errors
/// The index's; no photo.
pub fn judge(judged: Judged<'_>, bootstrap: &Bootstrap) -> Result<EvaluationReport> {
    let Judged {
        index,
        visual,
        truths,
        calibration,
    } = judged;
    let depth = index.cells().depth();
    let levels = (0..depth)
        .map(|level| judge_level(index, level, visual, truths))
        .collect::<Result<Vec<_>>>()?;
    let finest = &levels[depth - 1];
    let photos: Vec<u64> = index.cells().finest().iter().map(|c| c.photos).collect();
    let observations = observe(index, visual, truths)?;
    let answers = calibrate::stated(index, visual, calibration)?;
    let errors: Vec<Kilometres> = answers
        .iter()
        .zip(truths)
        .map(|(answer, truth)| answer.location.distance(*truth))
        .collect();
    let said = stated(&answers, truths);
    let held = region::held(index, &answers, truths);
    let reliability: Vec<Reliability> = THRESHOLDS
        .iter()
        .zip(&said)
        .map(|(threshold, said)| reliability(threshold.km.get(), said))
        .collect();
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
        calibration_error: std::array::from_fn(|k| reliability[k].error),
        negative_log_likelihood: (!observations.is_empty())
            .then(|| negative_log_likelihood(&observations, &photos, calibration)),
        images_per_second: 0.0,
        bootstrap: *bootstrap,
        intervals: intervals(&errors, &said, &held, bootstrap),
        continents: by_continent(truths, &errors, bootstrap)?,
        reliability,
        region: region::judge(&answers, &held),
        look_up: None,
        answers: answers
            .iter()
            .zip(truths)
            .zip(errors.iter().zip(&held))
            .map(|((answer, truth), (error, held))| photo_answer(answer, *truth, *error, *held))
            .collect(),
    })
}

fn photo_answer(answer: &Answer, truth: LatLng, error: Kilometres, in_region: Option<bool>) -> PhotoAnswer {
    PhotoAnswer {
        file: PathBuf::new(),
        truth,
        location: answer.location,
        error,
        confidence: answer.confidence,
        within: answer.within.0,
        in_region,
        region_km2: answer.credible_region.area_km2,
        cannot_tell: answer.cannot_tell.is_some(),
    }
}

fn intervals(
    errors: &[Kilometres],
    said: &[Vec<Stated>; 5],
    held: &[Option<bool>],
    bootstrap: &Bootstrap,
) -> Option<Intervals> {
    let all: [Interval; 13] = bootstrap.intervals(errors.len(), |sample| {
        let within = shares_within(errors, sample);
        let mut km: Vec<f64> = sample.iter().map(|i| errors[*i].get()).collect();
        let mean = km.iter().sum::<f64>() / km.len() as f64;
        let calibration: [f64; 5] = std::array::from_fn(|k| {
            let stated: Vec<Stated> = sample.iter().map(|i| said[k][*i]).collect();
            expected_calibration_error(&stated)
        });
        let inside = sample.iter().filter(|i| held[**i] == Some(true)).count() as f64 / sample.len() as f64;
        let mut all = [0.0; 13];
        all[..5].copy_from_slice(&within);
        all[5] = median(&mut km);
        all[6] = mean;
        all[7..12].copy_from_slice(&calibration);
        all[12] = inside;
        all
    })?;
    Some(Intervals {
        within: std::array::from_fn(|k| all[k]),
        median_km: all[5],
        mean_km: all[6],
        calibration_error: std::array::from_fn(|k| all[7 + k]),
        region_coverage: all[12],
    })
}

/// The median; for an even number, the mean of the middle two. Changes the order.
fn median(values: &mut [f64]) -> f64 {
    let (middle, odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
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
pub(crate) fn flat_errors(index: &ExactIndex, visual: &Tensor, truths: &[LatLng]) -> Result<Vec<Kilometres>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 100.0]), 3.0);
        assert_eq!(median(&mut [7.0]), 7.0);
    }
}
