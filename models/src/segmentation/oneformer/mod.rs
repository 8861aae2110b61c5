//! OneFormer for semantic segmentation, number for number like its reference in Hugging Face transformers.
//!
//! A photo's way: [`Swin`] makes four maps, the [`PixelDecoder`] refines three of them by deformable attention and joins the
//! finest, the [`TransformerDecoder`] asks them with object queries that the [`TaskEncoder`]'s token conditions, the [`Heads`]
//! give every query a class and a mask, and [`semantic_scores`] makes a score of every class at every pixel out of them.
//! Left out is what serves training only: the text encoder and mapper, the matching, the losses.

mod attention;
mod config;
mod heads;
mod layer;
mod pixel_decoder;
mod positions;
mod query_transformer;
mod semantic;
mod swin;
mod swin_config;
mod task;
mod transformer_decoder;

use std::path::Path;

use candle_core::{Device, Tensor};
use image::{GrayImage, RgbImage};

pub use config::OneFormerConfig;
pub use heads::{Heads, Prediction};
pub use pixel_decoder::{DecodedPixels, PixelDecoder};
pub use query_transformer::QueryTransformer;
pub use semantic::semantic_scores;
pub use swin::Swin;
pub use swin_config::{Side, SwinConfig};
pub use task::TaskEncoder;
pub use transformer_decoder::{DecodedQueries, TransformerDecoder};

use super::image_processor::{ImageProcessor, Resize};
use super::label_map::label_maps;
use super::published::classes_of;
use super::{Segmenter, each_photo};
use crate::weights::PublishedWeights;
use crate::{Error, ParameterSpec, Result};

/// OneFormer with its preprocessing.
#[derive(Clone, Debug)]
pub struct OneFormer {
    processor: ImageProcessor,
    backbone: Swin,
    pixel_decoder: PixelDecoder,
    decoder: TransformerDecoder,
    /// The token of the semantic task: the only one that is asked, so it is made once.
    task: Tensor,
    channels: usize,
    device: Device,
}

/// What the parts of the network made of a batch.
#[derive(Clone, Debug)]
pub struct Stages {
    /// The backbone's maps, finest first, `[batch, height, width, channels]`.
    pub maps: Vec<Tensor>,
    /// The pixel decoder's features.
    pub pixels: DecodedPixels,
    /// The task token, `[1, width]`.
    pub task: Tensor,
    /// The first queries, and the predictions before the first layer and after each.
    pub queries: DecodedQueries,
}

impl OneFormer {
    /// The tensors that it needs, by the configuration's number of classes.
    #[must_use]
    pub fn specs(config: &OneFormerConfig) -> Vec<ParameterSpec> {
        Self::specs_for(config, config.classes())
    }

    fn specs_for(config: &OneFormerConfig, classes: usize) -> Vec<ParameterSpec> {
        let backbone = config.backbone();
        let mut specs = Swin::specs(&backbone);
        specs.extend(PixelDecoder::specs(config, &widths(&backbone)));
        specs.extend(TaskEncoder::specs(config));
        specs.extend(TransformerDecoder::specs(config, classes));
        specs
    }

    /// Reads weights and preprocessing from a directory whose `config.json` is this configuration. The number of classes is
    /// the weights'.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that is not supported; [`Error::Published`] and [`Error::Json`] name the file, the
    /// tensor if there is one, and what to do.
    pub fn open(config: OneFormerConfig, directory: &Path, device: &Device) -> Result<Self> {
        config.validate()?;
        let processor = ImageProcessor::read(directory, Resize::oneformer())?;
        let weights = PublishedWeights::open(directory)?;
        let classes = classes_of(&weights, Heads::CLASSES, 1, directory)?;
        weights.check(&Self::specs_for(&config, classes))?;
        let backbone = config.backbone();
        let network = Self {
            processor,
            backbone: Swin::new(&backbone, &weights, device)?,
            pixel_decoder: PixelDecoder::new(&config, &widths(&backbone), &weights, device)?,
            decoder: TransformerDecoder::new(&config, classes, &weights, device)?,
            task: TaskEncoder::new(&config, &weights, device)?.token(device)?,
            channels: backbone.num_channels,
            device: device.clone(),
        };
        tracing::debug!(classes, directory = %directory.display(), "OneFormer opened");
        Ok(network)
    }

    /// The preprocessing of its photos.
    #[must_use]
    pub fn processor(&self) -> &ImageProcessor {
        &self.processor
    }

    /// Normalised pixels `[batch, channels, height, width]` to every query's class and mask.
    ///
    /// # Errors
    /// When the channels are others, or the device fails.
    pub fn forward(&self, pixels: &Tensor) -> Result<Prediction> {
        let mut stages = self.run(&channels_last(pixels)?, false)?;
        stages
            .queries
            .predictions
            .pop()
            .ok_or_else(|| Error::Config("a decoder without layers".to_owned()))
    }

    /// The same with everything that was made on the way.
    ///
    /// # Errors
    /// As [`OneFormer::forward`].
    pub fn stages(&self, pixels: &Tensor) -> Result<Stages> {
        self.run(&channels_last(pixels)?, true)
    }

    fn run(&self, pixels: &Tensor, every_layer: bool) -> Result<Stages> {
        let channels = pixels.dim(3)?;
        if channels != self.channels {
            return Err(Error::Image(format!(
                "pixels of {channels} channels for a network of {}",
                self.channels
            )));
        }
        let maps = self.backbone.forward(pixels)?;
        let pixels = self.pixel_decoder.forward(&maps)?;
        let queries = self.decoder.forward(&pixels, &self.task, every_layer)?;
        Ok(Stages {
            maps,
            pixels,
            task: self.task.clone(),
            queries,
        })
    }
}

impl Segmenter for OneFormer {
    fn name(&self) -> &str {
        "oneformer"
    }

    fn segment(&self, photos: &[RgbImage]) -> Result<Vec<Option<GrayImage>>> {
        each_photo(photos, |photo| {
            let pixels = self.processor.pixels(photo, &self.device)?;
            let stages = self.run(&pixels, false)?;
            let scores = stages.queries.predictions.last().map(semantic_scores);
            let scores = scores.ok_or_else(|| Error::Config("a decoder without layers".to_owned()))??;
            label_maps(&scores, &[photo.dimensions()])
        })
    }
}

/// Widths of the backbone's outputs, finest first.
fn widths(backbone: &SwinConfig) -> Vec<usize> {
    let outputs = backbone.outputs().unwrap_or_default();
    outputs.into_iter().map(|stage| backbone.width(stage)).collect()
}

fn channels_last(pixels: &Tensor) -> Result<Tensor> {
    Ok(pixels.permute([0, 2, 3, 1])?.contiguous()?)
}
