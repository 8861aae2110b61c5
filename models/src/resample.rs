//! Resampling of photos, byte for byte as Pillow does it, which the reference preprocessing of CLIP (bicubic) and of the
//! published segmenters (bilinear) is defined by.
//!
//! General resizers come within a byte or two of it and differ by more where a pass overshoots; the details that decide are
//! the order (across, then down), rounding to u8 in between, and weights of 22 fractional bits.

use std::ops::Range;

use image::RgbImage;

const FRACTION: u32 = 22;
const CHANNELS: usize = 3;

/// The weights that neighbouring pixels have, antialiased when a photo shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Bilinear,
    Bicubic,
}

/// The part `columns` x `rows` of the photo resized to `width` x `height`, bicubically.
pub(crate) fn resample(
    photo: &RgbImage,
    size: (u32, u32),
    columns: Range<u32>,
    rows: Range<u32>,
) -> RgbImage {
    resample_with(photo, size, columns, rows, Filter::Bicubic)
}

/// The part `columns` x `rows` of the photo resized to `width` x `height`.
pub(crate) fn resample_with(
    photo: &RgbImage,
    (width, height): (u32, u32),
    columns: Range<u32>,
    rows: Range<u32>,
    filter: Filter,
) -> RgbImage {
    let across = Weights::new(photo.width(), width, columns.clone(), filter);
    let down = Weights::new(photo.height(), height, rows.clone(), filter);
    // Only the input rows that the second pass will read.
    let first = down.taps.first().map_or(0, |taps| taps.start);
    let last = down.taps.last().map_or(0, |taps| taps.start + taps.weights.len());
    let line = photo.width() as usize * CHANNELS;
    let narrow = across.taps.len() * CHANNELS;
    let mut between = Vec::with_capacity((last - first) * narrow);
    for row in photo.as_raw()[first * line..last * line].chunks_exact(line.max(1)) {
        for taps in &across.taps {
            let mut sums = [1_i32 << (FRACTION - 1); CHANNELS];
            let pixels = row[taps.start * CHANNELS..].chunks_exact(CHANNELS);
            for (weight, pixel) in taps.weights.iter().zip(pixels) {
                for (sum, byte) in sums.iter_mut().zip(pixel) {
                    // Weights sum to one, so the sums stay well inside 31 bits.
                    *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*byte)));
                }
            }
            between.extend(sums.map(byte));
        }
    }
    let mut out = Vec::with_capacity(down.taps.len() * narrow);
    let mut sums = vec![0_i32; narrow];
    for taps in &down.taps {
        sums.fill(1 << (FRACTION - 1));
        let lines = between[(taps.start - first) * narrow..].chunks_exact(narrow.max(1));
        for (weight, line) in taps.weights.iter().zip(lines) {
            for (sum, byte) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*byte)));
            }
        }
        out.extend(sums.iter().copied().map(byte));
    }
    RgbImage::from_raw(columns.len() as u32, rows.len() as u32, out).unwrap_or_default()
}

fn byte(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

/// For every output position of one axis, the inputs that it is a weighted sum of.
struct Weights {
    taps: Vec<Taps>,
}

struct Taps {
    start: usize,
    weights: Vec<i32>,
}

impl Weights {
    fn new(from: u32, to: u32, wanted: Range<u32>, filter: Filter) -> Self {
        let scale = f64::from(from) / f64::from(to);
        // Shrinking widens the kernel: that is the antialiasing.
        let stretch = scale.max(1.0);
        let reach = filter.reach() * stretch;
        let taps = wanted
            .map(|position| {
                let centre = (f64::from(position) + 0.5) * scale;
                let start = (centre - reach + 0.5).max(0.0) as usize;
                let end = ((centre + reach + 0.5) as usize).min(from as usize);
                let exact: Vec<f64> = (start..end)
                    .map(|input| filter.weight((input as f64 - centre + 0.5) / stretch))
                    .collect();
                let total: f64 = exact.iter().sum();
                let unit = f64::from(1_u32 << FRACTION);
                Taps {
                    start,
                    weights: exact
                        .iter()
                        .map(|weight| (weight / total * unit).round() as i32)
                        .collect(),
                }
            })
            .collect();
        Self { taps }
    }
}

impl Filter {
    /// Distance beyond which pixels have no weight.
    fn reach(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => cubic(x),
        }
    }
}

/// The cubic convolution kernel with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_part_of_the_whole() {
        let photo = RgbImage::from_fn(41, 30, |x, y| {
            image::Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8])
        });
        for size in [(82, 60), (17, 11), (41, 9)] {
            let whole = resample(&photo, size, 0..size.0, 0..size.1);
            assert_eq!(whole.dimensions(), size);
            let part = resample(&photo, size, 3..9, 2..8);
            assert_eq!(image::imageops::crop_imm(&whole, 3, 2, 6, 6).to_image(), part);
        }
    }

    #[test]
    fn one_colour_stays_and_the_same_size_changes_nothing() {
        let grey = RgbImage::from_pixel(13, 7, image::Rgb([200, 0, 255]));
        assert!(
            resample(&grey, (5, 29), 0..5, 0..29)
                .pixels()
                .all(|pixel| pixel.0 == [200, 0, 255])
        );
        let photo = RgbImage::from_fn(9, 8, |x, y| image::Rgb([(x * 28) as u8, (y * 31) as u8, 9]));
        assert_eq!(resample(&photo, (9, 8), 0..9, 0..8), photo);
    }
}
