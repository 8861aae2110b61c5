//! The training loop that all baselines share: the run's tower, photos, order and optimiser with a head of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use image::{GrayImage, RgbImage};
use models::{Labels, ParameterSpec, Parameters, Precision, Preprocessor, PublishedTower, VisualEncoder};

use crate::augmentation::Change;
use crate::optimizer::{AdamW, Trained};
use crate::parallel::Workers;
use crate::photos::PhotoCache;
use crate::progress::Report;
use crate::{Error, Progress, Result, Stage, TrainingConfig, sampling};

/// What turns features into a loss.
pub trait Head: Sync {
    /// The head's own parameters, their names starting with `head.`.
    fn specs(&self) -> Vec<ParameterSpec>;

    /// The mean loss of a batch, a scalar with a gradient for each of the head's parameters and for `visual`.
    ///
    /// `visual` `[batch, width]` holds unit rows, `photos` the batch's dataset indices, `step` counts from 0.
    ///
    /// # Errors
    /// A tensor operation's.
    fn loss(&self, parameters: &Parameters, visual: &Tensor, photos: &[usize], step: u64) -> Result<Tensor>;
}

/// What a baseline learns from.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// Tower, optimiser, schedule, batch, seed, and `budget.max_samples`: the photos to see.
    pub config: &'a TrainingConfig,
    /// The photos.
    pub cache: &'a PhotoCache,
    /// Dataset indices to learn from.
    pub train: &'a [usize],
    /// Whether the fusion sees the cached maps.
    pub maps: bool,
    /// Threads of a step.
    pub workers: &'a Workers,
    /// Where tensors live.
    pub device: &'a Device,
}

/// A trained tower with its head.
#[derive(Debug)]
pub struct Learnt {
    /// Parameters of tower and head.
    pub parameters: Parameters,
    /// Photos seen.
    pub samples: u64,
    /// Seconds of learning.
    pub seconds: f64,
    encoder: CachedEncoder,
}

impl Learnt {
    /// Unit features `[photos, width]` of cached photos, without a graph.
    ///
    /// # Errors
    /// A cache that cannot be read, a tensor operation.
    pub fn encode(&self, cache: &PhotoCache, photos: &[usize], workers: &Workers) -> Result<Tensor> {
        const CHUNK: usize = 64;
        let parts = workers.map(|k| {
            let share = &photos[workers.share(photos.len(), k)];
            let chunk = |photos: &[usize]| {
                let photos: Vec<(usize, Change)> = photos.iter().map(|p| (*p, Change::NONE)).collect();
                Ok(self.encoder.encode(cache, &photos)?.detach())
            };
            share.chunks(CHUNK).map(chunk).collect::<Result<Vec<Tensor>>>()
        })?;
        let parts: Vec<Tensor> = parts.into_iter().flatten().collect();
        Ok(Tensor::cat(&parts, 0)?.to_device(&Device::Cpu)?)
    }
}

#[derive(Debug)]
struct CachedEncoder {
    visual: VisualEncoder,
    preprocessor: Preprocessor,
    device: Device,
    maps: bool,
}

impl CachedEncoder {
    fn encode(&self, cache: &PhotoCache, photos: &[(usize, Change)]) -> Result<Tensor> {
        let images = photos
            .iter()
            .map(|(index, change)| {
                let image = cache.image(*index)?;
                let mut changed = RgbImage::new(image.width(), image.height());
                change.apply(image.as_raw(), &mut changed, cache.size(), 3, true);
                Ok(changed)
            })
            .collect::<Result<Vec<_>>>()?;
        let pixels = self.preprocessor.to_tensor(&images, &self.device)?;
        let labels = if self.maps {
            let maps = photos
                .iter()
                .map(|(index, change)| {
                    let map = cache.map(*index)?;
                    let mut changed = GrayImage::new(map.width(), map.height());
                    change.apply(map.as_raw(), &mut changed, cache.size(), 1, false);
                    Ok(changed)
                })
                .collect::<Result<Vec<_>>>()?;
            Some(Labels::from_images(&maps)?)
        } else {
            None
        };
        Ok(self.visual.forward(&pixels, labels.as_ref())?)
    }
}

/// Learns until as many photos were seen as the budget says.
///
/// # Errors
/// A budget without `max_samples`; [`Error::Cancelled`]; [`Error::Diverged`]; a tensor operation's.
pub fn learn(
    material: Material<'_>,
    head: &dyn Head,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<Learnt> {
    let config = material.config;
    let total = config
        .budget
        .max_samples
        .ok_or_else(|| Error::Config("a baseline needs budget.max_samples: the photos to see".to_owned()))?;
    let (parameters, precision) = start(material, head)?;
    let encoder = CachedEncoder {
        visual: VisualEncoder::new_in(&config.model, &parameters, precision)?,
        preprocessor: Preprocessor::new(&config.model),
        device: material.device.clone(),
        maps: material.maps,
    };
    let trained = |(name, var, decay): (&str, &Var, bool)| Trained {
        name: name.to_owned(),
        var: var.clone(),
        rate: if name.starts_with("head.") {
            config.optimizer.location_rate
        } else {
            1.0
        },
        decay,
    };
    let mut optimizer = AdamW::new(
        parameters.trainable().map(trained).collect(),
        config.optimizer.clone(),
    )?;
    let steps_an_epoch = sampling::steps_per_epoch(material.train.len(), config.batch_size) as u64;
    let started = Instant::now();
    let (mut samples, mut step) = (0_u64, 0_u64);
    let mut order = Vec::new();
    while samples < total {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Learn.phrase(),
                run: material.cache.folder().to_path_buf(),
            });
        }
        let (epoch, step_in_epoch) = (step / steps_an_epoch, (step % steps_an_epoch) as usize);
        if step_in_epoch == 0 {
            order = sampling::epoch_order(material.train, config.seed, epoch);
        }
        let batch = sampling::batch(&order, config.batch_size, step_in_epoch);
        let mut rng = sampling::generator(config.seed, "augmentation", step);
        let batch: Vec<(usize, Change)> = batch
            .iter()
            .map(|p| (*p, Change::draw(&config.augmentation, &mut rng)))
            .collect();
        let rate = config.optimizer.learning_rate
            * config
                .schedule
                .factor(epoch as u32, samples as f64 / total as f64);
        let (loss, gradients) = gradients(material, &encoder, &parameters, &optimizer, head, &batch, step)?;
        if !loss.is_finite() {
            return Err(Error::Diverged {
                loss,
                step: step + 1,
                learning_rate: rate,
            });
        }
        optimizer.step(&gradients, rate)?;
        samples += batch.len() as u64;
        step += 1;
        let seconds = started.elapsed().as_secs_f64();
        progress(&Progress {
            epoch: Some(epoch as u32 + 1),
            loss: Some(loss),
            images_per_second: Some(samples as f64 / seconds),
            remaining_seconds: Some(seconds / samples as f64 * total.saturating_sub(samples) as f64),
            ..Progress::counted(Stage::Learn, samples.min(total), total)
        });
    }
    Ok(Learnt {
        parameters,
        samples,
        seconds: started.elapsed().as_secs_f64(),
        encoder,
    })
}

/// The parameters at the start: drawn, the tower from published weights where the configuration names some.
fn start(material: Material<'_>, head: &dyn Head) -> Result<(Parameters, Precision)> {
    let config = material.config;
    let mut specs = VisualEncoder::specs(&config.model);
    specs.extend(head.specs());
    match &config.pretrained {
        None => Ok((
            Parameters::initialise(specs, config.seed, material.device)?,
            Precision::F32,
        )),
        Some(pretrained) => {
            let tower = PublishedTower::open(&pretrained.directory)?;
            tower.check(&config.model)?;
            let parameters = tower.initialise(&config.model, specs, config.seed, material.device)?;
            Ok((parameters, pretrained.precision))
        }
    }
}

/// The loss of the whole batch and its gradients: each worker takes a shard through the tower, the head sees all of them together.
fn gradients(
    material: Material<'_>,
    encoder: &CachedEncoder,
    parameters: &Parameters,
    optimizer: &AdamW,
    head: &dyn Head,
    batch: &[(usize, Change)],
    step: u64,
) -> Result<(f32, Vec<Option<Tensor>>)> {
    let workers = material.workers;
    let shards = workers.map(|k| encoder.encode(material.cache, &batch[workers.share(batch.len(), k)]))?;
    let features: Vec<Tensor> = shards.iter().map(Tensor::detach).collect();
    let leaf = Var::from_tensor(&Tensor::cat(&features, 0)?)?;
    let photos: Vec<usize> = batch.iter().map(|(photo, _)| *photo).collect();
    let loss = head.loss(parameters, leaf.as_tensor(), &photos, step)?;
    let headed = loss.backward()?;
    let towards = headed
        .get(leaf.as_tensor())
        .ok_or_else(|| Error::MissingGradient("features".to_owned()))?
        .detach();
    let towers: Vec<GradStore> = workers.map(|k| {
        let range = workers.share(batch.len(), k);
        let part = towards.narrow(0, range.start, range.len())?.contiguous()?;
        Ok((&shards[k] * part)?.sum_all()?.backward()?)
    })?;
    let sum = |var: &Var| -> Result<Option<Tensor>> {
        let mut total: Option<Tensor> = None;
        for gradient in towers
            .iter()
            .chain([&headed])
            .filter_map(|s| s.get(var.as_tensor()))
        {
            let gradient = gradient.detach();
            total = Some(match total {
                None => gradient,
                Some(total) => (total + gradient)?,
            });
        }
        Ok(total)
    };
    let gradients = optimizer
        .parameters()
        .iter()
        .map(|p| sum(&p.var))
        .collect::<Result<_>>()?;
    Ok((loss.to_scalar::<f32>()?, gradients))
}
