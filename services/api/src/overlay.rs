//! A segmentation map as a picture that covers its photo.

use std::io::Cursor;

use image::{GrayImage, ImageError, ImageFormat, Rgba, RgbaImage};

/// Longest side of an overlay in pixels.
const LONGEST_SIDE: u32 = 2048;

/// Width and height of the overlay of a square map of the middle of a photo: the photo's proportions, its shorter side as long as the
/// map's, unless that made it too long.
pub(crate) fn size(map: (u32, u32), photo: (u32, u32)) -> (u32, u32) {
    let (width, height) = (u64::from(photo.0.max(1)), u64::from(photo.1.max(1)));
    let square = u64::from(map.0.min(map.1).max(1));
    let longer =
        |long: u64, short: u64| (square * long / short).clamp(square, u64::from(LONGEST_SIDE).max(square));
    let (wide, high) = match width >= height {
        true => (longer(width, height), square),
        false => (square, longer(height, width)),
    };
    (wide as u32, high as u32)
}

/// The overlay as a PNG: each pixel in its class's colour, transparent where the model did not look or found nothing it knows.
pub(crate) fn png(map: &GrayImage, photo: (u32, u32), opacity: f64) -> Result<Vec<u8>, ImageError> {
    let (width, height) = size(map.dimensions(), photo);
    let alpha = (255.0 * opacity.clamp(0.0, 1.0)).round() as u8;
    let mut picture = RgbaImage::new(width, height);
    let (left, top) = (
        (width - map.width().min(width)) / 2,
        (height - map.height().min(height)) / 2,
    );
    for (x, y, class) in map.enumerate_pixels() {
        let (x, y) = (x + left, y + top);
        if class[0] == datasets::ade20k::UNLABELLED || x >= width || y >= height {
            continue;
        }
        let [red, green, blue] = datasets::ade20k::colour(class[0]);
        picture.put_pixel(x, y, Rgba([red, green, blue, alpha]));
    }
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    #[test]
    fn an_overlay_has_the_proportions_of_its_photo() {
        assert_eq!(size((64, 64), (640, 480)), (85, 64));
        assert_eq!(size((64, 64), (300, 900)), (64, 192));
        assert_eq!(size((64, 64), (10_000, 10)), (LONGEST_SIDE, 64));
        let map = GrayImage::from_fn(64, 64, |x, _| Luma([if x < 32 { 2 } else { 255 }]));
        let png = png(&map, (640, 480), 0.5).unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_rgba8();
        assert_eq!(picture.dimensions(), (85, 64));
        let [red, green, blue] = datasets::ade20k::colour(2);
        assert_eq!(*picture.get_pixel(12, 30), Rgba([red, green, blue, 128]));
        assert_eq!(picture.get_pixel(2, 30)[3], 0, "beside the square");
        assert_eq!(picture.get_pixel(60, 30)[3], 0, "unlabelled");
    }
}
