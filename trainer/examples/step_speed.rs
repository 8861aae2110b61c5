//! Whole training steps of the demo's model on given photographs, for `benches/beside_pytorch.py`: `step_speed DIR BATCH THREADS`.
//!
//! Writes weights, photographs, maps and geocells into DIR, then reads a number of steps from each line of its input, does them, and answers
//! with the seconds and the losses.
#![allow(clippy::print_stdout, reason = "a program that another one talks to")]

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use geocells::{Hierarchy, LatLng, PartitionConfig};
use geosurge_trainer::augmentation::Change;
use geosurge_trainer::config::Duplicates;
use geosurge_trainer::inputs::{Inputs, Source};
use geosurge_trainer::labels::CellLabels;
use geosurge_trainer::model::LearningModel;
use geosurge_trainer::parallel::Workers;
use geosurge_trainer::photos::{Photos, View};
use geosurge_trainer::replicas::{Pupil, Rate, Replicas};
use geosurge_trainer::step::Lesson;
use geosurge_trainer::{Result, TrainingConfig, sampling};
use image::{GrayImage, Luma, Rgb, RgbImage};
use rand::Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Anything = std::result::Result<(), Box<dyn std::error::Error>>;

const PHOTOS: usize = 512;

/// Photographs of noise with maps of stripes, in memory.
#[derive(Debug)]
struct Noise(Vec<(RgbImage, GrayImage)>);

impl Noise {
    fn new(side: u32) -> Self {
        let mut rng = sampling::generator(1, "noise", 0);
        let photo = |k: usize| {
            let image = RgbImage::from_fn(side, side, |_, _| Rgb(rng.random()));
            let map = GrayImage::from_fn(side, side, |x, y| {
                Luma([((x / 9 + y / 7 + k as u32) % 150) as u8])
            });
            (image, map)
        };
        Self((0..PHOTOS).map(photo).collect())
    }
}

impl Photos for Noise {
    fn len(&self) -> usize {
        PHOTOS
    }

    fn size(&self) -> usize {
        self.0[0].0.width() as usize
    }

    fn read(&self, index: usize, with_map: bool) -> Result<View> {
        let (image, map) = &self.0[index];
        Ok(View {
            image: image.clone(),
            map: with_map.then(|| map.clone()),
        })
    }
}

fn main() -> Anything {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, batch, threads] = arguments.as_slice() else {
        return Err("usage: step_speed DIR BATCH THREADS".into());
    };
    let (batch, threads) = (batch.parse::<usize>()?, threads.parse::<usize>()?);
    let mut config = TrainingConfig::demo();
    config.batch_size = batch;
    let photos = Noise::new(config.model.image_size as u32);
    let mut rng = sampling::generator(1, "places", 0);
    let places = (0..PHOTOS)
        .map(|_| LatLng::new(rng.random_range(-60.0..70.0), rng.random_range(-180.0..180.0)))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let partition = PartitionConfig {
        t_min: 0,
        t_max: vec![200, 100, 50, 25, 12, 6, 3],
        ..PartitionConfig::default()
    };
    let hierarchy = Hierarchy::build(&places, &partition)?;
    let labels = CellLabels::new(&hierarchy, &places);
    let model = LearningModel::new(&config.model, &hierarchy, 1, &Device::Cpu, true)?;
    export(Path::new(folder), &model, &photos, &labels)?;

    let workers = Workers::new(threads, &Device::Cpu)?;
    let mut pupil = Pupil::new(model, &config)?;
    let mut group = Replicas::new(&pupil, &config, &[], |_| unreachable!("no further device"))?;
    let source = Source {
        photos: &photos,
        tokens: None,
        maps: true,
    };
    let mut step = 0u64;
    for line in std::io::stdin().lock().lines() {
        let count: usize = line?.trim().parse()?;
        let mut losses = Vec::new();
        let started = Instant::now();
        for _ in 0..count {
            let chosen = (0..batch).map(|k| ((step as usize * batch + k) % PHOTOS, Change::NONE));
            let inputs = Inputs::read(source, &chosen.collect::<Vec<_>>())?;
            step += 1;
            let rate = Rate {
                step,
                learning_rate: 1e-3,
            };
            let lesson = Lesson::new(&photos, &labels, Duplicates::Masked);
            losses.push(
                group
                    .step(&mut pupil, &config, &workers, lesson, &inputs, rate)?
                    .loss,
            );
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("{}", serde_json::json!({"seconds": seconds, "losses": losses}));
    }
    Ok(())
}

fn export(folder: &Path, model: &LearningModel, photos: &Noise, labels: &CellLabels) -> Anything {
    let side = photos.size();
    let mut tensors: HashMap<String, Tensor> = model
        .parameters()
        .trainable()
        .map(|(name, var, _)| (name.to_owned(), var.as_detached_tensor()))
        .collect();
    let images: Vec<u8> = photos
        .0
        .iter()
        .flat_map(|(image, _)| image.as_raw().clone())
        .collect();
    let maps: Vec<u8> = photos
        .0
        .iter()
        .flat_map(|(_, map)| map.as_raw().clone())
        .collect();
    tensors.insert(
        "images".to_owned(),
        Tensor::from_vec(images, (PHOTOS, side, side, 3), &Device::Cpu)?,
    );
    tensors.insert(
        "maps".to_owned(),
        Tensor::from_vec(maps, (PHOTOS, side, side), &Device::Cpu)?,
    );
    for level in 0..labels.depth() {
        let cells: Vec<i64> = labels
            .level(level)
            .iter()
            .map(|c| c.map_or(-1, i64::from))
            .collect();
        tensors.insert(
            format!("cells.{level}"),
            Tensor::new(cells.as_slice(), &Device::Cpu)?,
        );
    }
    candle_core::safetensors::save(&tensors, folder.join("world.safetensors"))?;
    Ok(())
}
