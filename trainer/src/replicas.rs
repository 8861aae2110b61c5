//! The same model on several devices: one that is validated and saved, and copies that take their share of every step.
//!
//! Each device has its own thread, parameters and optimiser. All get the same summed gradient and do the same with it, so the copies
//! stay equal to the first without any exchange of weights.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use crate::communicator::{Communicator, group};
use crate::inputs::Inputs;
use crate::model::LearningModel;
use crate::optimizer::{AdamW, StepSummary};
use crate::parallel::Workers;
use crate::step::{Gradients, Lesson, gradients_of};
use crate::{Error, Result, TrainingConfig};

/// A model and its optimiser on one device.
#[derive(Debug)]
pub struct Pupil {
    /// The model.
    pub model: LearningModel,
    /// Its optimiser.
    pub optimizer: AdamW,
}

/// One step's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learnt {
    /// The loss before the step.
    pub loss: f32,
    /// What the optimiser did.
    pub summary: StepSummary,
    /// Where the time went.
    pub seconds: crate::step::StepSeconds,
}

impl Pupil {
    /// A model with a fresh optimiser.
    ///
    /// # Errors
    /// The device has no room for the moments.
    pub fn new(model: LearningModel, config: &TrainingConfig) -> Result<Self> {
        let optimizer = AdamW::new(
            model.trained(config.optimizer.location_rate),
            config.optimizer.clone(),
        )?;
        Ok(Self { model, optimizer })
    }

    /// One step of this device's part of the group. Whatever fails here is told to the others.
    fn step(
        &mut self,
        config: &TrainingConfig,
        workers: &Workers,
        lesson: Lesson<'_>,
        inputs: &Inputs,
        rate: Rate,
        devices: &dyn Communicator,
    ) -> Result<Learnt> {
        let learnt = self.try_step(config, workers, lesson, inputs, rate, devices);
        if let Err(error) = &learnt {
            devices.give_up(&error.to_string());
        }
        learnt
    }

    fn try_step(
        &mut self,
        config: &TrainingConfig,
        workers: &Workers,
        lesson: Lesson<'_>,
        inputs: &Inputs,
        rate: Rate,
        devices: &dyn Communicator,
    ) -> Result<Learnt> {
        let Gradients {
            loss,
            gradients,
            mut seconds,
        } = gradients_of(&self.model, &self.optimizer, workers, lesson, inputs, devices)?;
        if !loss.is_finite() {
            return Err(Error::Diverged {
                loss,
                step: rate.step,
                learning_rate: rate.learning_rate,
            });
        }
        let started = std::time::Instant::now();
        let summary = self.optimizer.step(&gradients, rate.learning_rate)?;
        let (least, most) = (config.loss.temperature_min, config.loss.temperature_max);
        self.model.clamp_temperatures(least, most)?;
        seconds.update += started.elapsed().as_secs_f64();
        Ok(Learnt {
            loss,
            summary,
            seconds,
        })
    }
}

/// The learning rate of a step.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// The step, from 1.
    pub step: u64,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// A group of devices that learn one model.
#[derive(Debug)]
pub struct Replicas {
    copies: Vec<(Pupil, Workers)>,
    devices: Vec<Box<dyn Communicator>>,
}

impl Replicas {
    /// Copies of `first` on these further devices, made by `make` and brought to the same parameters and moments.
    ///
    /// # Errors
    /// A device without room, NCCL that cannot start, a batch smaller than the group.
    pub fn new(
        first: &Pupil,
        config: &TrainingConfig,
        further: &[Device],
        make: impl Fn(&Device) -> Result<LearningModel>,
    ) -> Result<Self> {
        if config.batch_size < further.len() + 1 {
            return Err(Error::Config(format!(
                "batch_size {} is smaller than the {} devices that share it",
                config.batch_size,
                further.len() + 1
            )));
        }
        let mut all = vec![first.model.parameters().device().clone()];
        all.extend_from_slice(further);
        let devices = group(&all)?;
        let copies = further
            .iter()
            .map(|device| {
                let mut pupil = Pupil::new(make(device)?, config)?;
                pupil.copy(first, device)?;
                Ok((pupil, Workers::new(1, device)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { copies, devices })
    }

    /// One step of all devices. What is returned is the first one's; its parameters are everybody's.
    ///
    /// # Errors
    /// Any device's.
    pub fn step(
        &mut self,
        first: &mut Pupil,
        config: &TrainingConfig,
        workers: &Workers,
        lesson: Lesson<'_>,
        inputs: &Inputs,
        rate: Rate,
    ) -> Result<Learnt> {
        let Some((lead, rest)) = self.devices.split_first() else {
            return Err(Error::Config("a group of no device".to_owned()));
        };
        if self.copies.is_empty() {
            return first.step(config, workers, lesson, inputs, rate, lead.as_ref());
        }
        std::thread::scope(|scope| {
            let others: Vec<_> = self
                .copies
                .iter_mut()
                .zip(rest)
                .map(|((pupil, workers), devices)| {
                    let workers = &*workers;
                    scope.spawn(move || pupil.step(config, workers, lesson, inputs, rate, devices.as_ref()))
                })
                .collect();
            let mine = first.step(config, workers, lesson, inputs, rate, lead.as_ref());
            let mut failed = None;
            for other in others {
                let learnt = other.join().unwrap_or_else(|_| {
                    Err(Error::Device {
                        rank: 0,
                        reason: "another device's thread panicked".to_owned(),
                    })
                });
                // What a device met itself says more than that another one stopped.
                if let Err(error) = learnt
                    && !matches!((&failed, &error), (Some(_), Error::Device { .. }))
                {
                    failed = Some(error);
                }
            }
            match (mine, failed) {
                (Err(Error::Device { .. }), Some(error)) | (Ok(_), Some(error)) => Err(error),
                (mine, _) => mine,
            }
        })
    }

    /// The copies' parameters by name, for comparison with the first's.
    #[doc(hidden)]
    pub fn copies(&self) -> impl Iterator<Item = &LearningModel> {
        self.copies.iter().map(|(pupil, _)| &pupil.model)
    }
}

impl Pupil {
    /// Takes over another's parameters and moments.
    fn copy(&mut self, other: &Self, device: &Device) -> Result<()> {
        for (mine, theirs) in self
            .optimizer
            .parameters()
            .iter()
            .zip(other.optimizer.parameters())
        {
            mine.var
                .set(&theirs.var.as_detached_tensor().to_device(device)?)?;
        }
        let state = other
            .optimizer
            .state()
            .into_iter()
            .map(|(name, tensor)| Ok((name, tensor.to_device(device)?)))
            .collect::<Result<HashMap<String, Tensor>>>()?;
        self.optimizer.restore(&state, other.optimizer.steps())
    }
}
