//! What the networks take of a step's photos, on the host: read ahead of the step that learns from it.

use candle_core::{DType, Device, Tensor};
use half::f16;
use image::{GrayImage, RgbImage};
use models::{Labels, Preprocessor, UNLABELLED};
use rayon::prelude::*;

use crate::augmentation::Change;
use crate::photos::{Photos, Skipped, View};
use crate::tokens::TokenCache;
use crate::{Error, Result};

/// Where a step's photos come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The photos and their maps.
    pub photos: &'a dyn Photos,
    /// What the tower's frozen blocks made of them, where that was stored.
    pub tokens: Option<&'a TokenCache>,
    /// Whether maps are used at all.
    pub maps: bool,
}

/// What the networks take of some photos.
#[derive(Debug)]
pub struct Inputs {
    photos: Vec<usize>,
    seen: Seen,
    maps: Option<Vec<GrayImage>>,
    skipped: Vec<Skipped>,
}

#[derive(Debug)]
enum Seen {
    Images(Vec<RgbImage>),
    /// `[photos, tokens, width]`, row-major.
    Tokens {
        values: Vec<f16>,
        tokens: usize,
        width: usize,
    },
}

impl Inputs {
    /// Reads photos, each with its change; those that cannot be used are left out and listed.
    ///
    /// # Errors
    /// A cache or file system that cannot be read, no usable photo among them.
    pub fn read(source: Source<'_>, batch: &[(usize, Change)]) -> Result<Self> {
        let views = batch
            .par_iter()
            .map(|photo| read_one(source, photo))
            .collect::<Vec<_>>();
        let mut inputs = Self {
            photos: Vec::with_capacity(batch.len()),
            seen: Seen::Images(Vec::new()),
            maps: source.maps.then(Vec::new),
            skipped: Vec::new(),
        };
        let mut images = Vec::with_capacity(batch.len());
        for ((photo, _), view) in batch.iter().zip(views) {
            let (image, map) = match view {
                Err(Error::Photo(skipped)) => {
                    inputs.skipped.push(skipped);
                    continue;
                }
                view => view?,
            };
            inputs.photos.push(*photo);
            images.extend(image);
            if let Some(maps) = &mut inputs.maps {
                maps.push(map);
            }
        }
        if let (true, Some(first)) = (inputs.photos.is_empty(), inputs.skipped.first()) {
            return Err(Error::Dataset(format!(
                "none of a step's {} photos can be used; the first: {}: {}",
                batch.len(),
                first.file.display(),
                first.reason
            )));
        }
        inputs.seen = match source.tokens {
            None => Seen::Images(images),
            Some(cache) => Seen::Tokens {
                values: cache.read(&inputs.photos)?,
                tokens: cache.tokens(),
                width: cache.width(),
            },
        };
        Ok(inputs)
    }

    /// The photos, by their index in the dataset.
    pub fn photos(&self) -> &[usize] {
        &self.photos
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.photos.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.photos.is_empty()
    }

    /// Photos that were asked for and could not be used.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Stored tokens of a range of the photos as f32, `[photos, tokens, width]`; `None` where pixels were read.
    ///
    /// # Errors
    /// The device has no room.
    pub(crate) fn tokens(&self, range: std::ops::Range<usize>, device: &Device) -> Result<Option<Tensor>> {
        let Seen::Tokens {
            values,
            tokens,
            width,
        } = &self.seen
        else {
            return Ok(None);
        };
        let photo = tokens * width;
        let values = &values[range.start * photo..range.end * photo];
        let shape = (range.len(), *tokens, *width);
        Ok(Some(
            Tensor::from_slice(values, shape, device)?.to_dtype(DType::F32)?,
        ))
    }

    /// Normalised pixels of a range of the photos, `[photos, 3, size, size]`.
    ///
    /// # Errors
    /// Only tokens were read; the device has no room.
    pub(crate) fn pixels(
        &self,
        range: std::ops::Range<usize>,
        preprocessor: &Preprocessor,
        device: &Device,
    ) -> Result<Tensor> {
        match &self.seen {
            Seen::Images(images) => Ok(preprocessor.to_tensor(&images[range], device)?),
            Seen::Tokens { .. } => Err(Error::Config(
                "pixels were asked for where tokens are stored".into(),
            )),
        }
    }

    /// Maps of a range of the photos; `None` where none are used.
    ///
    /// # Errors
    /// Maps of different sizes.
    pub(crate) fn labels(&self, range: std::ops::Range<usize>) -> Result<Option<Labels>> {
        match &self.maps {
            None => Ok(None),
            Some(maps) => Ok(Some(Labels::from_images(&maps[range])?)),
        }
    }
}

type One = (Option<RgbImage>, GrayImage);

fn read_one(source: Source<'_>, (index, change): &(usize, Change)) -> Result<One> {
    let size = source.photos.size();
    let side = size as u32;
    let unlabelled = || GrayImage::from_pixel(side, side, image::Luma([UNLABELLED]));
    if let Some(skipped) = source.tokens.and_then(|tokens| tokens.missing(*index)) {
        return Err(Error::Photo(skipped.clone()));
    }
    if source.tokens.is_some() && !source.maps {
        return Ok((None, GrayImage::new(0, 0)));
    }
    let View { image, map } = source.photos.read(*index, source.maps)?;
    let map = map.unwrap_or_else(|| {
        if source.maps {
            unlabelled()
        } else {
            GrayImage::new(0, 0)
        }
    });
    let image = source.tokens.is_none().then_some(image);
    if *change == Change::NONE {
        return Ok((image, map));
    }
    let image = image.map(|image| {
        let mut changed = RgbImage::new(side, side);
        change.apply(image.as_raw(), &mut changed, size, 3, true);
        changed
    });
    if !source.maps {
        return Ok((image, map));
    }
    let mut changed = GrayImage::new(side, side);
    change.apply(map.as_raw(), &mut changed, size, 1, false);
    Ok((image, changed))
}
