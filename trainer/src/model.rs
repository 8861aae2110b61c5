//! The model while it learns: cached photos in, visual embeddings out.

use std::ops::Range;

use candle_core::Tensor;
use geocells::Hierarchy;
use models::{GeographicEmbeddings, ModelConfig, Parameters, Precision, Preprocessor, PublishedTower};
use retrieval::ExactIndex;

use crate::augmentation::Change;
use crate::inputs::{Inputs, Source};
use crate::optimizer::Trained;
use crate::photos::Photos;
use crate::{Error, Result};

/// A model and the parameters that it is made of.
#[derive(Debug)]
pub struct LearningModel {
    parameters: Parameters,
    model: models::Model,
    preprocessor: Preprocessor,
    maps: bool,
}

impl LearningModel {
    /// A model with fresh weights. Without `maps`, every pixel counts as unlabelled.
    ///
    /// # Errors
    /// A configuration without meaning, or a device without room.
    pub fn new(
        config: &ModelConfig,
        hierarchy: &Hierarchy,
        seed: u64,
        device: &candle_core::Device,
        maps: bool,
    ) -> Result<Self> {
        let parameters =
            Parameters::initialise(models::Model::specs(config, &cells(hierarchy)), seed, device)?;
        Self::over(config, hierarchy, parameters, Precision::F32, maps)
    }

    /// A model whose vision tower starts as a published one, the frozen part of it in this number format.
    ///
    /// # Errors
    /// A configuration that is not the tower's, and those of reading it.
    pub fn from_tower(
        config: &ModelConfig,
        hierarchy: &Hierarchy,
        seed: u64,
        device: &candle_core::Device,
        maps: bool,
        (tower, precision): (&PublishedTower, Precision),
    ) -> Result<Self> {
        let specs = models::Model::specs(config, &cells(hierarchy));
        let parameters = tower.initialise(config, specs, seed, device)?;
        Self::over(config, hierarchy, parameters, precision, maps)
    }

    fn over(
        config: &ModelConfig,
        hierarchy: &Hierarchy,
        parameters: Parameters,
        precision: Precision,
        maps: bool,
    ) -> Result<Self> {
        let model = models::Model::new_in(config, hierarchy.depth(), &parameters, precision)?;
        Ok(Self {
            parameters,
            model,
            preprocessor: Preprocessor::new(config),
            maps,
        })
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The shape of the networks.
    pub fn config(&self) -> &ModelConfig {
        &self.model.config
    }

    /// The geographic embeddings.
    pub fn geographic(&self) -> &GeographicEmbeddings {
        &self.model.geographic
    }

    /// Whether a parameter belongs to the geographic embeddings.
    pub fn is_location(name: &str) -> bool {
        name.starts_with("geographic.")
    }

    /// The trained parameters as the optimiser takes them: its groups are those with and without weight decay, and the geographic
    /// embeddings and temperatures with their own rate.
    pub fn trained(&self, location_rate: f64) -> Vec<Trained> {
        let each = |(name, var, decay): (&str, &candle_core::Var, bool)| Trained {
            name: name.to_owned(),
            var: var.clone(),
            rate: if Self::is_location(name) {
                location_rate
            } else {
                1.0
            },
            decay,
        };
        self.parameters.trainable().map(each).collect()
    }

    /// Every level's temperature, coarsest first.
    ///
    /// # Errors
    /// One that is no longer a positive number.
    pub fn temperatures(&self) -> Result<Vec<f64>> {
        Ok((0..self.geographic().levels())
            .map(|level| self.geographic().temperature(level))
            .collect::<models::Result<_>>()?)
    }

    /// Unit visual embeddings `[photos, width]` of photos (dataset indices), each with its change.
    ///
    /// # Errors
    /// A photo that cannot be read, a tensor operation.
    pub fn encode(&self, photos: &dyn Photos, batch: &[(usize, Change)]) -> Result<Tensor> {
        let source = Source {
            photos,
            tokens: None,
            maps: self.maps,
        };
        let inputs = Inputs::read(source, batch)?;
        if let Some(skipped) = inputs.skipped().first() {
            return Err(Error::Photo(skipped.clone()));
        }
        self.embed(&inputs, 0..inputs.len())
    }

    /// Unit visual embeddings `[photos, width]` of a range of what was read.
    ///
    /// # Errors
    /// A tensor operation.
    pub fn embed(&self, inputs: &Inputs, range: Range<usize>) -> Result<Tensor> {
        let tokens = self.trunk(inputs, range.clone())?;
        self.embed_trunk(&tokens, inputs, range)
    }

    /// What the tower's frozen blocks make of a range of what was read, `[photos, tokens, width]`.
    ///
    /// # Errors
    /// A tensor operation.
    pub fn trunk(&self, inputs: &Inputs, range: Range<usize>) -> Result<Tensor> {
        let device = self.parameters.device();
        if let Some(tokens) = inputs.tokens(range.clone(), device)? {
            return Ok(tokens);
        }
        let pixels = inputs.pixels(range, &self.preprocessor, device)?;
        Ok(self.model.visual.trunk(&pixels)?)
    }

    /// Unit visual embeddings of a range of what was read, from what [`LearningModel::trunk`] made of it.
    ///
    /// # Errors
    /// A tensor operation.
    pub fn embed_trunk(&self, tokens: &Tensor, inputs: &Inputs, range: Range<usize>) -> Result<Tensor> {
        let labels = if self.maps { inputs.labels(range)? } else { None };
        Ok(self.model.visual.forward_trunk(tokens, labels.as_ref())?)
    }

    /// Whether segmentation maps are used.
    pub fn uses_maps(&self) -> bool {
        self.maps
    }

    /// Brings every level's temperature back into a range.
    ///
    /// # Errors
    /// A tensor operation.
    pub fn clamp_temperatures(&self, least: f64, most: f64) -> Result<()> {
        let (least, most) = (least.ln() as f32, most.ln() as f32);
        for (name, var, _) in self.parameters.trainable() {
            if name.starts_with("geographic.") && name.ends_with(".log_temperature") {
                var.set(&var.as_detached_tensor().clamp(least, most)?)?;
            }
        }
        Ok(())
    }

    /// Exact inference with the weights as they are now.
    ///
    /// # Errors
    /// A tensor operation.
    pub fn index(&self, hierarchy: &Hierarchy) -> Result<ExactIndex> {
        Ok(ExactIndex::of_model(self.geographic(), hierarchy)?)
    }
}

fn cells(hierarchy: &Hierarchy) -> Vec<usize> {
    hierarchy.levels().iter().map(geocells::Partition::len).collect()
}
