//! One choice of the method changed at a time, over several seeds, with everything else and the number of photos seen held fixed.
//!
//! | module | one idea |
//! | --- | --- |
//! | [`study`] | the choices: the paper's Tables VI to VIII, each question that it leaves open, the baselines |
//! | [`trial`] | one training and what can be read off it |
//! | [`bench`] | the photos that all trials share, and carrying a trial out once |
//! | [`table`] | rows over seeds, with intervals and differences from the row that they stand beside |
//! | [`paper`] | what the paper found, and whether its sign is found here |
//! | [`report`] | the tables as Markdown and CSV |
//!
//! A finished trial is a file and is never repeated; several studies share one training where they mean the same.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::Device;
use datasets::Dataset;
use serde::{Deserialize, Serialize};

use crate::benchmark::Bootstrap;
use crate::progress::Report;
use crate::run::{write_atomically, write_json};
use crate::{Error, Result, TrainingConfig};

pub mod bench;
pub mod paper;
pub mod report;
pub mod study;
pub mod table;
pub mod trial;

pub use bench::Bench;
pub use study::Study;
pub use table::StudyTable;
pub use trial::{Method, Outcome, Trial};

/// What to try and for how long.
#[derive(Debug, Clone)]
pub struct AblationOptions {
    /// Where trials and tables are kept.
    pub out: PathBuf,
    /// The configuration that everything is changed from.
    pub config: TrainingConfig,
    /// Seeds: the configuration's own and the ones after it.
    pub seeds: u64,
    /// Studies, by name; empty means all.
    pub only: Vec<String>,
    /// Photos that every training sees.
    pub photos_seen: u64,
    /// Share of the photos, by uploader or place, that no training sees and all are judged on.
    pub test_fraction: f64,
    /// Go on with what `out` holds; otherwise it must hold nothing.
    pub resume: bool,
    /// Where tensors live.
    pub device: Device,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
}

/// What an ablation will cost, told before it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Trainings that the tables need.
    pub trainings: usize,
    /// Those that are finished already.
    pub finished: usize,
    /// Photos that the others will see.
    pub photos: u64,
    /// Photos a second of a training step on this machine now: the base configuration, a few steps.
    pub images_per_second: f64,
    /// Seconds that the rest will take: learning, and judging as long as the finished trials' took (or a tenth of learning).
    pub seconds: f64,
}

/// Everything that was found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AblationReport {
    /// Photos that trainings learn from and validate on.
    pub training_photos: usize,
    /// Photos that all are judged on.
    pub test_photos: usize,
    /// Photos that every training sees.
    pub photos_seen: u64,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How intervals were made.
    pub bootstrap: Bootstrap,
    /// A table a study.
    pub tables: Vec<StudyTable>,
}

/// What an ablation asks before and while it works.
#[derive(Debug, Clone, PartialEq)]
pub struct Done<'a> {
    /// Trials finished.
    pub finished: usize,
    /// Trials in all.
    pub trials: usize,
    /// The trial that begins, in words.
    pub next: &'a str,
}

/// The studies of some names.
///
/// # Errors
/// A name that no study has.
pub fn chosen(config: &TrainingConfig, only: &[String]) -> Result<Vec<Study>> {
    let all = study::studies(config);
    if let Some(unknown) = only
        .iter()
        .find(|name| !all.iter().any(|study| study.name == **name))
    {
        let known: Vec<&str> = all.iter().map(|study| study.name.as_str()).collect();
        return Err(Error::Config(format!(
            "there is no ablation {unknown}; choose of {}",
            known.join(", ")
        )));
    }
    let wanted = |study: &Study| only.is_empty() || only.contains(&study.name);
    Ok(all.into_iter().filter(wanted).collect())
}

/// The trials of some studies: every row of every seed, each once, seed by seed so that a first table is there early.
fn trials(studies: &[Study], seeds: &[u64]) -> Vec<(Trial, Vec<String>)> {
    let mut all: Vec<(Trial, Vec<String>)> = Vec::new();
    for seed in seeds {
        for row in studies.iter().flat_map(|study| &study.rows) {
            let trial = row.trial.with_seed(*seed);
            match all.iter_mut().find(|(known, _)| *known == trial) {
                Some((_, readings)) if !readings.contains(&row.reading) => readings.push(row.reading.clone()),
                Some(_) => {}
                None => all.push((trial, vec![row.reading.clone()])),
            }
        }
    }
    all
}

/// An ablation whose photos are ready.
#[derive(Debug)]
pub struct Ablation {
    options: AblationOptions,
    seeds: Vec<u64>,
    studies: Vec<Study>,
    trials: Vec<(Trial, Vec<String>)>,
    bench: Bench,
}

impl Ablation {
    /// Splits the dataset, prepares its photos and looks at what is finished.
    ///
    /// # Errors
    /// A folder that holds another ablation, or one without `resume`; no seed; a dataset too small to split.
    pub fn open(
        dataset: &Dataset,
        options: AblationOptions,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        if options.seeds == 0 || options.photos_seen == 0 {
            return Err(Error::Config(
                "an ablation needs at least one seed and one photo to see".to_owned(),
            ));
        }
        let config = study::base(&options.config, options.photos_seen, dataset);
        config.validate()?;
        let studies = chosen(&config, &options.only)?;
        let seeds: Vec<u64> = (config.seed..config.seed + options.seeds).collect();
        let trials = trials(&studies, &seeds);
        let bench = Bench::open(dataset, &config, &options, progress, cancel)?;
        Ok(Self {
            options,
            seeds,
            studies,
            trials,
            bench,
        })
    }

    /// What the rest will cost. Takes a few training steps to find out.
    ///
    /// # Errors
    /// A training step's.
    pub fn estimate(&self, cancel: &AtomicBool) -> Result<Estimate> {
        let finished: Vec<Outcome> = self
            .trials
            .iter()
            .filter_map(|(trial, readings)| self.bench.finished(trial, readings))
            .filter_map(|outcomes| outcomes.into_values().next())
            .collect();
        let left = self.trials.len() - finished.len();
        let photos = left as u64 * self.options.photos_seen;
        let images_per_second = self.bench.speed(&self.trials[0].0.config, cancel)?;
        let learning = self.options.photos_seen as f64 / images_per_second;
        let judging = if finished.is_empty() {
            0.1 * learning
        } else {
            finished
                .iter()
                .map(|o| (o.seconds - o.learning_seconds).max(0.0))
                .sum::<f64>()
                / finished.len() as f64
        };
        Ok(Estimate {
            trainings: self.trials.len(),
            finished: finished.len(),
            photos,
            images_per_second,
            seconds: left as f64 * (learning + judging),
        })
    }

    /// Carries out what is not finished, writes the tables after each trial, and returns them.
    ///
    /// # Errors
    /// The first trial's that fails; [`Error::Cancelled`] with everything finished kept.
    pub fn run(
        &self,
        starting: &dyn Fn(Done<'_>),
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<AblationReport> {
        let started = Instant::now();
        for (finished, (trial, readings)) in self.trials.iter().enumerate() {
            let next = trial.describe();
            starting(Done {
                finished,
                trials: self.trials.len(),
                next: &next,
            });
            if self.bench.finished(trial, readings).is_some() {
                continue;
            }
            self.bench.carry_out(trial, readings, progress, cancel)?;
            tracing::info!(
                trial = next,
                seconds = started.elapsed().as_secs_f64(),
                "trial finished"
            );
            self.write(&self.tables())?;
        }
        let report = self.tables();
        self.write(&report)?;
        Ok(report)
    }

    /// The tables of what is finished; a row without a finished trial is left out.
    pub fn tables(&self) -> AblationReport {
        let tables = self
            .studies
            .iter()
            .map(|study| {
                let outcomes = study
                    .rows
                    .iter()
                    .map(|row| {
                        let of_seed = |seed: &u64| {
                            let trial = row.trial.with_seed(*seed);
                            let mut found =
                                self.bench.finished(&trial, std::slice::from_ref(&row.reading))?;
                            found.remove(&row.reading)
                        };
                        self.seeds.iter().map(of_seed).collect()
                    })
                    .collect();
                table::study_table(study, outcomes, &self.seeds, &self.options.bootstrap)
            })
            .collect();
        AblationReport {
            training_photos: self.bench.training_photos(),
            test_photos: self.bench.test_photos(),
            photos_seen: self.options.photos_seen,
            seeds: self.seeds.clone(),
            bootstrap: self.options.bootstrap,
            tables,
        }
    }

    fn write(&self, report: &AblationReport) -> Result<()> {
        write_json(&self.options.out.join("tables.json"), report)?;
        write_atomically(
            &self.options.out.join("tables.md"),
            report::markdown(report).as_bytes(),
        )?;
        write_atomically(
            &self.options.out.join("tables.csv"),
            report::csv(report).as_bytes(),
        )
    }
}
