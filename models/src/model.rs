//! Everything that is trained: the visual encoder and the geographic embeddings over one set of parameters.

use crate::config::ModelConfig;
use crate::geographic::GeographicEmbeddings;
use crate::visual::VisualEncoder;
use crate::{ParameterSpec, Parameters, Precision, Result};

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
        Self::new_in(config, levels, parameters, Precision::F32)
    }

    /// As [`Model::new`], with the frozen part of the vision tower in another number format.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn new_in(
        config: &ModelConfig,
        levels: usize,
        parameters: &Parameters,
        precision: Precision,
    ) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            config: config.clone(),
            visual: VisualEncoder::new_in(config, parameters, precision)?,
            geographic: GeographicEmbeddings::new(parameters, levels)?.with_head(config.head),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;

    use candle_core::{Device, Tensor};
    use image::{GrayImage, Luma};

    use super::*;
    use crate::gradient_check::check;
    use crate::ops::cross_entropy;
    use crate::{Activation, Labels, Palette, Stream};

    const CELLS: [usize; 2] = [3, 5];

    fn tiny() -> ModelConfig {
        let mut config = ModelConfig::demo();
        config.image_size = 8;
        config.patch_size = 4;
        config.vision.width = 8;
        config.vision.heads = 2;
        config.vision.layers = 2;
        config.vision.trainable_blocks = 2;
        config.vision.intermediate = 12;
        config.fusion.heads = 2;
        config.fusion.segmentation_width = 6;
        config.fusion.latent = 3;
        config.fusion.intermediate = 10;
        config.embedding = 5;
        config
    }

    fn pixels(config: &ModelConfig) -> Tensor {
        let side = config.image_size;
        let values: Vec<f32> = (0..3 * 3 * side * side)
            .map(|i| (i as f32 * 0.73).sin())
            .collect();
        Tensor::from_vec(values, (3, 3, side, side), &Device::Cpu).unwrap()
    }

    fn labels() -> Labels {
        let map = |shift: u32| GrayImage::from_fn(8, 8, |x, y| Luma([((x * 7 + y * shift) % 150) as u8]));
        Labels::from_images(&[map(3), map(11), map(40)]).unwrap()
    }

    /// The whole way from pixels to a contrastive loss over two levels.
    fn loss(config: &ModelConfig, parameters: &Parameters) -> Result<Tensor> {
        let model = Model::new(config, CELLS.len(), parameters)?;
        let pixels = pixels(config).to_dtype(parameters.get("visual.norm.weight")?.dtype())?;
        let embedding = model.visual.forward(&pixels, Some(&labels()))?;
        let mut total = embedding.sum_all()?;
        for (level, cells) in CELLS.iter().enumerate() {
            let rows = model.geographic.rows(level, &[2, 0, 2])?;
            let temperature = model.geographic.log_temperature(level).exp()?;
            let batch = embedding.matmul(&rows.t()?)?.broadcast_div(&temperature)?;
            total = (total + cross_entropy(&batch, &[0, 1, 2])?)?;
            let all = embedding
                .matmul(&model.geographic.all(level)?.t()?)?
                .broadcast_div(&temperature)?;
            assert_eq!(all.dims(), [3, *cells]);
            total = (total + cross_entropy(&all, &[0, 1, 2])?)?;
        }
        Ok(total)
    }

    #[test]
    fn every_parameter_of_every_variant_has_its_gradient() {
        let variants: [fn(&mut ModelConfig); 4] = [
            |_| {},
            |config| config.fusion.stream = Stream::Semantic,
            |config| {
                config.fusion.palette = Palette::Fixed;
                config.vision.activation = Activation::Gelu;
            },
            |config| config.fusion.blocks = 0,
        ];
        for change in variants {
            let mut config = tiny();
            change(&mut config);
            check(Model::specs(&config, &CELLS), |parameters| {
                loss(&config, parameters)
            });
        }
    }

    #[test]
    fn frozen_blocks_are_not_trained_and_their_tokens_can_be_cached() {
        let mut config = tiny();
        config.vision.trainable_blocks = 1;
        let parameters = Parameters::initialise(Model::specs(&config, &CELLS), 1, &Device::Cpu).unwrap();
        let trained: BTreeSet<_> = parameters.trainable().map(|(name, ..)| name.to_owned()).collect();
        assert!(trained.contains("vision_model.encoder.layers.1.mlp.fc1.weight"));
        assert!(
            !trained
                .iter()
                .any(|name| name.contains("layers.0.") || name.contains("embeddings"))
        );
        let model = Model::new(&config, CELLS.len(), &parameters).unwrap();
        let trunk = model.visual.trunk(&pixels(&config)).unwrap();
        assert!(!trunk.track_op());
        let cached = model.visual.forward_trunk(&trunk, Some(&labels())).unwrap();
        let whole = model.visual.forward(&pixels(&config), Some(&labels())).unwrap();
        assert_eq!(cached.to_vec2::<f32>().unwrap(), whole.to_vec2::<f32>().unwrap());
        let gradients = loss(&config, &parameters).unwrap().backward().unwrap();
        assert!(
            parameters
                .trainable()
                .all(|(_, var, _)| gradients.get(var).is_some())
        );
    }

    #[test]
    fn a_seed_gives_the_same_model_and_maps_matter() {
        for (stream, blocks) in [
            (Stream::Rgb, 2),
            (Stream::Semantic, 2),
            (Stream::Rgb, 1),
            (Stream::Semantic, 1),
        ] {
            let mut config = tiny();
            config.fusion.stream = stream;
            config.fusion.blocks = blocks;
            let embed = |seed, labels: Option<&Labels>| {
                let parameters =
                    Parameters::initialise(Model::specs(&config, &CELLS), seed, &Device::Cpu).unwrap();
                let model = Model::new(&config, CELLS.len(), &parameters).unwrap();
                model
                    .visual
                    .forward(&pixels(&config), labels)
                    .unwrap()
                    .to_vec2::<f32>()
                    .unwrap()
            };
            assert_eq!(embed(1, Some(&labels())), embed(1, Some(&labels())));
            assert_ne!(embed(1, Some(&labels())), embed(2, Some(&labels())));
            // The class token of the map knows no pixel: the first block cannot tell maps apart.
            assert_eq!(
                embed(1, Some(&labels())) != embed(1, None),
                blocks > 1,
                "{stream:?}"
            );
            assert_eq!(embed(1, None), embed(1, Some(&Labels::unlabelled(3, 8))));
        }
    }

    /// The published sizes, from the declarations alone: nothing is allocated.
    #[test]
    fn the_paper_configuration_has_the_published_shapes() {
        let specs = Model::specs(&ModelConfig::paper(), &[100, 1000]);
        let names: BTreeSet<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names.len(), specs.len(), "names are unique");
        let shape = |name: &str| specs.iter().find(|spec| spec.name == name).unwrap().shape.clone();
        assert_eq!(
            shape("vision_model.embeddings.patch_embedding.weight"),
            [1024, 3, 14, 14]
        );
        assert_eq!(
            shape("vision_model.embeddings.position_embedding.weight"),
            [577, 1024]
        );
        assert_eq!(
            shape("vision_model.encoder.layers.23.mlp.fc1.weight"),
            [4096, 1024]
        );
        assert_eq!(shape("fusion.map.patch.weight"), [128, 14 * 14 * 8]);
        assert_eq!(shape("fusion.blocks.2.attention.query.weight"), [1024, 128]);
        assert_eq!(shape("fusion.blocks.2.attention.latent.weight"), [64, 1024]);
        assert_eq!(shape("fusion.blocks.2.attention.key.weight"), [1024, 64]);
        assert_eq!(shape("visual.projection.weight"), [768, 1024]);
        assert_eq!(shape("geographic.1.table"), [1000, 768]);
        let tower = specs.iter().filter(|spec| spec.name.starts_with("vision_model"));
        // The published tower without its final norm.
        assert_eq!(
            tower.map(crate::ParameterSpec::elements).sum::<usize>(),
            303_505_408
        );
        assert_eq!(
            specs
                .iter()
                .filter(|spec| spec.trainable && spec.name.starts_with("vision_model"))
                .count(),
            16
        );
    }
}
