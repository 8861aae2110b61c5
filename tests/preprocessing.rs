//! Awkward photographs through decoding and preprocessing, beside what transformers' CLIPImageProcessor makes of them
//! (`data/preprocessing/make_fixtures.py`): lossless ones byte for byte, JPEGs within what two decoders differ by.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, safetensors};
use datasets::{DecodeLimits, decode_image};
use image::RgbImage;
use models::published::PublishedPreprocessing;
use models::{ModelConfig, Preprocessor};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/preprocessing")
}

fn expected() -> HashMap<String, Tensor> {
    safetensors::load(folder().join("expected.safetensors"), &Device::Cpu).unwrap()
}

/// The preprocessing of either way of writing its configuration.
fn preprocessor(kind: &str) -> Preprocessor {
    let published = PublishedPreprocessing::read(&folder().join(kind)).unwrap();
    let mut config = ModelConfig::paper();
    config.image_size = published.side;
    config.mean = published.mean;
    config.std = published.std;
    Preprocessor::new(&config)
}

fn crop(name: &str) -> RgbImage {
    let photo = decode_image(folder().join(name), &DecodeLimits::default()).unwrap();
    let crop = preprocessor("new").crop(&photo).unwrap();
    assert_eq!(crop, preprocessor("old").crop(&photo).unwrap());
    crop
}

/// How far bytes are from the reference's: the mean difference, and the largest.
fn apart(name: &str, expected: &HashMap<String, Tensor>) -> (f64, u8) {
    let reference = expected[&format!("{name}.crop")]
        .flatten_all()
        .unwrap()
        .to_vec1::<u8>()
        .unwrap();
    let found = crop(name).into_raw();
    assert_eq!(found.len(), reference.len(), "{name}");
    let differences: Vec<u8> = found
        .iter()
        .zip(&reference)
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    let mean = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / differences.len() as f64;
    (mean, differences.into_iter().max().unwrap_or(0))
}

#[test]
fn lossless_photographs_are_equal_to_the_byte() {
    let expected = expected();
    for name in [
        "portrait.png",
        "landscape.png",
        "same_size.png",
        "one_pixel.png",
        "six_pixels.png",
        "tiny.png",
        "very_wide.png",
        "very_tall.png",
        "alpha.png",
        "grey.png",
        "grey_alpha.png",
        "black_and_white.png",
        "palette.png",
        "sixteen_bits.png",
        "sixteen_bits_alpha.png",
    ] {
        assert_eq!(apart(name, &expected), (0.0, 0), "{name}");
    }
}

/// The reference cuts 16-bit greyscale off at 255 of 65,535 and sees white; here its upper eight bits are seen.
#[test]
fn sixteen_bit_greyscale_is_not_white() {
    let reference = expected()["sixteen_bits_grey.png.crop"]
        .flatten_all()
        .unwrap()
        .to_vec1::<u8>()
        .unwrap();
    assert!(
        reference.iter().all(|byte| *byte > 250),
        "the reference's fault is gone: follow it"
    );
    let crop = crop("sixteen_bits_grey.png");
    assert!(crop.pixels().any(|pixel| pixel[0] < 60) && crop.pixels().any(|pixel| pixel[0] > 190));
    assert!(
        crop.pixels()
            .all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2])
    );
}

/// Two JPEG decoders round differently; a wrong orientation, colour space or inversion would be tens of levels.
#[test]
fn jpegs_are_equal_but_for_the_decoders_rounding() {
    let expected = expected();
    let oriented = (1..=8).map(|orientation| format!("oriented_{orientation}.jpg"));
    for name in oriented.chain(["jpeg.jpg", "jpeg_grey.jpg", "jpeg_cmyk.jpg"].map(str::to_owned)) {
        let (mean, most) = apart(&name, &expected);
        println!("{name}: {mean:.3} levels apart, at most {most}");
        assert!(
            mean < 0.5 && most <= 3,
            "{name}: {mean} levels apart, at most {most}"
        );
    }
    // Colour at half the resolution is interpolated by each decoder in its own way.
    let (mean, most) = apart("jpeg_halved_colour.jpg", &expected);
    println!("jpeg_halved_colour.jpg: {mean:.3} levels apart, at most {most}");
    assert!(mean < 0.8 && most <= 8, "{mean} levels apart, at most {most}");
}

#[test]
fn normalised_values_are_equal_to_rounding() {
    let expected = expected();
    for name in ["portrait.png", "sixteen_bits.png"] {
        for kind in ["old", "new"] {
            let pixels = preprocessor(kind)
                .to_tensor(&[crop(name)], &Device::Cpu)
                .unwrap()
                .squeeze(0)
                .unwrap();
            let difference = (pixels - &expected[&format!("{name}.values")])
                .unwrap()
                .abs()
                .unwrap();
            let most = difference
                .flatten_all()
                .unwrap()
                .max(0)
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            assert!(most < 1e-6, "{name}: {most}");
        }
    }
}
