//! Everything that is trained: the visual encoder and the geographic embeddings over one set of parameters.

use crate::config::ModelConfig;
use crate::geographic::GeographicEmbeddings;
use crate::visual::VisualEncoder;
use crate::{ParameterSpec, Parameters, Result};

/// A model: photos and geocells become vectors of one space.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its shape.
    pub config: ModelConfig,
    /// From pixels to visual embeddings.
    pub visual: VisualEncoder,
    /// A vector for every geocell.
    pub geographic: GeographicEmbeddings,
}

impl Model {
    /// The parameters of a model over levels of so many geocells (coarsest first), without allocating any.
    #[must_use]
    pub fn specs(config: &ModelConfig, cells: &[usize]) -> Vec<ParameterSpec> {
        let mut specs = VisualEncoder::specs(config);
        specs.extend(GeographicEmbeddings::specs(
            cells,
            config.embedding,
            config.temperature,
        ));
        specs
    }

    /// Builds the model over its parameters. The model shares them: training changes it, and
    /// [`Parameters::freeze`] beforehand makes one that keeps no graph.
    ///
    /// # Errors
    /// When the configuration is not usable, or a parameter is missing.
    pub fn new(config: &ModelConfig, levels: usize, parameters: &Parameters) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            config: config.clone(),
            visual: VisualEncoder::new(config, parameters)?,
            geographic: GeographicEmbeddings::new(parameters, levels)?,
        })
    }
}
