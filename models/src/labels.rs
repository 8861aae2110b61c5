//! Segmentation maps of a batch.

use std::sync::Arc;

use image::GrayImage;

use crate::{Error, Result};

/// Classes of ADE20K.
pub const CLASSES: usize = 150;

/// The id of a pixel that has no class, as ADE20K's files have it.
pub const UNLABELLED: u8 = 255;

/// Square segmentation maps of one size: ADE20K class ids 0..=149, or unlabelled. A clone shares the pixels.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Classes, `CLASSES` where unlabelled; `[batch, side, side]`.
    classes: Arc<[u8]>,
    side: usize,
}

impl Labels {
    /// From images of class ids (0..=149, 255 unlabelled) that are all squares of one size.
    ///
    /// # Errors
    /// [`Error::Image`] for no image, another shape or an id that is no class.
    pub fn from_images(maps: &[GrayImage]) -> Result<Self> {
        let side = maps
            .first()
            .ok_or_else(|| Error::Image("no segmentation map in the batch".to_owned()))?
            .width();
        let mut classes = Vec::with_capacity(maps.len() * (side * side) as usize);
        for map in maps {
            if map.dimensions() != (side, side) {
                let (width, height) = map.dimensions();
                return Err(Error::Image(format!(
                    "a segmentation map of {width} x {height} px in a batch of {side} x {side}; crop it first"
                )));
            }
            for &id in map.as_raw() {
                classes.push(class(id)?);
            }
        }
        Ok(Self {
            classes: classes.into(),
            side: side as usize,
        })
    }

    /// Maps without any label: what a photo without segmentation has.
    #[must_use]
    pub fn unlabelled(batch: usize, side: usize) -> Self {
        Self {
            classes: vec![CLASSES as u8; batch * side * side].into(),
            side,
        }
    }

    /// Maps in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.side == 0 {
            0
        } else {
            self.classes.len() / (self.side * self.side)
        }
    }

    /// Whether the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Side of a map in pixels.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// Maps `start .. start + count` as a batch of their own.
    ///
    /// # Errors
    /// [`Error::Image`] when the batch has no such maps.
    pub fn narrow(&self, start: usize, count: usize) -> Result<Self> {
        let map = self.side * self.side;
        let range = start * map..(start + count) * map;
        let classes = self.classes.get(range).ok_or_else(|| {
            Error::Image(format!(
                "maps {start}..{} of a batch of {}",
                start + count,
                self.len()
            ))
        })?;
        Ok(Self {
            classes: classes.into(),
            side: self.side,
        })
    }

    /// All classes, [`CLASSES`] where unlabelled.
    pub(crate) fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// One map's classes, row by row.
    pub(crate) fn map(&self, index: usize) -> &[u8] {
        &self.classes[index * self.side * self.side..(index + 1) * self.side * self.side]
    }
}

fn class(id: u8) -> Result<u8> {
    match id {
        UNLABELLED => Ok(CLASSES as u8),
        id if usize::from(id) < CLASSES => Ok(id),
        id => Err(Error::Image(format!(
            "a segmentation map holds the id {id}; ADE20K ids are 0 to 149, and 255 where unlabelled"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn ids_are_checked_and_parts_can_be_taken() {
        let map = |id| GrayImage::from_pixel(4, 4, image::Luma([id]));
        let labels = Labels::from_images(&[map(0), map(149), map(255)]).unwrap();
        assert_eq!((labels.len(), labels.side()), (3, 4));
        assert_eq!(labels.narrow(1, 2).unwrap().map(0), [149; 16]);
        assert_eq!(labels.map(2), Labels::unlabelled(1, 4).map(0));
        assert!(labels.narrow(2, 2).is_err());
        assert!(
            Labels::from_images(&[map(150)])
                .unwrap_err()
                .to_string()
                .contains("150")
        );
        assert!(
            Labels::from_images(&[map(1), GrayImage::new(4, 5)])
                .unwrap_err()
                .to_string()
                .contains("4 x 5")
        );
    }
}
