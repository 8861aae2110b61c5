//! The task that conditions the queries.

use candle_core::{Device, Tensor};

use super::config::OneFormerConfig;
use crate::ops::Projection;
use crate::weights::PublishedWeights;
use crate::{Activation, ParameterSpec, Result};

/// "the task is semantic" as CLIP's published byte-pair tokeniser encodes it, with its start and end. It is the only task
/// that is asked, so the tokeniser itself is not needed.
pub(super) const TASK: [f32; 7] = [49406.0, 518.0, 10549.0, 533.0, 29119.0, 1550.0, 49407.0];

/// The MLP that makes the task token out of the ids of the task's tokens, taken as numbers.
#[derive(Clone, Debug)]
pub struct TaskEncoder {
    layers: [Projection; 2],
    length: usize,
}

const LAYERS: [&str; 2] = [
    "model.task_encoder.task_mlp.layers.0.0",
    "model.task_encoder.task_mlp.layers.1.0",
];

impl TaskEncoder {
    /// The tensors that it needs.
    #[must_use]
    pub fn specs(config: &OneFormerConfig) -> Vec<ParameterSpec> {
        let width = config.hidden_dim;
        [
            ParameterSpec::linear(LAYERS[0], config.task_seq_len, width),
            ParameterSpec::linear(LAYERS[1], width, width),
        ]
        .concat()
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn new(config: &OneFormerConfig, weights: &PublishedWeights, device: &Device) -> Result<Self> {
        let parameters = weights.read(Self::specs(config), device)?;
        let layer = |index: usize| Projection::new(&parameters, LAYERS[index]);
        Ok(Self {
            layers: [layer(0)?.then(Activation::Relu), layer(1)?],
            length: config.task_seq_len,
        })
    }

    /// The token of the semantic task, `[1, width]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn token(&self, device: &Device) -> Result<Tensor> {
        let mut ids = TASK.to_vec();
        ids.resize(self.length, 0.0);
        let ids = Tensor::from_vec(ids, (1, self.length), device)?;
        self.layers[1].forward(&self.layers[0].forward(&ids)?)
    }
}
