//! From scores of classes to the best class of every pixel of a photo.

use candle_core::{Device, Tensor};
use image::GrayImage;
use rayon::prelude::*;

use crate::ops::{Between, blend, blend_rows};
use crate::{Error, Result};

/// The class with the highest score at every pixel: scores `[batch, height, width, classes]` are resized bilinearly to each
/// photo's `(width, height)`, without holding the resized scores, which would be hundreds of megabytes. Of equal scores
/// the first class is taken.
///
/// # Errors
/// [`Error::Image`] for sizes that are not one a photo, or more classes than a byte can say.
pub fn label_maps(scores: &Tensor, sizes: &[(u32, u32)]) -> Result<Vec<GrayImage>> {
    let (batch, height, width, classes) = scores.dims4()?;
    if batch != sizes.len() || classes == 0 || classes > 256 {
        return Err(Error::Image(format!(
            "scores of {batch} photos and {classes} classes for maps of {} photos",
            sizes.len()
        )));
    }
    let values: Vec<f32> = scores
        .to_device(&Device::Cpu)?
        .to_dtype(candle_core::DType::F32)?
        .flatten_all()?
        .to_vec1()?;
    let image = height * width * classes;
    values
        .chunks_exact(image)
        .zip(sizes)
        .map(|(scores, size)| Ok(label_map(scores, (height, width, classes), *size)))
        .collect()
}

fn label_map(
    scores: &[f32],
    (height, width, classes): (usize, usize, usize),
    (to_width, to_height): (u32, u32),
) -> GrayImage {
    let down = Between::axis(height, to_height as usize);
    let across = Between::axis(width, to_width as usize);
    let line = width * classes;
    let mut labels = vec![0_u8; across.len() * down.len()];
    labels
        .par_chunks_mut(across.len().max(1))
        .zip(&down)
        .for_each(|(labels, between)| {
            let mut row = vec![0.0; line];
            let mut pixel = vec![0.0; classes];
            blend_rows(scores, line, *between, &mut row);
            for (label, between) in labels.iter_mut().zip(&across) {
                blend(
                    &row[between.first * classes..][..classes],
                    &row[between.second * classes..][..classes],
                    between.share,
                    &mut pixel,
                );
                *label = best(&pixel);
            }
        });
    GrayImage::from_raw(to_width, to_height, labels).unwrap_or_default()
}

/// Position of the greatest value, the first of equals.
fn best(values: &[f32]) -> u8 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let blocks = values.chunks_exact(lanes.len());
    let rest = blocks.remainder();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let greatest = lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
    values.iter().position(|value| *value == greatest).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_pixel_has_the_class_of_its_highest_score() {
        // Two cells, 20 classes: class 3 fades into class 18 from left to right.
        let mut scores = vec![0.0_f32; 2 * 20];
        scores[3] = 1.0;
        scores[20 + 18] = 0.5;
        let scores = Tensor::from_vec(scores, (1, 1, 2, 20), &Device::Cpu).unwrap();
        let map = label_maps(&scores, &[(8, 2)]).unwrap().remove(0);
        let row: Vec<u8> = map.pixels().take(8).map(|pixel| pixel[0]).collect();
        // The shares of the right cell are 0, 0, 1/8, 3/8, 5/8, 7/8, 1, 1; half of it must exceed the left one's.
        assert_eq!(row, [3, 3, 3, 3, 3, 18, 18, 18]);
        assert_eq!(best(&[0.0, 2.0, 2.0]), 1, "the first of equals");
        assert!(label_maps(&scores, &[]).is_err());
    }
}
