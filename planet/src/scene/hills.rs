//! What closes the horizon: mountains, hills and a line of trees.

use super::look::Look;
use super::{Surroundings, class};
use crate::camera::Camera;
use crate::canvas::{Canvas, Ink};
use crate::colour::{blend, scale};
use crate::grid::{floor, phase};
use crate::latents::Latent;
use crate::random::{Random, speckle};

/// Octaves of a ridge line.
const OCTAVES: usize = 5;

pub(crate) fn paint(
    canvas: &mut Canvas,
    camera: &Camera,
    look: &Look,
    around: &Surroundings,
    random: &mut Random,
) {
    let rugged = look.value(Latent::Ruggedness);
    // Far peaks first, then lower, nearer, darker hills.
    for layer in 0..3u8 {
        let nearness = f32::from(layer) / 2.0;
        let height = (0.07 + 0.33 * rugged * rugged) * (1.0 - 0.6 * nearness);
        let jagged = 0.25 + 0.6 * rugged * (1.0 - nearness);
        let rock = blend(look.rock, look.leaves, nearness * 0.55 * look.humidity);
        let fading = 0.55 - 0.22 * nearness;
        let ink = Ink::new(
            blend(scale(rock, 0.95), camera.haze, fading.max(camera.fading(160.0))),
            class::MOUNTAIN,
        );
        let snowline = (layer == 0).then_some(0.30 - 0.22 * (1.0 - look.warmth));
        ridge(canvas, camera, height, jagged, ink, snowline, random);
    }
    if !around.urban {
        let ink = camera.through_air(Ink::new(scale(look.leaves, 0.8), class::TREE), 140.0);
        ridge(canvas, camera, 0.016, 0.9, ink, None, random);
    }
}

/// A ridge line across the picture; `height` and `snowline` are shares of the picture's side above the horizon.
fn ridge(
    canvas: &mut Canvas,
    camera: &Camera,
    height: f32,
    jagged: f32,
    ink: Ink,
    snowline: Option<f32>,
    random: &mut Random,
) {
    let side = canvas.side as f32;
    let salt = random.seed() as u32;
    let start = random.between(0.0, 100.0);
    let snow = Ink::new(blend([246.0, 248.0, 252.0], camera.haze, 0.25), ink.class);
    for x in 0..canvas.side {
        let mut share = 0.0;
        let (mut frequency, mut amplitude, mut total) = (2.2, 1.0, 0.0);
        for octave in 0..OCTAVES {
            let at = start + x as f32 / side * frequency;
            let cell = floor(at);
            let t = phase(at);
            let ease = t * t * (3.0 - 2.0 * t);
            // Sharp ridges are straight between their corners, soft hills are eased.
            let t = ease + (t - ease) * jagged.min(1.0);
            let corner = |i: i32| speckle(cell + i, octave as i32, salt);
            share += amplitude * (corner(0) + (corner(1) - corner(0)) * t);
            total += amplitude;
            amplitude *= jagged;
            frequency *= 2.1;
        }
        let peak = height * side * (share / total);
        let top = camera.horizon - peak;
        let ys = canvas.span(top, camera.horizon + 1.0);
        let white_to = snowline.map_or(0.0, |line| {
            camera.horizon - line * side * (0.85 + 0.3 * share / total)
        });
        for y in ys {
            let ink = if (y as f32) < white_to { snow } else { ink };
            canvas.put(x, y, ink);
        }
    }
}
