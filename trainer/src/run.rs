//! The folder of a run.
//!
//! ```text
//! run/config.toml      what was asked, every default written out
//! run/run.json         of what and where: program, revision, seed, dataset, hardware, every start
//! run/metrics.jsonl    one JSON object a line: steps, validations, stages
//! run/tensorboard/     the same curves for TensorBoard
//! run/skipped.jsonl    photos that were left out while learning, with the reason
//! run/split.json       dataset indices learnt from and held out
//! run/state/           what --resume needs
//! run/checkpoint/      the trained model (models::Checkpoint)
//! run/report.json      the run's own summary
//! run/report.html      the same for people, with curves, calibration, a map of errors and the hardest photos
//! ```

use std::path::{Path, PathBuf};

use std::fs::{File, TryLockError};

use crate::train::RunSplit;
use crate::{Error, Result, TrainingConfig, TrainingReport};

/// The folder of a run; knows its files, holds nothing open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// The run at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was asked, as TOML.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The metrics, a JSON object a line.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// Of what the run was made, and on what.
    pub fn provenance(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// Event files for TensorBoard.
    pub fn tensorboard(&self) -> PathBuf {
        self.root.join("tensorboard")
    }

    /// Photos that were left out while learning, a JSON object a line.
    pub fn skipped(&self) -> PathBuf {
        self.root.join("skipped.jsonl")
    }

    /// The run's summary as a page for people.
    pub fn page(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The trained model.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    /// What `--resume` needs.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The run's own summary.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.json")
    }

    /// Which photos were learnt from and which were held out.
    pub fn split(&self) -> PathBuf {
        self.root.join("split.json")
    }

    /// Whether a run was ever started here.
    pub fn is_started(&self) -> bool {
        self.config().is_file()
    }

    /// Whether the run has ended with a checkpoint.
    pub fn is_finished(&self) -> bool {
        self.report().is_file() && self.checkpoint().is_dir()
    }

    /// The configuration with which the run was started.
    ///
    /// # Errors
    /// No run here, or a damaged file.
    pub fn read_config(&self) -> Result<TrainingConfig> {
        if !self.is_started() {
            return Err(Error::Run {
                path: self.root.clone(),
                reason: "holds no training run; start one without --resume".to_owned(),
            });
        }
        TrainingConfig::read(&self.config())
    }
}

impl RunFolder {
    /// Makes the folder this process's own for a run of `config`, writing the configuration or checking it.
    /// The folder is free again when the returned file is dropped, or its process ends in whatever way.
    ///
    /// # Errors
    /// Another process has it; `resume` where nothing was started; no `resume` where something was; another configuration.
    pub(crate) fn claim(&self, config: &TrainingConfig, resume: bool) -> Result<File> {
        let refuse = |reason: &str| {
            Err(Error::Run {
                path: self.root.clone(),
                reason: reason.to_owned(),
            })
        };
        if resume {
            let started = self.read_config()?;
            if !started.learns_like(config) {
                return refuse(
                    "was started with another configuration; resume with its config.toml, of which only [budget], [states], [log] and data.prefetch may change, or train in another folder",
                );
            }
        } else if self.is_started() {
            return refuse("holds a training run already; go on with --resume, or choose another folder");
        }
        fs_err::create_dir_all(&self.root)?;
        let lock = fs_err::File::create(self.root.join("lock"))?.into_file();
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return refuse("is in use by another training process; wait for it or stop it");
            }
            Err(TryLockError::Error(e)) => return Err(e.into()),
        }
        write_atomically(&self.config(), config.to_toml()?.as_bytes())?;
        Ok(lock)
    }

    /// The split of a run.
    ///
    /// # Errors
    /// No run here, or a damaged file.
    pub fn read_split(&self) -> Result<RunSplit> {
        read_json(&self.split())
    }

    /// The summary of a finished run.
    ///
    /// # Errors
    /// No finished run here, or a damaged file.
    pub fn read_report(&self) -> Result<TrainingReport> {
        read_json(&self.report())
    }

    pub(crate) fn write_split(&self, split: &RunSplit) -> Result<()> {
        write_json(&self.split(), split)
    }

    pub(crate) fn write_report(&self, report: &TrainingReport) -> Result<()> {
        write_json(&self.report(), report)
    }
}

/// Reads a JSON file.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs_err::read(path)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Json {
        path: path.to_path_buf(),
        source,
    })
}

/// Writes a JSON file in one rename.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_vec_pretty(value).map_err(|source| Error::Json {
        path: path.to_path_buf(),
        source,
    })?;
    write_atomically(path, &json)
}

/// Writes `bytes` to `path` through a temporary file in the same folder, so that a reader never sees half of it.
///
/// # Errors
/// The file system's.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // As readable as the umask lets any other new file be; temporary files are private by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
