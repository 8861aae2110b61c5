//! Photographs and their maps at the model's size, wherever they are read from.

mod cache;
mod streamed;

use std::path::{Path, PathBuf};

use datasets::{Dataset, DecodeLimits};
use image::{GrayImage, RgbImage};
use models::Preprocessor;
use serde::{Deserialize, Serialize};

pub use cache::PhotoCache;
pub(crate) use cache::key;
pub use streamed::StreamedPhotos;

use crate::Result;

/// A photo that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its index in the dataset.
    pub index: usize,
    /// Its file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// A photo as the networks see it, `[size, size]`.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its pixels.
    pub image: RgbImage,
    /// Its ADE20K ids, 255 unlabelled; `None` where it has no map or none was asked for.
    pub map: Option<GrayImage>,
}

/// A dataset's photos at the model's size, by their index in the dataset.
pub trait Photos: std::fmt::Debug + Send + Sync {
    /// Photos of the dataset, unreadable ones included.
    fn len(&self) -> usize;

    /// Whether the dataset is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Side of the squares, pixels.
    fn size(&self) -> usize;

    /// Photo `index`, and its map if that is asked for.
    ///
    /// # Errors
    /// [`crate::Error::Photo`] for a photo that cannot be used; the file system's.
    fn read(&self, index: usize, with_map: bool) -> Result<View>;
}

/// Decodes and crops a photo and its map; the reason if they cannot be used.
fn read_photo(
    dataset: &Dataset,
    index: usize,
    preprocessor: &Preprocessor,
    with_map: bool,
) -> std::result::Result<View, String> {
    let image = dataset
        .read_image(index, &DecodeLimits::default())
        .map_err(|e| e.to_string())?;
    let map = match dataset.segmentation_path(index) {
        Some(file) if with_map => {
            let map = dataset.read_segmentation(index).map_err(|e| e.to_string())?;
            let Some(map) = map.filter(|map| map.dimensions() == image.dimensions()) else {
                return Err(format!(
                    "its map {} has not the photo's size, {}x{}",
                    file.display(),
                    image.width(),
                    image.height()
                ));
            };
            Some(preprocessor.crop_labels(&map).map_err(|e| e.to_string())?)
        }
        _ => None,
    };
    Ok(View {
        image: preprocessor.crop(&image).map_err(|e| e.to_string())?,
        map,
    })
}

/// Length and time of change of a file; zeros if it cannot be seen.
fn stamp(file: &Path) -> (u64, u128) {
    let Ok(metadata) = fs_err::metadata(file) else {
        return (0, 0);
    };
    let modified = metadata
        .modified()
        .ok()
        .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    (metadata.len(), modified.map_or(0, |d| d.as_nanos()))
}
