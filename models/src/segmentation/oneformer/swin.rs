//! The backbone: a Swin transformer, whose maps before each downsampling are its outputs.

use candle_core::{Device, Tensor};
use serde::Deserialize;

use crate::ops::{Convolution, LayerNorm, Mlp, MlpNames, Projection, WindowAttention, WindowNames, Windows};
use crate::segmentation::published::activation;
use crate::weights::PublishedWeights;
use crate::{Error, ParameterSpec, Result};

/// One number, or one for height and width.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Side {
    /// For both.
    One(usize),
    /// Height and width.
    Two([usize; 2]),
}

/// What a configuration says about a Swin backbone.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct SwinConfig {
    /// Must be `swin`.
    pub model_type: String,
    /// Side of a patch in pixels.
    pub patch_size: Side,
    /// Channels of the image.
    pub num_channels: usize,
    /// Width of the first stage; each stage doubles it.
    pub embed_dim: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Heads of each stage.
    pub num_heads: Vec<usize>,
    /// Side of a window in tokens.
    pub window_size: usize,
    /// Hidden width of MLPs over width.
    pub mlp_ratio: f64,
    /// Whether queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Nonlinearity of the MLPs.
    pub hidden_act: String,
    /// Whether positions are added to patches, which the reference cannot run as a backbone.
    pub use_absolute_embeddings: bool,
    /// The epsilon of the blocks' layer norms; the others have 1e-5.
    pub layer_norm_eps: f64,
    /// Names of the stages that are outputs: `stem`, `stage1`, …
    pub out_features: Option<Vec<String>>,
    /// The same as indices, 0 the stem; negative ones count from the end.
    pub out_indices: Option<Vec<i64>>,
}

impl Default for SwinConfig {
    fn default() -> Self {
        Self {
            model_type: "swin".to_owned(),
            patch_size: Side::One(4),
            num_channels: 3,
            embed_dim: 96,
            depths: vec![2, 2, 6, 2],
            num_heads: vec![3, 6, 12, 24],
            window_size: 7,
            mlp_ratio: 4.0,
            qkv_bias: true,
            hidden_act: "gelu".to_owned(),
            use_absolute_embeddings: false,
            layer_norm_eps: 1e-5,
            out_features: None,
            out_indices: None,
        }
    }
}

/// The epsilon of norms that the configuration has no say in.
const EPSILON: f64 = 1e-5;
const ROOT: &str = "model.pixel_level_module.encoder";

impl SwinConfig {
    /// Height and width of a patch.
    #[must_use]
    pub fn patch(&self) -> (usize, usize) {
        match self.patch_size {
            Side::One(side) => (side, side),
            Side::Two([height, width]) => (height, width),
        }
    }

    /// Width of a stage, 0 the stem's.
    #[must_use]
    pub fn width(&self, stage: usize) -> usize {
        self.embed_dim << stage.saturating_sub(1)
    }

    /// The stages that are outputs, 0 the stem, in their order.
    ///
    /// # Errors
    /// [`Error::Config`] for a stage that does not exist.
    pub fn outputs(&self) -> Result<Vec<usize>> {
        let last = self.depths.len();
        let unknown =
            |name: &str| Error::Config(format!("out_features names '{name}', which no stage is called"));
        let outputs: Vec<usize> = match (&self.out_features, &self.out_indices) {
            (Some(names), _) => names
                .iter()
                .map(|name| {
                    let stage = match name.as_str() {
                        "stem" => Some(0),
                        name => name.strip_prefix("stage").and_then(|stage| stage.parse().ok()),
                    };
                    stage
                        .filter(|stage| *stage <= last && (*stage > 0 || name == "stem"))
                        .ok_or_else(|| unknown(name))
                })
                .collect::<Result<_>>()?,
            (None, Some(indices)) => indices
                .iter()
                .map(|index| {
                    let stage = if *index < 0 {
                        index + last as i64 + 1
                    } else {
                        *index
                    };
                    usize::try_from(stage)
                        .ok()
                        .filter(|stage| *stage <= last)
                        .ok_or_else(|| unknown(&index.to_string()))
                })
                .collect::<Result<_>>()?,
            (None, None) => vec![last],
        };
        if outputs.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::Config(
                "out_features must name stages in their order".to_owned(),
            ));
        }
        Ok(outputs)
    }

    fn hidden(&self, width: usize) -> usize {
        (self.mlp_ratio * width as f64) as usize
    }

    /// Checks that the network can be built and is one that the reference can build.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let fail = |message: String| Err(Error::Config(format!("backbone_config: {message}")));
        if self.model_type != "swin" {
            return fail(format!(
                "model_type '{}' is not supported; use a model with a Swin backbone",
                self.model_type
            ));
        }
        if self.use_absolute_embeddings {
            return fail(
                "use_absolute_embeddings is not supported: the reference cannot run it either".to_owned(),
            );
        }
        activation(&self.hidden_act)?;
        let (height, width) = self.patch();
        let sizes = [height, width, self.num_channels, self.embed_dim, self.window_size];
        if sizes.iter().any(|size| *size == 0 || *size > 1 << 14) {
            return fail(
                "patch_size, num_channels, embed_dim and window_size must be between 1 and 16384".to_owned(),
            );
        }
        if self.window_size > 64 {
            return fail(format!("window_size {} is larger than 64", self.window_size));
        }
        if self.depths.is_empty() || self.depths.len() > 8 || self.depths.iter().any(|depth| *depth > 1000) {
            return fail(format!("depths {:?} are no Swin transformer's", self.depths));
        }
        if self.num_heads.len() < self.depths.len() {
            return fail(format!(
                "num_heads {:?} must name heads for each of {} stages",
                self.num_heads,
                self.depths.len()
            ));
        }
        for (stage, heads) in self.num_heads.iter().take(self.depths.len()).enumerate() {
            if *heads == 0 || !self.width(stage + 1).is_multiple_of(*heads) {
                return fail(format!(
                    "{heads} heads must divide width {}",
                    self.width(stage + 1)
                ));
            }
        }
        if !(0.0..=64.0).contains(&self.mlp_ratio) || self.hidden(self.embed_dim) == 0 {
            return fail(format!("mlp_ratio {} is not usable", self.mlp_ratio));
        }
        self.outputs().map(|_| ())
    }
}

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
