//! Saving a run and going on exactly where it stopped.
//!
//! Nothing random has a position of its own: what a step sees follows from seed, epoch and step (see [`crate::sampling`]). So a state
//! is the parameters, the optimiser's moments, the best weights so far and a few numbers, in one safetensors file
//! that is replaced in one rename.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use geocells::Accuracy;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};

use crate::step::StepSeconds;
use crate::train::Ending;
use crate::{Error, Result, RunFolder};

/// The file inside `run/state/`.
const FILE: &str = "learning.safetensors";
/// Raised when older states can no longer be read.
const VERSION: u32 = 1;

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// What the run learns from and how; a state goes on only with the same.
    pub fingerprint: String,
    /// Epoch under way, from 0.
    pub epoch: u32,
    /// Steps of that epoch that are done.
    pub step_in_epoch: usize,
    /// Steps done in all.
    pub steps: u64,
    /// Photos seen in all.
    pub samples: u64,
    /// Seconds of learning, validation included.
    pub seconds: f64,
    /// Seconds spent in steps alone.
    pub step_seconds: StepSeconds,
    /// Sum of the losses since the last line of metrics.
    pub loss_sum: f64,
    /// Steps in that sum.
    pub loss_steps: u64,
    /// Running mean of the loss that is shown.
    pub shown_loss: Option<f32>,
    /// The latest validation.
    pub accuracy: Option<Accuracy>,
    /// The best score so far.
    pub best_score: Option<f64>,
    /// Validations since then.
    pub validations_without_improvement: u32,
    /// Length of `metrics.jsonl` that belongs to this state; what follows was written by a killed run.
    pub metrics_bytes: u64,
    /// Why learning ended, if it has.
    pub ending: Option<Ending>,
}

impl Position {
    /// The start of a run.
    pub fn start(fingerprint: String) -> Self {
        Self {
            fingerprint,
            epoch: 0,
            step_in_epoch: 0,
            steps: 0,
            samples: 0,
            seconds: 0.0,
            step_seconds: StepSeconds::default(),
            loss_sum: 0.0,
            loss_steps: 0,
            shown_loss: None,
            accuracy: None,
            best_score: None,
            validations_without_improvement: 0,
            metrics_bytes: 0,
            ending: None,
        }
    }
}

/// A position with the tensors that belong to it.
#[derive(Debug)]
pub struct SavedState {
    /// Where the run is.
    pub position: Position,
    /// `value.*` parameters, `first.*` and `second.*` moments, `best.*` the kept weights.
    pub tensors: HashMap<String, Tensor>,
}

fn file(run: &RunFolder) -> PathBuf {
    run.state().join(FILE)
}

/// Writes a state; whoever reads sees the old one or this one.
///
/// # Errors
/// The file system's.
pub fn save(run: &RunFolder, position: &Position, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let path = file(run);
    let folder = run.state();
    fs_err::create_dir_all(&folder)?;
    let text = serde_json::to_string(position).map_err(|source| Error::Json {
        path: path.clone(),
        source,
    })?;
    let metadata = HashMap::from([
        ("version".to_owned(), VERSION.to_string()),
        ("position".to_owned(), text),
    ]);
    let temporary = tempfile::NamedTempFile::new_in(&folder)?;
    let failed = |e: safetensors::SafeTensorError| Error::Run {
        path: path.clone(),
        reason: format!("the state could not be written: {e}"),
    };
    let bytes = tensors
        .iter()
        .map(|(name, tensor)| Ok((name, tensor.dims(), bytes(tensor)?)))
        .collect::<Result<Vec<_>>>()?;
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(failed)?;
    safetensors::serialize_to_file(views, Some(metadata), temporary.path()).map_err(failed)?;
    temporary.as_file().sync_all()?;
    temporary.persist(&path).map_err(|e| e.error)?;
    Ok(())
}

/// A tensor's f32 values, little-endian.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    Ok(tensor
        .flatten_all()?
        .to_vec1::<f32>()?
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect())
}

/// Reads the state of a run, if it has one.
///
/// # Errors
/// A damaged file or one of another version.
pub fn load(run: &RunFolder, device: &Device) -> Result<Option<SavedState>> {
    let path = file(run);
    if !path.is_file() {
        return Ok(None);
    }
    let damaged = |reason: String| Error::Run {
        path: path.clone(),
        reason: format!("{reason}; remove the file to start learning anew"),
    };
    let bytes = fs_err::read(&path)?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let version = metadata.get("version").map_or("none", String::as_str);
    if version != VERSION.to_string() {
        return Err(damaged(format!("is a state of version {version}, not {VERSION}")));
    }
    let text = metadata
        .get("position")
        .ok_or_else(|| damaged("has no position".to_owned()))?;
    let position = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    let tensors =
        candle_core::safetensors::load_buffer(&bytes, device).map_err(|e| damaged(e.to_string()))?;
    Ok(Some(SavedState { position, tensors }))
}

/// Cuts `metrics.jsonl` back to what belongs to a state.
///
/// # Errors
/// The file system's.
pub fn cut_metrics(path: &Path, bytes: u64) -> Result<()> {
    if path.is_file() {
        let file = fs_err::OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() > bytes {
            file.file().set_len(bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn comes_back_and_refuses_damage() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        assert!(load(&run, &Device::Cpu).unwrap().is_none());
        let mut position = Position::start("x".into());
        position.loss_sum = 0.1 + 0.2;
        position.steps = 7;
        let tensors = BTreeMap::from([(
            "value.a".to_owned(),
            Tensor::new(&[1.5f32, f32::MIN_POSITIVE], &Device::Cpu).unwrap(),
        )]);
        save(&run, &position, &tensors).unwrap();
        let back = load(&run, &Device::Cpu).unwrap().unwrap();
        assert_eq!(back.position, position);
        assert_eq!(
            back.tensors["value.a"].to_vec1::<f32>().unwrap(),
            [1.5, f32::MIN_POSITIVE]
        );
        assert_eq!(
            fs_err::read_dir(run.state()).unwrap().count(),
            1,
            "nothing temporary is left"
        );

        let bytes = fs_err::read(file(&run)).unwrap();
        fs_err::write(file(&run), &bytes[..bytes.len() / 2]).unwrap();
        let message = load(&run, &Device::Cpu).unwrap_err().to_string();
        assert!(
            message.contains("learning.safetensors") && message.contains("remove"),
            "{message}"
        );
    }

    #[test]
    fn metrics_are_cut_but_never_stretched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        cut_metrics(&path, 5).unwrap();
        fs_err::write(&path, "one\ntwo\n").unwrap();
        cut_metrics(&path, 4).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "one\n");
        cut_metrics(&path, 400).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "one\n");
    }
}
