//! The start of learning, its continuation from a saved state, and saving.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use candle_core::{Device, Tensor};

use super::{Learner, Material, Start};
use crate::average::{self, Average};
use crate::model::LearningModel;
use crate::optimizer::AdamW;
use crate::record::Journal;
use crate::replicas::{Pupil, Replicas};
use crate::state::{self, Position, SavedState};
use crate::{Error, Result};

impl<'a> Learner<'a> {
    /// The start of learning, or its continuation from a saved state. `make` makes the model once more on a further device.
    ///
    /// # Errors
    /// A state that does not belong to this model; a device without room.
    pub fn new(
        start: Start<'a>,
        material: Material<'a>,
        make: impl Fn(&Device) -> Result<LearningModel>,
    ) -> Result<Self> {
        let Start {
            config,
            run,
            model,
            further,
            workers,
            fingerprint,
            resume,
        } = start;
        state::sweep(run)?;
        let saved = if resume {
            state::load(run, model.parameters().device())?
        } else {
            None
        };
        let mut pupil = Pupil::new(model, config)?;
        let fresh = saved.is_none();
        let decay = config.optimizer.ema_decay;
        let mut average = None;
        let mut position = Position::start(fingerprint.clone());
        let mut best = BTreeMap::new();
        if let Some(SavedState {
            position: saved,
            tensors,
        }) = saved
        {
            if saved.fingerprint != fingerprint {
                return Err(Error::Run {
                    path: run.state(),
                    reason: "the saved state belongs to another dataset or configuration; resume with the same, or train in another folder".to_owned(),
                });
            }
            restore_values(&pupil.optimizer, &tensors)?;
            pupil.optimizer.restore(&tensors, saved.steps)?;
            if decay > 0.0 {
                let mut restored = Average::new(decay, pupil.optimizer.parameters())?;
                restored.restore(&tensors)?;
                average = Some(restored);
            }
            best = tensors
                .into_iter()
                .filter_map(|(n, t)| Some((n.strip_prefix("best.")?.to_owned(), t)))
                .collect();
            position = saved;
        } else if decay > 0.0 {
            average = Some(Average::new(decay, pupil.optimizer.parameters())?);
        }
        let replicas = Replicas::new(&pupil, config, further, make)?;
        let cut = (!fresh).then_some(position.metrics_bytes);
        let journal = Journal::open(run, config, cut, position.steps)?;
        let steps = position.steps;
        let mut learner = Self {
            config,
            run,
            material,
            pupil,
            replicas,
            workers,
            average,
            position,
            best,
            best_is_new: false,
            journal,
            last_saved: Instant::now(),
            steps_at_last_save: steps,
        };
        if fresh {
            // From here on a killed run finds a state, and with it where its metrics end.
            learner.save()?;
        }
        Ok(learner)
    }

    /// Whether the clock or the count of steps asks for a state.
    pub(super) fn is_time_to_save(&self) -> bool {
        let states = &self.config.states;
        let steps = self.position.steps - self.steps_at_last_save;
        self.last_saved.elapsed().as_secs_f64() > states.every_seconds
            || (states.every_steps > 0 && steps >= states.every_steps)
    }

    /// Writes everything that learning needs to go on.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&mut self) -> Result<()> {
        self.position.metrics_bytes = self.journal.flush()?;
        if self.best_is_new {
            let best = self.best.iter().map(|(n, t)| (format!("best.{n}"), t.clone()));
            state::save_best(self.run, self.position.steps, &best.collect())?;
            self.position.best_steps = Some(self.position.steps);
            self.best_is_new = false;
        }
        let mut tensors = self.pupil.optimizer.state();
        tensors.extend(
            self.pupil
                .optimizer
                .parameters()
                .iter()
                .map(|p| (format!("value.{}", p.name), p.var.as_detached_tensor())),
        );
        if let Some(average) = &self.average {
            let values = average.values().iter();
            tensors.extend(values.map(|(n, t)| (format!("average.{n}"), t.clone())));
        }
        state::save(self.run, &self.position, &tensors, self.config.states.keep)?;
        self.last_saved = Instant::now();
        self.steps_at_last_save = self.position.steps;
        Ok(())
    }

    /// Gives the model the best weights.
    pub(super) fn take_best(&self) -> Result<()> {
        average::put(self.pupil.optimizer.parameters(), &self.best)
    }
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
