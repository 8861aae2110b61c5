//! The whole line: photos, partition, segmenter, contrastive learning, calibration, checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Device;
use datasets::Dataset;
use geocells::{Accuracy, Hierarchy, LatLng, THRESHOLDS};
use models::{Checkpoint, CheckpointContents, Precision, Provenance, PublishedTower, TowerOrigin};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::calibrate::{CalibrationReport, calibrate_index};
use crate::labels::CellLabels;
use crate::learn::{Learner, Material};
use crate::metrics::{Line, Metrics};
use crate::model::LearningModel;
use crate::parallel::Workers;
use crate::photos::PhotoCache;
use crate::progress::Report;
use crate::segmenter::{Maps, SegmenterReport, Setting};
use crate::state::Position;
use crate::step::StepSeconds;
use crate::{Error, Progress, Result, RunFolder, Stage, TrainingConfig, learn, state, validation};

/// How a run is carried out; nothing here changes what is learnt.
#[derive(Debug, Clone)]
pub struct TrainingOptions {
    /// Go on with the run that the folder holds; otherwise the folder must not hold one.
    pub resume: bool,
    /// Where decoded photos are cached. A second run on the same dataset reuses them; the folder may be deleted at any time
    /// between runs.
    pub cache: PathBuf,
    /// Where tensors live.
    pub device: Device,
}

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

/// Trains a model on `dataset` into `run`.
///
/// `cancel` is looked at between steps; once it is true the run's state is saved and [`Error::Cancelled`] returned.
/// A finished run that is resumed returns its report again.
///
/// # Errors
/// A dataset too small to partition or to split, an unusable configuration, a run folder that is in use, a disk that is full.
pub fn train(
    dataset: &Dataset,
    config: &TrainingConfig,
    run: &RunFolder,
    options: &TrainingOptions,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<TrainingReport> {
    config.validate()?;
    if dataset.len() < 2 {
        return Err(Error::Dataset(format!(
            "the dataset {} has {} photo(s); a model needs photos of several places, some to learn from and some to judge by: import more",
            dataset.root().display(),
            dataset.len()
        )));
    }
    let _lock = run.claim(config, options.resume)?;
    if options.resume && run.is_finished() {
        return run.read_report();
    }
    let mut line = Stages {
        run,
        progress,
        cancel,
        seconds: BTreeMap::new(),
    };

    // Before hours of decoding: a folder of weights that cannot be used is found at once.
    let tower = PublishedStart::open(config)?;
    let started = Instant::now();
    let cache = PhotoCache::open(dataset, &config.model, &options.cache, progress, cancel)
        .map_err(|e| in_run(e, run))?;
    let skipped = cache.skipped().to_vec();
    let split = split(dataset, config, &skipped)?;
    run.write_split(&split)?;
    line.ended(Stage::Prepare, started)?;

    let started = Instant::now();
    let places: Vec<LatLng> = dataset.photos().iter().map(|p| p.location).collect();
    let hierarchy = partition(&places, &split, config)?;
    let labels = CellLabels::new(&hierarchy, &places);
    line.ended(Stage::Partition, started)?;
    line.check(Stage::Partition)?;

    let workers = Workers::new(config.resolved_threads(), &options.device)?;
    let setting = Setting {
        config,
        run,
        workers: &workers,
        device: &options.device,
        progress,
        cancel,
    };
    let maps = Maps::prepare(setting, cache, &split)?;
    line.seconds.extend(maps.seconds.clone());

    let started = Instant::now();
    let fingerprint = fingerprint(dataset, config, tower.as_ref().map(|t| &t.origin))?;
    let (shape, seed, device) = (&config.model, config.seed, &options.device);
    let model = match &tower {
        None => LearningModel::new(shape, &hierarchy, seed, device, maps.used)?,
        Some(start) => {
            let from = (&start.tower, start.precision);
            LearningModel::from_tower(shape, &hierarchy, seed, device, maps.used, from)?
        }
    };
    let origin = tower.map(|start| start.origin);
    let judged = thinned(&split.validation, config.validation_photos);
    let material = Material {
        cache: &maps.cache,
        hierarchy: &hierarchy,
        labels: &labels,
        places: &places,
        train: &split.train,
        validation: &judged,
    };
    let saved = if options.resume {
        state::load(run, &options.device)?
    } else {
        None
    };
    let mut learner = Learner::new(config, run, material, model, &workers, fingerprint, saved)?;
    let ending = learner.learn(progress, cancel)?;
    let position = learner.position().clone();
    let model = learner.into_model();
    line.ended(Stage::Learn, started)?;

    let started = Instant::now();
    let visual = learn::encode(&model, &workers, &maps.cache, &split.validation)?;
    let truths: Vec<LatLng> = split.validation.iter().map(|p| places[*p]).collect();
    let index = model
        .index(&hierarchy)?
        .with_places(split.train.iter().map(|p| places[*p]));
    let accuracy = Accuracy::from_errors(&validation::errors(&index, &visual, &truths)?)?;
    let chance = validation::chance(index.cells().finest(), &truths)?;
    let calibration = calibrate_index(&index, &visual, &truths)?;
    line.ended(Stage::Calibrate, started)?;
    line.check(Stage::Calibrate)?;

    let started = Instant::now();
    let checkpoint = save_checkpoint(
        run,
        &model,
        &hierarchy,
        &maps,
        &calibration,
        Provenance {
            tower: origin,
            ..provenance(dataset, config, &position, &accuracy)
        },
    )?;
    let checkpoint_id = checkpoint.id().to_owned();
    line.ended(Stage::Save, started)?;

    let report = TrainingReport {
        checkpoint: run.checkpoint(),
        checkpoint_id,
        training_photos: split.train.len(),
        validation_photos: split.validation.len(),
        skipped,
        cells: hierarchy.levels().iter().map(|l| l.len()).collect(),
        steps: position.steps,
        samples: position.samples,
        ending,
        accuracy,
        chance,
        segmenter: maps.segmenter.as_ref().map(|s| s.report.clone()),
        calibration,
        images_per_second: position.samples as f64 / position.step_seconds.total().max(1e-9),
        step_seconds: position.step_seconds,
        seconds: line.seconds,
    };
    run.write_report(&report)?;
    Ok(report)
}

/// The published tower that a run starts from.
struct PublishedStart {
    tower: PublishedTower,
    origin: TowerOrigin,
    precision: Precision,
}

impl PublishedStart {
    fn open(config: &TrainingConfig) -> Result<Option<Self>> {
        let Some(pretrained) = &config.pretrained else {
            return Ok(None);
        };
        let tower = PublishedTower::open(&pretrained.directory)?;
        tower.check(&config.model)?;
        let origin = tower.origin()?;
        tracing::info!(
            name = origin.name,
            revision = origin.revision,
            "starting from a published tower"
        );
        Ok(Some(Self {
            tower,
            origin,
            precision: pretrained.precision,
        }))
    }
}

/// Book-keeping of the stages of one call.
struct Stages<'a> {
    run: &'a RunFolder,
    progress: Report<'a>,
    cancel: &'a AtomicBool,
    seconds: BTreeMap<String, f64>,
}

impl Stages<'_> {
    fn ended(&mut self, stage: Stage, started: Instant) -> Result<()> {
        let seconds = started.elapsed().as_secs_f64();
        *self.seconds.entry(stage.name().to_owned()).or_default() += seconds;
        if matches!(stage, Stage::Partition | Stage::Calibrate | Stage::Save) {
            // The others report themselves.
            (self.progress)(&Progress::counted(stage, 1, 1));
        }
        Metrics::open(&self.run.metrics())?.write(&Line::Stage { stage, seconds })
    }

    fn check(&self, stage: Stage) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: stage.phrase(),
                run: self.run.root().to_path_buf(),
            });
        }
        Ok(())
    }
}

fn provenance(
    dataset: &Dataset,
    config: &TrainingConfig,
    position: &Position,
    accuracy: &Accuracy,
) -> Provenance {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let shares = THRESHOLDS
        .iter()
        .zip(accuracy.within)
        .map(|(t, share)| (format!("within_{}_km", t.km.get()), share));
    let counts = [
        ("steps", position.steps as f64),
        ("samples", position.samples as f64),
        ("median_km", accuracy.median_km),
    ];
    Provenance {
        dataset_digest: Some(dataset.digest()),
        metrics: shares
            .chain(counts.map(|(name, value)| (name.to_owned(), value)))
            .collect(),
        ..Provenance::new(now, config.seed)
    }
}

fn save_checkpoint(
    run: &RunFolder,
    model: &LearningModel,
    hierarchy: &Hierarchy,
    maps: &Maps,
    calibration: &CalibrationReport,
    provenance: Provenance,
) -> Result<Checkpoint> {
    let contents = CheckpointContents {
        config: model.config(),
        parameters: model.parameters(),
        segmenter: maps.segmenter.as_ref().map(|s| (&s.config, &s.parameters)),
        hierarchy,
        calibration: &calibration.calibration,
        provenance: &provenance,
    };
    Ok(Checkpoint::write(&run.checkpoint(), contents)?)
}

/// Training and validation photos, without those that cannot be read.
fn split(dataset: &Dataset, config: &TrainingConfig, skipped: &[crate::photos::Skipped]) -> Result<RunSplit> {
    let split = datasets::split(dataset, &config.split)?;
    let mut usable = vec![true; dataset.len()];
    skipped.iter().for_each(|s| usable[s.index] = false);
    let keep = |photos: Vec<usize>| photos.into_iter().filter(|i| usable[*i]).collect::<Vec<_>>();
    let split = RunSplit {
        train: keep(split.train),
        validation: keep(split.validation),
    };
    if split.train.is_empty() || split.validation.is_empty() {
        let first = skipped.first().map_or_else(String::new, |s| {
            format!(" (the first: {}: {})", s.file.display(), s.reason)
        });
        return Err(Error::Dataset(format!(
            "{} of {} photos could not be read{first}, which leaves {} to learn from and {} to judge by: repair or import more photos",
            skipped.len(),
            dataset.len(),
            split.train.len(),
            split.validation.len()
        )));
    }
    Ok(split)
}

/// The hierarchy of the training photos' places.
fn partition(places: &[LatLng], split: &RunSplit, config: &TrainingConfig) -> Result<Hierarchy> {
    let training: Vec<LatLng> = split.train.iter().map(|i| places[*i]).collect();
    let hierarchy = Hierarchy::build(&training, &config.partition).map_err(|e| match e {
        geocells::Error::EmptyLevel { .. } => Error::Dataset(format!(
            "{} training photos are too few, or too far apart, to partition: {e}; lower partition.t_min (now {}), or add photos",
            training.len(),
            config.partition.t_min
        )),
        e => e.into(),
    })?;
    let finest = hierarchy.finest().len();
    if finest < 2 {
        return Err(Error::Dataset(format!(
            "the {} training photos make a single geocell at the finest level, so there is nothing to tell apart; lower the last partition.t_max (now {}) or add photos of other places",
            training.len(),
            config.partition.t_max.last().copied().unwrap_or_default()
        )));
    }
    let levels: Vec<usize> = hierarchy.levels().iter().map(|l| l.len()).collect();
    tracing::info!(photos = training.len(), ?levels, "partitioned");
    Ok(hierarchy)
}

/// The same error, naming the run as the place to go on.
fn in_run(error: Error, run: &RunFolder) -> Error {
    match error {
        Error::Cancelled { stage, .. } => Error::Cancelled {
            stage,
            run: run.root().to_path_buf(),
        },
        error => error,
    }
}

/// At most `most` of the photos, evenly spaced; all of them when `most` is 0.
fn thinned(photos: &[usize], most: usize) -> Vec<usize> {
    if most == 0 || photos.len() <= most {
        return photos.to_vec();
    }
    (0..most).map(|k| photos[k * photos.len() / most]).collect()
}

/// What a state must share to go on: the dataset, everything of the configuration but its budget, and the published weights.
fn fingerprint(dataset: &Dataset, config: &TrainingConfig, tower: Option<&TowerOrigin>) -> Result<String> {
    let budget = TrainingConfig::demo().budget;
    let text = TrainingConfig {
        budget,
        ..config.clone()
    }
    .to_toml()?;
    let mut hash = sha2::Sha256::new()
        .chain_update(dataset.digest())
        .chain_update(text);
    for (file, digest) in tower.iter().flat_map(|tower| &tower.files) {
        hash.update(file);
        hash.update(digest);
    }
    Ok(format!("{:x}", hash.finalize()))
}
