//! Inference: photos to visual embeddings, with the segmentation map made on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::Device;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use crate::checkpoint::Checkpoint;
use crate::labels::{Labels, UNLABELLED};
use crate::preprocessing::Preprocessor;
use crate::segmentation::{NoSegmenter, Segmenter, View};
use crate::visual::VisualEncoder;
use crate::{Error, Result};

/// Where the segmentation maps come from at query time.
#[derive(Clone, Default)]
pub enum SegmenterChoice {
    /// The segmenter that was trained with the model; none if there is none.
    #[default]
    Own,
    /// None: the fusion sees unlabelled maps.
    None,
    /// Another one.
    Custom(Arc<dyn Segmenter>),
}

/// A photo's visual embedding, and what was seen on the way.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The visual embedding, of length 1.
    pub embedding: Vec<f32>,
    /// ADE20K ids of the square that the model saw, 255 where unlabelled; `None` without a segmenter.
    pub segmentation: Option<GrayImage>,
    /// How long the stages took for the whole batch.
    pub timings: Timings,
}

/// Time of each stage, of the batch that a photo was encoded in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resizing, cropping, normalising.
    pub preprocess: Duration,
    /// Making the segmentation map.
    pub segment: Duration,
    /// Tower, fusion and head.
    pub encode: Duration,
}

/// A frozen model that encodes photos. Shared between threads freely.
pub struct Encoder {
    preprocessor: Preprocessor,
    segmenter: Arc<dyn Segmenter>,
    visual: VisualEncoder,
    device: Device,
    dimension: usize,
    checkpoint: String,
}

impl Encoder {
    /// Reads the parameters of a checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::model`].
    pub fn open(checkpoint: &Checkpoint, device: &Device, segmenter: SegmenterChoice) -> Result<Self> {
        let model = checkpoint.model(device)?;
        let segmenter: Arc<dyn Segmenter> = match segmenter {
            SegmenterChoice::Custom(segmenter) => segmenter,
            SegmenterChoice::None => Arc::new(NoSegmenter),
            SegmenterChoice::Own => match checkpoint.segmenter(device)? {
                Some(segmenter) => Arc::new(segmenter),
                None => Arc::new(NoSegmenter),
            },
        };
        tracing::debug!(
            checkpoint = checkpoint.id(),
            segmenter = segmenter.name(),
            "encoder opened"
        );
        Ok(Self {
            preprocessor: Preprocessor::new(checkpoint.config()),
            segmenter,
            visual: model.visual,
            device: device.clone(),
            dimension: checkpoint.config().embedding,
            checkpoint: checkpoint.id().to_owned(),
        })
    }

    /// Width of an embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Id of the checkpoint that it was opened from.
    #[must_use]
    pub fn checkpoint_id(&self) -> &str {
        &self.checkpoint
    }

    /// Name of the segmenter.
    #[must_use]
    pub fn segmenter_name(&self) -> &str {
        self.segmenter.name()
    }

    /// The preprocessing of its photos.
    #[must_use]
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// Encodes a batch of photos of any sizes, in their order. An empty batch gives an empty answer.
    ///
    /// # Errors
    /// [`Error::Image`] for a photo without pixels; [`Error::Tensor`] when the device fails.
    pub fn encode(&self, photos: &[RgbImage]) -> Result<Vec<Encoded>> {
        self.encode_with(photos, |crops| {
            let maps = match self.segmenter.view() {
                View::Crop => self.segmenter.segment(crops)?,
                View::Photo => self.segmenter.segment(photos)?,
            };
            if maps.len() != photos.len() {
                let name = self.segmenter.name();
                return Err(Error::Image(format!(
                    "segmenter '{name}' gave {} maps for {} photos",
                    maps.len(),
                    photos.len()
                )));
            }
            Ok(maps)
        })
    }

    /// As [`Encoder::encode`] with maps that are known already, one a photo and of its size; `None` is an unlabelled map.
    ///
    /// # Errors
    /// As [`Encoder::encode`], and [`Error::Image`] for another number of maps.
    pub fn encode_with_maps(&self, photos: &[RgbImage], maps: &[Option<GrayImage>]) -> Result<Vec<Encoded>> {
        if maps.len() != photos.len() {
            return Err(Error::Image(format!(
                "{} maps for {} photos",
                maps.len(),
                photos.len()
            )));
        }
        self.encode_with(photos, |_| Ok(maps.to_vec()))
    }

    fn encode_with(
        &self,
        photos: &[RgbImage],
        segment: impl FnOnce(&[RgbImage]) -> Result<Vec<Option<GrayImage>>>,
    ) -> Result<Vec<Encoded>> {
        if photos.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let crops = photos
            .par_iter()
            .map(|photo| self.preprocessor.crop(photo))
            .collect::<Result<Vec<_>>>()?;
        let pixels = self.preprocessor.to_tensor(&crops, &self.device)?;
        let preprocessed = Instant::now();

        let maps = segment(&crops)?;
        let maps = maps
            .into_iter()
            .map(|map| map.map(|map| self.preprocessor.crop_labels(&map)).transpose())
            .collect::<Result<Vec<_>>>()?;
        let labels = self.labels(&maps)?;
        let segmented = Instant::now();

        let embeddings = self.visual.forward(&pixels, labels.as_ref())?.to_vec2::<f32>()?;
        let timings = Timings {
            preprocess: preprocessed - started,
            segment: segmented - preprocessed,
            encode: segmented.elapsed(),
        };
        Ok(embeddings
            .into_iter()
            .zip(maps)
            .map(|(embedding, segmentation)| Encoded {
                embedding,
                segmentation,
                timings,
            })
            .collect())
    }

    fn labels(&self, maps: &[Option<GrayImage>]) -> Result<Option<Labels>> {
        if maps.iter().all(Option::is_none) {
            return Ok(None);
        }
        let side = self.preprocessor.side();
        let unlabelled = || GrayImage::from_pixel(side, side, image::Luma([UNLABELLED]));
        let maps: Vec<GrayImage> = maps
            .iter()
            .map(|map| map.clone().unwrap_or_else(unlabelled))
            .collect();
        Labels::from_images(&maps).map(Some)
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Encoder")
            .field("checkpoint", &self.checkpoint)
            .field("segmenter", &self.segmenter.name())
            .field("dimension", &self.dimension)
            .finish_non_exhaustive()
    }
}
