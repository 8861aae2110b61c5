//! The model while it learns: cached photos in, visual embeddings out.

use candle_core::Tensor;
use geocells::Hierarchy;
use models::{
    GeographicEmbeddings, Labels, ModelConfig, Parameters, Precision, Preprocessor, PublishedTower,
};
use retrieval::ExactIndex;

use crate::Result;
use crate::augmentation::Change;
use crate::photos::PhotoCache;

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

    /// Every level's temperature, coarsest first.
    ///
    /// # Errors
    /// One that is no longer a positive number.
    pub fn temperatures(&self) -> Result<Vec<f64>> {
        Ok((0..self.geographic().levels())
            .map(|level| self.geographic().temperature(level))
            .collect::<models::Result<_>>()?)
    }

    /// Unit visual embeddings `[photos, width]` of cached photos (dataset indices), each with its change.
    ///
    /// # Errors
    /// A cache that cannot be read, a tensor operation.
    pub fn encode(&self, cache: &PhotoCache, photos: &[(usize, Change)]) -> Result<Tensor> {
        let images = images(cache, photos)?;
        let pixels = self.preprocessor.to_tensor(&images, self.parameters.device())?;
        let labels = if self.maps {
            Some(Labels::from_images(&maps(cache, photos)?)?)
        } else {
            None
        };
        Ok(self.model.visual.forward(&pixels, labels.as_ref())?)
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

fn images(cache: &PhotoCache, photos: &[(usize, Change)]) -> Result<Vec<image::RgbImage>> {
    let each = |(index, change): &(usize, Change)| {
        let image = cache.image(*index)?;
        if *change == Change::NONE {
            return Ok(image);
        }
        let mut changed = image::RgbImage::new(image.width(), image.height());
        change.apply(image.as_raw(), &mut changed, cache.size(), 3, true);
        Ok(changed)
    };
    photos.iter().map(each).collect()
}

fn maps(cache: &PhotoCache, photos: &[(usize, Change)]) -> Result<Vec<image::GrayImage>> {
    let each = |(index, change): &(usize, Change)| {
        let map = cache.map(*index)?;
        if *change == Change::NONE {
            return Ok(map);
        }
        let mut changed = image::GrayImage::new(map.width(), map.height());
        change.apply(map.as_raw(), &mut changed, cache.size(), 1, false);
        Ok(changed)
    };
    photos.iter().map(each).collect()
}
