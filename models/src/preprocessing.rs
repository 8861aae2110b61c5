//! From a photo to what the networks take, equal to CLIP's reference image processor: the shorter edge resized to the
//! model's size (bicubic, antialiased, in u8 as Pillow does), the centre cut out, then scaled and normalised.

use candle_core::{Device, Tensor};
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use crate::config::ModelConfig;
use crate::resample::resample;
use crate::{Error, Result};

/// The preprocessing of one model.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    side: u32,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Preprocessor {
    /// For photos of a model's size and normalisation.
    #[must_use]
    pub fn new(config: &ModelConfig) -> Self {
        Self {
            side: config.image_size as u32,
            mean: config.mean,
            std: config.std,
        }
    }

    /// For photos of another size or normalisation.
    #[must_use]
    pub(crate) fn with_side(side: usize, mean: [f32; 3], std: [f32; 3]) -> Self {
        Self {
            side: side as u32,
            mean,
            std,
        }
    }

    /// Side of the square that a photo becomes, in pixels.
    #[must_use]
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Resizes the shorter edge and cuts out the centre: `[side, side]` of u8, which may be cached.
    ///
    /// # Errors
    /// [`Error::Image`] for a photo without pixels.
    pub fn crop(&self, photo: &RgbImage) -> Result<RgbImage> {
        let (width, height) = self.resized(photo.dimensions(), self.side)?;
        if photo.dimensions() == (self.side, self.side) {
            return Ok(photo.clone());
        }
        let (left, top) = ((width - self.side) / 2, (height - self.side) / 2);
        Ok(resample(
            photo,
            (width, height),
            left..left + self.side,
            top..top + self.side,
        ))
    }

    /// The same geometry for a map of class ids, each pixel from the nearest one. The map may have another resolution than
    /// the photo, but must have its aspect.
    ///
    /// # Errors
    /// [`Error::Image`] for a map without pixels.
    pub fn crop_labels(&self, map: &GrayImage) -> Result<GrayImage> {
        let (width, height) = self.resized(map.dimensions(), self.side)?;
        if map.dimensions() == (self.side, self.side) {
            return Ok(map.clone());
        }
        let corner = ((width - self.side) / 2, (height - self.side) / 2);
        Ok(self.cut_labels(map, (width, height), corner))
    }

    /// Ten views of a photo: the four corners and the centre of the photo at 8/7 of the model's size, and their mirror
    /// images. Each is `[side, side]`.
    ///
    /// # Errors
    /// [`Error::Image`] for a photo without pixels.
    pub fn ten_crop(&self, photo: &RgbImage) -> Result<Vec<RgbImage>> {
        let size = self.resized(photo.dimensions(), self.ten_crop_edge())?;
        // Each view by itself: of a very wide photo, only what is used is resized.
        let views = self
            .ten_crop_corners(size)
            .map(|(left, top)| resample(photo, size, left..left + self.side, top..top + self.side));
        Ok(with_mirrored(&views))
    }

    /// The same ten views of a map of class ids, each pixel from the nearest one.
    ///
    /// # Errors
    /// [`Error::Image`] for a map without pixels.
    pub fn ten_crop_labels(&self, map: &GrayImage) -> Result<Vec<GrayImage>> {
        let size = self.resized(map.dimensions(), self.ten_crop_edge())?;
        let views = self
            .ten_crop_corners(size)
            .map(|corner| self.cut_labels(map, size, corner));
        Ok(with_mirrored(&views))
    }

    /// The shorter edge that ten views are cut from: 256 for 224, 384 for 336.
    fn ten_crop_edge(&self) -> u32 {
        self.side.div_ceil(7) * 8
    }

    /// Top left, top right, bottom left, bottom right, centre, each as left and top edge.
    fn ten_crop_corners(&self, (width, height): (u32, u32)) -> [(u32, u32); 5] {
        let (right, bottom) = (width - self.side, height - self.side);
        [
            (0, 0),
            (right, 0),
            (0, bottom),
            (right, bottom),
            (half_to_even(right), half_to_even(bottom)),
        ]
    }

    /// The square of a map at `corner` of its size `(width, height)` once resized.
    fn cut_labels(&self, map: &GrayImage, (width, height): (u32, u32), (left, top): (u32, u32)) -> GrayImage {
        let nearest = |position: u32, from: u32, to: u32| {
            let centre = (f64::from(position) + 0.5) * f64::from(from) / f64::from(to);
            (centre as u32).min(from - 1)
        };
        GrayImage::from_fn(self.side, self.side, |x, y| {
            *map.get_pixel(
                nearest(x + left, map.width(), width),
                nearest(y + top, map.height(), height),
            )
        })
    }

    /// Crops to normalised pixels `[batch, 3, side, side]`.
    ///
    /// # Errors
    /// [`Error::Image`] for no crop, or one of another size.
    pub fn to_tensor(&self, crops: &[RgbImage], device: &Device) -> Result<Tensor> {
        let side = self.side as usize;
        let plane = side * side;
        if crops.is_empty() {
            return Err(Error::Image("no photo in the batch".to_owned()));
        }
        if let Some(crop) = crops
            .iter()
            .find(|crop| crop.dimensions() != (self.side, self.side))
        {
            let (width, height) = crop.dimensions();
            return Err(Error::Image(format!(
                "a photo of {width} x {height} px where {side} x {side} are needed; crop it first"
            )));
        }
        let tables = self.tables();
        let mut values = vec![0.0_f32; crops.len() * 3 * plane];
        values
            .par_chunks_mut(3 * plane)
            .zip(crops)
            .for_each(|(values, crop)| {
                for (channel, (plane, table)) in values.chunks_exact_mut(plane).zip(&tables).enumerate() {
                    for (value, pixel) in plane.iter_mut().zip(crop.as_raw().chunks_exact(3)) {
                        *value = table[usize::from(pixel[channel])];
                    }
                }
            });
        Ok(Tensor::from_vec(values, (crops.len(), 3, side, side), device)?)
    }

    /// The normalised value of every byte, a table a channel.
    fn tables(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel])
        })
    }

    /// Size after the shorter edge became `short`; the longer one is rounded down, as the reference does.
    fn resized(&self, (width, height): (u32, u32), short: u32) -> Result<(u32, u32)> {
        let (least, most) = (width.min(height), width.max(height));
        if least == 0 {
            return Err(Error::Image(format!(
                "an image of {width} x {height} px has no pixels"
            )));
        }
        let long = u64::from(short) * u64::from(most) / u64::from(least);
        // A photo of one pixel's height would become a strip of millions; nothing but its middle is used.
        let long = u32::try_from(long)
            .ok()
            .filter(|long| *long <= 1 << 20)
            .ok_or_else(|| {
                Error::Image(format!(
                    "an image of {width} x {height} px is too narrow to be a photo; crop it"
                ))
            })?;
        Ok(if width <= height {
            (short, long)
        } else {
            (long, short)
        })
    }
}

/// Half of a margin, rounded as torchvision's centre crop rounds it.
fn half_to_even(margin: u32) -> u32 {
    let half = margin / 2;
    half + u32::from(margin % 2 == 1 && half % 2 == 1)
}

/// The views, and then their mirror images.
fn with_mirrored<P>(views: &[image::ImageBuffer<P, Vec<u8>>]) -> Vec<image::ImageBuffer<P, Vec<u8>>>
where
    P: image::Pixel<Subpixel = u8> + 'static,
{
    let mirrored = views.iter().map(image::imageops::flip_horizontal);
    views.iter().cloned().chain(mirrored).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn preprocessor() -> Preprocessor {
        Preprocessor::new(&ModelConfig::demo())
    }

    #[test]
    fn labels_are_cut_as_photos_are() {
        // A photo and a map with the same vertical bands: wherever the crop's colour is pure, the label must agree.
        let band = |x: u32| (x / 40) as u8;
        let photo = RgbImage::from_fn(400, 230, |x, _| image::Rgb([band(x) * 25; 3]));
        let map = GrayImage::from_fn(400, 230, |x, _| image::Luma([band(x)]));
        let (photo, map) = (
            preprocessor().crop(&photo).unwrap(),
            preprocessor().crop_labels(&map).unwrap(),
        );
        assert_eq!((photo.dimensions(), map.dimensions()), ((64, 64), (64, 64)));
        let mut pure = 0;
        for (colour, label) in photo.pixels().zip(map.pixels()) {
            if colour[0] % 25 == 0 {
                assert_eq!(colour[0] / 25, label[0]);
                pure += 1;
            }
        }
        assert!(pure > 2000, "{pure}");
    }

    #[test]
    fn ten_views_have_the_size_and_mirror_each_other() {
        let photo = RgbImage::from_fn(200, 150, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
        let views = preprocessor().ten_crop(&photo).unwrap();
        assert_eq!(views.len(), 10);
        assert!(views.iter().all(|view| view.dimensions() == (64, 64)));
        assert_eq!(image::imageops::flip_horizontal(&views[3]), views[8]);
        assert_ne!(views[0], views[1]);
    }

    #[test]
    fn ten_views_of_a_map_lie_where_the_photos_do() {
        let band = |x: u32| (x / 40) as u8;
        let photo = RgbImage::from_fn(400, 230, |x, _| image::Rgb([band(x) * 25; 3]));
        let map = GrayImage::from_fn(400, 230, |x, _| image::Luma([band(x)]));
        let views = preprocessor().ten_crop(&photo).unwrap();
        let maps = preprocessor().ten_crop_labels(&map).unwrap();
        assert_eq!((views.len(), maps.len()), (10, 10));
        for (view, map) in views.iter().zip(&maps) {
            let pure = view
                .pixels()
                .zip(map.pixels())
                .filter(|(colour, _)| colour[0] % 25 == 0);
            let (mut same, mut all) = (0, 0);
            for (colour, label) in pure {
                all += 1;
                same += u32::from(colour[0] / 25 == label[0]);
            }
            assert!(all > 2000 && same == all, "{same} of {all}");
        }
    }

    #[test]
    fn the_centre_lies_where_torchvision_has_it() {
        let centre = |width, height| preprocessor().ten_crop_corners((width, height))[4];
        // Margins of 16, 17 and 19 pixels: 8, 8.5 and 9.5, halves to even.
        assert_eq!(centre(80, 81), (8, 8));
        assert_eq!(centre(83, 80), (10, 8));
    }

    #[test]
    fn unusable_images_are_refused() {
        let message = |width, height| {
            preprocessor()
                .crop(&RgbImage::new(width, height))
                .unwrap_err()
                .to_string()
        };
        assert!(message(0, 10).contains("no pixels"));
        assert!(message(1, 60_000).contains("too narrow"));
        assert!(
            preprocessor()
                .to_tensor(&[RgbImage::new(3, 3)], &Device::Cpu)
                .is_err()
        );
        assert!(preprocessor().to_tensor(&[], &Device::Cpu).is_err());
    }
}
