//! The heads: a class and a mask for every query.

use candle_core::{Device, Tensor};

use super::config::OneFormerConfig;
use crate::ops::{LayerNorm, Projection};
use crate::weights::PublishedWeights;
use crate::{Activation, ParameterSpec, Result};

const ROOT: &str = "model.transformer_module.decoder";

/// The class head and the mask head, with the norm before them.
#[derive(Clone, Debug)]
pub struct Heads {
    norm: LayerNorm,
    class: Projection,
    mask: Vec<Projection>,
}

/// What the heads say.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// `[batch, queries, classes + 1]`, the last one for "nothing".
    pub classes: Tensor,
    /// `[batch, queries, height, width]`.
    pub masks: Tensor,
}

const MASK_LAYERS: usize = 3;

impl Heads {
    /// The name of the tensor whose rows are the classes and "nothing".
    pub(super) const CLASSES: &str = "model.transformer_module.decoder.class_embed.weight";

    /// The tensors that they need.
    #[must_use]
    pub fn specs(config: &OneFormerConfig, classes: usize) -> Vec<ParameterSpec> {
        let width = config.hidden_dim;
        let mut specs = LayerNorm::specs(&format!("{ROOT}.decoder_norm"), width);
        specs.extend(ParameterSpec::linear(
            &format!("{ROOT}.class_embed"),
            width,
            classes + 1,
        ));
        for layer in 0..MASK_LAYERS {
            specs.extend(ParameterSpec::linear(&mask_layer(layer), width, width));
        }
        specs
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn new(
        config: &OneFormerConfig,
        classes: usize,
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let parameters = weights.read(Self::specs(config, classes), device)?;
        let mask = (0..MASK_LAYERS).map(|layer| -> Result<Projection> {
            let projection = Projection::new(&parameters, &mask_layer(layer))?;
            Ok(if layer + 1 < MASK_LAYERS {
                projection.then(Activation::Relu)
            } else {
                projection
            })
        });
        Ok(Self {
            norm: LayerNorm::new(
                &parameters,
                &format!("{ROOT}.decoder_norm"),
                config.layer_norm_eps,
            )?,
            class: Projection::new(&parameters, &format!("{ROOT}.class_embed"))?,
            mask: mask.collect::<Result<_>>()?,
        })
    }

    /// The norm alone, which the task token passes too.
    pub(super) fn norm(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(x)
    }

    /// Queries `[batch, queries, width]` and mask features `[batch, height, width, width of a query]` to classes and masks.
    ///
    /// # Errors
    /// When the shapes are others.
    pub fn forward(&self, queries: &Tensor, mask_features: &Tensor) -> Result<Prediction> {
        Ok(Prediction {
            classes: self.class.forward(&self.norm.forward(queries)?)?,
            masks: self.masks(queries, mask_features)?,
        })
    }

    /// The masks alone.
    pub(super) fn masks(&self, queries: &Tensor, mask_features: &Tensor) -> Result<Tensor> {
        let mut x = self.norm.forward(queries)?;
        for layer in &self.mask {
            x = layer.forward(&x)?;
        }
        let (batch, height, width, _) = mask_features.dims4()?;
        let masks = x.matmul(&mask_features.flatten(1, 2)?.t()?)?;
        Ok(masks.reshape((batch, (), height, width))?)
    }
}

fn mask_layer(layer: usize) -> String {
    format!("{ROOT}.mask_embed.layers.{layer}.0")
}
