//! The preprocessing of published segmenters, equal to their reference image processors.

use std::path::Path;

use candle_core::{Device, Tensor};
use image::RgbImage;
use rayon::prelude::*;
use serde::Deserialize;

use super::published::read_json;
use crate::resample::{Filter, resample_with};
use crate::weights::published;
use crate::{Error, Result};

const FILE: &str = "preprocessor_config.json";

/// Resizing, scaling and normalisation as `preprocessor_config.json` says.
#[derive(Clone, Debug)]
pub struct ImageProcessor {
    resize: Option<(Resize, Filter)>,
    /// The normalised value of every byte, a table a channel.
    tables: Box<[[f32; 256]; 3]>,
}

/// The size that a photo is resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The shorter edge to a length, unless the longer one then exceeds its own.
    Edges {
        /// Length of the shorter edge.
        shortest: u32,
        /// The most that the longer edge may have.
        longest: Option<u32>,
    },
    /// To a size, whatever the photo's.
    Exactly {
        /// In pixels.
        height: u32,
        /// In pixels.
        width: u32,
    },
}

impl Resize {
    /// What OneFormer's processor does if its file says nothing.
    #[must_use]
    pub fn oneformer() -> Self {
        Self::Edges {
            shortest: 800,
            longest: Some(1333),
        }
    }

    /// What SegFormer's processor does if its file says nothing.
    #[must_use]
    pub fn segformer() -> Self {
        Self::Exactly {
            height: 512,
            width: 512,
        }
    }

    /// Width and height after resizing.
    ///
    /// # Errors
    /// [`Error::Image`] for a photo without pixels, or one so narrow that nothing would be left of it.
    pub fn size(self, (width, height): (u32, u32)) -> Result<(u32, u32)> {
        let (least, most) = (u64::from(width.min(height)), u64::from(width.max(height)));
        if least == 0 {
            return Err(Error::Image(format!(
                "an image of {width} x {height} px has no pixels"
            )));
        }
        let (shortest, longest) = match self {
            Self::Exactly { height, width } => return Ok((width, height)),
            Self::Edges { shortest, longest } => (u64::from(shortest), longest.map(u64::from)),
        };
        // Rounded down twice, as the reference does.
        let mut edges = (shortest, shortest * most / least);
        if let Some(longest) = longest
            && edges.1 > longest
        {
            edges = (longest * edges.0 / edges.1, longest);
        }
        let too_narrow = || {
            Error::Image(format!(
                "an image of {width} x {height} px is too narrow to be a photo; crop it"
            ))
        };
        let short = u32::try_from(edges.0).ok().filter(|short| *short > 0);
        let long = u32::try_from(edges.1).ok().filter(|long| *long <= 1 << 16);
        let (short, long) = short.zip(long).ok_or_else(too_narrow)?;
        Ok(if width <= height {
            (short, long)
        } else {
            (long, short)
        })
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct Published {
    do_resize: bool,
    size: Option<Size>,
    max_size: Option<u32>,
    resample: u8,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Side(u32),
    Edges {
        shortest_edge: u32,
        longest_edge: Option<u32>,
    },
    Exactly {
        height: u32,
        width: u32,
    },
}

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Sides beyond this are a damaged file.
const LONGEST: u32 = 1 << 14;

impl Default for Published {
    fn default() -> Self {
        Self {
            do_resize: true,
            size: None,
            max_size: None,
            resample: 2,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: None,
            image_std: None,
        }
    }
}

impl ImageProcessor {
    /// Reads `preprocessor_config.json`; `default` is how the model's processor resizes if the file does not say.
    ///
    /// # Errors
    /// [`Error::Published`] and [`Error::Json`] name the file and what is wrong.
    pub fn read(directory: &Path, default: Resize) -> Result<Self> {
        let path = directory.join(FILE);
        if !path.is_file() {
            return Err(published(
                directory,
                format!("holds no {FILE}, which says how photos are resized; fetch it beside the weights"),
            ));
        }
        let file: Published = read_json(&path)?;
        let resize = match (file.size, default) {
            (None, default) => default,
            (Some(Size::Side(side)), Resize::Exactly { .. }) => Resize::Exactly {
                height: side,
                width: side,
            },
            (Some(Size::Side(side)), Resize::Edges { .. }) => Resize::Edges {
                shortest: side,
                longest: Some(file.max_size.unwrap_or(1333)),
            },
            (
                Some(Size::Edges {
                    shortest_edge,
                    longest_edge,
                }),
                _,
            ) => Resize::Edges {
                shortest: shortest_edge,
                longest: longest_edge,
            },
            (Some(Size::Exactly { height, width }), _) => Resize::Exactly { height, width },
        };
        let sides = match resize {
            Resize::Edges { shortest, longest } => [shortest, longest.unwrap_or(shortest)],
            Resize::Exactly { height, width } => [height, width],
        };
        if sides.iter().any(|side| *side == 0 || *side > LONGEST) {
            return Err(published(
                &path,
                format!("size {sides:?} is not between 1 and {LONGEST} px; fetch the file again"),
            ));
        }
        let filter = match file.resample {
            2 => Filter::Bilinear,
            3 => Filter::Bicubic,
            other => {
                return Err(published(
                    &path,
                    format!("resample {other} is not supported; 2 (bilinear) and 3 (bicubic) are"),
                ));
            }
        };
        let factor = if file.do_rescale { file.rescale_factor } else { 1.0 };
        let (mean, std) = if file.do_normalize {
            (file.image_mean.unwrap_or(MEAN), file.image_std.unwrap_or(STD))
        } else {
            ([0.0; 3], [1.0; 3])
        };
        let tables = std::array::from_fn(|channel| {
            std::array::from_fn(|byte| ((byte as f64 * factor) as f32 - mean[channel]) / std[channel])
        });
        Ok(Self {
            resize: file.do_resize.then_some((resize, filter)),
            tables: Box::new(tables),
        })
    }

    /// The photo at the size that the network sees.
    ///
    /// # Errors
    /// As [`Resize::size`].
    pub fn resized(&self, photo: &RgbImage) -> Result<RgbImage> {
        let Some((resize, filter)) = self.resize else {
            return match photo.dimensions() {
                (0, _) | (_, 0) => Err(Error::Image("an image that has no pixels".to_owned())),
                _ => Ok(photo.clone()),
            };
        };
        let (width, height) = resize.size(photo.dimensions())?;
        if photo.dimensions() == (width, height) {
            return Ok(photo.clone());
        }
        Ok(resample_with(photo, (width, height), 0..width, 0..height, filter))
    }

    /// A photo's normalised pixels, `[1, 3, height, width]` as the reference has them.
    ///
    /// # Errors
    /// As [`Resize::size`].
    pub fn pixel_values(&self, photo: &RgbImage) -> Result<Tensor> {
        Ok(self
            .pixels(photo, &Device::Cpu)?
            .permute([0, 3, 1, 2])?
            .contiguous()?)
    }

    /// A photo's normalised pixels, `[1, height, width, 3]`.
    pub(super) fn pixels(&self, photo: &RgbImage, device: &Device) -> Result<Tensor> {
        let resized = self.resized(photo)?;
        let (width, height) = (resized.width() as usize, resized.height() as usize);
        let mut values = vec![0.0_f32; 3 * width * height];
        values
            .par_chunks_mut(3 * width)
            .zip(resized.as_raw().par_chunks(3 * width))
            .for_each(|(values, bytes)| {
                for (values, bytes) in values.chunks_exact_mut(3).zip(bytes.chunks_exact(3)) {
                    for ((value, byte), table) in values.iter_mut().zip(bytes).zip(self.tables.iter()) {
                        *value = table[usize::from(*byte)];
                    }
                }
            });
        Ok(Tensor::from_vec(values, (1, height, width, 3), device)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn sizes_are_rounded_down_as_the_reference_does() {
        let resize = Resize::Edges {
            shortest: 90,
            longest: Some(360),
        };
        assert_eq!(resize.size((219, 150)).unwrap(), (131, 90));
        assert_eq!(resize.size((150, 219)).unwrap(), (90, 131));
        assert_eq!(resize.size((1000, 100)).unwrap(), (360, 36));
        assert_eq!(resize.size((7, 7)).unwrap(), (90, 90));
        assert!(resize.size((0, 5)).unwrap_err().to_string().contains("no pixels"));
        assert!(
            resize
                .size((60_000, 1))
                .unwrap_err()
                .to_string()
                .contains("too narrow")
        );
        assert_eq!(Resize::segformer().size((60_000, 1)).unwrap(), (512, 512));
    }

    #[test]
    fn unusable_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = |json: &str| {
            fs_err::write(folder.path().join(FILE), json).unwrap();
            ImageProcessor::read(folder.path(), Resize::oneformer())
        };
        let message = |json: &str| read(json).unwrap_err().to_string();
        assert!(message("{\"resample\": 1}").contains("resample 1"));
        assert!(message("{\"size\": 0}").contains("between 1"));
        assert!(message("{").contains(FILE));
        assert!(message("{\"size\": \"big\"}").contains(FILE));
        assert_eq!(
            read("{\"size\": 336}").unwrap().resize.unwrap().0,
            Resize::Edges {
                shortest: 336,
                longest: Some(1333)
            }
        );
        fs_err::remove_file(folder.path().join(FILE)).unwrap();
        let missing = ImageProcessor::read(folder.path(), Resize::segformer())
            .unwrap_err()
            .to_string();
        assert!(missing.contains("holds no preprocessor_config.json"), "{missing}");
    }
}
