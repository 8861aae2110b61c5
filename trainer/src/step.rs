//! One optimisation step: forward, joint loss, backward, update.
//!
//! The contrast needs the embeddings of the whole batch, the networks do not. Each worker takes a shard of the batch through the
//! networks; the embeddings, cut from their graphs, meet in the loss, whose levels are shared between the workers too;
//! its gradient with respect to the embeddings is then sent back through each shard's own graph. That is
//! the gradient of the whole batch, exactly.

use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::augmentation::Change;
use crate::config::Duplicates;
use crate::labels::CellLabels;
use crate::loss::LevelTargets;
use crate::model::LearningModel;
use crate::optimizer::AdamW;
use crate::parallel::Workers;
use crate::photos::PhotoCache;
use crate::{Error, Result};

/// What a step learns from.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// The photos.
    pub cache: &'a PhotoCache,
    /// Their geocells, by dataset index.
    pub labels: &'a CellLabels,
    /// What stands in the denominator.
    pub duplicates: Duplicates,
}

/// Where the time of steps goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StepSeconds {
    /// Photos through the networks, reading and augmenting included.
    pub forward: f64,
    /// The loss over all levels and its gradients.
    pub loss: f64,
    /// Gradients through the networks.
    pub backward: f64,
    /// Adding the workers' gradients up and changing the parameters.
    pub update: f64,
}

impl StepSeconds {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.forward + self.loss + self.backward + self.update
    }

    /// Adds another step's.
    pub fn add(&mut self, other: &Self) {
        self.forward += other.forward;
        self.loss += other.loss;
        self.backward += other.backward;
        self.update += other.update;
    }
}

/// The loss of a batch and the gradient of every parameter, in the optimiser's order.
#[derive(Debug)]
pub struct Gradients {
    /// Sum over levels of the mean loss of the photos that lie in some cell there.
    pub loss: f32,
    /// One a parameter; `None` where none arrived.
    pub gradients: Vec<Option<Tensor>>,
    /// How long it took; `update` holds the adding up alone.
    pub seconds: StepSeconds,
}

/// Loss and gradients of one batch: dataset indices, each with its change.
///
/// # Errors
/// A cache that cannot be read, a tensor operation.
pub fn gradients(
    model: &LearningModel,
    optimizer: &AdamW,
    workers: &Workers,
    lesson: Lesson<'_>,
    batch: &[(usize, Change)],
) -> Result<Gradients> {
    let started = Instant::now();
    let shards = workers.map(|k| model.encode(lesson.cache, &batch[workers.share(batch.len(), k)]))?;
    let embeddings: Vec<Tensor> = shards.iter().map(Tensor::detach).collect();
    let embeddings = Tensor::cat(&embeddings, 0)?;
    let forward = started.elapsed().as_secs_f64();
    let heads = workers.map(|k| head(model, workers.count(), k, lesson, batch, &embeddings))?;

    let loss = heads.iter().map(|h| h.loss).sum();
    let mut towards = heads[0].towards.clone();
    for head in &heads[1..] {
        towards = (towards + &head.towards)?;
    }
    let headed = started.elapsed().as_secs_f64();
    let towers: Vec<GradStore> = workers.map(|k| {
        let range = workers.share(batch.len(), k);
        let part = towards.narrow(0, range.start, range.len())?.contiguous()?;
        Ok((&shards[k] * part)?.sum_all()?.backward()?)
    })?;

    let backward = started.elapsed().as_secs_f64();
    let stores: Vec<&GradStore> = towers.iter().chain(heads.iter().map(|h| &h.gradients)).collect();
    let gradients = sum_gradients(optimizer, &stores)?;
    let seconds = StepSeconds {
        forward,
        loss: headed - forward,
        backward: backward - headed,
        update: started.elapsed().as_secs_f64() - backward,
    };
    Ok(Gradients {
        loss,
        gradients,
        seconds,
    })
}

/// The sum over `stores`, in their order, of every parameter's gradients; `None` for a parameter that is in none of them.
///
/// # Errors
/// A tensor operation's.
pub fn sum_gradients(optimizer: &AdamW, stores: &[&GradStore]) -> Result<Vec<Option<Tensor>>> {
    let sum = |var: &Var| -> Result<Option<Tensor>> {
        let mut total: Option<Tensor> = None;
        for gradient in stores.iter().filter_map(|s| s.get(var.as_tensor())) {
            let gradient = gradient.detach();
            total = Some(match total {
                None => gradient,
                Some(t) => (t + gradient)?,
            });
        }
        Ok(total)
    };
    optimizer.parameters().iter().map(|p| sum(&p.var)).collect()
}

/// One worker's part of the loss: every `workers`-th level.
struct Head {
    loss: f32,
    gradients: GradStore,
    /// Gradient with respect to the embeddings, `[batch, width]`.
    towards: Tensor,
}

fn head(
    model: &LearningModel,
    workers: usize,
    worker: usize,
    lesson: Lesson<'_>,
    batch: &[(usize, Change)],
    embeddings: &Tensor,
) -> Result<Head> {
    let leaf = Var::from_tensor(embeddings)?;
    let mut total = (leaf.sum_all()? * 0.0)?;
    for level in (worker..lesson.labels.depth()).step_by(workers) {
        let cells: Vec<Option<u32>> = batch
            .iter()
            .map(|(photo, _)| lesson.labels.level(level)[*photo])
            .collect();
        let geographic = model.geographic();
        let log_temperature = geographic.log_temperature(level);
        let term = match LevelTargets::new(&cells, lesson.duplicates) {
            Some(targets) => {
                let locations = if targets.cells.is_empty() {
                    geographic.all(level)?
                } else {
                    geographic.rows(level, &targets.cells)?
                };
                targets.loss(leaf.as_tensor(), &locations, &log_temperature.neg()?.exp()?)?
            }
            // No photo of the batch lies in a cell of this level: its parameters get the gradient 0, not none.
            None => ((geographic.rows(level, &[0])?.sum_all()? + log_temperature)? * 0.0)?,
        };
        total = (total + term.reshape(())?)?;
    }
    let mut gradients = total.backward()?;
    let towards = gradients
        .remove(leaf.as_tensor())
        .ok_or_else(|| Error::MissingGradient("visual embeddings".to_owned()))?
        .detach();
    Ok(Head {
        loss: total.to_scalar::<f32>()?,
        gradients,
        towards,
    })
}
