//! The sky: a gradient, the sun and clouds.

use super::class;
use super::develop::Light;
use super::look::Look;
use super::weather::Weather;
use crate::camera::Camera;
use crate::canvas::{Canvas, Ink};
use crate::colour::blend;
use crate::random::Random;

const GREY: [f32; 3] = [182.0, 187.0, 193.0];

pub(crate) fn paint(
    canvas: &mut Canvas,
    camera: &Camera,
    look: &Look,
    weather: Weather,
    light: &Light,
    random: &mut Random,
) {
    let side = canvas.side as f32;
    let grey = weather.grey();
    let zenith = blend(look.zenith, GREY, grey);
    let low = blend(light.glow(look.horizon), camera.haze, grey);
    for y in 0..canvas.side {
        // 0 at the top of an upright photograph, 1 at the horizon and below.
        let t = (1.0 - (camera.horizon - y as f32) / (0.62 * side)).clamp(0.0, 1.0);
        let rgb = blend(zenith, low, t * t);
        canvas.rectangle(0.0, y as f32, side, y as f32 + 1.0, Ink::new(rgb, class::SKY));
    }
    if weather == Weather::Clear && random.chance(0.3) {
        let (x, y) = (
            random.between(0.0, side),
            camera.horizon * random.between(0.1, 0.6),
        );
        canvas.glow(x, y, 0.12 * side, 0.12 * side, [255.0, 246.0, 214.0], 0.5);
        canvas.glow(x, y, 0.035 * side, 0.035 * side, [255.0, 252.0, 238.0], 1.0);
    }
    let clouds = match weather {
        Weather::Clear => random.below(4),
        Weather::Overcast | Weather::Rain => 6,
        Weather::Fog | Weather::Snowfall => 0,
    };
    for _ in 0..clouds {
        cloud(canvas, camera, grey, random);
    }
}

/// Puffs along a flat base, lit from above.
fn cloud(canvas: &mut Canvas, camera: &Camera, grey: f32, random: &mut Random) {
    let side = canvas.side as f32;
    let (x, base) = (
        random.between(0.0, side),
        camera.horizon * random.between(0.08, 0.75),
    );
    let width = side * random.between(0.10, 0.24);
    let puffs = 4 + random.below(3);
    for layer in 0..2 {
        let shade = if layer == 0 { 0.86 } else { 1.0 };
        let white = blend([252.0 * shade, 252.0 * shade, 254.0 * shade], GREY, grey * 0.7);
        for puff in 0..puffs {
            let t = (puff as f32 + 0.5) / puffs as f32 * 2.0 - 1.0;
            let radius = width * 0.36 * (1.1 - t * t) * random.between(0.75, 1.15);
            let lift = if layer == 0 { 0.15 } else { 0.45 };
            canvas.glow(
                x + t * width,
                base - radius * lift,
                radius * 1.5,
                radius * 0.75,
                white,
                0.6,
            );
        }
    }
}
