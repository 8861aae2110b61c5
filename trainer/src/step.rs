//! One optimisation step: forward, joint loss, backward, update.
//!
//! The contrast needs the embeddings of the whole batch, the networks do not. Each worker takes a shard of the batch through the
//! networks; the embeddings, cut from their graphs, meet in the loss, whose levels are shared between the workers too;
//! its gradient with respect to the embeddings is then sent back through each shard's own graph. That is
//! the gradient of the whole batch, exactly.
//!
//! A shard that is larger than the micro-batch goes through the networks twice: first for its embeddings alone, and again, piece by
//! piece, with a graph for the gradient that came back. Frozen blocks compute once. Several devices are one more way of sharing
//! a batch: their embeddings, the loss's levels and the gradients are added up between them.

use std::ops::Range;
use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::augmentation::Change;
use crate::communicator::{Alone, Communicator};
use crate::config::Duplicates;
use crate::inputs::{Inputs, Source};
use crate::labels::CellLabels;
use crate::loss::{LevelTargets, Smoothing};
use crate::model::LearningModel;
use crate::optimizer::AdamW;
use crate::parallel::Workers;
use crate::photos::Photos;
use crate::{Error, Result};

/// What a step learns from.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// The photos.
    pub cache: &'a dyn Photos,
    /// Their geocells, by dataset index.
    pub labels: &'a CellLabels,
    /// What stands in the denominator.
    pub duplicates: Duplicates,
    /// Photos that a worker takes through the networks at a time; 0 means all of its share.
    pub micro_batch: usize,
    /// How a label is shared between near cells, if it is.
    pub smoothing: Option<Smoothing<'a>>,
}

impl<'a> Lesson<'a> {
    /// A lesson in one go, without smoothing.
    pub fn new(cache: &'a dyn Photos, labels: &'a CellLabels, duplicates: Duplicates) -> Self {
        Self {
            cache,
            labels,
            duplicates,
            micro_batch: 0,
            smoothing: None,
        }
    }
}

/// Where the time of steps goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StepSeconds {
    /// Waiting for photos, while the device was idle.
    #[serde(default)]
    pub waiting: f64,
    /// Photos through the networks.
    pub forward: f64,
    /// The loss over all levels and its gradients.
    pub loss: f64,
    /// Gradients through the networks.
    pub backward: f64,
    /// Adding the gradients of workers and devices up and changing the parameters.
    pub update: f64,
}

impl StepSeconds {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.waiting + self.forward + self.loss + self.backward + self.update
    }

    /// Adds another step's.
    pub fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
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
/// A photo that cannot be read, a tensor operation.
pub fn gradients(
    model: &LearningModel,
    optimizer: &AdamW,
    workers: &Workers,
    lesson: Lesson<'_>,
    batch: &[(usize, Change)],
) -> Result<Gradients> {
    let source = Source {
        photos: lesson.cache,
        tokens: None,
        maps: model.uses_maps(),
    };
    let inputs = Inputs::read(source, batch)?;
    gradients_of(model, optimizer, workers, lesson, &inputs, &Alone)
}

/// Loss and gradients of one batch whose photos were read. With several devices, each takes its share of the photos through the
/// networks, and all get the gradient of the whole batch.
///
/// # Errors
/// A tensor operation's; another device's failure.
pub fn gradients_of(
    model: &LearningModel,
    optimizer: &AdamW,
    workers: &Workers,
    lesson: Lesson<'_>,
    inputs: &Inputs,
    devices: &dyn Communicator,
) -> Result<Gradients> {
    let started = Instant::now();
    let mine = share(0..inputs.len(), devices.rank(), devices.size());
    let range = |k: usize| share(mine.clone(), k, workers.count());
    let shards = workers.map(|k| Shard::forward(model, inputs, range(k), lesson.micro_batch))?;
    let own: Vec<Tensor> = shards.iter().flat_map(Shard::embeddings).collect();
    let embeddings = gather(&Tensor::cat(&own, 0)?, &mine, inputs.len(), devices)?;
    let forward = started.elapsed().as_secs_f64();
    let heads = workers.map(|k| {
        // Every device takes some levels, and each of its workers some of those: the devices need not have equally many workers.
        let levels: Vec<usize> = (devices.rank()..lesson.labels.depth())
            .step_by(devices.size())
            .skip(k)
            .step_by(workers.count())
            .collect();
        head(model, &levels, lesson, inputs.photos(), &embeddings)
    })?;

    let mut loss = Tensor::new(heads.iter().map(|h| h.loss).sum::<f32>(), embeddings.device())?;
    let mut towards = heads[0].towards.clone();
    for head in &heads[1..] {
        towards = (towards + &head.towards)?;
    }
    if devices.size() > 1 {
        let mut sums = devices.all_reduce(vec![loss, towards])?.into_iter();
        (loss, towards) = sums.next().zip(sums.next()).ok_or_else(lost)?;
    }
    let headed = started.elapsed().as_secs_f64();
    let towers: Vec<Vec<Option<Tensor>>> = workers.map(|k| {
        let range = range(k);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let towards = towards.narrow(0, range.start, range.len())?.contiguous()?;
        shards[k].backward(model, optimizer, inputs, &towards)
    })?;

    let backward = started.elapsed().as_secs_f64();
    let stores: Vec<&GradStore> = heads.iter().map(|h| &h.gradients).collect();
    let mut gradients = sum_gradients(optimizer, &stores)?;
    for tower in towers {
        add(&mut gradients, tower)?;
    }
    let gradients = over_devices(optimizer, gradients, devices)?;
    let seconds = StepSeconds {
        waiting: 0.0,
        forward,
        loss: headed - forward,
        backward: backward - headed,
        update: started.elapsed().as_secs_f64() - backward,
    };
    Ok(Gradients {
        loss: loss.to_scalar::<f32>()?,
        gradients,
        seconds,
    })
}

/// The part of a range that member `k` of `n` takes: contiguous and equal to within one.
fn share(range: Range<usize>, k: usize, n: usize) -> Range<usize> {
    let len = range.len();
    range.start + len * k / n..range.start + len * (k + 1) / n
}

fn lost() -> Error {
    Error::Config("a sum over devices has fewer tensors than were given".to_owned())
}

/// The embeddings of the whole batch, of which this device has the rows `mine`.
fn gather(own: &Tensor, mine: &Range<usize>, rows: usize, devices: &dyn Communicator) -> Result<Tensor> {
    if devices.size() == 1 {
        return Ok(own.clone());
    }
    let width = own.dim(1)?;
    let zeros = |rows: usize| Tensor::zeros((rows, width), own.dtype(), own.device());
    let mut parts = vec![own.clone()];
    if mine.start > 0 {
        parts.insert(0, zeros(mine.start)?);
    }
    if mine.end < rows {
        parts.push(zeros(rows - mine.end)?);
    }
    let padded = Tensor::cat(&parts, 0)?;
    devices.all_reduce(vec![padded])?.pop().ok_or_else(lost)
}

/// The sums of all devices' gradients; `None` for a parameter that got one on no device.
fn over_devices(
    optimizer: &AdamW,
    gradients: Vec<Option<Tensor>>,
    devices: &dyn Communicator,
) -> Result<Vec<Option<Tensor>>> {
    if devices.size() == 1 {
        return Ok(gradients);
    }
    let there: Vec<f32> = gradients
        .iter()
        .map(|g| f32::from(u8::from(g.is_some())))
        .collect();
    let mut all = gradients
        .into_iter()
        .zip(optimizer.parameters())
        .map(|(gradient, parameter)| match gradient {
            Some(gradient) => Ok(gradient),
            None => Ok(parameter.var.as_tensor().zeros_like()?),
        })
        .collect::<Result<Vec<Tensor>>>()?;
    if let Some(first) = all.first() {
        let device = first.device().clone();
        all.push(Tensor::new(there.as_slice(), &device)?);
    }
    let mut sums = devices.all_reduce(all)?;
    let there = sums.pop().ok_or_else(lost)?.to_vec1::<f32>()?;
    Ok(sums
        .into_iter()
        .zip(there)
        .map(|(sum, there)| (there > 0.0).then_some(sum))
        .collect())
}

/// Adds a worker's gradients to the sum, parameter by parameter.
fn add(sum: &mut [Option<Tensor>], more: Vec<Option<Tensor>>) -> Result<()> {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = match (sum.take(), more) {
            (Some(a), Some(b)) => Some((a + b)?),
            (a, b) => a.or(b),
        };
    }
    Ok(())
}

/// A worker's photos on their way through the networks.
enum Shard {
    /// All at once: the graph waits for its gradient.
    Whole(Tensor),
    /// One micro-batch after the other: their embeddings alone were kept, and what the frozen blocks made of the photos.
    Parts(Vec<Part>),
}

struct Part {
    range: Range<usize>,
    /// `None` where the tower has no frozen blocks.
    trunk: Option<Tensor>,
    embeddings: Tensor,
}

impl Shard {
    fn forward(model: &LearningModel, inputs: &Inputs, range: Range<usize>, micro: usize) -> Result<Self> {
        if range.is_empty() {
            return Ok(Self::Parts(Vec::new()));
        }
        if micro == 0 || range.len() <= micro {
            return Ok(Self::Whole(model.embed(inputs, range)?));
        }
        let frozen = !model.config().trains_whole_tower();
        let part = |start: usize| {
            let range = start..(start + micro).min(range.end);
            let trunk = model.trunk(inputs, range.clone())?;
            let embeddings = model.embed_trunk(&trunk, inputs, range.clone())?.detach();
            Ok(Part {
                range,
                trunk: frozen.then(|| trunk.detach()),
                embeddings,
            })
        };
        let parts = range.clone().step_by(micro).map(part);
        Ok(Self::Parts(parts.collect::<Result<_>>()?))
    }

    fn embeddings(&self) -> Vec<Tensor> {
        match self {
            Self::Whole(embeddings) => vec![embeddings.detach()],
            Self::Parts(parts) => parts.iter().map(|part| part.embeddings.clone()).collect(),
        }
    }

    /// The gradients of the parameters, given the loss's gradient with respect to the shard's embeddings.
    fn backward(
        &self,
        model: &LearningModel,
        optimizer: &AdamW,
        inputs: &Inputs,
        towards: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let back = |embeddings: &Tensor, towards: &Tensor| -> Result<Vec<Option<Tensor>>> {
            let store = (embeddings * towards)?.sum_all()?.backward()?;
            sum_gradients(optimizer, &[&store])
        };
        match self {
            Self::Whole(embeddings) => back(embeddings, towards),
            Self::Parts(parts) => {
                let mut sum = vec![None; optimizer.parameters().len()];
                let mut row = 0;
                for part in parts {
                    let range = part.range.clone();
                    let embeddings = match &part.trunk {
                        Some(trunk) => model.embed_trunk(trunk, inputs, range.clone())?,
                        None => model.embed(inputs, range.clone())?,
                    };
                    let towards = towards.narrow(0, row, range.len())?.contiguous()?;
                    add(&mut sum, back(&embeddings, &towards)?)?;
                    row += range.len();
                }
                Ok(sum)
            }
        }
    }
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

/// One worker's part of the loss: some of the levels.
struct Head {
    loss: f32,
    gradients: GradStore,
    /// Gradient with respect to the embeddings, `[batch, width]`.
    towards: Tensor,
}

fn head(
    model: &LearningModel,
    levels: &[usize],
    lesson: Lesson<'_>,
    photos: &[usize],
    embeddings: &Tensor,
) -> Result<Head> {
    let leaf = Var::from_tensor(embeddings)?;
    let mut total = (leaf.sum_all()? * 0.0)?;
    for &level in levels {
        let cells: Vec<Option<u32>> = photos
            .iter()
            .map(|photo| lesson.labels.level(level)[*photo])
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
                let targets = match lesson.smoothing {
                    Some(smoothing) => targets.smoothed(&smoothing, level, photos),
                    None => targets,
                };
                targets.loss(leaf.as_tensor(), &locations, &log_temperature.neg()?.exp()?)?
            }
            // No photo of the batch lies in a cell of this level: its parameters get the gradient 0, not none.
            None => ((geographic.rows(level, &[0])?.sum_all()? + log_temperature)? * 0.0)?,
        };
        total = (total + term.reshape(())?)?;
    }
    let mut gradients = total.backward()?;
    let towards = match gradients.remove(leaf.as_tensor()) {
        Some(towards) => towards.detach(),
        // More workers than levels: this one has nothing to say.
        None if levels.is_empty() => embeddings.zeros_like()?,
        None => return Err(Error::MissingGradient("visual embeddings".to_owned())),
    };
    Ok(Head {
        loss: total.to_scalar::<f32>()?,
        gradients,
        towards,
    })
}
