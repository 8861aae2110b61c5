//! The encoder: stages of overlapping patches, attention with fewer keys than queries, and MLPs with a convolution inside.

use candle_core::{Device, Tensor};

use super::config::SegFormerConfig;
use crate::ops::{Convolution, DepthwiseConvolution, LayerNorm, Projection, Windows, attend};
use crate::segmentation::published::activation;
use crate::weights::PublishedWeights;
use crate::{ParameterSpec, Parameters, Result};

const ROOT: &str = "segformer.encoder";
/// The epsilon of every norm; the configuration's `layer_norm_eps` is not used by the reference either.
pub(super) const EPSILON: f64 = 1e-5;

/// The encoder.
#[derive(Clone, Debug)]
pub struct Encoder {
    stages: Vec<Stage>,
}

#[derive(Clone, Debug)]
struct Stage {
    patches: Convolution,
    patch_norm: LayerNorm,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

#[derive(Clone, Debug)]
struct Block {
    norms: [LayerNorm; 2],
    query: Projection,
    key: Projection,
    value: Projection,
    out: Projection,
    /// Makes fewer keys out of the tokens.
    reduction: Option<(Convolution, LayerNorm)>,
    heads: usize,
    up: Projection,
    mixing: DepthwiseConvolution,
    down: Projection,
}

impl Encoder {
    /// The tensors that it needs.
    #[must_use]
    pub fn specs(config: &SegFormerConfig) -> Vec<ParameterSpec> {
        let mut specs = Vec::new();
        for stage in 0..config.num_encoder_blocks {
            specs.extend(Stage::own_specs(config, stage));
            for block in 0..config.depths[stage] {
                specs.extend(Block::specs(config, stage, block));
            }
        }
        specs
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn new(config: &SegFormerConfig, weights: &PublishedWeights, device: &Device) -> Result<Self> {
        let stages = (0..config.num_encoder_blocks).map(|stage| Stage::new(config, stage, weights, device));
        Ok(Self {
            stages: stages.collect::<Result<_>>()?,
        })
    }

    /// Pixels `[batch, height, width, channels]` to every stage's map, finest first, `[batch, height, width, width of stage]`.
    ///
    /// # Errors
    /// When the channels are others, or the photo is too small for the last stage.
    pub fn forward(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        let mut maps: Vec<Tensor> = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let map = stage.forward(maps.last().unwrap_or(pixels))?;
            maps.push(map);
        }
        Ok(maps)
    }
}

impl Stage {
    fn names(stage: usize) -> [String; 3] {
        [
            format!("{ROOT}.patch_embeddings.{stage}.proj"),
            format!("{ROOT}.patch_embeddings.{stage}.layer_norm"),
            format!("{ROOT}.layer_norm.{stage}"),
        ]
    }

    fn own_specs(config: &SegFormerConfig, stage: usize) -> Vec<ParameterSpec> {
        let [patches, patch_norm, norm] = Self::names(stage);
        let (width, side) = (config.hidden_sizes[stage], config.patch_sizes[stage]);
        let inputs = match stage {
            0 => config.num_channels,
            stage => config.hidden_sizes[stage - 1],
        };
        let mut specs = convolution_specs(&patches, [width, inputs, side, side]);
        specs.extend(LayerNorm::specs(&patch_norm, width));
        specs.extend(LayerNorm::specs(&norm, width));
        specs
    }

    fn new(
        config: &SegFormerConfig,
        stage: usize,
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let own = weights.read(Self::own_specs(config, stage), device)?;
        let [patches, patch_norm, norm] = Self::names(stage);
        let side = config.patch_sizes[stage];
        let windows = Windows::square(side, config.strides[stage], side / 2);
        Ok(Self {
            patches: Convolution::new(&own, &patches, windows)?,
            patch_norm: LayerNorm::new(&own, &patch_norm, EPSILON)?,
            blocks: (0..config.depths[stage])
                .map(|block| Block::new(config, stage, block, weights, device))
                .collect::<Result<_>>()?,
            norm: LayerNorm::new(&own, &norm, EPSILON)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.patch_norm.forward(&self.patches.forward(x)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.norm.forward(&x)
    }
}

impl Block {
    fn name(stage: usize, block: usize, part: &str) -> String {
        format!("{ROOT}.block.{stage}.{block}.{part}")
    }

    fn specs(config: &SegFormerConfig, stage: usize, block: usize) -> Vec<ParameterSpec> {
        let name = |part: &str| Self::name(stage, block, part);
        let (width, hidden) = (config.hidden_sizes[stage], config.hidden(stage));
        let mut specs = Vec::new();
        for part in ["query", "key", "value"] {
            specs.extend(ParameterSpec::linear(
                &name(&format!("attention.self.{part}")),
                width,
                width,
            ));
        }
        let ratio = config.sr_ratios[stage];
        if ratio > 1 {
            specs.extend(convolution_specs(
                &name("attention.self.sr"),
                [width, width, ratio, ratio],
            ));
            specs.extend(LayerNorm::specs(&name("attention.self.layer_norm"), width));
        }
        specs.extend(ParameterSpec::linear(
            &name("attention.output.dense"),
            width,
            width,
        ));
        specs.extend(ParameterSpec::linear(&name("mlp.dense1"), width, hidden));
        specs.extend(convolution_specs(&name("mlp.dwconv.dwconv"), [hidden, 1, 3, 3]));
        specs.extend(ParameterSpec::linear(&name("mlp.dense2"), hidden, width));
        for norm in ["layer_norm_1", "layer_norm_2"] {
            specs.extend(LayerNorm::specs(&name(norm), width));
        }
        specs
    }

    fn new(
        config: &SegFormerConfig,
        stage: usize,
        block: usize,
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let parameters = weights.read(Self::specs(config, stage, block), device)?;
        let name = |part: &str| Self::name(stage, block, part);
        let linear = |part: &str| Projection::new(&parameters, &name(part));
        let norm = |part: &str| LayerNorm::new(&parameters, &name(part), EPSILON);
        Ok(Self {
            norms: [norm("layer_norm_1")?, norm("layer_norm_2")?],
            query: linear("attention.self.query")?,
            key: linear("attention.self.key")?,
            value: linear("attention.self.value")?,
            out: linear("attention.output.dense")?,
            reduction: reduction(&parameters, &name, config.sr_ratios[stage])?,
            heads: config.num_attention_heads[stage],
            up: linear("mlp.dense1")?,
            mixing: DepthwiseConvolution::new(
                &parameters,
                &name("mlp.dwconv.dwconv"),
                activation(&config.hidden_act)?,
            )?,
            down: linear("mlp.dense2")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let input = self.norms[0].forward(x)?;
        let seen = match &self.reduction {
            Some((convolution, norm)) => norm.forward(&convolution.forward(&input)?)?,
            None => input.clone(),
        };
        let seen = seen.flatten(1, 2)?;
        let queries = self.query.forward(&input)?.flatten(1, 2)?;
        let (keys, values) = (self.key.forward(&seen)?, self.value.forward(&seen)?);
        let attended = attend(&queries, &keys, &values, self.heads, None)?;
        let x = (x + self.out.forward(&attended)?.reshape(x.shape())?)?;
        let hidden = self.up.forward(&self.norms[1].forward(&x)?)?;
        Ok((&x + self.down.forward(&self.mixing.forward(&hidden)?)?)?)
    }
}

fn reduction(
    parameters: &Parameters,
    name: &impl Fn(&str) -> String,
    ratio: usize,
) -> Result<Option<(Convolution, LayerNorm)>> {
    if ratio == 1 {
        return Ok(None);
    }
    let windows = Windows::square(ratio, ratio, 0);
    Ok(Some((
        Convolution::new(parameters, &name("attention.self.sr"), windows)?,
        LayerNorm::new(parameters, &name("attention.self.layer_norm"), EPSILON)?,
    )))
}

/// The weight and bias of a convolution.
fn convolution_specs(name: &str, shape: [usize; 4]) -> Vec<ParameterSpec> {
    vec![
        ParameterSpec::weight(format!("{name}.weight"), &shape),
        ParameterSpec::constant(format!("{name}.bias"), &shape[..1], 0.0),
    ]
}
