//! A tiny planet and a tiny model.
#![allow(clippy::unwrap_used, dead_code, reason = "tests")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use datasets::Dataset;
use geosurge_trainer::config::{Budget, Duplicates, SegmenterConfig};
use geosurge_trainer::{Progress, Result, RunFolder, TrainingConfig, TrainingOptions, TrainingReport, train};

/// Photos of 32 px of a planet with few cities.
pub fn planet(folder: &Path, photos: usize) -> Dataset {
    let config = planet::PlanetConfig {
        photos,
        size: 32,
        cities: 6,
        difficulty: 0.0,
        rural: 0.0,
        ..planet::PlanetConfig::default()
    };
    planet::write_dataset(&config, folder, &|_| ()).unwrap()
}

/// A model that trains in a second or two.
pub fn config() -> TrainingConfig {
    let mut config = TrainingConfig::demo();
    config.threads = 1;
    config.batch_size = 32;
    config.budget = Budget {
        epochs: 3,
        max_samples: None,
        max_seconds: None,
        early_stop_patience: 0,
    };
    config.partition.t_min = 3;
    config.partition.t_max = vec![150, 60, 30];
    config.loss.duplicates = Duplicates::Masked;
    config.split.validation_fraction = 0.2;
    config.segmenter = SegmenterConfig::Compact {
        steps: 12,
        batch_size: 16,
        learning_rate: 3e-3,
        max_seconds: None,
    };
    config.optimizer.learning_rate = 3e-3;
    config.model.image_size = 32;
    config.model.vision.width = 32;
    config.model.vision.layers = 2;
    config.model.vision.trainable_blocks = 2;
    config.model.vision.intermediate = 64;
    config.model.fusion.blocks = 1;
    config.model.fusion.segmentation_width = 16;
    config.model.fusion.latent = 16;
    config.model.fusion.intermediate = 32;
    config.model.embedding = 32;
    config
}

pub fn options(folder: &Path, resume: bool) -> TrainingOptions {
    TrainingOptions {
        resume,
        revision: Some("0123abc".to_owned()),
        ..TrainingOptions::new(folder.join("cache"), Device::Cpu)
    }
}

/// Trains in `folder`/`name`.
pub fn run(
    dataset: &Dataset,
    config: &TrainingConfig,
    folder: &Path,
    name: &str,
    resume: bool,
) -> Result<TrainingReport> {
    run_with(
        dataset,
        config,
        folder,
        name,
        resume,
        &|_| (),
        &AtomicBool::new(false),
    )
}

pub fn run_with(
    dataset: &Dataset,
    config: &TrainingConfig,
    folder: &Path,
    name: &str,
    resume: bool,
    progress: &(dyn Fn(&Progress) + Sync),
    cancel: &AtomicBool,
) -> Result<TrainingReport> {
    train(
        dataset,
        config,
        &RunFolder::new(folder.join(name)),
        &options(folder, resume),
        progress,
        cancel,
    )
}

/// The losses of a run in `folder`/`name`, a line of its log each.
pub fn losses(folder: &Path, name: &str) -> Vec<f64> {
    let text = fs_err::read_to_string(RunFolder::new(folder.join(name)).metrics()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["kind"] == "step")
        .map(|line| line["loss"].as_f64().unwrap())
        .collect()
}
