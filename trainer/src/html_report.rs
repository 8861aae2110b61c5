//! A finished run as one self-contained page: curves, accuracy by level and threshold, calibration, a map of errors, the hardest photos.
//!
//! Everything that the page shows is inside it: charts as SVG, photographs as small JPEGs. It loads nothing and runs no script.

mod calibration;
mod charts;
mod curves;
mod hardest;
mod map;
mod page;

use candle_core::Tensor;
use datasets::Dataset;
use geocells::{Accuracy, LatLng};
use retrieval::{Answer, ExactIndex};

use crate::photos::Photos;
use crate::run::write_atomically;
use crate::{Result, RunFolder, TrainingConfig, TrainingReport, calibrate, validation};

/// At most so many held-out photos are shown on the map and in the calibration diagram.
const SHOWN: usize = 5_000;

/// What a page is made of, beside the run's files.
#[derive(Debug)]
pub struct Findings<'a> {
    /// The run's summary.
    pub report: &'a TrainingReport,
    /// What was asked.
    pub config: &'a TrainingConfig,
    /// Exact inference with the kept weights.
    pub index: &'a ExactIndex,
    /// Unit visual embeddings of the held-out photos, `[photos, width]`.
    pub visual: &'a Tensor,
    /// Those photos, by dataset index.
    pub photos: &'a [usize],
    /// Their true places.
    pub truths: &'a [LatLng],
    /// Where photos are read from.
    pub source: &'a dyn Photos,
    /// The dataset, for the photos' names.
    pub dataset: &'a Dataset,
}

/// One held-out photo and its answer.
struct Case {
    photo: usize,
    truth: LatLng,
    answer: Answer,
    km: f64,
}

/// Writes `report.html` into the run's folder.
///
/// # Errors
/// The index's, a tensor operation, the file system's.
pub fn write(run: &RunFolder, findings: &Findings<'_>) -> Result<()> {
    let levels = (0..findings.index.cells().depth())
        .map(|level| {
            let errors = validation::errors_at(findings.index, level, findings.visual, findings.truths)?;
            Ok(Accuracy::from_errors(&errors)?)
        })
        .collect::<Result<Vec<Accuracy>>>()?;
    let cases = cases(findings)?;
    let curves = curves::read(&run.metrics())?;
    let html = page::render(run, findings, &curves, &levels, &cases)?;
    write_atomically(&run.page(), html.as_bytes())
}

/// The answers to the held-out photos, or to an evenly spaced part of them.
fn cases(findings: &Findings<'_>) -> Result<Vec<Case>> {
    let all = findings.photos.len();
    let shown: Vec<u32> = (0..all.min(SHOWN))
        .map(|k| (k * all / all.min(SHOWN)) as u32)
        .collect();
    let rows = Tensor::new(shown.as_slice(), findings.visual.device())?;
    let visual = findings.visual.index_select(&rows, 0)?;
    let calibration = &findings.report.calibration.calibration;
    let answers = calibrate::stated(findings.index, &visual, calibration)?;
    Ok(shown
        .iter()
        .zip(answers)
        .map(|(row, answer)| {
            let truth = findings.truths[*row as usize];
            Case {
                photo: findings.photos[*row as usize],
                truth,
                km: answer.location.distance(truth).get(),
                answer,
            }
        })
        .collect())
}
