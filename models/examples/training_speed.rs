//! Forward and backward passes of the demo model a second: `training_speed [batch] [steps]`.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use geosurge_models::ops::cross_entropy;
use geosurge_models::{CLASSES, Device, Labels, Model, ModelConfig, Parameters};
use image::{GrayImage, Luma, Rgb, RgbImage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CELLS: [usize; 7] = [12, 20, 40, 80, 160, 300, 500];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<usize>().ok());
    let (batch, steps) = (arguments.next().unwrap_or(128), arguments.next().unwrap_or(8));
    let config = ModelConfig::demo();
    let parameters = Parameters::initialise(Model::specs(&config, &CELLS), 1, &Device::Cpu)?;
    let model = Model::new(&config, CELLS.len(), &parameters)?;
    let preprocessor = geosurge_models::Preprocessor::new(&config);
    let side = config.image_size as u32;
    let photos: Vec<_> = (0..batch as u32)
        .map(|shade| {
            RgbImage::from_fn(side, side, |x, y| {
                Rgb([(x * shade) as u8, (y * 3) as u8, (x ^ y) as u8])
            })
        })
        .collect();
    let maps: Vec<_> = (0..batch as u32)
        .map(|shift| {
            GrayImage::from_fn(side, side, |x, y| {
                Luma([((x / 9 + y / 7 + shift) % CLASSES as u32) as u8])
            })
        })
        .collect();
    let labels = Labels::from_images(&maps)?;
    let targets: Vec<u32> = (0..batch as u32).collect();
    println!(
        "{} parameters, batch {batch}, {} threads",
        parameters.count(),
        rayon::current_num_threads()
    );
    for step in 0..steps {
        let started = Instant::now();
        let pixels = preprocessor.to_tensor(&photos, &Device::Cpu)?;
        let embedding = model.visual.forward(&pixels, Some(&labels))?;
        let mut loss = embedding.sum_all()?.affine(0.0, 0.0)?;
        for (level, cells) in CELLS.iter().enumerate() {
            let rows: Vec<u32> = targets.iter().map(|target| target % *cells as u32).collect();
            let logits = embedding.matmul(&model.geographic.all(level)?.t()?)?;
            let logits = logits.broadcast_div(&model.geographic.log_temperature(level).exp()?)?;
            loss = (loss + cross_entropy(&logits, &rows)?)?;
        }
        let forward = started.elapsed();
        let gradients = loss.backward()?;
        let missing = parameters
            .trainable()
            .filter(|(_, var, _)| gradients.get(var).is_none())
            .count();
        let total = started.elapsed();
        println!(
            "step {step}: forward {:>5.0} ms, all {:>5.0} ms, {:>4.0} photos/s, {missing} parameters without gradient",
            forward.as_secs_f64() * 1e3,
            total.as_secs_f64() * 1e3,
            batch as f64 / total.as_secs_f64()
        );
    }
    Ok(())
}
