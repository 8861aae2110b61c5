//! Pixels from untrusted files: what is decoded, how, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Cursor;

use exif::{Tag, Value};
use geosurge_datasets::{DecodeLimits, Error, decode_bytes, decode_image};
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use support::{encoded, field, jpeg_with, picture, write};

fn decode(bytes: &[u8]) -> Result<RgbImage, Error> {
    decode_bytes(bytes, "image", &DecodeLimits::default())
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A PNG whose header claims a size and whose data are a few bytes: what a decompression bomb looks like before it goes off.
fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(RgbImage::new(1, 1));
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn lossless_formats_come_back_exactly_whatever_their_name() {
    let dir = tempfile::tempdir().unwrap();
    for format in [
        ImageFormat::Png,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
        ImageFormat::WebP,
    ] {
        let path = write(dir.path().join("misnamed.jpg"), encoded(3, format));
        assert_eq!(
            decode_image(&path, &DecodeLimits::default()).unwrap(),
            picture(3),
            "{format:?}"
        );
    }
}

#[test]
fn the_orientation_of_exif_is_applied() {
    let jpeg = |orientation: u16| {
        let fields = [field(Tag::Orientation, Value::Short(vec![orientation]))];
        decode(&jpeg_with(3, &fields)).unwrap()
    };
    let upright = jpeg(1);
    assert_eq!(upright.dimensions(), (32, 24));
    let turned = image::imageops::rotate90(&upright);
    assert_eq!(jpeg(6), turned);
    assert_eq!(jpeg(3), image::imageops::rotate180(&upright));
    assert_eq!(jpeg(2), image::imageops::flip_horizontal(&upright));
}

#[test]
fn alpha_is_dropped_and_not_blended() {
    let transparent = RgbaImage::from_pixel(4, 4, Rgba([200, 100, 50, 0]));
    assert_eq!(
        decode(&png(transparent)).unwrap(),
        RgbImage::from_pixel(4, 4, Rgb([200, 100, 50]))
    );
}

#[test]
fn sixteen_bits_and_greyscale_become_eight_bit_rgb() {
    let deep = ImageBuffer::from_pixel(4, 4, Rgb([0xffff_u16, 0x8080, 0]));
    assert_eq!(
        decode(&png(deep)).unwrap(),
        RgbImage::from_pixel(4, 4, Rgb([255, 128, 0]))
    );
    let grey = ImageBuffer::from_pixel(4, 4, Luma([77_u8]));
    assert_eq!(
        decode(&png(grey)).unwrap(),
        RgbImage::from_pixel(4, 4, Rgb([77, 77, 77]))
    );
}

#[test]
fn an_animation_gives_its_first_frame() {
    let mut bytes = Vec::new();
    {
        let mut encoder = GifEncoder::new(&mut bytes);
        for colour in [[255, 0, 0, 255], [0, 0, 255, 255]] {
            encoder
                .encode_frame(Frame::new(RgbaImage::from_pixel(8, 8, Rgba(colour))))
                .unwrap();
        }
    }
    assert_eq!(
        decode(&bytes).unwrap(),
        RgbImage::from_pixel(8, 8, Rgb([255, 0, 0]))
    );
}

#[test]
fn a_bomb_is_refused_before_anything_is_allocated() {
    let error = decode(&png_bomb(30_000, 30_000)).unwrap_err();
    assert_eq!(error.reason(), "too-large");
    let text = error.to_string();
    assert!(
        text.contains("30000 x 30000")
            && text.contains("limit of 100 million")
            && text.contains("scale it down"),
        "{text}"
    );
    // Sizes whose product does not fit 32 bits are no way round the limit.
    assert_eq!(
        decode(&png_bomb(100_000, 100_000)).unwrap_err().reason(),
        "too-large"
    );
}

#[test]
fn a_small_limit_holds_for_every_format() {
    let limits = DecodeLimits {
        max_pixels: 32 * 24 - 1,
        ..DecodeLimits::default()
    };
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Tiff,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::WebP,
    ] {
        let error = decode_bytes(&encoded(1, format), "image", &limits).unwrap_err();
        assert_eq!(error.reason(), "too-large", "{format:?}: {error}");
        assert!(
            decode_bytes(&encoded(1, format), "image", &DecodeLimits::default()).is_ok(),
            "{format:?}"
        );
    }
    let limits = DecodeLimits {
        max_bytes: 10,
        ..DecodeLimits::default()
    };
    assert_eq!(
        decode_bytes(&encoded(1, ImageFormat::Png), "image", &limits)
            .unwrap_err()
            .reason(),
        "too-large"
    );
}

#[test]
fn a_file_above_the_byte_limit_is_not_even_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge.jpg");
    fs_err::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(
        decode_image(&path, &DecodeLimits::default())
            .unwrap_err()
            .reason(),
        "too-large"
    );
}

#[test]
fn images_cut_anywhere_are_refused_and_never_panic() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let whole = encoded(5, format);
        // The last bytes of a PNG are its end chunk, behind all pixels.
        let pixels_end = if format == ImageFormat::Png {
            whole.len() - 16
        } else {
            whole.len()
        };
        for length in (0..pixels_end).step_by(7) {
            let error = decode(&whole[..length]).unwrap_err();
            let known = ["truncated", "corrupt", "not-an-image", "empty-file"];
            assert!(
                known.contains(&error.reason()),
                "{format:?} cut to {length}: {error}"
            );
        }
        let half = decode(&whole[..whole.len() / 2]).unwrap_err();
        assert_eq!(half.reason(), "truncated", "{format:?}: {half}");
        assert!(half.to_string().contains("copy it again"), "{half}");
    }
}

#[test]
fn other_files_are_refused_by_name() {
    let refused = |bytes: &[u8]| {
        let error = decode(bytes).unwrap_err();
        (error.reason(), error.to_string())
    };
    assert_eq!(refused(b"").0, "empty-file");
    assert_eq!(refused(b"I am a text").0, "not-an-image");
    let (reason, text) = refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    assert_eq!(reason, "unsupported-format");
    assert!(
        text.contains("HEIC") && text.contains("convert it to JPEG"),
        "{text}"
    );
    let missing = decode_image("/no/such/image.png", &DecodeLimits::default()).unwrap_err();
    assert_eq!(missing.reason(), "missing-file");
    assert!(missing.to_string().contains("/no/such/image.png"));
}
