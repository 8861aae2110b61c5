//! Everything that a training run can be told, as TOML (`trainer/configs/` has the presets, documented).

use std::path::{Path, PathBuf};

use datasets::SplitConfig;
use geocells::PartitionConfig;
use models::{ModelConfig, Precision};
use serde::{Deserialize, Serialize};

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
    /// Photos a step.
    pub batch_size: usize,
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

/// A published CLIP vision tower to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainedConfig {
    /// Folder with `config.json`, `preprocessor_config.json` and the weights, in Hugging Face layout.
    pub directory: PathBuf,
    /// Number format of the tower's frozen part: half of f32's memory, and faster on a GPU. The checkpoint keeps f32.
    #[serde(default)]
    pub precision: Precision,
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

/// AdamW (paper III-C: rate 1e-4, decay 1e-4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// The geographic embeddings' and temperatures' rate, as a multiple of `learning_rate`.
    pub location_rate: f64,
    /// Decoupled weight decay; norms, biases and temperatures get none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 never.
    pub clip_norm: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            location_rate: 1.0,
            weight_decay: 1e-4,
            clip_norm: 1.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// The learning rate over time, as a factor of its peak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum Schedule {
    /// Halved after each epoch (paper III-C).
    HalvedEachEpoch,
    /// A linear warm-up, then half a cosine down to `floor` when the budget ends.
    WarmupCosine {
        /// Share of the budget that the warm-up takes.
        warmup: f64,
        /// The last factor.
        floor: f64,
    },
}

/// The contrastive loss (paper III-C).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// What the other photos of a photo's own geocell do in its denominator.
    pub duplicates: Duplicates,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            duplicates: Duplicates::Masked,
        }
    }
}

/// What stands in the denominator of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// The batch's locations without those of the photo's own geocell: they are no negatives.
    Masked,
    /// The batch's locations, as in plain InfoNCE.
    Kept,
    /// Every geocell of the level once: a softmax classifier.
    FullSoftmax,
}

/// Random changes of a training photo (and of its map alike) that keep its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentationConfig {
    /// Probability of a mirror image. Mirrored writing and traffic on the wrong side are rare cues: worth it for small datasets only.
    pub flip: f64,
    /// Largest shift in either direction, pixels of the model's input; the edge is repeated.
    pub shift: u32,
    /// Largest relative change of brightness, 0 to 1.
    pub brightness: f64,
}

impl Default for AugmentationConfig {
    fn default() -> Self {
        Self {
            flip: 0.0,
            shift: 0,
            brightness: 0.0,
        }
    }
}

/// Where segmentation maps come from, when learning and at query time alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum SegmenterConfig {
    /// The compact segmenter, trained first on the dataset's own maps; then every photo's map is computed with it,
    /// so that learning sees the maps that a query will have. A dataset without maps is learnt with `none`.
    Compact {
        /// Optimisation steps.
        steps: u32,
        /// Photos a step.
        batch_size: usize,
        /// Peak learning rate.
        learning_rate: f64,
        /// Seconds after which its training ends early.
        #[serde(default)]
        max_seconds: Option<f64>,
    },
    /// The dataset's maps as they are; a photo without one gets an unlabelled map.
    Precomputed,
    /// No maps.
    None,
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

const DEMO: &str = include_str!("../configs/demo.toml");
const PAPER: &str = include_str!("../configs/paper.toml");
const CLIP: &str = include_str!("../configs/clip.toml");

impl TrainingConfig {
    /// The demo: a small model that two cores train on the procedural planet in under two minutes (`configs/demo.toml`).
    pub fn demo() -> Self {
        toml::from_str(DEMO).expect("configs/demo.toml is checked by a test")
    }

    /// The paper's (III-C and IV): CLIP ViT-L/14-336, seven levels, batch 1,024 (`configs/paper.toml`).
    pub fn paper() -> Self {
        toml::from_str(PAPER).expect("configs/paper.toml is checked by a test")
    }

    /// The paper's model from published weights, for one GPU and a dataset of any size (`configs/clip.toml`).
    pub fn clip() -> Self {
        toml::from_str(CLIP).expect("configs/clip.toml is checked by a test")
    }

    /// Reads and validates a TOML file.
    ///
    /// # Errors
    /// A file that is absent, is not TOML, has unknown fields or impossible values.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        let config: Self = toml::from_str(&text).map_err(|source| Error::ConfigFile {
            path: path.to_path_buf(),
            source: Box::new(source),
        })?;
        config.validate()?;
        Ok(config)
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

    /// Refuses impossible values, naming the field.
    ///
    /// # Errors
    /// [`Error::Config`] or the model's own complaint.
    pub fn validate(&self) -> Result<()> {
        let require = |good: bool, what: &str| {
            if good {
                Ok(())
            } else {
                Err(Error::Config(what.to_owned()))
            }
        };
        require(
            self.batch_size >= 2,
            "batch_size must be at least 2: a contrast needs another photo",
        )?;
        require(self.budget.epochs >= 1, "budget.epochs must be at least 1")?;
        require(
            self.budget.max_samples != Some(0),
            "budget.max_samples must be positive; leave it out for no limit",
        )?;
        require(
            self.budget.max_seconds.is_none_or(|s| s.is_finite() && s > 0.0),
            "budget.max_seconds must be positive; leave it out for no limit",
        )?;
        let o = &self.optimizer;
        require(
            o.learning_rate.is_finite() && o.learning_rate > 0.0,
            "optimizer.learning_rate must be positive",
        )?;
        require(
            o.location_rate.is_finite() && o.location_rate > 0.0,
            "optimizer.location_rate must be positive",
        )?;
        require(
            (0.0..1.0).contains(&o.weight_decay),
            "optimizer.weight_decay must lie in [0, 1)",
        )?;
        require(
            o.clip_norm.is_finite() && o.clip_norm >= 0.0,
            "optimizer.clip_norm must be 0 (never) or positive",
        )?;
        require(
            (0.0..1.0).contains(&o.beta1) && (0.0..1.0).contains(&o.beta2),
            "optimizer.beta1 and beta2 must lie in [0, 1)",
        )?;
        require(o.epsilon > 0.0, "optimizer.epsilon must be positive")?;
        if let Schedule::WarmupCosine { warmup, floor } = self.schedule {
            require((0.0..1.0).contains(&warmup), "schedule.warmup must lie in [0, 1)")?;
            require((0.0..=1.0).contains(&floor), "schedule.floor must lie in [0, 1]")?;
        }
        let a = &self.augmentation;
        require(
            (0.0..=1.0).contains(&a.flip),
            "augmentation.flip must lie in [0, 1]",
        )?;
        require(
            (0.0..1.0).contains(&a.brightness),
            "augmentation.brightness must lie in [0, 1)",
        )?;
        require(
            (a.shift as usize) < self.model.image_size,
            "augmentation.shift must be smaller than model.image_size",
        )?;
        let f = self.split.validation_fraction;
        require(f > 0.0 && f < 1.0, "split.validation_fraction must lie in (0, 1)")?;
        if let SegmenterConfig::Compact {
            steps,
            batch_size,
            learning_rate,
            ..
        } = self.segmenter
        {
            require(
                steps >= 1 && batch_size >= 1,
                "segmenter.steps and segmenter.batch_size must be at least 1",
            )?;
            require(learning_rate > 0.0, "segmenter.learning_rate must be positive")?;
        }
        self.model.validate()?;
        if let Some(pretrained) = &self.pretrained {
            require(
                !pretrained.directory.as_os_str().is_empty(),
                "pretrained.directory is empty; name the folder of a published CLIP model, or leave [pretrained] out",
            )?;
            require(
                pretrained.precision == Precision::F32 || !self.model.trains_whole_tower(),
                "pretrained.precision is for the frozen part of the tower, and model.vision.trainable_blocks leaves none; use f32",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configurations_are_usable_and_survive_toml() {
        for config in [
            TrainingConfig::demo(),
            TrainingConfig::paper(),
            TrainingConfig::clip(),
        ] {
            config.validate().unwrap();
            let text = config.to_toml().unwrap();
            assert_eq!(toml::from_str::<TrainingConfig>(&text).unwrap(), config);
        }
        assert_eq!(TrainingConfig::paper().model, TrainingConfig::clip().model);
        assert_eq!(TrainingConfig::paper().pretrained, None);
    }

    #[test]
    fn a_start_from_published_weights_must_make_sense() {
        let refused = |change: fn(&mut TrainingConfig)| {
            let mut config = TrainingConfig::clip();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        let said = refused(|config| {
            if let Some(pretrained) = &mut config.pretrained {
                pretrained.directory = PathBuf::new();
            }
        });
        assert!(said.contains("pretrained.directory"), "{said}");
        let said = refused(|config| config.model.vision.trainable_blocks = 24);
        assert!(said.contains("pretrained.precision"), "{said}");
        let text = TrainingConfig::clip().to_toml().unwrap();
        let said = toml::from_str::<TrainingConfig>(&text.replace("\"bf16\"", "\"int8\""))
            .unwrap_err()
            .to_string();
        assert!(said.contains("int8"), "{said}");
    }
}
