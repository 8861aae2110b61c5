//! Segmenters: from photos to maps of ADE20K class ids.

mod compact;
mod image_processor;
mod label_map;
pub mod oneformer;
mod precomputed;
mod published;
pub mod segformer;

use image::{GrayImage, RgbImage};

pub use compact::{BlockTargets, CompactConfig, CompactInput, CompactSegmenter};
pub use image_processor::{ImageProcessor, Resize};
pub use label_map::label_maps;
pub use precomputed::Precomputed;
pub use published::{open_published, published_layout};

use crate::Result;

/// Labels the pixels of photos.
pub trait Segmenter: Send + Sync {
    /// Its name, for logs and provenance.
    fn name(&self) -> &str;

    /// What it wants to see. The default is the whole photo.
    fn view(&self) -> View {
        View::Photo
    }

    /// A map of each photo's size, ids 0..=149 and 255 where it has no answer; `None` for a photo that it knows nothing of.
    ///
    /// # Errors
    /// When the network fails.
    fn segment(&self, photos: &[RgbImage]) -> Result<Vec<Option<GrayImage>>>;
}

/// What a segmenter is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The photo at its own size; the map is cropped afterwards as the photo is.
    Photo,
    /// The square that the vision tower sees.
    Crop,
}

/// The absence of a segmenter: the fusion sees unlabelled maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSegmenter;

impl Segmenter for NoSegmenter {
    fn name(&self) -> &str {
        "none"
    }

    fn segment(&self, photos: &[RgbImage]) -> Result<Vec<Option<GrayImage>>> {
        Ok(vec![None; photos.len()])
    }
}

/// Segments photos one after the other: each has a size of its own, and the networks keep all cores busy with one.
fn each_photo(
    photos: &[RgbImage],
    segment: impl Fn(&RgbImage) -> Result<Vec<GrayImage>>,
) -> Result<Vec<Option<GrayImage>>> {
    photos
        .iter()
        .map(|photo| Ok(segment(photo)?.into_iter().next()))
        .collect()
}
