//! Training the compact segmenter on the dataset's maps, and every photo's map with it.
//!
//! A query comes without a map, so the model must learn from the maps that a query will have: those of the segmenter, mistakes
//! included, and not the dataset's own.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Device;
use candle_core::backprop::GradStore;
use image::{GrayImage, RgbImage};
use models::{CompactConfig, CompactSegmenter, Parameters, Segmenter, UNLABELLED};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::{OptimizerConfig, Schedule, SegmenterConfig};
use crate::optimizer::{AdamW, Trained};
use crate::parallel::Workers;
use crate::photos::PhotoCache;
use crate::progress::Report;
use crate::run::{read_json, write_json};
use crate::step::sum_gradients;
use crate::train::{RunSplit, no_maps};
use crate::{Error, Progress, Result, RunFolder, Stage, TrainingConfig, sampling};

/// Maps looked at to find out which classes the dataset has.
const MAPS_FOR_CLASSES: usize = 2_000;
/// Held-out photos on which the segmenter is judged.
const JUDGED: usize = 300;
/// Photos segmented at a time.
const CHUNK: usize = 128;

/// What a stage of a run works with.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// What was asked.
    pub config: &'a TrainingConfig,
    /// Where the run is kept.
    pub run: &'a RunFolder,
    /// Who computes.
    pub workers: &'a Workers,
    /// Where tensors live.
    pub device: &'a Device,
    /// Who is told.
    pub progress: Report<'a>,
    /// Becomes true when the run is to stop.
    pub cancel: &'a AtomicBool,
}

/// How good a trained segmenter is, on held-out photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmenterReport {
    /// Optimisation steps.
    pub steps: u32,
    /// Classes that it knows.
    pub classes: usize,
    /// Held-out photos with a map that it was judged on.
    pub photos: usize,
    /// Share of their labelled pixels that got the right class.
    pub pixel_accuracy: f64,
    /// Mean over classes of intersection over union.
    pub mean_iou: f64,
    /// Mean loss of the last tenth of the steps.
    pub loss: f32,
}

/// A trained compact segmenter.
#[derive(Debug, Clone)]
pub struct TrainedSegmenter {
    /// Its shape.
    pub config: CompactConfig,
    /// Its weights.
    pub parameters: Parameters,
    /// How good it is.
    pub report: SegmenterReport,
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    config: CompactConfig,
    report: SegmenterReport,
}

/// The photos with the maps that the model learns from.
#[derive(Debug)]
pub struct Maps {
    /// Photos and maps.
    pub cache: PhotoCache,
    /// Whether there are maps at all.
    pub used: bool,
    /// The segmenter that made them, if the run trained one.
    pub segmenter: Option<TrainedSegmenter>,
    /// Seconds by stage.
    pub seconds: BTreeMap<String, f64>,
}

impl Maps {
    /// Does what `config.segmenter` asks for; a stage that the run folder already holds the result of is not repeated.
    ///
    /// # Errors
    /// [`Error::Cancelled`], a full disk, a dataset whose maps are unusable.
    pub fn prepare(setting: Setting<'_>, cache: PhotoCache, split: &RunSplit) -> Result<Self> {
        let Setting {
            config, run, device, ..
        } = setting;
        let without = |cache, used| Self {
            cache,
            used,
            segmenter: None,
            seconds: BTreeMap::new(),
        };
        let SegmenterConfig::Compact { .. } = config.segmenter else {
            let used = config.segmenter == SegmenterConfig::Precomputed;
            if used && cache.maps() == 0 {
                return Err(no_maps());
            }
            return Ok(without(cache, used));
        };
        if cache.maps() == 0 {
            tracing::info!("the dataset has no maps to train a segmenter on: learning without");
            return Ok(without(cache, false));
        }
        let mut seconds = BTreeMap::new();
        let started = Instant::now();
        let segmenter = match load(run, device)? {
            Some(segmenter) => segmenter,
            None => {
                let segmenter = teach(setting, &cache, split)?;
                save(run, &segmenter)?;
                segmenter
            }
        };
        seconds.insert(
            Stage::Segmenter.name().to_owned(),
            started.elapsed().as_secs_f64(),
        );
        let started = Instant::now();
        let file = run.state().join("maps.bin");
        if !file.is_file() {
            draw(setting, &segmenter, &cache)?;
        }
        let cache = cache.with_maps(&file)?;
        seconds.insert(Stage::Maps.name().to_owned(), started.elapsed().as_secs_f64());
        Ok(Self {
            cache,
            used: true,
            segmenter: Some(segmenter),
            seconds,
        })
    }
}

fn files(run: &RunFolder) -> (PathBuf, PathBuf) {
    (
        run.state().join("segmenter.safetensors"),
        run.state().join("segmenter.json"),
    )
}

fn save(run: &RunFolder, segmenter: &TrainedSegmenter) -> Result<()> {
    let (weights, description) = files(run);
    fs_err::create_dir_all(run.state())?;
    segmenter.parameters.save(&weights)?;
    write_json(
        &description,
        &Saved {
            config: segmenter.config.clone(),
            report: segmenter.report.clone(),
        },
    )
}

fn load(run: &RunFolder, device: &Device) -> Result<Option<TrainedSegmenter>> {
    let (weights, description) = files(run);
    if !description.is_file() {
        return Ok(None);
    }
    let Saved { config, report } = read_json(&description)?;
    let parameters = Parameters::load(CompactSegmenter::specs(&config), &weights, device)?;
    Ok(Some(TrainedSegmenter {
        config,
        parameters,
        report,
    }))
}

/// Trains a segmenter. Cancelled, it starts anew when resumed: it takes seconds and the same seed gives the same weights.
fn teach(setting: Setting<'_>, cache: &PhotoCache, split: &RunSplit) -> Result<TrainedSegmenter> {
    let Setting {
        config,
        run,
        workers,
        device,
        progress,
        cancel,
    } = setting;
    let SegmenterConfig::Compact {
        steps,
        batch_size,
        learning_rate,
        max_seconds,
    } = config.segmenter
    else {
        return Err(Error::Config("segmenter.kind is not \"compact\"".to_owned()));
    };
    let shape = CompactConfig::for_classes(classes(cache, &split.train)?);
    let parameters = Parameters::initialise(CompactSegmenter::specs(&shape), config.seed, device)?;
    let network = CompactSegmenter::new(&shape, &parameters)?;
    let trained = |(name, var, decay): (&str, &candle_core::Var, bool)| Trained {
        name: name.to_owned(),
        var: var.clone(),
        rate: 1.0,
        decay,
    };
    let mut optimizer = AdamW::new(
        parameters.trainable().map(trained).collect(),
        OptimizerConfig {
            learning_rate,
            ..OptimizerConfig::default()
        },
    )?;
    let schedule = Schedule::WarmupCosine {
        warmup: 0.05,
        floor: 0.02,
    };

    let started = Instant::now();
    let per_epoch = sampling::steps_per_epoch(split.train.len(), batch_size);
    let mut order = Vec::new();
    let (mut done, mut last_losses) = (0u32, Vec::new());
    while done < steps {
        let spent = max_seconds.map_or(0.0, |s| started.elapsed().as_secs_f64() / s);
        if spent >= 1.0 {
            break;
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Segmenter.phrase(),
                run: run.root().to_path_buf(),
            });
        }
        let (epoch, step) = (done as usize / per_epoch, done as usize % per_epoch);
        if step == 0 {
            order = sampling::epoch_order(&split.train, config.seed ^ 0x5e6, epoch as u64);
        }
        let batch = sampling::batch(&order, batch_size, step);
        let fraction = (f64::from(done) / f64::from(steps)).max(spent);
        let loss = learn(
            &network,
            &mut optimizer,
            workers,
            cache,
            batch,
            learning_rate * schedule.factor(0, fraction),
        )?;
        if !loss.is_finite() {
            return Err(Error::Diverged {
                loss,
                step: u64::from(done),
                learning_rate,
            });
        }
        done += 1;
        last_losses.push(loss);
        let elapsed = started.elapsed().as_secs_f64();
        let fraction = (f64::from(done) / f64::from(steps)).max(spent);
        progress(&Progress {
            loss: Some(loss),
            images_per_second: Some(f64::from(done) * batch_size as f64 / elapsed),
            remaining_seconds: Some(elapsed / fraction - elapsed),
            ..Progress::counted(Stage::Segmenter, u64::from(done), u64::from(steps))
        });
    }
    let tail = &last_losses[last_losses.len() - last_losses.len().div_ceil(10)..];
    let loss = tail.iter().sum::<f32>() / tail.len() as f32;
    let mut segmenter = TrainedSegmenter {
        report: SegmenterReport {
            steps: done,
            classes: shape.classes.len(),
            photos: 0,
            pixel_accuracy: 0.0,
            mean_iou: 0.0,
            loss,
        },
        config: shape,
        parameters,
    };
    judge(&mut segmenter, cache, &split.validation, workers)?;
    tracing::info!(report = ?segmenter.report, "segmenter trained");
    Ok(segmenter)
}

/// The classes that occur in the maps of some training photos.
fn classes(cache: &PhotoCache, photos: &[usize]) -> Result<Vec<u8>> {
    let mut seen = [false; 256];
    let mut map = vec![0; cache.map_bytes()];
    for k in 0..photos.len().min(MAPS_FOR_CLASSES) {
        cache.read_map(
            photos[k * photos.len() / photos.len().min(MAPS_FOR_CLASSES)],
            &mut map,
        )?;
        map.iter().for_each(|id| seen[usize::from(*id)] = true);
    }
    Ok((0..UNLABELLED).filter(|id| seen[usize::from(*id)]).collect())
}

fn images(cache: &PhotoCache, photos: &[usize]) -> Result<Vec<RgbImage>> {
    photos.iter().map(|i| cache.image(*i)).collect()
}

fn learn(
    network: &CompactSegmenter,
    optimizer: &mut AdamW,
    workers: &Workers,
    cache: &PhotoCache,
    batch: &[usize],
    rate: f64,
) -> Result<f32> {
    let parts: Vec<(f32, GradStore)> = workers.map(|k| {
        let photos = &batch[workers.share(batch.len(), k)];
        let maps: Vec<GrayImage> = photos.iter().map(|i| cache.map(*i)).collect::<Result<_>>()?;
        let logits = network.forward(&network.prepare(&images(cache, photos)?)?)?;
        let weight = photos.len() as f64 / batch.len() as f64;
        let loss = (network.loss(&logits, &network.targets(&maps)?)? * weight)?;
        Ok((loss.to_scalar()?, loss.backward()?))
    })?;
    let stores: Vec<&GradStore> = parts.iter().map(|(_, store)| store).collect();
    let gradients = sum_gradients(optimizer, &stores)?;
    optimizer.step(&gradients, rate)?;
    Ok(parts.iter().map(|(loss, _)| loss).sum())
}

/// The same network without a graph.
fn frozen(segmenter: &TrainedSegmenter) -> Result<CompactSegmenter> {
    Ok(CompactSegmenter::new(
        &segmenter.config,
        &segmenter.parameters.clone().freeze(),
    )?)
}

fn segment(
    network: &CompactSegmenter,
    cache: &PhotoCache,
    photos: &[usize],
    workers: &Workers,
) -> Result<Vec<GrayImage>> {
    let parts = workers.map(|k| {
        let share = &photos[workers.share(photos.len(), k)];
        if share.is_empty() {
            Ok(Vec::new())
        } else {
            Ok(network.segment(&images(cache, share)?)?)
        }
    })?;
    let size = cache.size() as u32;
    let unlabelled = || GrayImage::from_pixel(size, size, image::Luma([UNLABELLED]));
    Ok(parts
        .into_iter()
        .flatten()
        .map(|map| map.unwrap_or_else(unlabelled))
        .collect())
}

/// Computes every photo's map into `state/maps.bin`.
fn draw(setting: Setting<'_>, segmenter: &TrainedSegmenter, cache: &PhotoCache) -> Result<()> {
    let Setting {
        run,
        workers,
        progress,
        cancel,
        ..
    } = setting;
    let network = frozen(segmenter)?;
    let mut file = tempfile::NamedTempFile::new_in(run.state())?;
    let photos: Vec<usize> = (0..cache.len()).collect();
    let started = Instant::now();
    let mut done = 0;
    for chunk in photos.chunks(CHUNK) {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Maps.phrase(),
                run: run.root().to_path_buf(),
            });
        }
        for map in segment(&network, cache, chunk, workers)? {
            file.write_all(map.as_raw())?;
        }
        done += chunk.len();
        let rate = done as f64 / started.elapsed().as_secs_f64();
        progress(&Progress {
            images_per_second: Some(rate),
            remaining_seconds: Some((photos.len() - done) as f64 / rate),
            ..Progress::counted(Stage::Maps, done as u64, photos.len() as u64)
        });
    }
    file.persist(run.state().join("maps.bin")).map_err(|e| e.error)?;
    Ok(())
}

/// Measures the segmenter on held-out photos that have a map.
fn judge(
    segmenter: &mut TrainedSegmenter,
    cache: &PhotoCache,
    photos: &[usize],
    workers: &Workers,
) -> Result<()> {
    let network = frozen(segmenter)?;
    let photos = &photos[..photos.len().min(JUDGED)];
    let mut tally = Tally::default();
    for chunk in photos.chunks(CHUNK) {
        let maps = segment(&network, cache, chunk, workers)?;
        let truths: Vec<GrayImage> = chunk.iter().map(|i| cache.map(*i)).collect::<Result<_>>()?;
        let each: Vec<Tally> = maps
            .par_iter()
            .zip(&truths)
            .map(|(map, truth)| Tally::of(map, truth))
            .collect();
        each.iter().for_each(|t| tally.add(t));
    }
    segmenter.report.photos = tally.photos;
    segmenter.report.pixel_accuracy = tally.pixel_accuracy();
    segmenter.report.mean_iou = tally.mean_iou();
    Ok(())
}

/// Pixels by class: said, true, and both.
#[derive(Debug, Clone)]
struct Tally {
    photos: usize,
    said: Vec<u64>,
    truly: Vec<u64>,
    both: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            photos: 0,
            said: vec![0; 256],
            truly: vec![0; 256],
            both: vec![0; 256],
        }
    }
}

impl Tally {
    fn of(map: &GrayImage, truth: &GrayImage) -> Self {
        let mut tally = Self::default();
        for (said, truly) in map
            .as_raw()
            .iter()
            .zip(truth.as_raw())
            .filter(|(_, t)| **t != UNLABELLED)
        {
            tally.said[usize::from(*said)] += 1;
            tally.truly[usize::from(*truly)] += 1;
            tally.both[usize::from(*truly)] += u64::from(said == truly);
        }
        tally.photos = usize::from(tally.truly.iter().any(|n| *n > 0));
        tally
    }

    fn add(&mut self, other: &Self) {
        self.photos += other.photos;
        for (mine, theirs) in [
            (&mut self.said, &other.said),
            (&mut self.truly, &other.truly),
            (&mut self.both, &other.both),
        ] {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        }
    }

    fn pixel_accuracy(&self) -> f64 {
        self.both.iter().sum::<u64>() as f64 / self.truly.iter().sum::<u64>().max(1) as f64
    }

    /// Over the classes that occur in the truth.
    fn mean_iou(&self) -> f64 {
        let present: Vec<usize> = (0..256).filter(|c| self.truly[*c] > 0).collect();
        let iou = |c: &usize| self.both[*c] as f64 / (self.said[*c] + self.truly[*c] - self.both[*c]) as f64;
        present.iter().map(iou).sum::<f64>() / present.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_and_iou_of_a_known_case() {
        let map = |ids: [u8; 4]| GrayImage::from_raw(2, 2, ids.to_vec()).unwrap_or_default();
        let mut tally = Tally::of(&map([2, 2, 1, 1]), &map([2, 1, 1, UNLABELLED]));
        tally.add(&Tally::of(&map([2, 2, 2, 2]), &map([UNLABELLED; 4])));
        assert_eq!(tally.photos, 1);
        assert!((tally.pixel_accuracy() - 2.0 / 3.0).abs() < 1e-12);
        assert!((tally.mean_iou() - 0.5).abs() < 1e-12);
    }
}
