//! What a finished run came to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use geocells::Accuracy;
use serde::{Deserialize, Serialize};

use crate::calibrate::CalibrationReport;
use crate::segmenter::SegmenterReport;
use crate::step::StepSeconds;

/// Why learning ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All epochs were done.
    Epochs,
    /// `budget.max_samples` was reached.
    Samples,
    /// `budget.max_seconds` was reached.
    Seconds,
    /// No better validation score for `budget.early_stop_patience` epochs.
    NoImprovement,
}

/// The summary of a finished run (`report.json`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainingReport {
    /// The checkpoint's folder.
    pub checkpoint: PathBuf,
    /// The checkpoint's content id.
    pub checkpoint_id: String,
    /// Photos learnt from.
    pub training_photos: usize,
    /// Photos held out.
    pub validation_photos: usize,
    /// Photos left out because they could not be read, with the reason.
    pub skipped: Vec<crate::photos::Skipped>,
    /// Geocells a level, coarsest first.
    pub cells: Vec<usize>,
    /// Optimisation steps.
    pub steps: u64,
    /// Photos seen, over all epochs.
    pub samples: u64,
    /// Why learning ended.
    pub ending: Ending,
    /// Accuracy of the kept weights on the held-out photos, by exact hierarchical inference.
    pub accuracy: Accuracy,
    /// Expected accuracy of answering with a random training photo's finest cell.
    pub chance: Accuracy,
    /// The compact segmenter's quality, if one was trained.
    pub segmenter: Option<SegmenterReport>,
    /// The calibration and how well it fits.
    pub calibration: CalibrationReport,
    /// Photos a second while learning (validation not counted).
    pub images_per_second: f64,
    /// Where the time of the steps went.
    pub step_seconds: StepSeconds,
    /// Seconds by stage, of this call; a resumed run's earlier calls are in `metrics.jsonl`.
    pub seconds: BTreeMap<String, f64>,
}

/// Which photos of the dataset were learnt from and which were held out (`split.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSplit {
    /// Dataset indices learnt from, ascending.
    pub train: Vec<usize>,
    /// Dataset indices held out, ascending.
    pub validation: Vec<usize>,
}
