//! The backbone: a Swin transformer, whose maps before each downsampling are its outputs.

use candle_core::{Device, Tensor};

use super::swin_config::SwinConfig;
use crate::ops::{Convolution, LayerNorm, Mlp, MlpNames, Projection, WindowAttention, WindowNames, Windows};
use crate::segmentation::published::activation;
use crate::weights::PublishedWeights;
use crate::{ParameterSpec, Result};

/// The epsilon of norms that the configuration has no say in.
const EPSILON: f64 = 1e-5;
const ROOT: &str = "model.pixel_level_module.encoder";

/// A Swin transformer.
#[derive(Clone, Debug)]
pub struct Swin {
    patches: Convolution,
    norm: LayerNorm,
    stages: Vec<Stage>,
    /// The outputs' norms, by stage, 0 the stem's.
    outputs: Vec<(usize, LayerNorm)>,
}

#[derive(Clone, Debug)]
struct Stage {
    blocks: Vec<Block>,
    merging: Option<PatchMerging>,
}

#[derive(Clone, Debug)]
struct Block {
    attention: WindowAttention,
    mlp: Mlp,
}

/// Four neighbouring tokens to one of twice the width.
#[derive(Clone, Debug)]
struct PatchMerging {
    norm: LayerNorm,
    reduction: Projection,
}

impl Swin {
    /// The tensors that it needs.
    #[must_use]
    pub fn specs(config: &SwinConfig) -> Vec<ParameterSpec> {
        let mut specs = stem_specs(config);
        for stage in 0..config.depths.len() {
            for block in 0..config.depths[stage] {
                specs.extend(Block::specs(config, stage, block));
            }
            if stage + 1 < config.depths.len() {
                specs.extend(PatchMerging::specs(config, stage));
            }
        }
        for stage in config.outputs().unwrap_or_default() {
            specs.extend(LayerNorm::specs(&output_norm(stage), config.width(stage)));
        }
        specs
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn new(config: &SwinConfig, weights: &PublishedWeights, device: &Device) -> Result<Self> {
        let stem = weights.read(stem_specs(config), device)?;
        let stages = (0..config.depths.len()).map(|stage| -> Result<Stage> {
            let blocks = (0..config.depths[stage])
                .map(|block| Block::new(config, stage, block, weights, device))
                .collect::<Result<_>>()?;
            let merging = (stage + 1 < config.depths.len())
                .then(|| PatchMerging::new(config, stage, weights, device))
                .transpose()?;
            Ok(Stage { blocks, merging })
        });
        let outputs = config.outputs()?.into_iter().map(|stage| {
            let name = output_norm(stage);
            let norm = weights.read(LayerNorm::specs(&name, config.width(stage)), device)?;
            Ok((stage, LayerNorm::new(&norm, &name, EPSILON)?))
        });
        Ok(Self {
            patches: Convolution::new(
                &stem,
                &format!("{ROOT}.embeddings.patch_embeddings.projection"),
                Windows::patches(config.patch()),
            )?,
            norm: LayerNorm::new(&stem, &format!("{ROOT}.embeddings.norm"), EPSILON)?,
            stages: stages.collect::<Result<_>>()?,
            outputs: outputs.collect::<Result<_>>()?,
        })
    }

    /// Pixels `[batch, height, width, channels]` to the outputs, finest first, each `[batch, height, width, width of stage]`.
    ///
    /// # Errors
    /// When the channels are others.
    pub fn forward(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = self.norm.forward(&self.patches.forward(pixels)?)?;
        let mut maps = Vec::with_capacity(self.outputs.len());
        self.output(0, &x, &mut maps)?;
        for (index, stage) in self.stages.iter().enumerate() {
            for block in &stage.blocks {
                x = block.mlp.forward(&block.attention.forward(&x)?)?;
            }
            self.output(index + 1, &x, &mut maps)?;
            if let Some(merging) = &stage.merging {
                x = merging.forward(&x)?;
            }
        }
        Ok(maps)
    }

    fn output(&self, stage: usize, x: &Tensor, maps: &mut Vec<Tensor>) -> Result<()> {
        if let Some((_, norm)) = self.outputs.iter().find(|(output, _)| *output == stage) {
            maps.push(norm.forward(x)?);
        }
        Ok(())
    }
}

fn stem_specs(config: &SwinConfig) -> Vec<ParameterSpec> {
    let (height, width) = config.patch();
    let name = format!("{ROOT}.embeddings.patch_embeddings.projection");
    let mut specs = vec![
        ParameterSpec::weight(
            format!("{name}.weight"),
            &[config.embed_dim, config.num_channels, height, width],
        ),
        ParameterSpec::constant(format!("{name}.bias"), &[config.embed_dim], 0.0),
    ];
    specs.extend(LayerNorm::specs(
        &format!("{ROOT}.embeddings.norm"),
        config.embed_dim,
    ));
    specs
}

fn output_norm(stage: usize) -> String {
    let stage = match stage {
        0 => "stem".to_owned(),
        stage => format!("stage{stage}"),
    };
    format!("{ROOT}.hidden_states_norms.{stage}")
}

/// Full names of a block's parts.
struct BlockNames {
    norms: [String; 2],
    attention: String,
    out: String,
    up: String,
    down: String,
}

impl BlockNames {
    fn new(stage: usize, block: usize) -> Self {
        let name = |part: &str| format!("{ROOT}.encoder.layers.{stage}.blocks.{block}.{part}");
        Self {
            norms: [name("layernorm_before"), name("layernorm_after")],
            attention: name("attention.self"),
            out: name("attention.output.dense"),
            up: name("intermediate.dense"),
            down: name("output.dense"),
        }
    }

    fn window(&self) -> WindowNames<'_> {
        WindowNames {
            norm: &self.norms[0],
            attention: &self.attention,
            out: &self.out,
        }
    }

    fn mlp(&self) -> MlpNames<'_> {
        MlpNames {
            norm: &self.norms[1],
            up: &self.up,
            down: &self.down,
        }
    }
}

impl Block {
    fn specs(config: &SwinConfig, stage: usize, block: usize) -> Vec<ParameterSpec> {
        let (names, width) = (BlockNames::new(stage, block), config.width(stage + 1));
        let mut specs = WindowAttention::specs(
            names.window(),
            width,
            config.num_heads[stage],
            config.window_size,
            config.qkv_bias,
        );
        specs.extend(Mlp::specs(names.mlp(), width, config.hidden(width)));
        specs
    }

    fn new(
        config: &SwinConfig,
        stage: usize,
        block: usize,
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let parameters = weights.read(Self::specs(config, stage, block), device)?;
        let names = BlockNames::new(stage, block);
        // Every second block's windows are shifted by half of their side.
        let shift = if block.is_multiple_of(2) {
            0
        } else {
            config.window_size / 2
        };
        let epsilon = config.layer_norm_eps;
        Ok(Self {
            attention: WindowAttention::new(&parameters, names.window(), config.window_size, shift, epsilon)?,
            mlp: Mlp::new(&parameters, names.mlp(), activation(&config.hidden_act)?, epsilon)?,
        })
    }
}

impl PatchMerging {
    fn names(stage: usize) -> [String; 2] {
        ["norm", "reduction"].map(|part| format!("{ROOT}.encoder.layers.{stage}.downsample.{part}"))
    }

    fn specs(config: &SwinConfig, stage: usize) -> Vec<ParameterSpec> {
        let [norm, reduction] = Self::names(stage);
        let width = config.width(stage + 1);
        let mut specs = LayerNorm::specs(&norm, 4 * width);
        specs.push(ParameterSpec::weight(
            format!("{reduction}.weight"),
            &[2 * width, 4 * width],
        ));
        specs
    }

    fn new(config: &SwinConfig, stage: usize, weights: &PublishedWeights, device: &Device) -> Result<Self> {
        let parameters = weights.read(Self::specs(config, stage), device)?;
        let [norm, reduction] = Self::names(stage);
        Ok(Self {
            norm: LayerNorm::new(&parameters, &norm, EPSILON)?,
            reduction: Projection::new(&parameters, &reduction)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, height, width, channels) = x.dims4()?;
        let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
        let x = x
            .pad_with_zeros(1, 0, 2 * rows - height)?
            .pad_with_zeros(2, 0, 2 * columns - width)?;
        // Of four neighbours, the lower left comes second.
        let merged = x
            .reshape(&[batch, rows, 2, columns, 2, channels])?
            .permute([0, 1, 3, 4, 2, 5])?
            .reshape((batch, rows, columns, 4 * channels))?;
        self.reduction.forward(&self.norm.forward(&merged)?)
    }
}
