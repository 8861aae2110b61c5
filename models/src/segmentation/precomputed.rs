//! Maps that were made before, found again by the photo's pixels.

use std::collections::HashMap;
use std::path::PathBuf;

use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};

use super::Segmenter;
use crate::{Error, Result};

/// Known maps of known photos, in memory or in PNG files. A photo is recognised by the SHA-256 of its pixels.
#[derive(Debug, Default)]
pub struct Precomputed {
    maps: HashMap<[u8; 32], Map>,
}

#[derive(Debug)]
enum Map {
    Memory(GrayImage),
    File(PathBuf),
}

impl Precomputed {
    /// Without any map yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a photo's map.
    ///
    /// # Errors
    /// [`Error::Image`] when the sizes differ.
    pub fn insert(&mut self, photo: &RgbImage, map: GrayImage) -> Result<()> {
        check_size(photo, &map)?;
        self.maps.insert(digest(photo), Map::Memory(map));
        Ok(())
    }

    /// Adds a photo's map as a file, read when it is asked for.
    pub fn insert_file(&mut self, photo: &RgbImage, map: PathBuf) {
        self.maps.insert(digest(photo), Map::File(map));
    }
}

impl Segmenter for Precomputed {
    fn name(&self) -> &str {
        "precomputed"
    }

    fn segment(&self, photos: &[RgbImage]) -> Result<Vec<Option<GrayImage>>> {
        let one = |photo: &RgbImage| match self.maps.get(&digest(photo)) {
            None => Ok(None),
            Some(Map::Memory(map)) => Ok(Some(map.clone())),
            Some(Map::File(path)) => {
                let bytes = fs_err::read(path)?;
                let map = image::load_from_memory(&bytes)
                    .map_err(|error| {
                        Error::Image(format!("{}: {error}; write the map again", path.display()))
                    })?
                    .into_luma8();
                check_size(photo, &map)?;
                Ok(Some(map))
            }
        };
        photos.iter().map(one).collect()
    }
}

fn digest(photo: &RgbImage) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(photo.width().to_le_bytes());
    hash.update(photo.height().to_le_bytes());
    hash.update(photo.as_raw());
    hash.finalize().into()
}

fn check_size(photo: &RgbImage, map: &GrayImage) -> Result<()> {
    if photo.dimensions() == map.dimensions() {
        return Ok(());
    }
    let ((width, height), (map_width, map_height)) = (photo.dimensions(), map.dimensions());
    Err(Error::Image(format!(
        "a segmentation map of {map_width} x {map_height} px for a photo of {width} x {height} px; they must be of one size"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn known_photos_have_their_map_and_others_none() {
        let folder = tempfile::tempdir().unwrap();
        let photo = |shade| RgbImage::from_pixel(3, 2, image::Rgb([shade; 3]));
        let map = |id| GrayImage::from_pixel(3, 2, image::Luma([id]));
        let file = folder.path().join("map.png");
        map(7).save(&file).unwrap();
        let mut segmenter = Precomputed::new();
        segmenter.insert(&photo(1), map(5)).unwrap();
        segmenter.insert_file(&photo(2), file);
        segmenter.insert_file(&photo(4), folder.path().join("absent.png"));
        let maps = segmenter.segment(&[photo(1), photo(2), photo(3)]).unwrap();
        assert_eq!(maps, [Some(map(5)), Some(map(7)), None]);
        assert!(
            segmenter
                .segment(&[photo(4)])
                .unwrap_err()
                .to_string()
                .contains("absent.png")
        );
        assert!(segmenter.insert(&photo(1), GrayImage::new(2, 2)).is_err());
    }
}
