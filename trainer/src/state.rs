//! Saving a run and going on exactly where it stopped.
//!
//! Nothing random has a position of its own: what a step sees follows from seed, epoch and step (see [`crate::sampling`]). So a state
//! is the parameters, the optimiser's moments and a few numbers.
//!
//! ```text
//! state/step-0000001200.safetensors    value.*, first.*, second.*, average.*, and the position as metadata
//! state/best-0000000900.safetensors    best.*: the weights of the best validation so far
//! ```
//!
//! Every file appears whole or not at all, and only then is an older one removed. A state whose file was damaged afterwards is passed
//! over for the one before it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use geocells::Accuracy;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};
use serde::{Deserialize, Serialize};

use crate::step::StepSeconds;
use crate::train::Ending;
use crate::{Error, Result, RunFolder};

/// Raised when older states can no longer be read.
const VERSION: u32 = 2;
/// The one file that states of version 1 were.
const FIRST_VERSION: &str = "learning.safetensors";
const ENDING: &str = ".safetensors";
/// What files that are being written begin with.
const TEMPORARY: &str = ".tmp";

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
    /// Steps that were done when it was reached: the name of the file of the best weights.
    pub best_steps: Option<u64>,
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
            best_steps: None,
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
    /// `value.*` parameters, `first.*` and `second.*` moments, `average.*` the moving average, `best.*` the kept weights.
    pub tensors: HashMap<String, Tensor>,
}

/// The kinds of files in `run/state/` that steps are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Step,
    Best,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Step => "step-",
            Self::Best => "best-",
        }
    }

    fn file(self, run: &RunFolder, steps: u64) -> PathBuf {
        run.state().join(format!("{}{steps:010}{ENDING}", self.prefix()))
    }

    /// The steps of the files that are there, ascending.
    fn present(self, run: &RunFolder) -> Result<Vec<u64>> {
        if !run.state().is_dir() {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for entry in fs_err::read_dir(run.state())? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let number = name
                .strip_prefix(self.prefix())
                .and_then(|n| n.strip_suffix(ENDING));
            steps.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Removes all but the last `keep` files and those of `also`.
    fn prune(self, run: &RunFolder, keep: usize, also: Option<u64>) -> Result<()> {
        let present = self.present(run)?;
        let old = present.len().saturating_sub(keep);
        for steps in present[..old].iter().filter(|steps| Some(**steps) != also) {
            fs_err::remove_file(self.file(run, *steps))?;
        }
        Ok(())
    }
}

/// Writes a state, and then removes older ones so that `keep` are left. Whoever reads sees the states before or this one.
///
/// # Errors
/// The file system's; [`Error::DiskFull`] where there was no room even without the older states.
pub fn save(
    run: &RunFolder,
    position: &Position,
    tensors: &BTreeMap<String, Tensor>,
    keep: usize,
) -> Result<()> {
    let path = Kind::Step.file(run, position.steps);
    let text = serde_json::to_string(position).map_err(|source| Error::Json {
        path: path.clone(),
        source,
    })?;
    let metadata = HashMap::from([
        ("version".to_owned(), VERSION.to_string()),
        ("position".to_owned(), text),
    ]);
    write_or_make_room(run, &path, tensors, metadata)?;
    Kind::Step.prune(run, keep.max(1), None)?;
    // Best weights that an older state names go with it, so that going back to that state stays possible.
    let named = Kind::Step.present(run)?.len();
    Kind::Best.prune(run, named.max(1), position.best_steps)
}

/// Writes the best weights (`best.*`) that validation has found, as those of step `steps`.
///
/// # Errors
/// As [`save`].
pub fn save_best(run: &RunFolder, steps: u64, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let metadata = HashMap::from([("version".to_owned(), VERSION.to_string())]);
    write_or_make_room(run, &Kind::Best.file(run, steps), tensors, metadata)
}

/// Writes a file; where the disk is full, states that are not needed make room for it first.
fn write_or_make_room(
    run: &RunFolder,
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    match write(run, path, tensors, metadata.clone()) {
        Err(Error::DiskFull { .. }) => {
            tracing::warn!(path = %path.display(), "no space is left: removing all states but the last");
            Kind::Step.prune(run, 1, None)?;
            write(run, path, tensors, metadata)
        }
        written => written,
    }
}

fn write(
    run: &RunFolder,
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    let folder = run.state();
    let io = |error: std::io::Error| Error::writing(path, error);
    fs_err::create_dir_all(&folder).map_err(io)?;
    let failed = |e: SafeTensorError| match e {
        SafeTensorError::IoError(error) => Error::writing(path, error),
        e => Error::Run {
            path: path.to_path_buf(),
            reason: format!("the state could not be written: {e}"),
        },
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
    let temporary = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(&folder)
        .map_err(io)?;
    safetensors::serialize_to_file(views, Some(metadata), temporary.path()).map_err(failed)?;
    temporary.as_file().sync_all().map_err(io)?;
    temporary.persist(path).map_err(|e| io(e.error))?;
    // The name is on the disk too once its folder is.
    fs_err::File::open(&folder)?.sync_all().map_err(io)
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

/// Removes what a killed run left half written. Nobody else writes there: the run's folder is this process's own.
///
/// # Errors
/// The file system's.
pub fn sweep(run: &RunFolder) -> Result<()> {
    if !run.state().is_dir() {
        return Ok(());
    }
    for entry in fs_err::read_dir(run.state())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            fs_err::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads the last state of a run, if it has one. A damaged file is passed over with a warning, as long as there is an older one.
///
/// # Errors
/// No state is whole, or one of another version.
pub fn load(run: &RunFolder, device: &Device) -> Result<Option<SavedState>> {
    let first_version = run.state().join(FIRST_VERSION);
    if first_version.is_file() {
        return Err(Error::Run {
            path: first_version,
            reason: format!("is a state of version 1, not {VERSION}; remove the file to start learning anew"),
        });
    }
    let mut damage = None;
    for steps in Kind::Step.present(run)?.into_iter().rev() {
        match read_state(run, steps, device) {
            Ok(state) => return Ok(Some(state)),
            Err(error) => {
                tracing::warn!(%error, "a state is passed over");
                damage.get_or_insert(error);
            }
        }
    }
    damage.map_or(Ok(None), Err)
}

fn read_state(run: &RunFolder, steps: u64, device: &Device) -> Result<SavedState> {
    let path = Kind::Step.file(run, steps);
    let (metadata, mut tensors) = read(&path, device)?;
    let text = metadata
        .get("position")
        .ok_or_else(|| damaged(&path, "has no position"))?;
    let position: Position = serde_json::from_str(text).map_err(|e| damaged(&path, e))?;
    if let Some(best) = position.best_steps {
        tensors.extend(read(&Kind::Best.file(run, best), device)?.1);
    }
    Ok(SavedState { position, tensors })
}

type File = (HashMap<String, String>, HashMap<String, Tensor>);

fn read(path: &Path, device: &Device) -> Result<File> {
    let bytes = fs_err::read(path)?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, e))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let version = metadata.get("version").map_or("none", String::as_str);
    if version != VERSION.to_string() {
        return Err(damaged(
            path,
            format!("is a state of version {version}, not {VERSION}"),
        ));
    }
    let tensors = candle_core::safetensors::load_buffer(&bytes, device).map_err(|e| damaged(path, e))?;
    Ok((metadata, tensors))
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Run {
        path: path.to_path_buf(),
        reason: format!("{reason}; remove the files in its folder to start learning anew"),
    }
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

    fn tensors(value: f32) -> BTreeMap<String, Tensor> {
        let tensor = Tensor::new(&[value, f32::MIN_POSITIVE], &Device::Cpu).unwrap();
        BTreeMap::from([("value.a".to_owned(), tensor)])
    }

    fn at(steps: u64, best: Option<u64>) -> Position {
        Position {
            steps,
            best_steps: best,
            loss_sum: 0.1 + 0.2,
            ..Position::start("x".into())
        }
    }

    fn first(state: &SavedState, name: &str) -> f32 {
        state.tensors[name].to_vec1::<f32>().unwrap()[0]
    }

    #[test]
    fn the_last_states_and_the_best_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        assert!(load(&run, &Device::Cpu).unwrap().is_none());
        for steps in 1..=5 {
            if steps == 2 {
                let best = Tensor::new(&[20f32], &Device::Cpu).unwrap();
                save_best(&run, 2, &BTreeMap::from([("best.a".to_owned(), best)])).unwrap();
            }
            let best = (steps >= 2).then_some(2);
            save(&run, &at(steps, best), &tensors(steps as f32), 2).unwrap();
        }
        let back = load(&run, &Device::Cpu).unwrap().unwrap();
        assert_eq!(back.position, at(5, Some(2)));
        assert_eq!((first(&back, "value.a"), first(&back, "best.a")), (5.0, 20.0));
        let mut files: Vec<String> = fs_err::read_dir(run.state())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let expected = ["best-0000000002", "step-0000000004", "step-0000000005"];
        assert_eq!(
            files,
            expected.map(|name| format!("{name}{ENDING}")),
            "nothing else is left"
        );
    }

    #[test]
    fn a_damaged_state_is_passed_over_for_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        for steps in [3, 7] {
            save(&run, &at(steps, None), &tensors(steps as f32), 2).unwrap();
        }
        let cut = |steps| {
            let file = Kind::Step.file(&run, steps);
            let bytes = fs_err::read(&file).unwrap();
            fs_err::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        };
        cut(7);
        let back = load(&run, &Device::Cpu).unwrap().unwrap();
        assert_eq!((back.position.steps, first(&back, "value.a")), (3, 3.0));
        cut(3);
        let message = load(&run, &Device::Cpu).unwrap_err().to_string();
        assert!(
            message.contains("step-0000000007.safetensors") && message.contains("remove"),
            "{message}"
        );
        fs_err::write(run.state().join(FIRST_VERSION), "").unwrap();
        let message = load(&run, &Device::Cpu).unwrap_err().to_string();
        assert!(message.contains("version 1"), "{message}");
    }

    #[test]
    fn what_was_half_written_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        sweep(&run).unwrap();
        save(&run, &at(1, None), &tensors(1.0), 2).unwrap();
        fs_err::write(run.state().join(".tmpAb3"), "half").unwrap();
        sweep(&run).unwrap();
        assert_eq!(fs_err::read_dir(run.state()).unwrap().count(), 1);
        assert!(load(&run, &Device::Cpu).unwrap().is_some());
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
