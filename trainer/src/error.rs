//! What can go wrong while a model is trained or judged, and what to do about it.

use std::path::PathBuf;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a training run, a calibration or an evaluation could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration asks for something impossible.
    #[error("training configuration: {0}")]
    Config(String),
    /// A configuration file is not valid TOML or has unknown fields.
    #[error("cannot read the training configuration {path}: {source}")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What the TOML reader said.
        source: Box<toml::de::Error>,
    },
    /// The dataset cannot be trained or judged on.
    #[error("{0}")]
    Dataset(String),
    /// A photo cannot be used.
    #[error("{} cannot be used: {}", .0.file.display(), .0.reason)]
    Photo(crate::photos::Skipped),
    /// A file system has no room left. What was saved before is whole.
    #[error("no space is left on the disk of {}: free some space, and go on with --resume", .path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// Another device's part of a step failed, so that this one's cannot go on.
    #[error("device {rank} stopped: {reason}")]
    Device {
        /// The rank of the device that noticed it.
        rank: usize,
        /// What it was told.
        reason: String,
    },
    /// The run was asked to stop; what it had is saved.
    #[error("stopped while {stage}; everything is saved in {run}: go on with --resume")]
    Cancelled {
        /// What it was doing, as a phrase ("learning").
        stage: &'static str,
        /// The run's folder.
        run: PathBuf,
    },
    /// A run folder cannot be used as asked.
    #[error("{path}: {reason}")]
    Run {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// A trainable parameter got no gradient: some operation cuts the graph.
    #[error(
        "no gradient reached the parameter {0}: an operation between it and the loss has no backward pass"
    )]
    MissingGradient(String),
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} at step {step}: lower optimiser.learning_rate (now {learning_rate}) and start again, or --resume from the last state"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// The step at which it happened.
        step: u64,
        /// The learning rate of that step.
        learning_rate: f64,
    },
    /// Partitioning failed.
    #[error(transparent)]
    Geocells(#[from] geocells::Error),
    /// Reading photos failed.
    #[error(transparent)]
    Datasets(#[from] datasets::Error),
    /// The model failed.
    #[error(transparent)]
    Models(#[from] models::Error),
    /// Inference failed.
    #[error(transparent)]
    Retrieval(#[from] retrieval::Error),
    /// A tensor operation failed.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// Reading or writing a file failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A JSON file is damaged.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
}

impl Error {
    /// A file could not be written: [`Error::DiskFull`] where that is the reason.
    pub(crate) fn writing(path: &std::path::Path, error: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded) {
            return Self::DiskFull {
                path: path.to_path_buf(),
            };
        }
        Self::Io(error)
    }

    /// The same error, as [`Error::DiskFull`] below `root` where a full disk is behind it.
    pub(crate) fn in_folder(self, root: &std::path::Path) -> Self {
        match self {
            Self::Io(error) | Self::Models(models::Error::Io(error)) => Self::writing(root, error),
            error => error,
        }
    }
}
