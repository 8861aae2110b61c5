//! What a caller hands in: photos and what to tell about them.

use std::sync::Arc;
use std::time::Duration;

use image::{GrayImage, RgbImage};
use models::Crops;

use crate::Result;
use crate::inference::InferenceOptions;
use crate::posterior::Posterior;
use crate::prediction::{ClassShare, Prediction, Timings};
use crate::references::ReferenceScope;
use crate::restriction::Restriction;

/// A decoded photo to be placed.
#[derive(Debug, Clone)]
pub struct Photo {
    /// Its pixels, upright, at any size.
    pub image: RgbImage,
    /// How long decoding took, for the timings of the prediction.
    pub decode: Duration,
}

impl From<RgbImage> for Photo {
    fn from(image: RgbImage) -> Self {
        Self {
            image,
            decode: Duration::ZERO,
        }
    }
}

/// What to compute and how much of it to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalizeOptions {
    /// Of the match and the posterior.
    pub inference: InferenceOptions,
    /// Reference images told, at most; 0 skips their search.
    pub references: usize,
    /// Winning cells that reference images may come from, at most.
    pub reference_cells: usize,
    /// Views of a photo that are encoded and averaged. Of [`crate::Localizer::localize`]; who encodes and answers in two steps
    /// says it to [`crate::Localizer::encode_crops`].
    pub crops: Crops,
}

impl Default for LocalizeOptions {
    fn default() -> Self {
        Self {
            inference: InferenceOptions::default(),
            references: 8,
            reference_cells: 16,
            crops: Crops::One,
        }
    }
}

impl LocalizeOptions {
    /// Refuses options that have no meaning.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] naming the option.
    pub fn check(&self) -> Result<()> {
        self.inference.check()?;
        if self.references > 0 && self.reference_cells == 0 {
            return Err(crate::Error::Invalid {
                name: "reference_cells",
                value: "0".into(),
                remedy: "allow at least one cell, or ask for 0 references",
            });
        }
        Ok(())
    }
}

/// A photo after the encoder: all that the search needs.
#[derive(Debug, Clone)]
pub struct EncodedPhoto {
    /// Unit visual embedding.
    pub embedding: Vec<f32>,
    /// Shares of the segmentation map's classes, largest first; empty without a map.
    pub segmentation: Vec<ClassShare>,
    /// The map: ADE20K ids of the square that the model saw, 255 where unlabelled.
    pub map: Option<GrayImage>,
    /// The stages so far.
    pub timings: Timings,
}

/// An encoded photo with what is asked about it.
#[derive(Debug, Clone)]
pub struct Question {
    /// The photo.
    pub photo: EncodedPhoto,
    /// What to compute and tell. Its `crops` are of the encoding, which is done.
    pub options: LocalizeOptions,
    /// The area that it is known to be of.
    pub restriction: Option<Arc<Restriction>>,
    /// Which reference images may be told, where not simply those of the winning cells.
    pub scope: Option<ReferenceScope>,
}

/// A prediction with all that it follows from.
#[derive(Debug, Clone)]
pub struct Detailed {
    /// The prediction.
    pub prediction: Prediction,
    /// The photo as it was searched.
    pub photo: EncodedPhoto,
    /// The posterior over each level's cells, coarsest level first.
    pub posteriors: Vec<Posterior>,
}

/// Shares of the classes of a map, largest first; unlabelled pixels count in the whole but are not listed.
#[must_use]
pub fn class_shares(map: &GrayImage) -> Vec<ClassShare> {
    let mut counts = [0_usize; 256];
    for pixel in map.as_raw() {
        counts[usize::from(*pixel)] += 1;
    }
    let pixels = map.as_raw().len().max(1) as f64;
    let labelled = (0..=u8::MAX).filter(|class| *class != datasets::ade20k::UNLABELLED);
    let mut shares: Vec<ClassShare> = labelled
        .filter(|class| counts[usize::from(*class)] > 0)
        .filter_map(|class| {
            let name = datasets::ade20k::name(class)?.to_owned();
            Some(ClassShare {
                class,
                name,
                share: counts[usize::from(class)] as f64 / pixels,
            })
        })
        .collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.class.cmp(&b.class)));
    shares
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    #[test]
    fn shares_are_of_all_pixels_and_largest_first() {
        let map = GrayImage::from_fn(4, 4, |x, y| {
            Luma([if x == 0 {
                255
            } else if y < 3 {
                2
            } else {
                6
            }])
        });
        let shares = class_shares(&map);
        assert_eq!(
            shares.iter().map(|s| (s.class, s.share)).collect::<Vec<_>>(),
            [(2, 9.0 / 16.0), (6, 3.0 / 16.0)]
        );
        assert_eq!(shares[0].name, "sky");
    }
}
