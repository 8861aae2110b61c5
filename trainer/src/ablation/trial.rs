//! One training and what can be read off it.

use geocells::{Accuracy, Kilometres};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::{Result, TrainingConfig};

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Method {
    /// Geographic embeddings, as the configuration says.
    Ours,
    /// A softmax classifier with the same tower and fusion.
    Classifier {
        /// What it classifies into.
        levels: Levels,
        /// Great-circle smoothing of its targets, km.
        smoothing_km: Option<f64>,
    },
    /// A gallery of coordinates with random Fourier features.
    GpsGallery,
}

/// The levels of a classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// The finest alone.
    Finest,
    /// All of them.
    All,
}

/// What can be read off a training.
pub mod reading {
    /// The method's own answer.
    pub const ANSWER: &str = "answer";
    /// Ours with the product of (1 + cosine) / 2 along the path.
    pub const COSINE: &str = "cosine";
    /// Ours with the finest level's own table.
    pub const FINEST: &str = "finest";
    /// Ours with unlabelled maps at query time.
    pub const NO_MAPS: &str = "no-maps";
    /// A classifier's features with kernel density over the training photos.
    pub const DENSITY: &str = "density";
    /// A classifier's cells refined by clusters of training photos.
    pub const CLUSTERS: &str = "clusters";
}

/// A training: a method and everything that decides it, its seed included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The method.
    pub method: Method,
    /// The configuration.
    pub config: TrainingConfig,
}

impl Trial {
    /// The same with another seed. The photos held out stay the same.
    pub fn with_seed(&self, seed: u64) -> Self {
        let mut trial = self.clone();
        trial.config.seed = seed;
        trial
    }

    /// A name made of everything that decides the outcome but the dataset. 16 hexadecimal digits.
    ///
    /// # Errors
    /// A configuration that TOML cannot hold.
    pub fn key(&self) -> Result<String> {
        let mut hash = sha2::Sha256::new();
        hash.update(self.config.to_toml()?);
        hash.update(format!("{:?}", self.method));
        Ok(format!("{:x}", hash.finalize())[..16].to_owned())
    }

    /// In words, for people who wait.
    pub fn describe(&self) -> String {
        let method = match self.method {
            Method::Ours => "geographic embeddings",
            Method::Classifier {
                smoothing_km: Some(_),
                ..
            } => "smoothed classifier",
            Method::Classifier {
                levels: Levels::Finest,
                ..
            } => "flat classifier",
            Method::Classifier { .. } => "classifier of every level",
            Method::GpsGallery => "gallery of coordinates",
        };
        format!(
            "{method}, {} levels, {} fusion blocks, seed {}",
            self.config.partition.t_max.len(),
            self.config.model.fusion.blocks,
            self.config.seed
        )
    }
}

/// What one reading of a training came to on the test photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Accuracy.
    pub accuracy: Accuracy,
    /// Every test photo's error in km, in the order of the test photos: what rows are compared by.
    pub errors_km: Vec<f64>,
    /// Expected calibration error at the five thresholds, where the method states probabilities.
    pub calibration_error: Option<[f64; 5]>,
    /// Share of the truths inside their 90 % region, where the method makes one.
    pub region_coverage: Option<f64>,
    /// Geocells a level.
    pub cells: Vec<usize>,
    /// What was chosen on validation photos, in words.
    pub setting: Option<String>,
    /// Photos seen.
    pub samples: u64,
    /// Seconds of learning.
    pub learning_seconds: f64,
    /// Seconds of the whole trial.
    pub seconds: f64,
}

impl Outcome {
    /// From errors alone.
    ///
    /// # Errors
    /// No test photo.
    pub fn of_errors(errors: &[Kilometres]) -> Result<Self> {
        Ok(Self {
            accuracy: Accuracy::from_errors(errors)?,
            // Metres are enough, and keep the files small.
            errors_km: errors
                .iter()
                .map(|e| (e.get() * 1_000.0).round() / 1_000.0)
                .collect(),
            calibration_error: None,
            region_coverage: None,
            cells: Vec::new(),
            setting: None,
            samples: 0,
            learning_seconds: 0.0,
            seconds: 0.0,
        })
    }
}
