//! Semantic fusion: the photo's tokens meet its segmentation map (paper III-B).
//!
//! Queries come from the segmentation tokens, keys and values through a narrow latent from the photo's tokens. What the
//! paper leaves open is decided so, each by a field of [`FusionConfig`]:
//!
//! - class ids enter through a learned palette, or fixed colours ([`Palette`]);
//! - the residual stream carries the photo's tokens `r` ([`Stream::Rgb`]): `r ← r + MLA(q = LN(s), kv = LN(r))`,
//!   `r ← r + MLP(LN(r))`; the segmentation tokens `s` are the same in every block. With [`Stream::Semantic`] the
//!   segmentation tokens are lifted to the tower's width, carry the residual and ask: `s ← s + MLA(q = LN(s), kv = LN(r))`,
//!   `s ← s + MLP(LN(s))` in the first block, and in every later one keys and values are the fused tokens `s` themselves.
//!
//! The class token of the map is the same for every map, so in both streams what the map says reaches the class token through
//! the fused tokens of a block before it: with a single block the map has no influence.
//!
//! Only the CLS token leaves the module, so the last block computes no other.

use candle_core::{Device, Tensor};

use crate::config::{FusionConfig, ModelConfig, Palette, Stream};
use crate::labels::{CLASSES, Labels};
use crate::ops::{LatentAttention, LatentWidths, Linear, MapSizes, MapTokens, Mlp, MlpNames, Residual};
use crate::{ParameterSpec, Parameters, Result};

/// The fusion module.
#[derive(Clone, Debug)]
pub struct SemanticFusion {
    map: Option<MapTokens>,
    lift: Option<Linear>,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    attention: LatentAttention,
    mlp: Mlp,
}

impl SemanticFusion {
    /// The parameters, all trained. None without blocks.
    #[must_use]
    pub fn specs(config: &ModelConfig) -> Vec<ParameterSpec> {
        let fusion = &config.fusion;
        if fusion.blocks == 0 {
            return Vec::new();
        }
        let sizes = MapSizes {
            patch: config.patch_size,
            channels: fusion.palette.channels(),
            width: fusion.segmentation_width,
            tokens: config.tokens(),
        };
        let mut specs = MapTokens::specs(
            "fusion.map",
            sizes,
            matches!(fusion.palette, Palette::Learned { .. }),
        );
        if fusion.stream == Stream::Semantic {
            specs.extend(Linear::specs(
                "fusion.lift",
                fusion.segmentation_width,
                config.vision.width,
            ));
        }
        for index in 0..fusion.blocks {
            specs.extend(Block::specs(index, config));
        }
        specs
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(config: &ModelConfig, parameters: &Parameters) -> Result<Self> {
        let fusion = &config.fusion;
        if fusion.blocks == 0 {
            return Ok(Self {
                map: None,
                lift: None,
                blocks: Vec::new(),
            });
        }
        let fixed = match fusion.palette {
            Palette::Learned { .. } => None,
            Palette::Fixed => Some(fixed_palette(parameters.device())?),
        };
        let lift = match fusion.stream {
            Stream::Rgb => None,
            Stream::Semantic => Some(Linear::new(parameters, "fusion.lift")?),
        };
        Ok(Self {
            map: Some(MapTokens::new(
                parameters,
                "fusion.map",
                config.patch_size,
                fixed,
            )?),
            lift,
            blocks: (0..fusion.blocks)
                .map(|index| Block::new(index, config, parameters))
                .collect::<Result<_>>()?,
        })
    }

    /// The photo's tokens `[batch, tokens, width]` and the maps to the fused CLS tokens `[batch, width]`. Without maps,
    /// every pixel counts as unlabelled.
    ///
    /// # Errors
    /// When maps and photos differ in number or size.
    pub fn forward(&self, photo: &Tensor, labels: Option<&Labels>, side: usize) -> Result<Tensor> {
        let Some(map) = &self.map else {
            return Ok(photo.narrow(1, 0, 1)?.squeeze(1)?);
        };
        let batch = photo.dim(0)?;
        let unlabelled = Labels::unlabelled(batch, side);
        let mut semantic = map.forward(labels.unwrap_or(&unlabelled))?;
        if let Some(lift) = &self.lift {
            semantic = lift.forward(&semantic)?;
        }
        let mut photo = photo.clone();
        for (index, block) in self.blocks.iter().enumerate() {
            let last = index + 1 == self.blocks.len();
            let queries = if last {
                semantic.narrow(1, 0, 1)?
            } else {
                semantic.clone()
            };
            let fused = block.mlp.forward(&block.attention.forward(&queries, &photo)?)?;
            if self.lift.is_some() {
                semantic = fused.clone();
            }
            photo = fused;
        }
        Ok(photo.squeeze(1)?)
    }
}

impl Block {
    fn specs(index: usize, config: &ModelConfig) -> Vec<ParameterSpec> {
        let (width, fusion) = (config.vision.width, &config.fusion);
        let widths = LatentWidths {
            queries: query_width(fusion, width),
            context: width,
            latent: fusion.latent,
        };
        let mut specs = LatentAttention::specs(&format!("fusion.blocks.{index}.attention"), widths);
        let [norm, up, down] = mlp_names(index);
        specs.extend(Mlp::specs(
            MlpNames {
                norm: &norm,
                up: &up,
                down: &down,
            },
            width,
            fusion.intermediate,
        ));
        specs
    }

    fn new(index: usize, config: &ModelConfig, parameters: &Parameters) -> Result<Self> {
        let (fusion, epsilon) = (&config.fusion, config.vision.layer_norm_epsilon);
        let residual = match fusion.stream {
            Stream::Rgb => Residual::Context,
            Stream::Semantic => Residual::Queries,
        };
        let name = format!("fusion.blocks.{index}.attention");
        let attention = LatentAttention::new(parameters, &name, fusion.heads, epsilon, residual)?;
        let [norm, up, down] = mlp_names(index);
        let names = MlpNames {
            norm: &norm,
            up: &up,
            down: &down,
        };
        Ok(Self {
            attention,
            mlp: Mlp::new(parameters, names, config.vision.activation, epsilon)?,
        })
    }
}

fn query_width(fusion: &FusionConfig, width: usize) -> usize {
    match fusion.stream {
        Stream::Rgb => fusion.segmentation_width,
        Stream::Semantic => width,
    }
}

fn mlp_names(index: usize) -> [String; 3] {
    ["norm", "up", "down"].map(|part| format!("fusion.blocks.{index}.mlp.{part}"))
}

/// A colour for each class, spread by the golden angle, in -1..=1; black for unlabelled.
fn fixed_palette(device: &Device) -> Result<Tensor> {
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let mut colours = Vec::with_capacity((CLASSES + 1) * 3);
    for class in 0..CLASSES {
        let hue = class as f64 * golden;
        let brightness = 0.6 + 0.4 * ((class % 3) as f64 - 1.0);
        for third in 0..3 {
            let angle = std::f64::consts::TAU * (hue + f64::from(third) / 3.0);
            colours.push((brightness * angle.cos()) as f32);
        }
    }
    colours.extend([0.0; 3]);
    Ok(Tensor::from_vec(colours, (CLASSES + 1, 3), device)?)
}
