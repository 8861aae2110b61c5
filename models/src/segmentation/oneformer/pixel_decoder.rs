//! The pixel decoder: multi-scale deformable attention over the backbone's coarse maps, then finer maps joined from above.

use candle_core::{Device, Tensor};

use super::config::{GROUPS, LEVELS, OneFormerConfig};
use super::positions;
use crate::ops::{Convolution, GroupNorm, LayerNorm, Projection, Sampling, Windows, resize};
use crate::weights::PublishedWeights;
use crate::{Activation, ParameterSpec, Parameters, Result};

const ROOT: &str = "model.pixel_level_module.decoder";
/// Points that a head samples in each map.
const POINTS: usize = 4;
/// The epsilon of group norms.
const EPSILON: f64 = 1e-5;

/// The pixel decoder.
#[derive(Clone, Debug)]
pub struct PixelDecoder {
    /// By level, coarsest first.
    inputs: Vec<(Projection, GroupNorm)>,
    level_embedding: Tensor,
    layers: Vec<Layer>,
    /// By map of the backbone, finest first.
    finer: Vec<Finer>,
    mask_projection: Projection,
    heads: usize,
}

/// What joins a finer map of the backbone to the decoded ones.
#[derive(Clone, Debug)]
struct Finer {
    adapter: (Projection, GroupNorm),
    layer: (Convolution, GroupNorm),
}

/// What the pixel decoder makes of a photo.
#[derive(Clone, Debug)]
pub struct DecodedPixels {
    /// What masks are products with, `[batch, height, width, width of the decoder]`.
    pub mask_features: Tensor,
    /// The coarse maps, coarsest first, of the same form.
    pub levels: Vec<Tensor>,
}

impl PixelDecoder {
    /// The tensors that it needs, over a backbone whose outputs have these widths, finest first.
    #[must_use]
    pub fn specs(config: &OneFormerConfig, widths: &[usize]) -> Vec<ParameterSpec> {
        let mut specs = own_specs(config, widths);
        for layer in 0..config.encoder_layers {
            specs.extend(Layer::specs(config, layer));
        }
        specs
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn new(
        config: &OneFormerConfig,
        widths: &[usize],
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let own = weights.read(own_specs(config, widths), device)?;
        let normed = |name: &str| GroupNorm::new(&own, &format!("{name}.1"), GROUPS, EPSILON);
        let projected = |name: String| -> Result<_> {
            Ok((Projection::new(&own, &format!("{name}.0"))?, normed(&name)?))
        };
        let finer = (0..config.finer_maps()).map(|map| -> Result<Finer> {
            let layer = format!("{ROOT}.layer_{}", map + 1);
            let windows = Windows::square(3, 1, 1);
            Ok(Finer {
                adapter: projected(format!("{ROOT}.adapter_{}", map + 1))?,
                layer: (
                    Convolution::new(&own, &format!("{layer}.0"), windows)?,
                    normed(&layer)?.then(Activation::Relu),
                ),
            })
        });
        Ok(Self {
            inputs: (0..LEVELS)
                .map(|level| projected(format!("{ROOT}.input_projections.{level}")))
                .collect::<Result<_>>()?,
            level_embedding: own.get(&format!("{ROOT}.level_embed"))?,
            finer: finer.collect::<Result<_>>()?,
            mask_projection: Projection::new(&own, &format!("{ROOT}.mask_projection"))?,
            layers: (0..config.encoder_layers)
                .map(|layer| Layer::new(config, layer, weights, device))
                .collect::<Result<_>>()?,
            heads: config.num_attention_heads,
        })
    }

    /// The backbone's maps, finest first, to features for masks and for queries.
    ///
    /// # Errors
    /// When the maps are others than the decoder was made for.
    pub fn forward(&self, maps: &[Tensor]) -> Result<DecodedPixels> {
        let mut sequences = Vec::with_capacity(LEVELS);
        let mut places = Vec::with_capacity(LEVELS);
        let mut sizes = Vec::with_capacity(LEVELS);
        for (level, (map, (projection, norm))) in maps.iter().rev().zip(&self.inputs).enumerate() {
            let (_, height, width, _) = map.dims4()?;
            sequences.push(norm.forward(&projection.forward(map)?)?.flatten(1, 2)?);
            let positions = positions::sine(height, width, projection.outputs(), map.device())?;
            places.push(positions.broadcast_add(&self.level_embedding.get(level)?)?);
            sizes.push((height, width));
        }
        let sampling = Sampling {
            heads: self.heads,
            points: POINTS,
            maps: sizes.clone(),
        };
        let places = Tensor::cat(&places, 0)?;
        let mut x = Tensor::cat(&sequences, 1)?;
        for layer in &self.layers {
            x = layer.forward(&x, &places, &sampling)?;
        }
        let mut start = 0;
        let mut levels = Vec::with_capacity(LEVELS);
        for (height, width) in sizes {
            let (batch, _, channels) = x.dims3()?;
            let level = x.narrow(1, start, height * width)?;
            levels.push(level.reshape((batch, height, width, channels))?.contiguous()?);
            start += height * width;
        }
        let mut finest = levels[LEVELS - 1].clone();
        for (map, finer) in maps.iter().zip(&self.finer).rev() {
            finest = finer.forward(map, &finest)?;
        }
        Ok(DecodedPixels {
            mask_features: self.mask_projection.forward(&finest)?,
            levels,
        })
    }
}

fn own_specs(config: &OneFormerConfig, widths: &[usize]) -> Vec<ParameterSpec> {
    let width = config.conv_dim;
    let convolution = |name: String, inputs: usize, side: usize| {
        ParameterSpec::weight(format!("{name}.0.weight"), &[width, inputs, side, side])
    };
    let mut specs = vec![ParameterSpec::positions(
        format!("{ROOT}.level_embed"),
        &[LEVELS, width],
    )];
    for (level, inputs) in widths.iter().rev().take(LEVELS).enumerate() {
        let name = format!("{ROOT}.input_projections.{level}");
        specs.push(convolution(name.clone(), *inputs, 1));
        specs.push(ParameterSpec::constant(format!("{name}.0.bias"), &[width], 0.0));
        specs.extend(LayerNorm::specs(&format!("{name}.1"), width));
    }
    for (map, inputs) in widths.iter().take(config.finer_maps()).enumerate() {
        let (adapter, layer) = (
            format!("{ROOT}.adapter_{}", map + 1),
            format!("{ROOT}.layer_{}", map + 1),
        );
        specs.push(convolution(adapter.clone(), *inputs, 1));
        specs.extend(LayerNorm::specs(&format!("{adapter}.1"), width));
        specs.push(convolution(layer.clone(), width, 3));
        specs.extend(LayerNorm::specs(&format!("{layer}.1"), width));
    }
    specs.push(ParameterSpec::weight(
        format!("{ROOT}.mask_projection.weight"),
        &[config.mask_dim, width, 1, 1],
    ));
    specs.push(ParameterSpec::constant(
        format!("{ROOT}.mask_projection.bias"),
        &[config.mask_dim],
        0.0,
    ));
    specs
}

impl Finer {
    fn forward(&self, map: &Tensor, coarser: &Tensor) -> Result<Tensor> {
        let (_, height, width, _) = map.dims4()?;
        let adapted = self.adapter.1.forward(&self.adapter.0.forward(map)?)?;
        let joined = (adapted + resize(coarser, (height, width))?)?;
        self.layer.1.forward(&self.layer.0.forward(&joined)?)
    }
}

/// One layer of deformable attention.
#[derive(Clone, Debug)]
struct Layer {
    /// Offsets and scores of the samples, one below the other.
    sampling: Projection,
    value: Projection,
    out: Projection,
    attention_norm: LayerNorm,
    up: Projection,
    down: Projection,
    norm: LayerNorm,
}

impl Layer {
    fn name(layer: usize, part: &str) -> String {
        format!("{ROOT}.encoder.layers.{layer}.{part}")
    }

    fn specs(config: &OneFormerConfig, layer: usize) -> Vec<ParameterSpec> {
        let (width, hidden) = (config.conv_dim, config.encoder_feedforward_dim);
        let samples = config.num_attention_heads * LEVELS * POINTS;
        let linear =
            |part: &str, inputs, outputs| ParameterSpec::linear(&Self::name(layer, part), inputs, outputs);
        let norm = |part: &str| ParameterSpec::layer_norm(&Self::name(layer, part), width);
        [
            linear("self_attn.sampling_offsets", width, 2 * samples),
            linear("self_attn.attention_weights", width, samples),
            linear("self_attn.value_proj", width, width),
            linear("self_attn.output_proj", width, width),
            norm("self_attn_layer_norm"),
            linear("fc1", width, hidden),
            linear("fc2", hidden, width),
            norm("final_layer_norm"),
        ]
        .concat()
    }

    fn new(
        config: &OneFormerConfig,
        layer: usize,
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let parameters = weights.read(Self::specs(config, layer), device)?;
        let linear = |part: &str| Projection::new(&parameters, &Self::name(layer, part));
        let norm = |part: &str| LayerNorm::new(&parameters, &Self::name(layer, part), config.layer_norm_eps);
        Ok(Self {
            sampling: sampling(&parameters, layer)?,
            value: linear("self_attn.value_proj")?,
            out: linear("self_attn.output_proj")?,
            attention_norm: norm("self_attn_layer_norm")?,
            up: linear("fc1")?.then(Activation::Relu),
            down: linear("fc2")?,
            norm: norm("final_layer_norm")?,
        })
    }

    fn forward(&self, x: &Tensor, places: &Tensor, sampling: &Sampling) -> Result<Tensor> {
        let sampled = self.sampling.forward(&x.broadcast_add(places)?)?;
        let gathered = sampling.gather(&self.value.forward(x)?, &sampled)?;
        let x = self
            .attention_norm
            .forward(&(x + self.out.forward(&gathered)?)?)?;
        let hidden = self.up.forward(&x)?;
        self.norm.forward(&(&x + self.down.forward(&hidden)?)?)
    }
}

fn sampling(parameters: &Parameters, layer: usize) -> Result<Projection> {
    let both = |kind: &str| -> Result<Tensor> {
        let part = |part: &str| parameters.get(&format!("{}.{kind}", Layer::name(layer, part)));
        Ok(Tensor::cat(
            &[
                part("self_attn.sampling_offsets")?,
                part("self_attn.attention_weights")?,
            ],
            0,
        )?)
    };
    Projection::from_tensors(both("weight")?, Some(both("bias")?))
}
