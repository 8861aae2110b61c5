//! What the layers of both transformer decoders are made of.

use candle_core::Tensor;

use super::config::OneFormerConfig;
use crate::ops::{LayerNorm, Projection};
use crate::{Activation, ParameterSpec, Parameters, Result};

/// A residual connection with its layer norm: of the sum, as published, or of what is added.
#[derive(Clone, Debug)]
pub(super) struct Residual {
    norm: LayerNorm,
    before: bool,
}

impl Residual {
    pub(super) fn new(parameters: &Parameters, norm: &str, config: &OneFormerConfig) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::new(parameters, norm, config.layer_norm_eps)?,
            before: config.pre_norm,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, part: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        if self.before {
            return Ok((x + part(&self.norm.forward(x)?)?)?);
        }
        self.norm.forward(&(x + part(x)?)?)
    }
}

/// Two linear layers with a ReLU between.
#[derive(Clone, Debug)]
pub(super) struct FeedForward {
    up: Projection,
    down: Projection,
}

impl FeedForward {
    /// The tensors `linear1` and `linear2` behind a prefix that ends in a dot.
    pub(super) fn specs(prefix: &str, width: usize, hidden: usize) -> Vec<ParameterSpec> {
        [
            ParameterSpec::linear(&format!("{prefix}linear1"), width, hidden),
            ParameterSpec::linear(&format!("{prefix}linear2"), hidden, width),
        ]
        .concat()
    }

    pub(super) fn new(parameters: &Parameters, prefix: &str) -> Result<Self> {
        Ok(Self {
            up: Projection::new(parameters, &format!("{prefix}linear1"))?.then(Activation::Relu),
            down: Projection::new(parameters, &format!("{prefix}linear2"))?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&self.up.forward(x)?)
    }
}
