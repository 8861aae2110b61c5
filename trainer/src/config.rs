//! Everything that a training run can be told, as TOML (`configs/` has the shipped ones, documented; `docs/training.md` every key).

mod check;
mod keeping;
mod material;
mod optimisation;
mod strict;

use std::path::Path;

use datasets::SplitConfig;
use geocells::PartitionConfig;
use models::ModelConfig;
use serde::{Deserialize, Serialize};

pub use keeping::{LogConfig, StatesConfig};
pub use material::{
    AugmentationConfig, DataConfig, EpochOrder, PhotoAccess, PretrainedConfig, SegmenterConfig,
};
pub use optimisation::{Duplicates, LossConfig, OptimizerConfig, Schedule};

use crate::{Error, Result};

/// A training run: the model, what it learns from and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of initial weights, shuffling, augmentation and splits.
    #[serde(default)]
    pub seed: u64,
    /// Threads that a step is shared between; 0 means as many as the machine has cores.
    /// The arithmetic of a run depends on this number: resume with the same one.
    #[serde(default)]
    pub threads: usize,
    /// Photos a step: the effective batch, over all micro-batches and devices.
    pub batch_size: usize,
    /// Photos that go through the networks at a time, on each device and thread; 0 means all of its share. A smaller
    /// number needs less memory and a second pass through the trained part. The gradient is that of the whole batch.
    #[serde(default)]
    pub micro_batch: usize,
    /// When to stop.
    pub budget: Budget,
    /// The optimiser.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// The contrastive loss.
    #[serde(default)]
    pub loss: LossConfig,
    /// Changes of a photo that keep its place.
    #[serde(default)]
    pub augmentation: AugmentationConfig,
    /// How photos come to the networks.
    #[serde(default)]
    pub data: DataConfig,
    /// The states that a run is resumed from.
    #[serde(default)]
    pub states: StatesConfig,
    /// What people read.
    #[serde(default)]
    pub log: LogConfig,
    /// Which photos are held out for validation.
    #[serde(default = "default_split")]
    pub split: SplitConfig,
    /// At most so many of the held-out photos are used for the validation of an epoch; 0 means all.
    #[serde(default = "default_validation_photos")]
    pub validation_photos: usize,
    /// Where segmentation maps come from.
    pub segmenter: SegmenterConfig,
    /// The geocells.
    #[serde(default)]
    pub partition: PartitionConfig,
    /// Published weights that the vision tower starts from; without, every weight is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<PretrainedConfig>,
    /// The networks. With `pretrained`, shape and normalisation of the tower must be the published ones.
    pub model: ModelConfig,
}

/// When a run ends: at the first of its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Passes over the training photos.
    pub epochs: u32,
    /// Photos seen, counted over all epochs.
    #[serde(default)]
    pub max_samples: Option<u64>,
    /// Seconds of contrastive learning (validation included), summed over resumed runs.
    /// Being a clock, it is the one limit that makes two runs differ.
    #[serde(default)]
    pub max_seconds: Option<f64>,
    /// Epochs without a better validation score after which learning ends (paper: 4); 0 never.
    #[serde(default = "default_patience")]
    pub early_stop_patience: u32,
}

fn default_split() -> SplitConfig {
    SplitConfig {
        validation_fraction: 0.01,
        ..SplitConfig::default()
    }
}

fn default_validation_photos() -> usize {
    2_000
}

fn default_patience() -> u32 {
    4
}

/// The shipped configurations: name, and text of `configs/NAME.toml`.
pub const SHIPPED: [(&str, &str); 4] = [
    ("demo", include_str!("../../configs/demo.toml")),
    ("laptop", include_str!("../../configs/laptop.toml")),
    ("single-gpu", include_str!("../../configs/single-gpu.toml")),
    ("geosurge-mp16", include_str!("../../configs/geosurge-mp16.toml")),
];

impl TrainingConfig {
    /// The shipped configuration of this name, if there is one.
    pub fn shipped(name: &str) -> Option<Self> {
        let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
        Some(toml::from_str(text).expect("the shipped configurations are checked by a test"))
    }

    /// The demo: a small model that two cores train on the procedural planet in under two minutes (`configs/demo.toml`).
    pub fn demo() -> Self {
        Self::shipped("demo").expect("it is in the list")
    }

    /// The paper's (III-C and IV): CLIP ViT-L/14-336, seven levels, batch 1,024 (`configs/geosurge-mp16.toml`).
    pub fn paper() -> Self {
        Self::shipped("geosurge-mp16").expect("it is in the list")
    }

    /// The paper's model for one GPU and a dataset of any size (`configs/single-gpu.toml`).
    pub fn single_gpu() -> Self {
        Self::shipped("single-gpu").expect("it is in the list")
    }

    /// Reads and validates a TOML file.
    ///
    /// # Errors
    /// A file that is absent, is not TOML, has unknown keys or impossible values.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        let config: Self = toml::from_str(&text).map_err(|source| Error::ConfigFile {
            path: path.to_path_buf(),
            source: Box::new(source),
        })?;
        if let Some(key) = strict::unknown_key(&text, &config.to_toml()?) {
            return Err(Error::Config(format!(
                "{} sets {key}, which does not exist or has no meaning beside what else is set; docs/training.md lists every key",
                path.display()
            )));
        }
        config.validate()?;
        Ok(config)
    }

    /// Whether a run of `other` could go on with this one: all is equal but the budget, and what is kept and shown.
    pub fn learns_like(&self, other: &Self) -> bool {
        self.learning_part() == other.learning_part()
    }

    /// The configuration with everything set to one value that may change when a run is resumed.
    pub(crate) fn learning_part(&self) -> Self {
        let standard = DataConfig::default();
        Self {
            budget: Budget {
                epochs: 1,
                max_samples: None,
                max_seconds: None,
                early_stop_patience: 0,
            },
            states: StatesConfig::default(),
            log: LogConfig::default(),
            data: DataConfig {
                prefetch: standard.prefetch,
                token_verify: standard.token_verify,
                ..self.data.clone()
            },
            ..self.clone()
        }
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::Config(format!("cannot be written as TOML: {e}")))
    }

    /// Threads that a step is shared between: `threads`, or the machine's cores.
    pub fn resolved_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        }
    }
}
