//! The photos that all trials share, and carrying a trial out once: a training of ours, or one of a peer.
//!
//! ```text
//! out/ablation.json              what the folder is about: dataset, test photos
//! out/cache/                     decoded photos
//! out/trials/KEY/trial.json      method and configuration
//! out/trials/KEY/run/            the training run of ours, resumable
//! out/trials/KEY/outcomes.json   what was read off it: the trial is finished
//! out/tables.{md,csv,json}       the tables of everything finished
//! ```

mod ours;
mod peers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::Device;
use datasets::{Dataset, SplitConfig};
use geocells::{Hierarchy, LatLng};
use serde::{Deserialize, Serialize};

use super::AblationOptions;
use super::trial::{Levels, Method, Outcome, Trial};
use crate::baselines::classifier::ClassifierHead;
use crate::baselines::learner::{Head, Learnt, Material, learn};
use crate::config::SegmenterConfig;
use crate::labels::CellLabels;
use crate::parallel::Workers;
use crate::photos::PhotoCache;
use crate::progress::Report;
use crate::run::{read_json, write_json};
use crate::{Error, Result, TrainingConfig};

/// Batches of the step that the estimate times; the first one is thrown away.
const TIMED_BATCHES: u64 = 4;

/// What an ablation's folder is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Manifest {
    dataset: String,
    test_fraction: f64,
}

/// The photos of an ablation and the folder of its trials.
#[derive(Debug)]
pub struct Bench {
    out: PathBuf,
    device: Device,
    workers: Workers,
    training: Dataset,
    training_cache: PhotoCache,
    places: Vec<LatLng>,
    learn: Vec<usize>,
    validation: Vec<usize>,
    test: Dataset,
    test_cache: PhotoCache,
    test_photos: Vec<usize>,
    truths: Vec<LatLng>,
}

impl Bench {
    /// Holds the test photos out, by uploader or place, and decodes all photos once.
    ///
    /// # Errors
    /// A folder of another ablation, or of one that is not to be gone on with; a dataset too small to split.
    pub fn open(
        dataset: &Dataset,
        config: &TrainingConfig,
        options: &AblationOptions,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let out = options.out.clone();
        claim(&out, dataset, options)?;
        let split = datasets::split(
            dataset,
            &SplitConfig {
                validation_fraction: options.test_fraction,
                ..config.split
            },
        )?;
        let side = |photos: &[usize]| {
            Dataset::new(
                dataset.root(),
                photos.iter().map(|i| dataset.photos()[*i].clone()).collect(),
            )
        };
        let (training, test) = (side(&split.train), side(&split.validation));
        let cache = out.join("cache");
        let training_cache = PhotoCache::open(&training, &config.model, &cache, progress, cancel)?;
        let test_cache = PhotoCache::open(&test, &config.model, &cache, progress, cancel)?;
        let usable = |cache: &PhotoCache, photos: Vec<usize>| -> Vec<usize> {
            let skipped: Vec<usize> = cache.skipped().iter().map(|s| s.index).collect();
            photos.into_iter().filter(|i| !skipped.contains(i)).collect()
        };
        // As every training of ours splits its photos.
        let inner = datasets::split(&training, &config.split)?;
        let test_photos = usable(&test_cache, (0..test.len()).collect());
        if test_photos.is_empty() {
            return Err(Error::Dataset(
                "no test photo could be read; repair the dataset".to_owned(),
            ));
        }
        Ok(Self {
            device: options.device.clone(),
            workers: Workers::new(config.resolved_threads(), &options.device)?,
            places: training.photos().iter().map(|p| p.location).collect(),
            learn: usable(&training_cache, inner.train),
            validation: usable(&training_cache, inner.validation),
            truths: test_photos.iter().map(|i| test.photos()[*i].location).collect(),
            out,
            training,
            training_cache,
            test,
            test_cache,
            test_photos,
        })
    }

    /// Photos that trainings learn from and validate on.
    pub fn training_photos(&self) -> usize {
        self.learn.len() + self.validation.len()
    }

    /// Photos that all are judged on.
    pub fn test_photos(&self) -> usize {
        self.test_photos.len()
    }

    fn folder(&self, trial: &Trial) -> Result<PathBuf> {
        Ok(self.out.join("trials").join(trial.key()?))
    }

    /// What was read off a finished trial, if all of `readings` were.
    pub fn finished(&self, trial: &Trial, readings: &[String]) -> Option<BTreeMap<String, Outcome>> {
        let file = self.folder(trial).ok()?.join("outcomes.json");
        let outcomes: BTreeMap<String, Outcome> = read_json(&file).ok()?;
        let whole = |reading: &String| {
            outcomes
                .get(reading)
                .is_some_and(|outcome| outcome.errors_km.len() == self.test_photos.len())
        };
        readings.iter().all(whole).then_some(outcomes)
    }

    /// Photos a second of a training step on this machine now.
    ///
    /// # Errors
    /// A training step's.
    pub fn speed(&self, config: &TrainingConfig, cancel: &AtomicBool) -> Result<f64> {
        let batch = config.batch_size.min(self.learn.len()) as u64;
        let seconds = |batches: u64| -> Result<f64> {
            let mut config = config.clone();
            config.budget.max_samples = Some(batches * batch);
            let hierarchy = self.partition(&config)?;
            let labels = CellLabels::new(&hierarchy, &self.places);
            let head = self.classifier(&config, &hierarchy, &labels, Levels::All, None);
            Ok(self.learn(&config, &head, &|_| (), cancel)?.seconds)
        };
        let (one, all) = (seconds(1)?, seconds(1 + TIMED_BATCHES)?);
        let step = ((all - one) / TIMED_BATCHES as f64).max(all / (1 + TIMED_BATCHES) as f64 / 4.0);
        Ok(batch as f64 / step)
    }

    /// Trains a trial, or goes on with it, and reads off what is wanted.
    ///
    /// # Errors
    /// The training's; a disk that is full.
    pub fn carry_out(
        &self,
        trial: &Trial,
        readings: &[String],
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<()> {
        let started = Instant::now();
        let folder = self.folder(trial)?;
        fs_err::create_dir_all(&folder)?;
        write_json(&folder.join("trial.json"), trial)?;
        let mut found = match trial.method {
            Method::Ours => self.ours(trial, readings, &folder, progress, cancel)?,
            Method::Classifier { levels, smoothing_km } => {
                self.classified(trial, levels, smoothing_km, progress, cancel)?
            }
            Method::GpsGallery => self.matched(trial, progress, cancel)?,
        };
        for outcome in found.values_mut() {
            outcome.seconds = started.elapsed().as_secs_f64();
        }
        let file = folder.join("outcomes.json");
        let mut all: BTreeMap<String, Outcome> = read_json(&file).unwrap_or_default();
        all.extend(found);
        write_json(&file, &all)
    }

    fn partition(&self, config: &TrainingConfig) -> Result<Hierarchy> {
        let places: Vec<LatLng> = self.learn.iter().map(|i| self.places[*i]).collect();
        Ok(Hierarchy::build(&places, &config.partition)?)
    }

    fn classifier<'a>(
        &'a self,
        config: &TrainingConfig,
        hierarchy: &'a Hierarchy,
        labels: &'a CellLabels,
        levels: Levels,
        smoothing_km: Option<f64>,
    ) -> ClassifierHead<'a> {
        let depth = hierarchy.depth();
        ClassifierHead {
            hierarchy,
            labels,
            places: &self.places,
            levels: match levels {
                Levels::All => (0..depth).collect(),
                Levels::Finest => vec![depth - 1],
            },
            smoothing_km,
            width: config.model.embedding,
        }
    }

    fn learn(
        &self,
        config: &TrainingConfig,
        head: &dyn Head,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<Learnt> {
        let material = Material {
            config,
            cache: &self.training_cache,
            train: &self.learn,
            maps: config.segmenter == SegmenterConfig::Precomputed,
            workers: &self.workers,
            device: &self.device,
        };
        learn(material, head, progress, cancel)
    }
}

/// Makes the folder this ablation's, or checks that it is.
fn claim(out: &Path, dataset: &Dataset, options: &AblationOptions) -> Result<()> {
    let refuse = |reason: String| {
        Err(Error::Run {
            path: out.to_path_buf(),
            reason,
        })
    };
    let ours = Manifest {
        dataset: dataset.digest(),
        test_fraction: options.test_fraction,
    };
    let file = out.join("ablation.json");
    if file.is_file() {
        let there: Manifest = read_json(&file)?;
        if there != ours {
            return refuse(
                "holds an ablation of another dataset or another share of test photos; choose another folder"
                    .to_owned(),
            );
        }
        if !options.resume {
            return refuse(
                "holds an ablation already; go on with --resume, or choose another folder".to_owned(),
            );
        }
        return Ok(());
    }
    fs_err::create_dir_all(out)?;
    if fs_err::read_dir(out)?.next().is_some() {
        return refuse("holds other files; choose an empty or a new folder".to_owned());
    }
    write_json(&file, &ours)
}
