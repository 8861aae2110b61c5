//! What a configuration must hold to make sense.

use models::{Head, Precision};

use super::{Duplicates, EpochOrder, PhotoAccess, Schedule, SegmenterConfig, TrainingConfig};
use crate::{Error, Result};

fn require(good: bool, what: &str) -> Result<()> {
    if good {
        Ok(())
    } else {
        Err(Error::Config(what.to_owned()))
    }
}

impl TrainingConfig {
    /// Refuses impossible values, naming the field.
    ///
    /// # Errors
    /// [`Error::Config`] or the model's own complaint.
    pub fn validate(&self) -> Result<()> {
        self.check_budget()?;
        self.check_optimisation()?;
        self.check_loss()?;
        self.check_material()?;
        self.check_keeping()?;
        self.model.validate()?;
        self.check_tower()
    }

    fn check_budget(&self) -> Result<()> {
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
        )
    }

    fn check_optimisation(&self) -> Result<()> {
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
        require(
            (0.0..1.0).contains(&o.ema_decay),
            "optimizer.ema_decay must lie in [0, 1); 0 keeps no average",
        )?;
        let share = |warmup: f64| require((0.0..1.0).contains(&warmup), "schedule.warmup must lie in [0, 1)");
        match self.schedule {
            Schedule::HalvedEachEpoch => Ok(()),
            Schedule::Constant { warmup } => share(warmup),
            Schedule::Step {
                epochs,
                factor,
                warmup,
            } => {
                share(warmup)?;
                require(epochs >= 1, "schedule.epochs must be at least 1")?;
                require(
                    factor > 0.0 && factor <= 1.0,
                    "schedule.factor must lie in (0, 1]",
                )
            }
            Schedule::WarmupCosine { warmup, floor } => {
                share(warmup)?;
                require((0.0..=1.0).contains(&floor), "schedule.floor must lie in [0, 1]")
            }
        }
    }

    fn check_loss(&self) -> Result<()> {
        let l = &self.loss;
        let softmax = l.duplicates == Duplicates::FullSoftmax;
        require(
            l.smoothing_km.is_finite() && l.smoothing_km >= 0.0,
            "loss.smoothing_km must be 0 (off) or positive",
        )?;
        require(
            l.smoothing_km == 0.0 || softmax,
            "loss.smoothing_km shares a label between the cells of a level, which only loss.duplicates = \"full-softmax\" scores",
        )?;
        require(
            self.model.head == Head::Embeddings || softmax,
            "model.head = \"classifier\" is trained by loss.duplicates = \"full-softmax\"",
        )?;
        require(
            l.temperature_min > 0.0
                && l.temperature_min <= l.temperature_max
                && l.temperature_max.is_finite(),
            "loss.temperature_min and temperature_max must be positive and in order",
        )?;
        require(
            (l.temperature_min..=l.temperature_max).contains(&self.model.temperature),
            "model.temperature must lie between loss.temperature_min and loss.temperature_max",
        )
    }

    fn check_material(&self) -> Result<()> {
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
        let d = &self.data;
        require(
            d.order == EpochOrder::Shuffled || d.shard_window >= 1,
            "data.shard_window must be at least 1",
        )?;
        require(d.token_shard >= 1, "data.token_shard must be at least 1")?;
        if d.token_cache {
            require(
                !self.model.trains_whole_tower(),
                "data.token_cache stores what frozen blocks put out, and model.vision.trainable_blocks leaves none frozen",
            )?;
            require(
                *a == super::AugmentationConfig::NONE,
                "data.token_cache stores a photo's tokens once, so [augmentation] cannot change the photo; leave it out",
            )?;
        }
        let SegmenterConfig::Compact {
            steps,
            batch_size,
            learning_rate,
            ..
        } = self.segmenter
        else {
            return Ok(());
        };
        require(
            d.photos == PhotoAccess::Decoded,
            "segmenter.kind = \"compact\" needs data.photos = \"decoded\"; with streamed photos take \"precomputed\" maps or \"none\"",
        )?;
        require(
            steps >= 1 && batch_size >= 1,
            "segmenter.steps and segmenter.batch_size must be at least 1",
        )?;
        require(learning_rate > 0.0, "segmenter.learning_rate must be positive")
    }

    fn check_keeping(&self) -> Result<()> {
        require(
            self.states.every_seconds > 0.0,
            "states.every_seconds must be positive",
        )?;
        require(self.states.keep >= 1, "states.keep must be at least 1")?;
        require(self.log.every_steps >= 1, "log.every_steps must be at least 1")
    }

    fn check_tower(&self) -> Result<()> {
        let Some(pretrained) = &self.pretrained else {
            return Ok(());
        };
        require(
            !pretrained.directory.as_os_str().is_empty(),
            "pretrained.directory is empty; name the folder of a published CLIP model, or leave [pretrained] out",
        )?;
        require(
            pretrained.precision == Precision::F32 || !self.model.trains_whole_tower(),
            "pretrained.precision is for the frozen part of the tower, and model.vision.trainable_blocks leaves none; use f32",
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::path::{Path, PathBuf};

    use super::super::SHIPPED;
    use super::*;

    #[test]
    fn the_shipped_configurations_are_usable_and_survive_toml() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        for (name, text) in SHIPPED {
            let file = folder.join(format!("{name}.toml"));
            let config = TrainingConfig::read(&file).unwrap();
            assert_eq!(fs_err::read_to_string(&file).unwrap(), text);
            let text = config.to_toml().unwrap();
            assert_eq!(toml::from_str::<TrainingConfig>(&text).unwrap(), config);
        }
        let files = fs_err::read_dir(folder).unwrap().count();
        assert_eq!(files, SHIPPED.len(), "every file of configs/ is shipped");
    }

    #[test]
    fn the_paper_scale_configuration_is_the_papers() {
        let config = TrainingConfig::paper();
        assert_eq!(config.model, models::ModelConfig::paper());
        assert_eq!(config.model, TrainingConfig::single_gpu().model);
        assert_eq!((config.batch_size, config.budget.early_stop_patience), (1024, 4));
        assert_eq!(config.schedule, Schedule::HalvedEachEpoch);
        assert_eq!(
            (config.optimizer.learning_rate, config.optimizer.weight_decay),
            (1e-4, 1e-4)
        );
        assert_eq!(
            config.partition.t_max,
            [25_000, 10_000, 5_000, 2_000, 1_000, 750, 500]
        );
        assert_eq!(config.partition.t_min, 50);
    }

    #[test]
    fn a_key_that_nothing_reads_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let demo = SHIPPED[0].1;
        for (from, to, key) in [
            ("batch_size = 64 ", "batch_sise = 64 ", "batch_sise"),
            ("beta1 = 0.9", "beta = 0.9", "beta"),
            (
                "kind = \"warmup-cosine\"",
                "kind = \"halved-each-epoch\"",
                "schedule.floor",
            ),
            (
                "image_size = 64",
                "image_size = 64\nimage_sise = 64",
                "image_sise",
            ),
        ] {
            let demo = demo.replace("clip_norm = 1.0", "clip_norm = 1.0\nbeta1 = 0.9");
            let text = demo.replacen(from, to, 1);
            assert_ne!(text, demo, "{from}");
            fs_err::write(&path, text).unwrap();
            let said = TrainingConfig::read(&path).unwrap_err();
            let source = std::error::Error::source(&said).map_or(String::new(), ToString::to_string);
            assert!(format!("{said} {source}").contains(key), "{key}: {said}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let refused = |change: fn(&mut TrainingConfig), word: &str| {
            let mut config = TrainingConfig::single_gpu();
            change(&mut config);
            let said = config.validate().unwrap_err().to_string();
            assert!(said.contains(word), "{word}: {said}");
        };
        refused(|c| c.loss.smoothing_km = 65.0, "loss.smoothing_km");
        refused(|c| c.model.head = Head::Classifier, "model.head");
        refused(|c| c.model.temperature = 2.0, "model.temperature");
        refused(|c| c.optimizer.ema_decay = 1.0, "ema_decay");
        refused(|c| c.states.keep = 0, "states.keep");
        refused(
            |c| {
                c.data.token_cache = true;
                c.augmentation.flip = 0.5;
            },
            "augmentation",
        );
        refused(
            |c| {
                c.data.token_cache = true;
                c.model.vision.trainable_blocks = 24;
            },
            "token_cache",
        );
        refused(
            |c| {
                c.data.photos = PhotoAccess::Streamed;
                c.segmenter = TrainingConfig::demo().segmenter;
            },
            "data.photos",
        );
    }

    #[test]
    fn a_start_from_published_weights_must_make_sense() {
        let refused = |change: fn(&mut TrainingConfig)| {
            let mut config = TrainingConfig::single_gpu();
            config.data.token_cache = false;
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
        let text = TrainingConfig::single_gpu().to_toml().unwrap();
        let said = toml::from_str::<TrainingConfig>(&text.replace("\"bf16\"", "\"int8\""))
            .unwrap_err()
            .to_string();
        assert!(said.contains("int8"), "{said}");
    }

    #[test]
    fn budget_and_logs_may_change_when_a_run_goes_on() {
        let config = TrainingConfig::demo();
        let mut other = config.clone();
        other.budget.epochs += 1;
        other.log.html = false;
        other.states.keep = 9;
        other.data.prefetch = 0;
        assert!(config.learns_like(&other));
        other.loss.temperature_min = 0.02;
        assert!(!config.learns_like(&other));
    }
}
