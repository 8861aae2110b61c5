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
use crate::{Error, Precision, Result};

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

impl std::fmt::Debug for SegmenterChoice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own => formatter.write_str("Own"),
            Self::None => formatter.write_str("None"),
            Self::Custom(segmenter) => formatter.debug_tuple("Custom").field(&segmenter.name()).finish(),
        }
    }
}

/// How many views of a photo are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crops {
    /// The centre square.
    #[default]
    One,
    /// Four corners and centre of the photo at 8/7 of the model's size, and their mirror images. The embedding is the mean
    /// of the ten, at length 1: as path scores are inner products, that averages the views' log probabilities.
    Ten,
}

impl Crops {
    /// Views of a photo.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Ten => 10,
        }
    }

    /// Which view's map stands for the photo: the centre.
    fn centre(self) -> usize {
        match self {
            Self::One => 0,
            Self::Ten => 4,
        }
    }
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
        Self::open_in(checkpoint, device, segmenter, Precision::F32)
    }

    /// As [`Encoder::open`], with the frozen part of the vision tower in another number format.
    ///
    /// # Errors
    /// As [`Checkpoint::model`].
    pub fn open_in(
        checkpoint: &Checkpoint,
        device: &Device,
        segmenter: SegmenterChoice,
        precision: Precision,
    ) -> Result<Self> {
        let model = checkpoint.model_in(device, precision)?;
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
        self.encode_crops(photos, Crops::One)
    }

    /// As [`Encoder::encode`] with so many views of each photo.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_crops(&self, photos: &[RgbImage], crops: Crops) -> Result<Vec<Encoded>> {
        self.encode_with(photos, crops, |views| match self.segmenter.view() {
            View::Crop => self.segment(views),
            View::Photo => self.cut_maps(&self.segment(photos)?, crops),
        })
    }

    /// As [`Encoder::encode`] with maps that are known already, one a photo and of its size; `None` is an unlabelled map.
    ///
    /// # Errors
    /// As [`Encoder::encode`], and [`Error::Image`] for another number of maps.
    pub fn encode_with_maps(&self, photos: &[RgbImage], maps: &[Option<GrayImage>]) -> Result<Vec<Encoded>> {
        self.encode_crops_with_maps(photos, maps, Crops::One)
    }

    /// As [`Encoder::encode_with_maps`] with so many views of each photo.
    ///
    /// # Errors
    /// As [`Encoder::encode_with_maps`].
    pub fn encode_crops_with_maps(
        &self,
        photos: &[RgbImage],
        maps: &[Option<GrayImage>],
        crops: Crops,
    ) -> Result<Vec<Encoded>> {
        if maps.len() != photos.len() {
            return Err(Error::Image(format!(
                "{} maps for {} photos",
                maps.len(),
                photos.len()
            )));
        }
        self.encode_with(photos, crops, |_| self.cut_maps(maps, crops))
    }

    /// A map of each image from the segmenter.
    fn segment(&self, images: &[RgbImage]) -> Result<Vec<Option<GrayImage>>> {
        let maps = self.segmenter.segment(images)?;
        if maps.len() != images.len() {
            let name = self.segmenter.name();
            return Err(Error::Image(format!(
                "segmenter '{name}' gave {} maps for {} photos",
                maps.len(),
                images.len()
            )));
        }
        Ok(maps)
    }

    /// The views of photos' maps, in the order of the photos' own views.
    fn cut_maps(&self, maps: &[Option<GrayImage>], crops: Crops) -> Result<Vec<Option<GrayImage>>> {
        let mut views = Vec::with_capacity(maps.len() * crops.count());
        for map in maps {
            match (map, crops) {
                (None, _) => views.extend(std::iter::repeat_n(None, crops.count())),
                (Some(map), Crops::One) => views.push(Some(self.preprocessor.crop_labels(map)?)),
                (Some(map), Crops::Ten) => {
                    views.extend(self.preprocessor.ten_crop_labels(map)?.into_iter().map(Some));
                }
            }
        }
        Ok(views)
    }

    fn encode_with(
        &self,
        photos: &[RgbImage],
        crops: Crops,
        segment: impl FnOnce(&[RgbImage]) -> Result<Vec<Option<GrayImage>>>,
    ) -> Result<Vec<Encoded>> {
        if photos.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let views: Vec<RgbImage> = photos
            .par_iter()
            .map(|photo| match crops {
                Crops::One => Ok(vec![self.preprocessor.crop(photo)?]),
                Crops::Ten => self.preprocessor.ten_crop(photo),
            })
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect();
        let preprocessed = Instant::now();

        let maps = segment(&views)?;
        let labels = self.labels(&maps)?;
        let segmented = Instant::now();

        let embeddings = self.embed(&views, labels.as_ref(), crops)?;
        let maps = maps.into_iter().skip(crops.centre()).step_by(crops.count());
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

    /// Views to one embedding a photo, [`VIEWS_AT_ONCE`] views at a time.
    fn embed(&self, views: &[RgbImage], labels: Option<&Labels>, crops: Crops) -> Result<Vec<Vec<f32>>> {
        let mut embeddings = Vec::with_capacity(views.len());
        for (index, part) in views.chunks(VIEWS_AT_ONCE).enumerate() {
            let pixels = self.preprocessor.to_tensor(part, &self.device)?;
            let labels = labels
                .map(|labels| labels.narrow(index * VIEWS_AT_ONCE, part.len()))
                .transpose()?;
            let part = self.visual.forward(&pixels, labels.as_ref())?;
            embeddings.extend(part.to_vec2::<f32>()?);
        }
        Ok(match crops {
            Crops::One => embeddings,
            Crops::Ten => embeddings.chunks(crops.count()).map(mean).collect(),
        })
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

/// Views that go through the networks together: a bound on memory, above every batch that a service makes.
const VIEWS_AT_ONCE: usize = 160;

/// The mean of unit vectors, at length 1.
fn mean(views: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0_f32; views.first().map_or(0, Vec::len)];
    for view in views {
        sum.iter_mut().zip(view).for_each(|(sum, value)| *sum += value);
    }
    let length = sum
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    sum.iter_mut().for_each(|value| *value /= length);
    sum
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
