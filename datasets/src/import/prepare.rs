//! Looking at one photo: its bytes, its place, its pixels.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image::ImageFormat;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Candidate, ImportOptions, Item, Rejected};
use crate::decode::{decodable_format, read_limited};
use crate::{Error, Photo, Progress, Result, decode_bytes, decode_segmentation, gps, read_gps_bytes};

/// A photo that can be used.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The image file, as the report names it.
    pub(super) image: PathBuf,
    /// The segmentation map's file.
    pub(super) segmentation: Option<PathBuf>,
    /// The image file's SHA-256 in hexadecimal.
    pub(super) sha256: String,
    /// The image's kind, by content.
    pub(super) format: ImageFormat,
    /// What is known of the photo; its paths are yet to be set.
    pub(super) photo: Photo,
}

/// Looks at all photos in parallel and keeps their order. With `strict`, the first unusable one ends it.
pub(super) fn prepare_all(
    items: Vec<Item>,
    options: &ImportOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Result<Prepared, Rejected>>> {
    let total = items.len();
    let done = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let look = |item: Item| {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let outcome = item.and_then(|candidate| {
            prepare(&candidate, options).map_err(|error| Rejected {
                label: candidate.image,
                error,
            })
        });
        if options.strict && outcome.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress { done, total });
        Some(outcome)
    };
    let outcomes: Vec<Option<Result<Prepared, Rejected>>> = items.into_par_iter().map(look).collect();
    let outcomes = outcomes.into_iter().flatten();
    if options.strict {
        return outcomes
            .map(|outcome| outcome.map(Ok).map_err(|rejected| rejected.error))
            .collect();
    }
    Ok(outcomes.collect())
}

fn prepare(candidate: &Candidate, options: &ImportOptions) -> Result<Prepared> {
    let image = &candidate.image;
    let bytes = read_limited(image, &options.limits).map_err(|error| name_the_remedy(error, candidate))?;
    let format = decodable_format(&bytes, image).map_err(|error| note_the_place(error, &bytes, image))?;
    let mut photo = match &candidate.known {
        Some(photo) => photo.clone(),
        None => {
            let reading = read_gps_bytes(&bytes, image)?;
            Photo {
                captured_at: reading.captured_at,
                ..Photo::new(image, reading.location)
            }
        }
    };
    decode_bytes(&bytes, image, &options.limits)?;
    if let Some(map) = &candidate.segmentation {
        decode_segmentation(map)?;
    }
    if photo.captured_at.is_none() {
        photo.captured_at = gps::captured_at_bytes(&bytes, image);
    }
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    photo.sha256 = Some(sha256.clone());
    Ok(Prepared {
        image: image.clone(),
        segmentation: candidate.segmentation.clone(),
        sha256,
        format,
        photo,
    })
}

/// A missing image of a table most often means that its paths start elsewhere.
fn name_the_remedy(error: Error, candidate: &Candidate) -> Error {
    match error {
        Error::Missing { path, .. } if candidate.known.is_some() => Error::Missing {
            path,
            remedy: "a table names it: give the folder that its paths start from (--images)".into(),
        },
        other => other,
    }
}

/// Tells the place of a photo whose pixels cannot be decoded, so that nobody thinks that it was missing.
fn note_the_place(error: Error, bytes: &[u8], image: &Path) -> Error {
    match (error, read_gps_bytes(bytes, image)) {
        (Error::UnsupportedFormat { path, format, .. }, Ok(reading)) => Error::UnsupportedFormat {
            path,
            format,
            note: format!(
                " (place read: {:.6}, {:.6})",
                reading.location.latitude(),
                reading.location.longitude()
            ),
        },
        (error, _) => error,
    }
}
