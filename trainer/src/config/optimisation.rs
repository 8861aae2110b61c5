//! How a model is moved towards its data: optimiser, schedule, loss.

use serde::{Deserialize, Serialize};

/// AdamW (paper III-C: rate 1e-4, decay 1e-4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// The geographic embeddings' and temperatures' rate, as a multiple of `learning_rate`.
    pub location_rate: f64,
    /// Decoupled weight decay; norms, biases, positions, geographic embeddings and temperatures get none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 never.
    pub clip_norm: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of the exponential moving average of the weights, a step; 0 keeps none. With one, it is the average that is
    /// validated, kept as the best and saved as the checkpoint. 0.999 averages over about a thousand steps.
    pub ema_decay: f64,
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
            ema_decay: 0.0,
        }
    }
}

/// The learning rate over time, as a factor of its peak.
///
/// A `warmup` is the share of the budget during which the factor rises linearly from nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum Schedule {
    /// Halved after each epoch (paper III-C).
    HalvedEachEpoch,
    /// Multiplied by `factor` after every `epochs` epochs.
    Step {
        /// Epochs between two changes.
        epochs: u32,
        /// What each change multiplies with.
        factor: f64,
        /// Share of the budget that the warm-up takes.
        #[serde(default)]
        warmup: f64,
    },
    /// The peak throughout.
    Constant {
        /// Share of the budget that the warm-up takes.
        #[serde(default)]
        warmup: f64,
    },
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
    /// Haversine label smoothing (PIGEON): cells near the photo share its label, weighted by `exp(-(d - d0) / smoothing_km)` where d
    /// is the cell's distance from the photo and d0 that of the photo's own cell. Kilometres; 0 is off; PIGEON's own choice is 65.
    /// Needs `duplicates = "full-softmax"`.
    pub smoothing_km: f64,
    /// Temperatures are kept at or above this (CLIP: 0.01).
    pub temperature_min: f64,
    /// Temperatures are kept at or below this.
    pub temperature_max: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            duplicates: Duplicates::Masked,
            smoothing_km: 0.0,
            temperature_min: 0.01,
            temperature_max: 1.0,
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
