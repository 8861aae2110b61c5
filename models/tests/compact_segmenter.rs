//! The compact segmenter learns simple scenes in a moment.
#![allow(clippy::unwrap_used, reason = "tests")]

use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use geosurge_models::{CompactConfig, CompactSegmenter, Device, Parameters, Segmenter, UNLABELLED};
use image::{GrayImage, Luma, Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SKY: u8 = 2;
const BUILDING: u8 = 1;
const ROAD: u8 = 6;

/// A sky, a road of nearly a building's colour, and a building: telling the last two apart takes their places.
fn scene(random: &mut ChaCha8Rng) -> (RgbImage, GrayImage) {
    let horizon = random.random_range(24..40_u32);
    let (left, width) = (random.random_range(0..40_u32), random.random_range(10..24_u32));
    let top = random.random_range(4..20_u32);
    let shade: i32 = random.random_range(-20..20);
    let label = |x: u32, y: u32| match () {
        () if x >= left && x < left + width && y >= top && y < horizon + 6 => BUILDING,
        () if y < horizon => SKY,
        () => ROAD,
    };
    let mut photo = RgbImage::new(64, 64);
    for (x, y, pixel) in photo.enumerate_pixels_mut() {
        let colour = match label(x, y) {
            SKY => [120, 170, 230],
            BUILDING => [128, 118, 112],
            _ => [118, 118, 118],
        };
        *pixel = Rgb(colour.map(|c: i32| (c + shade + random.random_range(-12..12)) as u8));
    }
    (
        photo,
        GrayImage::from_fn(64, 64, |x, y| {
            Luma([if x == 0 { UNLABELLED } else { label(x, y) }])
        }),
    )
}

#[test]
fn it_learns_scenes_and_draws_them_at_any_size() {
    let config = CompactConfig::for_classes([SKY, BUILDING, ROAD, UNLABELLED]);
    assert_eq!(config.classes, [BUILDING, SKY, ROAD]);
    let parameters = Parameters::initialise(CompactSegmenter::specs(&config), 1, &Device::Cpu).unwrap();
    let segmenter = CompactSegmenter::new(&config, &parameters).unwrap();
    let vars = parameters.trainable().map(|(_, var, _)| var.clone()).collect();
    let mut optimizer = AdamW::new(
        vars,
        ParamsAdamW {
            lr: 3e-3,
            ..ParamsAdamW::default()
        },
    )
    .unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut losses = Vec::new();
    for _ in 0..50 {
        let (photos, maps): (Vec<_>, Vec<_>) = (0..16).map(|_| scene(&mut random)).unzip();
        let logits = segmenter.forward(&segmenter.prepare(&photos).unwrap()).unwrap();
        let loss = segmenter
            .loss(&logits, &segmenter.targets(&maps).unwrap())
            .unwrap();
        let gradients = loss.backward().unwrap();
        assert!(
            parameters
                .trainable()
                .all(|(_, var, _)| gradients.get(var).is_some())
        );
        optimizer.step(&gradients).unwrap();
        losses.push(loss.to_scalar::<f32>().unwrap());
    }
    let (photos, maps): (Vec<_>, Vec<_>) = (0..16).map(|_| scene(&mut random)).unzip();
    let answers = segmenter.segment(&photos).unwrap();
    let (mut right, mut all) = (0, 0);
    for (answer, map) in answers.iter().zip(&maps) {
        for (answer, truth) in answer.as_ref().unwrap().as_raw().iter().zip(map.as_raw()) {
            right += usize::from(answer == truth);
            all += usize::from(*truth != UNLABELLED);
        }
    }
    let accuracy = right as f64 / all as f64;
    assert!(accuracy > 0.9, "{accuracy:.3} of the pixels, losses {losses:?}");

    // Another size, same scene.
    let large = image::imageops::resize(&photos[0], 150, 100, image::imageops::FilterType::Nearest);
    let map = segmenter.segment(&[large]).unwrap().remove(0).unwrap();
    assert_eq!(map.dimensions(), (150, 100));
    let agree = map
        .enumerate_pixels()
        .filter(|(x, y, label)| maps[0].get_pixel(x * 64 / 150, y * 64 / 100) == *label);
    assert!(agree.count() > 150 * 100 * 8 / 10);
}

#[test]
fn unusable_configurations_and_inputs_are_refused() {
    let none = CompactConfig::for_classes([UNLABELLED]);
    assert!(
        none.validate()
            .unwrap_err()
            .to_string()
            .contains("no labelled pixel")
    );
    let mut odd = CompactConfig::for_classes([1]);
    odd.block = 3;
    assert!(odd.validate().unwrap_err().to_string().contains("must divide"));
    let config = CompactConfig::for_classes([1, 2]);
    let parameters = Parameters::initialise(CompactSegmenter::specs(&config), 1, &Device::Cpu).unwrap();
    let segmenter = CompactSegmenter::new(&config, &parameters).unwrap();
    assert!(segmenter.segment(&[]).unwrap().is_empty());
    assert!(segmenter.segment(&[RgbImage::new(0, 3)]).is_err());
}
