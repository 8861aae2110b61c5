//! The CLIP vision tower, up to its last block: no final norm, no projection.

use candle_core::{DType, Tensor};

use crate::config::{ModelConfig, VisionConfig};
use crate::ops::{LayerNorm, Mlp, MlpNames, PhotoTokens, SelfAttention};
use crate::{ParameterSpec, Parameters, Precision, Result};

/// A ViT with the tensor names of the published CLIP files (`vision_model.…`), so that their weights load.
///
/// The blocks before the trained ones, and the stem unless all are trained, are frozen: [`VisionTower::trunk`] keeps no
/// graph, and its result may be cached for photos that come again.
#[derive(Clone, Debug)]
pub struct VisionTower {
    tokens: PhotoTokens,
    norm: LayerNorm,
    blocks: Vec<Block>,
    trainable_blocks: usize,
    /// Of the stem and the frozen blocks.
    precision: Precision,
}

#[derive(Clone, Debug)]
struct Block {
    attention: SelfAttention,
    mlp: Mlp,
}

const EMBEDDINGS: &str = "vision_model.embeddings";
/// The published files do spell it so.
const FIRST_NORM: &str = "vision_model.pre_layrnorm";

impl VisionTower {
    /// The parameters of the tower.
    #[must_use]
    pub fn specs(config: &ModelConfig) -> Vec<ParameterSpec> {
        let vision = &config.vision;
        let stem = [
            PhotoTokens::specs(EMBEDDINGS, config.patch_size, vision.width, config.tokens()),
            LayerNorm::specs(FIRST_NORM, vision.width),
        ]
        .concat();
        let trained = config.trains_whole_tower();
        let mut specs: Vec<_> = stem.into_iter().map(|spec| spec.trained(trained)).collect();
        for layer in 0..vision.layers {
            let trained = layer + vision.trainable_blocks >= vision.layers;
            specs.extend(
                Block::specs(layer, vision)
                    .into_iter()
                    .map(|spec| spec.trained(trained)),
            );
        }
        specs
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(config: &ModelConfig, parameters: &Parameters) -> Result<Self> {
        Self::new_in(config, parameters, Precision::F32)
    }

    /// As [`VisionTower::new`], with the stem and the frozen blocks in another number format. Tokens that leave them
    /// are f32 again. A tower whose stem is trained is f32 throughout.
    ///
    /// # Errors
    /// As [`VisionTower::new`].
    pub fn new_in(config: &ModelConfig, parameters: &Parameters, precision: Precision) -> Result<Self> {
        let vision = &config.vision;
        let precision = if config.trains_whole_tower() {
            Precision::F32
        } else {
            precision
        };
        let narrow = match precision {
            Precision::F32 => None,
            half => Some(parameters.frozen_in(half, |name| name.starts_with("vision_model."))?),
        };
        let frozen = narrow.as_ref().unwrap_or(parameters);
        let first_trained = vision.layers - vision.trainable_blocks;
        Ok(Self {
            tokens: PhotoTokens::new(frozen, EMBEDDINGS)?,
            norm: LayerNorm::new(frozen, FIRST_NORM, vision.layer_norm_epsilon)?,
            blocks: (0..vision.layers)
                .map(|layer| {
                    let held = if layer < first_trained { frozen } else { parameters };
                    Block::new(layer, vision, held)
                })
                .collect::<Result<_>>()?,
            trainable_blocks: vision.trainable_blocks,
            precision,
        })
    }

    /// Pixels `[batch, 3, side, side]` to tokens `[batch, tokens, width]`, CLS first.
    ///
    /// # Errors
    /// When the pixels have another size than the configuration says.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        self.forward_trunk(&self.trunk(pixels)?)
    }

    /// The part before the trained blocks: pixels to tokens.
    ///
    /// # Errors
    /// As [`VisionTower::forward`].
    pub fn trunk(&self, pixels: &Tensor) -> Result<Tensor> {
        let frozen = self.blocks.len() - self.trainable_blocks;
        let tokens = self.blocks[..frozen]
            .iter()
            .try_fold(self.stem(pixels)?, |tokens, block| block.forward(&tokens))?;
        self.widen(tokens)
    }

    /// The trained blocks: the trunk's tokens to the tower's tokens.
    ///
    /// # Errors
    /// When the tokens have another width.
    pub fn forward_trunk(&self, tokens: &Tensor) -> Result<Tensor> {
        let frozen = self.blocks.len() - self.trainable_blocks;
        self.blocks[frozen..]
            .iter()
            .try_fold(tokens.clone(), |tokens, block| block.forward(&tokens))
    }

    /// The tokens after the first norm and after every block.
    ///
    /// # Errors
    /// As [`VisionTower::forward`].
    pub fn hidden_states(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        let frozen = self.blocks.len() - self.trainable_blocks;
        let mut tokens = self.stem(pixels)?;
        let mut states = vec![self.widen(tokens.clone())?];
        for (index, block) in self.blocks.iter().enumerate() {
            if index == frozen {
                tokens = self.widen(tokens)?;
            }
            tokens = block.forward(&tokens)?;
            states.push(self.widen(tokens.clone())?);
        }
        Ok(states)
    }

    /// Pixels to normed tokens, in the frozen part's number format.
    fn stem(&self, pixels: &Tensor) -> Result<Tensor> {
        let tokens = if self.precision == Precision::F32 {
            self.tokens.forward(pixels)?
        } else {
            self.tokens.forward(&pixels.to_dtype(self.precision.dtype())?)?
        };
        self.norm.forward(&tokens)
    }

    /// Tokens of the frozen part as the rest takes them.
    fn widen(&self, tokens: Tensor) -> Result<Tensor> {
        Ok(match self.precision {
            Precision::F32 => tokens,
            _ => tokens.to_dtype(DType::F32)?,
        })
    }
}

impl Block {
    fn specs(layer: usize, vision: &VisionConfig) -> Vec<ParameterSpec> {
        let name = |part: &str| format!("vision_model.encoder.layers.{layer}.{part}");
        let mut specs = SelfAttention::specs(&name("layer_norm1"), &name("self_attn"), vision.width);
        let (norm, up, down) = (name("layer_norm2"), name("mlp.fc1"), name("mlp.fc2"));
        let names = MlpNames {
            norm: &norm,
            up: &up,
            down: &down,
        };
        specs.extend(Mlp::specs(names, vision.width, vision.intermediate));
        specs
    }

    fn new(layer: usize, vision: &VisionConfig, parameters: &Parameters) -> Result<Self> {
        let name = |part: &str| format!("vision_model.encoder.layers.{layer}.{part}");
        let epsilon = vision.layer_norm_epsilon;
        let attention = SelfAttention::new(
            parameters,
            &name("layer_norm1"),
            &name("self_attn"),
            vision.heads,
            epsilon,
        )?;
        let (norm, up, down) = (name("layer_norm2"), name("mlp.fc1"), name("mlp.fc2"));
        let names = MlpNames {
            norm: &norm,
            up: &up,
            down: &down,
        };
        Ok(Self {
            attention,
            mlp: Mlp::new(parameters, names, vision.activation, epsilon)?,
        })
    }

    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        self.mlp.forward(&self.attention.forward(tokens)?)
    }
}
