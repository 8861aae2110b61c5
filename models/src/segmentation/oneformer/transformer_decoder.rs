//! The transformer decoder: object queries that look at one map after the other, each where its own mask is.

use candle_core::{Device, Tensor};

use super::attention::Attention;
use super::config::{LEVELS, OneFormerConfig};
use super::heads::{Heads, Prediction};
use super::layer::{FeedForward, Residual};
use super::pixel_decoder::DecodedPixels;
use super::positions;
use super::query_transformer::QueryTransformer;
use crate::ops::{LayerNorm, Projection, resize};
use crate::weights::PublishedWeights;
use crate::{ParameterSpec, Result};

const MODULE: &str = "model.transformer_module";
const ROOT: &str = "model.transformer_module.decoder";

/// The transformer decoder.
#[derive(Clone, Debug)]
pub struct TransformerDecoder {
    query_embedding: Tensor,
    level_embedding: Tensor,
    query_input: Projection,
    query_transformer: QueryTransformer,
    layers: Vec<Layer>,
    heads: Heads,
    use_task_norm: bool,
}

#[derive(Clone, Debug)]
struct Layer {
    cross_attention: (Attention, Residual),
    self_attention: (Attention, Residual),
    feed_forward: (FeedForward, Residual),
}

/// What the transformer decoder says of a photo.
#[derive(Clone, Debug)]
pub struct DecodedQueries {
    /// The queries before the first layer but for the task's, `[batch, queries - 1, width]`.
    pub object_queries: Tensor,
    /// Predictions before the first layer and after every layer, or after the last one only.
    pub predictions: Vec<Prediction>,
}

impl TransformerDecoder {
    /// The tensors that it needs for this many classes.
    #[must_use]
    pub fn specs(config: &OneFormerConfig, classes: usize) -> Vec<ParameterSpec> {
        let mut specs = own_specs(config);
        specs.extend(QueryTransformer::specs(config));
        for layer in 0..config.decoder_layers - 1 {
            specs.extend(Layer::specs(config, layer));
        }
        specs.extend(Heads::specs(config, classes));
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
        let own = weights.read(own_specs(config), device)?;
        Ok(Self {
            query_embedding: own.get(&format!("{MODULE}.queries_embedder.weight"))?,
            level_embedding: own.get(&format!("{MODULE}.level_embed.weight"))?,
            query_input: Projection::new(&own, &format!("{ROOT}.query_input_projection"))?,
            query_transformer: QueryTransformer::new(config, weights, device)?,
            layers: (0..config.decoder_layers - 1)
                .map(|layer| Layer::new(config, layer, weights, device))
                .collect::<Result<_>>()?,
            heads: Heads::new(config, classes, weights, device)?,
            use_task_norm: config.use_task_norm,
        })
    }

    /// The pixel decoder's features and the task token `[1, width]` to predictions; after every layer if asked for.
    ///
    /// # Errors
    /// When the features are others than the decoder was made for.
    pub fn forward(
        &self,
        pixels: &DecodedPixels,
        task: &Tensor,
        every_layer: bool,
    ) -> Result<DecodedQueries> {
        let (batch, _, _, size) = pixels.mask_features.dims4()?;
        let count = self.query_embedding.dim(0)?;
        let task = if self.use_task_norm {
            self.heads.norm(task)?
        } else {
            task.clone()
        };
        let object_queries = self.object_queries(pixels, &task)?;
        let task = task
            .reshape((1, 1, size))?
            .broadcast_as((batch, 1, size))?
            .contiguous()?;
        let mut x = Tensor::cat(&[&object_queries, &task], 1)?;

        let memories = self.memories(pixels)?;
        let mut predictions = Vec::with_capacity(if every_layer { self.layers.len() + 1 } else { 1 });
        for (index, layer) in self.layers.iter().enumerate() {
            let memory = &memories[index % LEVELS];
            if every_layer {
                predictions.push(self.heads.forward(&x, &pixels.mask_features)?);
            }
            let mask = self.heads.masks(&x, &memory.mask_features)?;
            let mask = mask.reshape((batch, count, ()))?;
            x = layer.forward(&x, &self.query_embedding, memory, &mask)?;
        }
        predictions.push(self.heads.forward(&x, &pixels.mask_features)?);
        Ok(DecodedQueries {
            object_queries,
            predictions,
        })
    }

    /// The first queries: copies of the task token, told apart by their positions, that have looked at the mask features.
    fn object_queries(&self, pixels: &DecodedPixels, task: &Tensor) -> Result<Tensor> {
        let (batch, height, width, size) = pixels.mask_features.dims4()?;
        let count = self.query_embedding.dim(0)? - 1;
        let places = positions::sine(height, width, size, pixels.mask_features.device())?.unsqueeze(0)?;
        let features = self.query_input.forward(&pixels.mask_features)?.flatten(1, 2)?;
        let keys = features.broadcast_add(&places)?;
        let queries = if self.use_task_norm {
            task.reshape((1, 1, size))?
                .broadcast_as((batch, count, size))?
                .contiguous()?
        } else {
            Tensor::zeros((batch, count, size), task.dtype(), task.device())?
        };
        let embedding = self.query_embedding.narrow(0, 0, count)?;
        // The values are the places alone: upstream passes them as the photo's features, and the weights were trained so.
        self.query_transformer
            .forward(&queries, &embedding, &keys, &places)
    }

    fn memories(&self, pixels: &DecodedPixels) -> Result<Vec<Memory>> {
        let of = |(level, map): (usize, &Tensor)| -> Result<Memory> {
            let (_, height, width, size) = map.dims4()?;
            let values = map
                .flatten(1, 2)?
                .broadcast_add(&self.level_embedding.get(level)?)?;
            let places = positions::sine(height, width, size, map.device())?;
            Ok(Memory {
                keys: values.broadcast_add(&places)?,
                values,
                // Masks are linear in these features: resizing the features once equals resizing every layer's masks.
                mask_features: resize(&pixels.mask_features, (height, width))?,
            })
        };
        pixels.levels.iter().enumerate().map(of).collect()
    }
}

/// One map as the queries see it.
struct Memory {
    keys: Tensor,
    values: Tensor,
    /// The mask features at the map's size.
    mask_features: Tensor,
}

fn own_specs(config: &OneFormerConfig) -> Vec<ParameterSpec> {
    let width = config.hidden_dim;
    vec![
        ParameterSpec::positions(
            format!("{MODULE}.queries_embedder.weight"),
            &[config.num_queries, width],
        ),
        ParameterSpec::positions(format!("{MODULE}.level_embed.weight"), &[LEVELS, width]),
        ParameterSpec::weight(
            format!("{ROOT}.query_input_projection.weight"),
            &[width, config.conv_dim, 1, 1],
        ),
        ParameterSpec::constant(format!("{ROOT}.query_input_projection.bias"), &[width], 0.0),
    ]
}

impl Layer {
    fn name(layer: usize, part: &str) -> String {
        format!("{ROOT}.layers.{layer}.{part}")
    }

    fn specs(config: &OneFormerConfig, layer: usize) -> Vec<ParameterSpec> {
        let width = config.hidden_dim;
        let mut specs = Attention::joined_specs(&Self::name(layer, "cross_attn.multihead_attn"), width);
        specs.extend(Attention::separate_specs(
            &Self::name(layer, "self_attn.self_attn"),
            width,
        ));
        specs.extend(FeedForward::specs(
            &Self::name(layer, "ffn."),
            width,
            config.dim_feedforward,
        ));
        for norm in ["cross_attn.norm", "self_attn.norm", "ffn.norm"] {
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
        let (name, heads) = (|part: &str| Self::name(layer, part), config.num_attention_heads);
        let residual = |norm: &str| Residual::new(&parameters, &name(norm), config);
        Ok(Self {
            cross_attention: (
                Attention::joined(&parameters, &name("cross_attn.multihead_attn"), heads)?,
                residual("cross_attn.norm")?,
            ),
            self_attention: (
                Attention::separate(&parameters, &name("self_attn.self_attn"), heads)?,
                residual("self_attn.norm")?,
            ),
            feed_forward: (
                FeedForward::new(&parameters, &name("ffn."))?,
                residual("ffn.norm")?,
            ),
        })
    }

    fn forward(&self, x: &Tensor, positions: &Tensor, memory: &Memory, mask: &Tensor) -> Result<Tensor> {
        let (attention, residual) = &self.cross_attention;
        let x = residual.forward(x, |x| {
            let placed = x.broadcast_add(positions)?;
            attention.forward(&placed, &memory.keys, &memory.values, Some(mask))
        })?;
        let (attention, residual) = &self.self_attention;
        let x = residual.forward(&x, |x| {
            let placed = x.broadcast_add(positions)?;
            attention.forward(&placed, &placed, x, None)
        })?;
        let (feed_forward, residual) = &self.feed_forward;
        residual.forward(&x, |x| feed_forward.forward(x))
    }
}
