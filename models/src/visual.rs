//! From pixels to the visual embedding.

use candle_core::Tensor;

use crate::config::ModelConfig;
use crate::fusion::SemanticFusion;
use crate::labels::Labels;
use crate::ops::{LayerNorm, Linear, unit_rows};
use crate::vision::VisionTower;
use crate::{ParameterSpec, Parameters, Precision, Result};

/// Tower, fusion, and the head: the fused CLS token, normed, projected, scaled to length 1.
#[derive(Clone, Debug)]
pub struct VisualEncoder {
    tower: VisionTower,
    fusion: SemanticFusion,
    norm: LayerNorm,
    projection: Linear,
    image_size: usize,
}

impl VisualEncoder {
    /// The parameters of all parts.
    #[must_use]
    pub fn specs(config: &ModelConfig) -> Vec<ParameterSpec> {
        [
            VisionTower::specs(config),
            SemanticFusion::specs(config),
            LayerNorm::specs("visual.norm", config.vision.width),
            Linear::specs("visual.projection", config.vision.width, config.embedding),
        ]
        .concat()
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(config: &ModelConfig, parameters: &Parameters) -> Result<Self> {
        Self::new_in(config, parameters, Precision::F32)
    }

    /// As [`VisualEncoder::new`], with the tower's frozen part in another number format.
    ///
    /// # Errors
    /// As [`VisualEncoder::new`].
    pub fn new_in(config: &ModelConfig, parameters: &Parameters, precision: Precision) -> Result<Self> {
        Ok(Self {
            tower: VisionTower::new_in(config, parameters, precision)?,
            fusion: SemanticFusion::new(config, parameters)?,
            norm: LayerNorm::new(parameters, "visual.norm", config.vision.layer_norm_epsilon)?,
            projection: Linear::new(parameters, "visual.projection")?,
            image_size: config.image_size,
        })
    }

    /// Normalised pixels `[batch, 3, side, side]` and their maps to visual embeddings `[batch, embedding]` of length 1.
    /// Without maps, every pixel counts as unlabelled.
    ///
    /// # Errors
    /// When pixels or maps have another size than the configuration says.
    pub fn forward(&self, pixels: &Tensor, labels: Option<&Labels>) -> Result<Tensor> {
        self.forward_trunk(&self.trunk(pixels)?, labels)
    }

    /// The frozen part: pixels to tokens `[batch, tokens, width]`, which may be cached when the tower has frozen blocks.
    ///
    /// # Errors
    /// As [`VisualEncoder::forward`].
    pub fn trunk(&self, pixels: &Tensor) -> Result<Tensor> {
        self.tower.trunk(pixels)
    }

    /// The trained part: the trunk's tokens and the maps to visual embeddings `[batch, embedding]`.
    ///
    /// # Errors
    /// As [`VisualEncoder::forward`].
    pub fn forward_trunk(&self, tokens: &Tensor, labels: Option<&Labels>) -> Result<Tensor> {
        let tokens = self.tower.forward_trunk(tokens)?;
        let fused = self.fusion.forward(&tokens, labels, self.image_size)?;
        unit_rows(&self.projection.forward(&self.norm.forward(&fused)?)?)
    }

    /// The vision tower alone.
    #[must_use]
    pub fn tower(&self) -> &VisionTower {
        &self.tower
    }
}
