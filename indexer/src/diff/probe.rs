//! Both releases answer the same photographs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use datasets::{Dataset, DecodeLimits};
use geocells::LatLng;
use image::RgbImage;
use rayon::prelude::*;
use retrieval::{LocalizeOptions, Localizer, Photo, Prediction};
use storage::Catalog;

use super::{Pair, Side};
use crate::progress::{Progress, Report, Stage};
use crate::{Error, Result};

/// Photos that both releases answer.
pub struct Probe<'a> {
    /// A dataset; with `None`, reference images of the first release, which both may have learnt from.
    pub dataset: Option<&'a Dataset>,
    /// Photos at most, evenly spread.
    pub photos: usize,
}

/// How the probe runs.
#[derive(Debug, Clone, Copy)]
pub struct ProbeOptions {
    /// Photos encoded at once.
    pub batch: usize,
    /// Photos larger than this are passed over.
    pub limits: DecodeLimits,
}

/// Answers the probe with both releases. A photo that cannot be read is passed over.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::Incomparable`] after a stop, and those of the encoders and the stores.
pub async fn probe(
    a: &Localizer,
    b: &Localizer,
    probe: &Probe<'_>,
    catalog: &dyn Catalog,
    options: ProbeOptions,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<Vec<Pair>> {
    let photos = match probe.dataset {
        Some(dataset) => of_dataset(dataset, probe.photos),
        None => of_references(a, catalog, probe.photos).await?,
    };
    let total = photos.len();
    let mut pairs = Vec::with_capacity(total);
    for (index, chunk) in photos.chunks(options.batch.max(1)).enumerate() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Incomparable(
                "stopped before both releases had answered; repeat the command".into(),
            ));
        }
        let (images, truths) = decode(chunk.to_vec(), options.limits).await?;
        let localize = LocalizeOptions {
            references: 0,
            ..LocalizeOptions::default()
        };
        let photos = |images: &[RgbImage]| images.iter().cloned().map(Photo::from).collect();
        let answers_a = a.localize(photos(&images), &localize).await?;
        let answers_b = b.localize(photos(&images), &localize).await?;
        for ((a, b), truth) in answers_a.iter().zip(&answers_b).zip(truths) {
            pairs.push(Pair {
                a: side(a),
                b: side(b),
                truth: Some(truth),
            });
        }
        progress(&Progress {
            stage: Stage::Compare,
            done: (index * options.batch.max(1)) + chunk.len(),
            total,
        });
    }
    Ok(pairs)
}

fn of_dataset(dataset: &Dataset, most: usize) -> Vec<(PathBuf, LatLng)> {
    crate::verify::evenly(dataset.len(), most)
        .into_iter()
        .map(|index| (dataset.image_path(index), dataset.photos()[index].location))
        .collect()
}

/// The first reference images in the order of their ids, which are digests, so that they are a fair sample.
async fn of_references(a: &Localizer, catalog: &dyn Catalog, most: usize) -> Result<Vec<(PathBuf, LatLng)>> {
    let images = catalog.list_reference_images(&a.release().id, None, most).await?;
    Ok(images
        .into_iter()
        .map(|image| (PathBuf::from(image.path), image.location))
        .collect())
}

async fn decode(
    photos: Vec<(PathBuf, LatLng)>,
    limits: DecodeLimits,
) -> Result<(Vec<RgbImage>, Vec<LatLng>)> {
    let decode = move || {
        let one = |(path, truth): (PathBuf, LatLng)| match datasets::decode_image(&path, &limits) {
            Ok(image) => Some((image, truth)),
            Err(error) => {
                tracing::warn!(%error, "photo passed over");
                None
            }
        };
        photos.into_par_iter().filter_map(one).unzip()
    };
    tokio::task::spawn_blocking(decode)
        .await
        .map_err(|_| Error::Interrupted)
}

fn side(prediction: &Prediction) -> Side {
    Side {
        location: prediction.location,
        confidence: prediction.confidence,
        cannot_tell: prediction.cannot_tell.is_some(),
        levels: prediction.levels.iter().map(|level| level.token).collect(),
    }
}
