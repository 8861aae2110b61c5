//! Contrastive learning: epochs of steps, each followed by a validation, until a limit is reached.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Tensor;
use geocells::{Accuracy, Hierarchy, LatLng};

use crate::augmentation::Change;
use crate::labels::CellLabels;
use crate::metrics::{Line, Metrics};
use crate::model::LearningModel;
use crate::optimizer::{AdamW, Trained};
use crate::parallel::Workers;
use crate::photos::PhotoCache;
use crate::progress::Report;
use crate::state::{self, Position, SavedState};
use crate::step::{self, Lesson, StepSeconds};
use crate::train::Ending;
use crate::validation;
use crate::{Error, Progress, Result, RunFolder, Stage, TrainingConfig, sampling};

/// Steps between two lines of metrics.
const STEPS_PER_LINE: u64 = 20;
/// Seconds between two states: what a killed run loses at most.
const SECONDS_PER_STATE: f64 = 60.0;

/// What is learnt from, fixed for a run.
#[derive(Debug)]
pub struct Material<'a> {
    /// The photos.
    pub cache: &'a PhotoCache,
    /// The geocells.
    pub hierarchy: &'a Hierarchy,
    /// Every photo's cells.
    pub labels: &'a CellLabels,
    /// Every photo's place.
    pub places: &'a [LatLng],
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
    model: LearningModel,
    optimizer: AdamW,
    workers: &'a Workers,
    position: Position,
    best: BTreeMap<String, Tensor>,
    metrics: Metrics,
    last_saved: Instant,
}

impl<'a> Learner<'a> {
    /// The start of learning, or its continuation from a saved state.
    ///
    /// # Errors
    /// A state that does not belong to this model.
    pub fn new(
        config: &'a TrainingConfig,
        run: &'a RunFolder,
        material: Material<'a>,
        model: LearningModel,
        workers: &'a Workers,
        fingerprint: String,
        saved: Option<SavedState>,
    ) -> Result<Self> {
        let location_rate = config.optimizer.location_rate;
        let trained = |(name, var, decay): (&str, &candle_core::Var, bool)| Trained {
            name: name.to_owned(),
            var: var.clone(),
            rate: if LearningModel::is_location(name) {
                location_rate
            } else {
                1.0
            },
            decay,
        };
        let mut optimizer = AdamW::new(
            model.parameters().trainable().map(trained).collect(),
            config.optimizer.clone(),
        )?;
        let fresh = saved.is_none();
        let (mut position, best) = match saved {
            None => (Position::start(fingerprint), BTreeMap::new()),
            Some(saved) => {
                if saved.position.fingerprint != fingerprint {
                    return Err(Error::Run {
                        path: run.state(),
                        reason: "the saved state belongs to another dataset or configuration; resume with the same, or train in another folder".to_owned(),
                    });
                }
                restore_values(&optimizer, &saved.tensors)?;
                optimizer.restore(&saved.tensors, saved.position.steps)?;
                let best = saved
                    .tensors
                    .into_iter()
                    .filter_map(|(n, t)| Some((n.strip_prefix("best.")?.to_owned(), t)))
                    .collect();
                (saved.position, best)
            }
        };
        if fresh {
            position.metrics_bytes = Metrics::open(&run.metrics())?.bytes();
        }
        state::cut_metrics(&run.metrics(), position.metrics_bytes)?;
        let metrics = Metrics::open(&run.metrics())?;
        let mut learner = Self {
            config,
            run,
            material,
            model,
            optimizer,
            workers,
            position,
            best,
            metrics,
            last_saved: Instant::now(),
        };
        if fresh {
            // From here on a killed run finds a state, and with it where its metrics end.
            learner.save()?;
        }
        Ok(learner)
    }

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
        let order = sampling::epoch_order(
            self.material.train,
            self.config.seed,
            u64::from(self.position.epoch),
        );
        let steps = sampling::steps_per_epoch(order.len(), self.config.batch_size);
        while self.position.step_in_epoch < steps && self.limit().is_none() {
            if cancel.load(Ordering::Relaxed) {
                self.save()?;
                return Err(Error::Cancelled {
                    stage: Stage::Learn.phrase(),
                    run: self.run.root().to_path_buf(),
                });
            }
            let batch = sampling::batch(&order, self.config.batch_size, self.position.step_in_epoch);
            self.step(batch)?;
            progress(&self.report(steps));
            if self.last_saved.elapsed().as_secs_f64() > SECONDS_PER_STATE {
                self.save()?;
            }
        }
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

    fn step(&mut self, batch: &[usize]) -> Result<()> {
        let started = Instant::now();
        let mut rng = sampling::generator(self.config.seed, "augmentation", self.position.steps);
        let batch: Vec<(usize, Change)> = batch
            .iter()
            .map(|p| (*p, Change::draw(&self.config.augmentation, &mut rng)))
            .collect();
        let lesson = Lesson {
            cache: self.material.cache,
            labels: self.material.labels,
            duplicates: self.config.loss.duplicates,
        };
        let rate = self.config.optimizer.learning_rate
            * self.config.schedule.factor(self.position.epoch, self.done());
        let computed = step::gradients(&self.model, &self.optimizer, self.workers, lesson, &batch)?;
        if !computed.loss.is_finite() {
            return Err(Error::Diverged {
                loss: computed.loss,
                step: self.position.steps + 1,
                learning_rate: rate,
            });
        }
        let summary = self.optimizer.step(&computed.gradients, rate)?;

        let seconds = started.elapsed().as_secs_f64();
        let position = &mut self.position;
        position.steps += 1;
        position.step_in_epoch += 1;
        position.samples += batch.len() as u64;
        position.seconds += seconds;
        position.step_seconds.add(&StepSeconds {
            update: seconds - computed.seconds.total() + computed.seconds.update,
            ..computed.seconds
        });
        position.loss_sum += f64::from(computed.loss);
        position.loss_steps += 1;
        position.shown_loss = Some(
            position
                .shown_loss
                .map_or(computed.loss, |shown| 0.95 * shown + 0.05 * computed.loss),
        );
        if position.steps.is_multiple_of(STEPS_PER_LINE) {
            self.metrics.write(&Line::Step {
                step: position.steps,
                epoch: position.epoch + 1,
                samples: position.samples,
                loss: position.loss_sum / position.loss_steps as f64,
                learning_rate: rate,
                gradient_norm: summary.gradient_norm,
                images_per_second: batch.len() as f64 / seconds,
                seconds: position.seconds,
            })?;
            position.loss_sum = 0.0;
            position.loss_steps = 0;
        }
        Ok(())
    }

    fn validate(&mut self, progress: Report<'_>) -> Result<()> {
        let started = Instant::now();
        let photos = self.material.validation;
        progress(&Progress {
            accuracy: self.position.accuracy.map(|a| a.within),
            ..Progress::counted(Stage::Validate, 0, photos.len() as u64)
        });
        let visual = self.encode(photos)?;
        let truths: Vec<LatLng> = photos.iter().map(|p| self.material.places[*p]).collect();
        let index = self.model.index(self.material.hierarchy)?;
        let accuracy = Accuracy::from_errors(&validation::errors(&index, &visual, &truths)?)?;
        let score = validation::score(&accuracy);
        let best = self.position.best_score.is_none_or(|b| score > b);
        if best {
            self.position.best_score = Some(score);
            self.position.validations_without_improvement = 0;
            self.best = values(&self.optimizer)?;
        } else {
            self.position.validations_without_improvement += 1;
        }
        self.position.accuracy = Some(accuracy);
        self.position.seconds += started.elapsed().as_secs_f64();
        self.metrics.write(&Line::Validation {
            step: self.position.steps,
            epoch: self.position.epoch,
            samples: self.position.samples,
            accuracy,
            score,
            best,
            temperatures: &self.model.temperatures()?,
            seconds: self.position.seconds,
        })?;
        tracing::info!(epoch = self.position.epoch, score, best, within = ?accuracy.within, median_km = accuracy.median_km, "validated");
        progress(&Progress {
            accuracy: Some(accuracy.within),
            ..Progress::counted(Stage::Validate, photos.len() as u64, photos.len() as u64)
        });
        Ok(())
    }

    /// Unit visual embeddings `[photos, width]` without a graph, shared between the workers.
    ///
    /// # Errors
    /// A cache that cannot be read, a tensor operation.
    pub fn encode(&self, photos: &[usize]) -> Result<Tensor> {
        encode(&self.model, self.workers, self.material.cache, photos)
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
            images_per_second: Some(position.samples as f64 / position.step_seconds.total()),
            remaining_seconds: (done > 0.0).then(|| (position.seconds / done - position.seconds).max(0.0)),
        }
    }

    /// Writes everything that learning needs to go on.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&mut self) -> Result<()> {
        self.position.metrics_bytes = self.metrics.bytes();
        let mut tensors = self.optimizer.state();
        tensors.extend(
            self.optimizer
                .parameters()
                .iter()
                .map(|p| (format!("value.{}", p.name), p.var.as_detached_tensor())),
        );
        tensors.extend(self.best.iter().map(|(n, t)| (format!("best.{n}"), t.clone())));
        state::save(self.run, &self.position, &tensors)?;
        self.last_saved = Instant::now();
        Ok(())
    }

    fn take_best(&self) -> Result<()> {
        for parameter in self.optimizer.parameters() {
            if let Some(best) = self.best.get(&parameter.name) {
                parameter.var.set(best)?;
            }
        }
        Ok(())
    }

    /// The model, at the end.
    pub fn into_model(self) -> LearningModel {
        self.model
    }
}

/// Unit visual embeddings `[photos, width]` without a graph, shared between the workers.
///
/// # Errors
/// A cache that cannot be read, a tensor operation.
pub fn encode(
    model: &LearningModel,
    workers: &Workers,
    cache: &PhotoCache,
    photos: &[usize],
) -> Result<Tensor> {
    const CHUNK: usize = 64;
    let parts = workers.map(|k| {
        let share = &photos[workers.share(photos.len(), k)];
        let chunk = |photos: &[usize]| {
            let photos: Vec<(usize, Change)> = photos.iter().map(|p| (*p, Change::NONE)).collect();
            Ok(model.encode(cache, &photos)?.detach())
        };
        share.chunks(CHUNK).map(chunk).collect::<Result<Vec<Tensor>>>()
    })?;
    let parts: Vec<Tensor> = parts.into_iter().flatten().collect();
    Ok(Tensor::cat(&parts, 0)?)
}

fn values(optimizer: &AdamW) -> Result<BTreeMap<String, Tensor>> {
    optimizer
        .parameters()
        .iter()
        .map(|p| Ok((p.name.clone(), p.var.as_detached_tensor().copy()?)))
        .collect()
}

fn restore_values(optimizer: &AdamW, tensors: &HashMap<String, Tensor>) -> Result<()> {
    for parameter in optimizer.parameters() {
        let name = format!("value.{}", parameter.name);
        let tensor = tensors
            .get(&name)
            .ok_or_else(|| Error::Config(format!("the saved state lacks {name}")))?;
        parameter.var.set(tensor)?;
    }
    Ok(())
}
