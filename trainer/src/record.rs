//! Where a run's numbers go while it learns: `metrics.jsonl`, TensorBoard's event files, and the list of photos that were left out.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use crate::metrics::{Line, Metrics};
use crate::photos::Skipped;
use crate::state::cut_metrics;
use crate::tensorboard::EventFile;
use crate::{Error, Result, RunFolder, TrainingConfig};

/// The open files of a run's numbers.
#[derive(Debug)]
pub struct Journal {
    run: PathBuf,
    metrics: Metrics,
    events: Option<EventFile>,
    skipped_file: PathBuf,
    skipped: BTreeSet<usize>,
}

impl Journal {
    /// Opens the files. `cut` is the length of `metrics.jsonl` that belongs to the state that is gone on from, and `steps` its steps: what
    /// a killed run wrote after it is taken back.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(run: &RunFolder, config: &TrainingConfig, cut: Option<u64>, steps: u64) -> Result<Self> {
        if let Some(bytes) = cut {
            cut_metrics(&run.metrics(), bytes)?;
        }
        let events = match config.log.tensorboard {
            true => Some(EventFile::create(&run.tensorboard(), cut.map(|_| steps))?),
            false => None,
        };
        let skipped = read_skipped(run)?.into_iter().map(|s| s.index).collect();
        Ok(Self {
            run: run.root().to_path_buf(),
            metrics: Metrics::open(&run.metrics())?,
            events,
            skipped_file: run.skipped(),
            skipped,
        })
    }

    /// Writes a line wherever it belongs.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&mut self, line: &Line<'_>) -> Result<()> {
        self.metrics.write(line).map_err(|e| e.in_folder(&self.run))?;
        match &mut self.events {
            Some(events) => events.write(line).map_err(|e| e.in_folder(&self.run)),
            None => Ok(()),
        }
    }

    /// Lists photos that were left out, each once.
    ///
    /// # Errors
    /// The file system's.
    pub fn skipped(&mut self, photos: &[Skipped]) -> Result<()> {
        for photo in photos.iter().filter(|photo| !self.skipped.contains(&photo.index)) {
            tracing::warn!(photo = %photo.file.display(), photo.reason, "photo skipped");
            let mut line = serde_json::to_vec(photo).map_err(|source| Error::Json {
                path: self.skipped_file.clone(),
                source,
            })?;
            line.push(b'\n');
            let mut options = fs_err::OpenOptions::new();
            let mut file = options.create(true).append(true).open(&self.skipped_file)?;
            file.write_all(&line)
                .map_err(|e| Error::writing(&self.skipped_file, e))?;
        }
        self.skipped.extend(photos.iter().map(|photo| photo.index));
        Ok(())
    }

    /// Brings everything to the disk; the length of `metrics.jsonl`.
    ///
    /// # Errors
    /// The file system's.
    pub fn flush(&mut self) -> Result<u64> {
        self.metrics.sync().map_err(|e| e.in_folder(&self.run))?;
        Ok(self.metrics.bytes())
    }
}

/// The photos that a run has left out while it learnt, by dataset index.
///
/// # Errors
/// The file system's. A last line that a killed run wrote half of is no error.
pub fn read_skipped(run: &RunFolder) -> Result<Vec<Skipped>> {
    let path = run.skipped();
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = fs_err::read_to_string(&path)?;
    let mut photos: Vec<Skipped> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    photos.sort_by_key(|photo| photo.index);
    photos.dedup_by_key(|photo| photo.index);
    Ok(photos)
}
