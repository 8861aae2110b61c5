//! The query transformer: from the task token and the mask features to the first object queries.

use candle_core::{Device, Tensor};

use super::attention::Attention;
use super::config::OneFormerConfig;
use super::layer::{FeedForward, Residual};
use crate::ops::LayerNorm;
use crate::weights::PublishedWeights;
use crate::{ParameterSpec, Result};

const ROOT: &str = "model.transformer_module.decoder.query_transformer.decoder";

/// A plain transformer decoder over the cells of the mask features.
#[derive(Clone, Debug)]
pub struct QueryTransformer {
    layers: Vec<Layer>,
    norm: LayerNorm,
}

#[derive(Clone, Debug)]
struct Layer {
    self_attention: (Attention, Residual),
    cross_attention: (Attention, Residual),
    feed_forward: (FeedForward, Residual),
}

impl QueryTransformer {
    /// The tensors that it needs.
    #[must_use]
    pub fn specs(config: &OneFormerConfig) -> Vec<ParameterSpec> {
        let mut specs = LayerNorm::specs(&format!("{ROOT}.norm"), config.hidden_dim);
        for layer in 0..config.query_dec_layers {
            specs.extend(Layer::specs(config, layer));
        }
        specs
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn new(config: &OneFormerConfig, weights: &PublishedWeights, device: &Device) -> Result<Self> {
        let name = format!("{ROOT}.norm");
        let norm = weights.read(LayerNorm::specs(&name, config.hidden_dim), device)?;
        Ok(Self {
            layers: (0..config.query_dec_layers)
                .map(|layer| Layer::new(config, layer, weights, device))
                .collect::<Result<_>>()?,
            norm: LayerNorm::new(&norm, &name, config.layer_norm_eps)?,
        })
    }

    /// Queries `[batch, queries, width]` with positions `[queries, width]`, over `values` `[1, cells, width]` and `keys`
    /// `[batch, cells, width]`.
    ///
    /// # Errors
    /// When the shapes are others.
    pub fn forward(
        &self,
        queries: &Tensor,
        positions: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<Tensor> {
        let mut x = queries.clone();
        for layer in &self.layers {
            x = layer.forward(&x, positions, keys, values)?;
        }
        self.norm.forward(&x)
    }
}

impl Layer {
    fn name(layer: usize, part: &str) -> String {
        format!("{ROOT}.layers.{layer}.{part}")
    }

    fn specs(config: &OneFormerConfig, layer: usize) -> Vec<ParameterSpec> {
        let width = config.hidden_dim;
        let mut specs = Attention::joined_specs(&Self::name(layer, "self_attn"), width);
        specs.extend(Attention::joined_specs(
            &Self::name(layer, "multihead_attn"),
            width,
        ));
        specs.extend(FeedForward::specs(
            &Self::name(layer, ""),
            width,
            config.dim_feedforward,
        ));
        for norm in ["norm1", "norm2", "norm3"] {
            specs.extend(LayerNorm::specs(&Self::name(layer, norm), width));
        }
        specs
    }

    fn new(
        config: &OneFormerConfig,
        layer: usize,
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let parameters = weights.read(Self::specs(config, layer), device)?;
        let attention =
            |part: &str| Attention::joined(&parameters, &Self::name(layer, part), config.num_attention_heads);
        let residual = |norm: &str| Residual::new(&parameters, &Self::name(layer, norm), config);
        Ok(Self {
            self_attention: (attention("self_attn")?, residual("norm1")?),
            cross_attention: (attention("multihead_attn")?, residual("norm2")?),
            feed_forward: (
                FeedForward::new(&parameters, &Self::name(layer, ""))?,
                residual("norm3")?,
            ),
        })
    }

    fn forward(&self, x: &Tensor, positions: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        let (attention, residual) = &self.self_attention;
        let x = residual.forward(x, |x| {
            let placed = x.broadcast_add(positions)?;
            attention.forward(&placed, &placed, x, None)
        })?;
        let (attention, residual) = &self.cross_attention;
        let x = residual.forward(&x, |x| {
            attention.forward(&x.broadcast_add(positions)?, keys, values, None)
        })?;
        let (feed_forward, residual) = &self.feed_forward;
        residual.forward(&x, |x| feed_forward.forward(x))
    }
}
