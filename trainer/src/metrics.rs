//! `metrics.jsonl`: one JSON object a line, appended as a run goes on. A run that is resumed from a state cuts the file back to
//! where it was then, so that every step stands in it once.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Error, Result};

/// One line.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line<'a> {
    /// A mean over the last steps of learning.
    Step {
        /// Steps done.
        step: u64,
        /// Epoch, from 1.
        epoch: u32,
        /// Photos seen.
        samples: u64,
        /// Mean loss since the last such line.
        loss: f64,
        /// Peak learning rate times the schedule's factor.
        learning_rate: f64,
        /// Global norm of the last step's gradients before clipping.
        gradient_norm: f64,
        /// Photos a second.
        images_per_second: f64,
        /// Share of the time of all steps so far that the device waited for photos.
        idle: f64,
        /// Seconds of learning so far.
        seconds: f64,
    },
    /// An accuracy on held-out photos.
    Validation {
        /// Steps done.
        step: u64,
        /// Epochs done.
        epoch: u32,
        /// Photos seen.
        samples: u64,
        /// The accuracy.
        accuracy: geocells::Accuracy,
        /// The mean of its five shares.
        score: f64,
        /// Whether it is the best so far.
        best: bool,
        /// Temperatures, coarsest level first.
        temperatures: &'a [f64],
        /// Seconds of learning so far.
        seconds: f64,
    },
    /// A stage has ended.
    Stage {
        /// Its name.
        stage: crate::Stage,
        /// How long it took.
        seconds: f64,
    },
}

/// The file, opened for appending.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: fs_err::File,
    bytes: u64,
}

impl Metrics {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(path: &Path) -> Result<Self> {
        let file = fs_err::OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            path: path.to_path_buf(),
            file,
            bytes,
        })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&mut self, line: &Line<'_>) -> Result<()> {
        let mut text = serde_json::to_vec(line).map_err(|source| Error::Json {
            path: self.path.clone(),
            source,
        })?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Brings what was written to the disk, so that a state that names its length never names more than there is.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&self) -> Result<()> {
        Ok(self.file.sync_data()?)
    }

    /// The file's length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
