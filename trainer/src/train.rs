//! The whole line: photos, partition, segmenter, contrastive learning, calibration, checkpoint.

mod prepare;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Device;
use datasets::Dataset;
use geocells::{Accuracy, Hierarchy, LatLng, THRESHOLDS};
use models::{Checkpoint, CheckpointContents, Provenance};

pub use report::{Ending, RunSplit, TrainingReport};

use crate::calibrate::{CalibrationReport, calibrate_index};
use crate::config::{PhotoAccess, SegmenterConfig};
use crate::html_report::{self, Findings};
use crate::inputs::Source;
use crate::labels::CellLabels;
use crate::learn::{Learner, Material, Start};
use crate::metrics::{Line, Metrics};
use crate::model::LearningModel;
use crate::parallel::Workers;
use crate::photos::{PhotoCache, Photos, Skipped, StreamedPhotos};
use crate::progress::Report;
use crate::segmenter::{Maps, Setting, TrainedSegmenter};
use crate::state::Position;
use crate::tokens::{TokenCache, TokenSetting};
use crate::{
    Error, Progress, Result, RunFolder, Stage, TrainingConfig, learn, photos, provenance, record, validation,
};
use prepare::PublishedStart;

/// How a run is carried out; nothing here changes what is learnt.
#[derive(Debug, Clone)]
pub struct TrainingOptions {
    /// Go on with the run that the folder holds; otherwise the folder must not hold one.
    pub resume: bool,
    /// Where decoded photos and stored tokens are cached. A second run on the same dataset reuses them; the folder may be
    /// deleted at any time between runs.
    pub cache: PathBuf,
    /// Where tensors live.
    pub device: Device,
    /// Further devices that take their share of every batch.
    pub further_devices: Vec<Device>,
    /// The source revision of the program, for `run.json`.
    pub revision: Option<String>,
}

impl TrainingOptions {
    /// A new run on one device.
    pub fn new(cache: impl Into<PathBuf>, device: Device) -> Self {
        Self {
            resume: false,
            cache: cache.into(),
            device,
            further_devices: Vec::new(),
            revision: None,
        }
    }
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
    let work = Work {
        dataset,
        config,
        run,
        options,
        progress,
        cancel,
    };
    work.carry_out().map_err(|error| work.named(error))
}

/// One call of [`train`].
#[derive(Clone, Copy)]
struct Work<'a> {
    dataset: &'a Dataset,
    config: &'a TrainingConfig,
    run: &'a RunFolder,
    options: &'a TrainingOptions,
    progress: Report<'a>,
    cancel: &'a AtomicBool,
}

/// The photos as this run reads them.
struct Prepared<'a> {
    photos: Box<dyn Photos + 'a>,
    maps: bool,
    segmenter: Option<TrainedSegmenter>,
    split: RunSplit,
    skipped: Vec<Skipped>,
}

impl<'a> Work<'a> {
    fn carry_out(&self) -> Result<TrainingReport> {
        let Self {
            dataset,
            config,
            run,
            options,
            progress,
            cancel,
        } = *self;
        let mut line = Stages {
            run,
            progress,
            cancel,
            seconds: BTreeMap::new(),
        };
        // Before hours of decoding: a folder of weights that cannot be used is found at once.
        let tower = PublishedStart::open(config)?;
        provenance::record(run, dataset, config, options, tower.as_ref().map(|t| &t.origin))?;
        let workers = Workers::new(config.resolved_threads(), &options.device)?;
        let prepared = self.prepare(&workers, &mut line)?;
        let split = &prepared.split;

        let started = Instant::now();
        let places: Vec<LatLng> = dataset.photos().iter().map(|p| p.location).collect();
        let hierarchy = prepare::partition(&places, split, config)?;
        let labels = CellLabels::new(&hierarchy, &places);
        line.ended(Stage::Partition, started)?;
        line.check(Stage::Partition)?;

        let make = |device: &Device| {
            let (shape, seed, maps) = (&config.model, config.seed, prepared.maps);
            match &tower {
                None => LearningModel::new(shape, &hierarchy, seed, device, maps),
                Some(start) => {
                    let from = (&start.tower, start.precision);
                    LearningModel::from_tower(shape, &hierarchy, seed, device, maps, from)
                }
            }
        };
        let model = make(&options.device)?;
        let tokens = self.tokens(&model, &workers, prepared.photos.as_ref(), &mut line)?;
        let split = &without(split, tokens.as_ref().map_or(&[], TokenCache::skipped));

        let started = Instant::now();
        let origin = tower.as_ref().map(|start| start.origin.clone());
        let judged = prepare::thinned(&split.validation, config.validation_photos);
        let source = Source {
            photos: prepared.photos.as_ref(),
            tokens: tokens.as_ref(),
            maps: prepared.maps,
        };
        let shards = dataset.shard_numbers(1_000);
        let material = Material {
            source,
            hierarchy: &hierarchy,
            labels: &labels,
            places: &places,
            shards: &shards,
            train: &split.train,
            validation: &judged,
        };
        let start = Start {
            config,
            run,
            model,
            further: &options.further_devices,
            workers: &workers,
            fingerprint: prepare::fingerprint(dataset, config, origin.as_ref())?,
            resume: options.resume,
        };
        let mut learner = Learner::new(start, material, make)?;
        let ending = learner.learn(progress, cancel)?;
        let position = learner.position().clone();
        let model = learner.into_model();
        line.ended(Stage::Learn, started)?;

        let started = Instant::now();
        let visual = learn::encode(&model, &workers, source, &split.validation)?;
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
        let made = Provenance {
            tower: origin,
            ..checkpoint_provenance(dataset, config, &position, &accuracy)
        };
        let checkpoint = self.save_checkpoint(&model, &hierarchy, &prepared, &calibration, made)?;
        let checkpoint_id = checkpoint.id().to_owned();
        line.ended(Stage::Save, started)?;

        let mut skipped = prepared.skipped.clone();
        skipped.extend(tokens.iter().flat_map(|tokens| tokens.skipped().to_vec()));
        skipped.extend(record::read_skipped(run)?);
        skipped.sort_by_key(|photo| photo.index);
        skipped.dedup_by_key(|photo| photo.index);
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
            segmenter: prepared.segmenter.as_ref().map(|s| s.report.clone()),
            calibration,
            images_per_second: position.samples as f64 / position.step_seconds.total().max(1e-9),
            step_seconds: position.step_seconds,
            seconds: line.seconds,
        };
        if config.log.html {
            let findings = Findings {
                report: &report,
                config,
                index: &index,
                visual: &visual,
                photos: &split.validation,
                truths: &truths,
                source: prepared.photos.as_ref(),
                dataset,
            };
            html_report::write(run, &findings)?;
        }
        run.write_report(&report)?;
        Ok(report)
    }

    /// Decodes, splits and segments.
    fn prepare(&self, workers: &Workers, line: &mut Stages<'_>) -> Result<Prepared<'a>> {
        let started = Instant::now();
        let (dataset, config, run) = (self.dataset, self.config, self.run);
        if config.data.photos == PhotoAccess::Streamed {
            let photos = StreamedPhotos::new(dataset, &config.model);
            let maps = config.segmenter == SegmenterConfig::Precomputed;
            if maps && dataset.photos().iter().all(|photo| photo.segmentation.is_none()) {
                return Err(no_maps());
            }
            let split = prepare::split(dataset, config, &[])?;
            let skipped = photos.probe(&split.validation, maps, self.progress, self.cancel)?;
            let split = prepare::split(dataset, config, &skipped)?;
            run.write_split(&split)?;
            line.ended(Stage::Prepare, started)?;
            return Ok(Prepared {
                photos: Box::new(photos),
                maps,
                segmenter: None,
                split,
                skipped,
            });
        }
        let cache = PhotoCache::open(
            dataset,
            &config.model,
            &self.options.cache,
            self.progress,
            self.cancel,
        )?;
        let skipped = cache.skipped().to_vec();
        let split = prepare::split(dataset, config, &skipped)?;
        run.write_split(&split)?;
        line.ended(Stage::Prepare, started)?;
        let setting = Setting {
            config,
            run,
            workers,
            device: &self.options.device,
            progress: self.progress,
            cancel: self.cancel,
        };
        let maps = Maps::prepare(setting, cache, &split)?;
        line.seconds.extend(maps.seconds);
        Ok(Prepared {
            photos: Box::new(maps.cache),
            maps: maps.used,
            segmenter: maps.segmenter,
            split,
            skipped,
        })
    }

    /// The stored tokens, where they are asked for.
    fn tokens(
        &self,
        model: &LearningModel,
        workers: &Workers,
        photos: &dyn Photos,
        line: &mut Stages<'_>,
    ) -> Result<Option<TokenCache>> {
        if !self.config.data.token_cache {
            return Ok(None);
        }
        let started = Instant::now();
        let setting = TokenSetting {
            config: self.config,
            model,
            workers,
            photos,
            photos_key: &photos::key(self.dataset, &self.config.model),
            progress: self.progress,
            cancel: self.cancel,
        };
        let tokens = TokenCache::open(&self.options.cache.join("tokens"), setting)?;
        line.ended(Stage::Tokens, started)?;
        Ok(Some(tokens))
    }

    fn save_checkpoint(
        &self,
        model: &LearningModel,
        hierarchy: &Hierarchy,
        prepared: &Prepared<'_>,
        calibration: &CalibrationReport,
        provenance: Provenance,
    ) -> Result<Checkpoint> {
        let segmenter = prepared.segmenter.as_ref();
        let contents = CheckpointContents {
            config: model.config(),
            parameters: model.parameters(),
            segmenter: segmenter.map(|s| (&s.config, &s.parameters)),
            hierarchy,
            calibration: &calibration.calibration,
            provenance: &provenance,
        };
        Ok(Checkpoint::write(&self.run.checkpoint(), contents)?)
    }

    /// The same error, naming the run as the place to go on, and a full disk as what it is.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Cancelled { stage, .. } => Error::Cancelled {
                stage,
                run: self.run.root().to_path_buf(),
            },
            error => error.in_folder(self.run.root()),
        }
    }
}

/// A split without photos that turned out to be unusable.
fn without(split: &RunSplit, skipped: &[Skipped]) -> RunSplit {
    let usable = |photos: &[usize]| {
        let used = photos.iter().copied();
        used.filter(|photo| skipped.binary_search_by_key(photo, |s| s.index).is_err())
            .collect()
    };
    RunSplit {
        train: usable(&split.train),
        validation: usable(&split.validation),
    }
}

pub(crate) fn no_maps() -> Error {
    Error::Dataset(
        "segmenter.kind is \"precomputed\" but no photo of the dataset has a map; list maps in the column segmentation, or set kind to \"none\"".to_owned(),
    )
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

fn checkpoint_provenance(
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
