//! Contrastive learning: epochs of steps, each followed by a validation, until a limit is reached.

mod judge;
mod keep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use geocells::{Hierarchy, LatLng};

pub use judge::{Judgement, encode};

use crate::augmentation::Change;
use crate::average::Average;
use crate::config::EpochOrder;
use crate::feed::with_feed;
use crate::inputs::{Inputs, Source};
use crate::labels::CellLabels;
use crate::loss::Smoothing;
use crate::metrics::Line;
use crate::model::LearningModel;
use crate::parallel::Workers;
use crate::progress::Report;
use crate::record::Journal;
use crate::replicas::{Learnt, Pupil, Rate, Replicas};
use crate::state::Position;
use crate::step::{Lesson, StepSeconds};
use crate::train::Ending;
use crate::{Error, Progress, Result, RunFolder, Stage, TrainingConfig, sampling};

/// What is learnt from, fixed for a run.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The photos, and what is stored of them.
    pub source: Source<'a>,
    /// The geocells.
    pub hierarchy: &'a Hierarchy,
    /// Every photo's cells.
    pub labels: &'a CellLabels,
    /// Every photo's place.
    pub places: &'a [LatLng],
    /// Every photo's shard, for an order by shards.
    pub shards: &'a [usize],
    /// Photos to learn from.
    pub train: &'a [usize],
    /// Held-out photos on which an epoch is judged.
    pub validation: &'a [usize],
}

/// A run of contrastive learning.
#[derive(Debug)]
pub struct Learner<'a> {
    config: &'a TrainingConfig,
    run: &'a RunFolder,
    material: Material<'a>,
    pupil: Pupil,
    replicas: Replicas,
    workers: &'a Workers,
    average: Option<Average>,
    position: Position,
    best: BTreeMap<String, Tensor>,
    /// Whether `best` is newer than its file.
    best_is_new: bool,
    journal: Journal,
    last_saved: Instant,
    steps_at_last_save: u64,
}

/// What a run of learning is made of, beside its material.
#[derive(Debug)]
pub struct Start<'a> {
    /// What was asked.
    pub config: &'a TrainingConfig,
    /// Where it is kept.
    pub run: &'a RunFolder,
    /// The model, with its first weights.
    pub model: LearningModel,
    /// Further devices that take their share of every step.
    pub further: &'a [Device],
    /// Who computes on the first device.
    pub workers: &'a Workers,
    /// What the run learns from and how, as one number: a state goes on only with the same.
    pub fingerprint: String,
    /// Whether a saved state is to be gone on from.
    pub resume: bool,
}

impl Learner<'_> {
    /// Where learning is.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Learns until a limit is reached; then the model has the best weights.
    ///
    /// # Errors
    /// [`Error::Cancelled`] with the state saved, [`Error::Diverged`], a parameter without gradient, a full disk.
    pub fn learn(&mut self, progress: Report<'_>, cancel: &AtomicBool) -> Result<Ending> {
        let ending = loop {
            if let Some(ending) = self.position.ending {
                break ending;
            }
            self.epoch(progress, cancel)?;
        };
        self.take_best()?;
        Ok(ending)
    }

    /// The rest of the epoch under way, and its validation.
    fn epoch(&mut self, progress: Report<'_>, cancel: &AtomicBool) -> Result<()> {
        let (config, material) = (self.config, self.material);
        let order = self.order();
        let steps = sampling::steps_per_epoch(order.len(), config.batch_size);
        let first = self.position.step_in_epoch.min(steps);
        let steps_before = self.position.steps - first as u64;
        let read = |step: usize| {
            let counter = steps_before + step as u64;
            let mut rng = sampling::generator(config.seed, "augmentation", counter);
            let batch: Vec<(usize, Change)> = sampling::batch(&order, config.batch_size, step)
                .iter()
                .map(|p| (*p, Change::draw(&config.augmentation, &mut rng)))
                .collect();
            Inputs::read(material.source, &batch)
        };
        with_feed(config.data.prefetch, first..steps, read, |next| {
            while self.position.step_in_epoch < steps && self.limit().is_none() {
                if cancel.load(Ordering::Relaxed) {
                    self.save()?;
                    return Err(Error::Cancelled {
                        stage: Stage::Learn.phrase(),
                        run: self.run.root().to_path_buf(),
                    });
                }
                let started = Instant::now();
                let inputs = next()?;
                self.step(&inputs, started)?;
                progress(&self.report(steps));
                if self.is_time_to_save() {
                    self.save()?;
                }
            }
            Ok(())
        })?;
        if self.position.step_in_epoch >= steps {
            self.position.epoch += 1;
            self.position.step_in_epoch = 0;
        }
        self.validate(progress)?;
        let patience = self.config.budget.early_stop_patience;
        let exhausted = patience > 0 && self.position.validations_without_improvement >= patience;
        self.position.ending = self.limit().or(exhausted.then_some(Ending::NoImprovement));
        self.save()
    }

    /// The training photos in the order of the epoch under way.
    fn order(&self) -> Vec<usize> {
        let (photos, seed) = (self.material.train, self.config.seed);
        let epoch = u64::from(self.position.epoch);
        match self.config.data.order {
            EpochOrder::Shuffled => sampling::epoch_order(photos, seed, epoch),
            EpochOrder::ShardWindows => {
                let window = self.config.data.shard_window;
                sampling::shard_order(photos, self.material.shards, window, seed, epoch)
            }
        }
    }

    /// One step; `started` is when its photos were asked for.
    fn step(&mut self, inputs: &Inputs, started: Instant) -> Result<()> {
        let waiting = started.elapsed().as_secs_f64();
        self.journal.skipped(inputs.skipped())?;
        let config = self.config;
        let lesson = Lesson {
            cache: self.material.source.photos,
            labels: self.material.labels,
            duplicates: config.loss.duplicates,
            micro_batch: config.micro_batch,
            smoothing: (config.loss.smoothing_km > 0.0).then_some(Smoothing {
                hierarchy: self.material.hierarchy,
                places: self.material.places,
                km: config.loss.smoothing_km,
            }),
        };
        let rate = Rate {
            step: self.position.steps + 1,
            learning_rate: config.optimizer.learning_rate
                * config.schedule.factor(self.position.epoch, self.done()),
        };
        let learnt = self
            .replicas
            .step(&mut self.pupil, config, self.workers, lesson, inputs, rate)?;
        if let Some(average) = &mut self.average {
            average.update(self.pupil.optimizer.parameters(), rate.step)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let other = seconds - waiting - learnt.seconds.total();
        self.account(
            inputs.len(),
            seconds,
            &learnt,
            StepSeconds {
                waiting,
                update: learnt.seconds.update + other,
                ..learnt.seconds
            },
        );
        if self.position.steps.is_multiple_of(config.log.every_steps) {
            self.log(inputs.len() as f64 / seconds, rate.learning_rate, &learnt)?;
        }
        Ok(())
    }

    fn account(&mut self, photos: usize, seconds: f64, learnt: &Learnt, parts: StepSeconds) {
        let position = &mut self.position;
        position.steps += 1;
        position.step_in_epoch += 1;
        position.samples += photos as u64;
        position.seconds += seconds;
        position.step_seconds.add(&parts);
        position.loss_sum += f64::from(learnt.loss);
        position.loss_steps += 1;
        position.shown_loss = Some(
            position
                .shown_loss
                .map_or(learnt.loss, |shown| 0.95 * shown + 0.05 * learnt.loss),
        );
    }

    fn log(&mut self, images_per_second: f64, learning_rate: f64, learnt: &Learnt) -> Result<()> {
        let position = &mut self.position;
        self.journal.write(&Line::Step {
            step: position.steps,
            epoch: position.epoch + 1,
            samples: position.samples,
            loss: position.loss_sum / position.loss_steps as f64,
            learning_rate,
            gradient_norm: learnt.summary.gradient_norm,
            images_per_second,
            idle: position.step_seconds.waiting / position.step_seconds.total().max(1e-9),
            seconds: position.seconds,
        })?;
        position.loss_sum = 0.0;
        position.loss_steps = 0;
        Ok(())
    }

    /// The limit that has been reached, if any.
    fn limit(&self) -> Option<Ending> {
        let (budget, position) = (&self.config.budget, &self.position);
        if budget.max_samples.is_some_and(|n| position.samples >= n) {
            Some(Ending::Samples)
        } else if budget.max_seconds.is_some_and(|s| position.seconds >= s) {
            Some(Ending::Seconds)
        } else {
            (position.epoch >= budget.epochs).then_some(Ending::Epochs)
        }
    }

    /// Share of the budget that is used up: of the limit that will be reached first.
    fn done(&self) -> f64 {
        let (budget, position) = (&self.config.budget, &self.position);
        let steps = sampling::steps_per_epoch(self.material.train.len(), self.config.batch_size) as u64;
        let of_epochs = position.steps as f64 / (u64::from(budget.epochs) * steps) as f64;
        let of_samples = budget
            .max_samples
            .map_or(0.0, |n| position.samples as f64 / n as f64);
        let of_seconds = budget.max_seconds.map_or(0.0, |s| position.seconds / s);
        of_epochs.max(of_samples).max(of_seconds)
    }

    fn report(&self, steps: usize) -> Progress {
        let position = &self.position;
        let done = self.done();
        let total = u64::from(self.config.budget.epochs) * (steps * self.config.batch_size) as u64;
        Progress {
            stage: Stage::Learn,
            done: position.samples,
            total: self.config.budget.max_samples.map_or(total, |n| n.min(total)),
            epoch: Some(position.epoch + 1),
            loss: position.shown_loss,
            accuracy: position.accuracy.map(|a| a.within),
            images_per_second: Some(position.samples as f64 / position.step_seconds.total().max(1e-9)),
            idle: Some(position.step_seconds.waiting / position.step_seconds.total().max(1e-9)),
            remaining_seconds: (done > 0.0).then(|| (position.seconds / done - position.seconds).max(0.0)),
        }
    }

    /// The model, at the end.
    pub fn into_model(self) -> LearningModel {
        self.pupil.model
    }
}
