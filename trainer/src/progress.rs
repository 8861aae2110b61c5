//! What a long run tells its caller while it works.

use serde::Serialize;

/// The part of a run that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Decoding and cropping photographs into the cache.
    Prepare,
    /// Partitioning the training places into geocells.
    Partition,
    /// Training the compact segmenter on the dataset's maps.
    Segmenter,
    /// Computing every photo's map with it.
    Maps,
    /// Storing what the tower's frozen blocks make of every photo.
    Tokens,
    /// Contrastive learning.
    Learn,
    /// Accuracy on validation photos.
    Validate,
    /// Fitting the calibration.
    Calibrate,
    /// Writing the checkpoint.
    Save,
    /// Encoding photos that a checkpoint is judged on.
    Encode,
}

impl Stage {
    /// The stage's name as in reports: `"learn"`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Partition => "partition",
            Stage::Segmenter => "segmenter",
            Stage::Maps => "maps",
            Stage::Tokens => "tokens",
            Stage::Learn => "learn",
            Stage::Validate => "validate",
            Stage::Calibrate => "calibrate",
            Stage::Save => "save",
            Stage::Encode => "encode",
        }
    }

    /// The stage as a phrase that follows "while" or starts a progress bar: `"learning"`.
    pub fn phrase(self) -> &'static str {
        match self {
            Stage::Prepare => "preparing photographs",
            Stage::Partition => "partitioning places",
            Stage::Segmenter => "training the segmenter",
            Stage::Maps => "segmenting photographs",
            Stage::Tokens => "storing tokens",
            Stage::Learn => "learning",
            Stage::Validate => "validating",
            Stage::Calibrate => "calibrating",
            Stage::Save => "saving the checkpoint",
            Stage::Encode => "encoding photographs",
        }
    }
}

/// One report of progress.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    /// What is under way.
    pub stage: Stage,
    /// Work done in this stage: photos, or samples when learning.
    pub done: u64,
    /// Work that the stage holds, as far as it is known.
    pub total: u64,
    /// Epoch under way, from 1, when learning.
    pub epoch: Option<u32>,
    /// Running mean of the training loss.
    pub loss: Option<f32>,
    /// The latest validation accuracy within 1, 25, 200, 750 and 2,500 km.
    pub accuracy: Option<[f64; 5]>,
    /// Photos a second in this stage.
    pub images_per_second: Option<f64>,
    /// Share of the time that the device waited for photos, when learning.
    pub idle: Option<f64>,
    /// Estimated seconds until this stage ends.
    pub remaining_seconds: Option<f64>,
}

impl Progress {
    /// A report that says only how far a stage is.
    pub fn counted(stage: Stage, done: u64, total: u64) -> Self {
        Self {
            stage,
            done,
            total,
            epoch: None,
            loss: None,
            accuracy: None,
            images_per_second: None,
            idle: None,
            remaining_seconds: None,
        }
    }
}

/// Receives reports; called often, from any thread, and expected to return at once.
pub type Report<'a> = &'a (dyn Fn(&Progress) + Sync);

/// A receiver that ignores everything.
pub fn silent(_: &Progress) {}
