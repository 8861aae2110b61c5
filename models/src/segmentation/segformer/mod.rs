//! SegFormer for semantic segmentation, number for number like its reference in Hugging Face transformers.

mod config;
mod encoder;
mod head;

use std::path::Path;

use candle_core::{Device, Tensor};
use image::{GrayImage, RgbImage};

pub use config::SegFormerConfig;
pub use encoder::Encoder;
pub use head::Head;

use super::image_processor::{ImageProcessor, Resize};
use super::label_map::label_maps;
use super::published::classes_of;
use super::{Segmenter, each_photo};
use crate::weights::PublishedWeights;
use crate::{Error, ParameterSpec, Result};

/// SegFormer with its preprocessing.
#[derive(Clone, Debug)]
pub struct SegFormer {
    processor: ImageProcessor,
    encoder: Encoder,
    head: Head,
    channels: usize,
    device: Device,
}

impl SegFormer {
    /// The tensors that it needs, by the configuration's number of classes.
    #[must_use]
    pub fn specs(config: &SegFormerConfig) -> Vec<ParameterSpec> {
        Self::specs_for(config, config.classes())
    }

    fn specs_for(config: &SegFormerConfig, classes: usize) -> Vec<ParameterSpec> {
        [Encoder::specs(config), Head::specs(config, classes)].concat()
    }

    /// Reads weights and preprocessing from a directory whose `config.json` is this configuration. The number of classes is
    /// the weights'.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that is not supported; [`Error::Published`] and [`Error::Json`] name the file, the
    /// tensor if there is one, and what to do.
    pub fn open(config: SegFormerConfig, directory: &Path, device: &Device) -> Result<Self> {
        config.validate()?;
        let processor = ImageProcessor::read(directory, Resize::segformer())?;
        let weights = PublishedWeights::open(directory)?;
        let classes = classes_of(&weights, Head::CLASSES, 0, directory)?;
        weights.check(&Self::specs_for(&config, classes))?;
        let network = Self {
            processor,
            encoder: Encoder::new(&config, &weights, device)?,
            head: Head::new(&config, classes, &weights, device)?,
            channels: config.num_channels,
            device: device.clone(),
        };
        tracing::debug!(classes, directory = %directory.display(), "SegFormer opened");
        Ok(network)
    }

    /// The preprocessing of its photos.
    #[must_use]
    pub fn processor(&self) -> &ImageProcessor {
        &self.processor
    }

    /// Normalised pixels `[batch, channels, height, width]` to every stage's map, finest first, and to scores of the classes
    /// at the finest map's size, all `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// When the channels are others, the photo is too small, or the device fails.
    pub fn stages(&self, pixels: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        self.run(&pixels.permute([0, 2, 3, 1])?.contiguous()?)
    }

    fn run(&self, pixels: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        let channels = pixels.dim(3)?;
        if channels != self.channels {
            return Err(Error::Image(format!(
                "pixels of {channels} channels for a network of {}",
                self.channels
            )));
        }
        let maps = self.encoder.forward(pixels)?;
        let scores = self.head.forward(&maps)?;
        Ok((maps, scores))
    }
}

impl Segmenter for SegFormer {
    fn name(&self) -> &str {
        "segformer"
    }

    fn segment(&self, photos: &[RgbImage]) -> Result<Vec<Option<GrayImage>>> {
        each_photo(photos, |photo| {
            let pixels = self.processor.pixels(photo, &self.device)?;
            label_maps(&self.run(&pixels)?.1, &[photo.dimensions()])
        })
    }
}
