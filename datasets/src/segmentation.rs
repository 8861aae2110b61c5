//! Segmentation maps: one ADE20K class id per pixel.

use std::path::Path;

use image::{DynamicImage, ExtendedColorType, GrayImage, ImageDecoder, ImageEncoder};

use crate::ade20k::{CLASSES, UNLABELLED};
use crate::decode::{DecodeLimits, decodable_format, explain, guarded, open_decoder, read_limited};
use crate::{Error, Result, atomic};

/// Decodes a segmentation map: an 8-bit single-channel image whose values are ADE20K ids (0 to 149) or 255, unlabelled.
///
/// Values are taken as they are: no orientation, no scaling, no colour conversion.
///
/// # Errors
/// What [`crate::decode_image`] refuses, and [`Error::BadSegmentation`] for colour, palette, 1-, 2-, 4- or 16-bit images
/// and for ids that no class has.
pub fn decode_segmentation(path: impl AsRef<Path>) -> Result<GrayImage> {
    let path = path.as_ref();
    let bytes = read_limited(path, &DecodeLimits::default())?;
    decode_segmentation_bytes(&bytes, path)
}

/// Decodes a segmentation map in memory, as [`decode_segmentation`] does; `name` stands for it in errors.
///
/// # Errors
/// As [`decode_segmentation`].
pub fn decode_segmentation_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<GrayImage> {
    let path = name.as_ref();
    let limits = DecodeLimits::default();
    let format = decodable_format(bytes, path)?;
    let map = guarded(path, || {
        let decoder = open_decoder(bytes, format, path, &limits)?;
        let stored = decoder.original_color_type();
        if stored != ExtendedColorType::L8 {
            return Err(bad(path, format!("its pixels are {stored:?}")));
        }
        match DynamicImage::from_decoder(decoder).map_err(|error| explain(error, path))? {
            DynamicImage::ImageLuma8(map) => Ok(map),
            other => Err(bad(path, format!("its pixels are {:?}", other.color()))),
        }
    })?;
    check(&map, path)?;
    Ok(map)
}

/// Writes a segmentation map as an 8-bit greyscale PNG; the file appears whole or not at all.
///
/// # Errors
/// [`Error::BadSegmentation`] for ids that no class has, [`Error::Io`] when the file cannot be written.
pub fn encode_segmentation(map: &GrayImage, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    check(map, path)?;
    atomic::write(path, |file| {
        image::codecs::png::PngEncoder::new(file)
            .write_image(map, map.width(), map.height(), ExtendedColorType::L8)
            .map_err(|error| Error::io("write", path)(std::io::Error::other(error)))
    })
}

fn check(map: &GrayImage, path: &Path) -> Result<()> {
    let stray = map
        .enumerate_pixels()
        .find(|(_, _, pixel)| usize::from(pixel[0]) >= CLASSES && pixel[0] != UNLABELLED);
    match stray {
        None => Ok(()),
        Some((x, y, pixel)) => Err(bad(
            path,
            format!("the pixel at ({x}, {y}) has the id {}", pixel[0]),
        )),
    }
}

fn bad(path: &Path, detail: String) -> Error {
    Error::BadSegmentation {
        path: path.to_path_buf(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use image::{Luma, RgbImage};

    use super::*;

    #[test]
    fn a_map_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map.png");
        let map = GrayImage::from_fn(151, 3, |x, _| Luma([if x < 150 { x as u8 } else { UNLABELLED }]));
        encode_segmentation(&map, &path).unwrap();
        assert_eq!(decode_segmentation(&path).unwrap(), map);
    }

    #[test]
    fn an_unknown_id_names_the_pixel_and_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map.png");
        let mut map = GrayImage::new(4, 4);
        map.put_pixel(2, 3, Luma([200]));
        map.save(&path).unwrap();
        let error = decode_segmentation(&path).unwrap_err();
        assert_eq!(error.reason(), "bad-segmentation");
        let text = error.to_string();
        assert!(
            text.contains("map.png") && text.contains("(2, 3)") && text.contains("200"),
            "{text}"
        );
        assert!(encode_segmentation(&map, dir.path().join("other.png")).is_err());
        assert!(!dir.path().join("other.png").exists());
    }

    #[test]
    fn colour_and_sixteen_bit_maps_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("colour.png");
        RgbImage::new(4, 4).save(&path).unwrap();
        assert_eq!(
            decode_segmentation(&path).unwrap_err().reason(),
            "bad-segmentation"
        );
        image::ImageBuffer::<Luma<u16>, _>::new(4, 4).save(&path).unwrap();
        assert_eq!(
            decode_segmentation(&path).unwrap_err().reason(),
            "bad-segmentation"
        );
    }
}
