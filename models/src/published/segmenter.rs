//! A published segmenter under a name that tells it from others of its kind.

use std::path::Path;

use candle_core::Device;
use image::{GrayImage, RgbImage};

use super::fingerprint;
use crate::Result;
use crate::segmentation::{Segmenter, View, open_published};

/// A segmenter whose name holds its model's fingerprint: what a release records, and refuses others by.
pub struct NamedSegmenter {
    name: String,
    segmenter: Box<dyn Segmenter>,
}

/// Opens a published segmenter as [`open_published`] does; its name is such as `oneformer-1a2b3c4d5e6f7a8b`.
///
/// # Errors
/// As [`open_published`].
pub fn open_segmenter(folder: &Path, device: &Device) -> Result<NamedSegmenter> {
    let segmenter = open_published(folder, device)?;
    Ok(NamedSegmenter {
        name: format!("{}-{}", segmenter.name(), fingerprint(folder)?),
        segmenter,
    })
}

impl Segmenter for NamedSegmenter {
    fn name(&self) -> &str {
        &self.name
    }

    fn view(&self) -> View {
        self.segmenter.view()
    }

    fn segment(&self, photos: &[RgbImage]) -> Result<Vec<Option<GrayImage>>> {
        self.segmenter.segment(photos)
    }
}
