//! Photos of a dataset to visual embeddings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use datasets::{Dataset, DecodeLimits};
use geocells::LatLng;
use image::{GrayImage, RgbImage};
use models::{Crops, Encoder};
use rayon::prelude::*;

use crate::photos::Skipped;
use crate::progress::Report;
use crate::{Error, Progress, Result, Stage};

/// Photos decoded and encoded at a time.
const CHUNK: usize = 128;

/// How photos are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Views {
    /// Views of a photo that are encoded and averaged.
    pub crops: Crops,
    /// Take the dataset's own segmentation maps instead of the encoder's segmenter; a photo without one gets an unlabelled map.
    pub dataset_maps: bool,
}

/// Photos that could be read, encoded.
#[derive(Debug)]
pub struct EncodedPhotos {
    /// Unit visual embeddings, `[photos, width]`.
    pub visual: Tensor,
    /// Their indices in the dataset.
    pub indices: Vec<usize>,
    /// Their true places.
    pub truths: Vec<LatLng>,
    /// Photos that could not be read, with the reason.
    pub skipped: Vec<Skipped>,
    /// Photos a second, decoding included.
    pub images_per_second: f64,
}

/// Encodes `photos` (indices) of a dataset.
///
/// # Errors
/// Not one photo that can be read; [`Error::Cancelled`]; a tensor operation's.
pub fn encode(
    encoder: &Encoder,
    dataset: &Dataset,
    photos: &[usize],
    views: Views,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<EncodedPhotos> {
    if let Some(beyond) = photos.iter().find(|i| **i >= dataset.len()) {
        return Err(Error::Dataset(format!(
            "photo {beyond} was asked for, but the dataset {} ends at {}",
            dataset.root().display(),
            dataset.len()
        )));
    }
    let (mut rows, mut indices, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let mut width = 0;
    let started = Instant::now();
    for (k, chunk) in photos.chunks(CHUNK).enumerate() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Encode.phrase(),
                run: dataset.root().to_path_buf(),
            });
        }
        let decoded: Vec<(usize, Result<Decoded, String>)> = chunk
            .par_iter()
            .map(|i| (*i, decode(dataset, *i, views.dataset_maps)))
            .collect();
        let (mut images, mut maps) = (Vec::with_capacity(chunk.len()), Vec::with_capacity(chunk.len()));
        for (index, decoded) in decoded {
            match decoded {
                Ok((image, map)) => {
                    images.push(image);
                    maps.push(map);
                    indices.push(index);
                }
                Err(reason) => skipped.push(Skipped {
                    index,
                    file: dataset.image_path(index),
                    reason,
                }),
            }
        }
        if !images.is_empty() {
            let encoded = if views.dataset_maps {
                encoder.encode_crops_with_maps(&images, &maps, views.crops)?
            } else {
                encoder.encode_crops(&images, views.crops)?
            };
            for photo in encoded {
                width = photo.embedding.len();
                rows.extend(photo.embedding);
            }
        }
        let done = (k * CHUNK + chunk.len()) as u64;
        let rate = done as f64 / started.elapsed().as_secs_f64();
        progress(&Progress {
            images_per_second: Some(rate),
            remaining_seconds: Some((photos.len() as u64 - done) as f64 / rate),
            ..Progress::counted(Stage::Encode, done, photos.len() as u64)
        });
    }
    if indices.is_empty() {
        let reason = skipped.first().map_or_else(
            || "there are none".to_owned(),
            |s| format!("{}: {}", s.file.display(), s.reason),
        );
        return Err(Error::Dataset(format!(
            "no photo of {} could be read ({reason}); check the dataset's paths",
            dataset.root().display()
        )));
    }
    Ok(EncodedPhotos {
        visual: Tensor::from_vec(rows, (indices.len(), width), &Device::Cpu)?,
        truths: indices.iter().map(|i| dataset.photos()[*i].location).collect(),
        images_per_second: indices.len() as f64 / started.elapsed().as_secs_f64(),
        indices,
        skipped,
    })
}

type Decoded = (RgbImage, Option<GrayImage>);

fn decode(dataset: &Dataset, index: usize, with_map: bool) -> Result<Decoded, String> {
    let image = datasets::decode_image(dataset.image_path(index), &DecodeLimits::default())
        .map_err(|e| e.to_string())?;
    let Some(file) = dataset.segmentation_path(index).filter(|_| with_map) else {
        return Ok((image, None));
    };
    let map = datasets::decode_segmentation(&file).map_err(|e| e.to_string())?;
    if map.dimensions() != image.dimensions() {
        return Err(format!(
            "its map {} is {}x{} where the photo is {}x{}",
            file.display(),
            map.width(),
            map.height(),
            image.width(),
            image.height()
        ));
    }
    Ok((image, Some(map)))
}
