//! The CLIP vision tower, up to its last block: no final norm, no projection.

use candle_core::Tensor;

use crate::config::{ModelConfig, VisionConfig};
use crate::ops::{LayerNorm, Mlp, MlpNames, PhotoTokens, SelfAttention};
use crate::{ParameterSpec, Parameters, Result};

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
        let vision = &config.vision;
        Ok(Self {
            tokens: PhotoTokens::new(parameters, EMBEDDINGS)?,
            norm: LayerNorm::new(parameters, FIRST_NORM, vision.layer_norm_epsilon)?,
            blocks: (0..vision.layers)
                .map(|layer| Block::new(layer, vision, parameters))
                .collect::<Result<_>>()?,
            trainable_blocks: vision.trainable_blocks,
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
        let tokens = self.norm.forward(&self.tokens.forward(pixels)?)?;
        self.blocks[..frozen]
            .iter()
            .try_fold(tokens, |tokens, block| block.forward(&tokens))
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
        let mut states = vec![self.norm.forward(&self.tokens.forward(pixels)?)?];
        for block in &self.blocks {
            let next = block.forward(&states[states.len() - 1])?;
            states.push(next);
        }
        Ok(states)
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
