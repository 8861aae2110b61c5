//! From painted scene to photograph: daylight, exposure, white balance and the sensor's noise.

use image::RgbImage;

use super::look::Look;
use super::weather::Weather;
use crate::Difficulty;
use crate::canvas::Canvas;
use crate::colour::{Rgb, blend};
use crate::latents::Latent;
use crate::random::{Random, speckle};

/// The light of one photograph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Light {
    /// Factor on each channel.
    gain: Rgb,
    /// How low the sun stands, 0 (noon) to 1 (dusk), as far as the difficulty lets it be seen.
    low: f32,
    /// Brightness of walls to the left and to the right of the street.
    walls: (f32, f32),
}

impl Light {
    pub(crate) fn draw(
        look: &Look,
        weather: Weather,
        hour: f64,
        difficulty: Difficulty,
        random: &mut Random,
    ) -> Self {
        // 0 at noon, 1 at seven in the morning and at eight in the evening.
        let from_noon = ((hour - 13.0) / 7.0).abs().min(1.0);
        let low = (from_noon.powi(3) * difficulty.daylight()) as f32;
        let exposure = (random.normal() * difficulty.exposure()).clamp(-1.3, 0.9).exp2() as f32;
        let tint = 0.22 * (look.value(Latent::SunTint) - 0.5);
        let balance = (0.05 * difficulty.get() * random.normal()) as f32;
        let warm = tint + balance + 0.18 * low;
        let gloom = 1.0 - 0.3 * low - 0.12 * weather.grey();
        let gain = [1.0 + warm, 1.0 - 0.1 * low, 1.0 - warm].map(|g| g * exposure * gloom);
        let side = random.between(-0.16, 0.16) * (1.0 - weather.grey());
        Self {
            gain,
            low,
            walls: (0.95 + side, 0.95 - side),
        }
    }

    /// The horizon's colour in this light.
    pub(crate) fn glow(&self, horizon: Rgb) -> Rgb {
        blend(horizon, [255.0, 178.0, 120.0], 0.75 * self.low)
    }

    /// Brightness of the walls on one side of the street.
    pub(crate) fn on_wall(&self, side: f32) -> f32 {
        if side < 0.0 { self.walls.0 } else { self.walls.1 }
    }

    /// What the sensor makes of the scene.
    pub(crate) fn develop(&self, canvas: &Canvas, difficulty: Difficulty, random: &mut Random) -> RgbImage {
        let noise = (difficulty.noise() * random.range(0.3, 1.0)) as f32;
        let salt = random.seed() as u32;
        let curves = self.gain.map(curve);
        canvas.photograph(|x, y, rgb| {
            let at = |i: u32| speckle((x * 3 + i) as i32, y as i32, salt);
            // The sum of two uniform numbers has a standard deviation of 0.408.
            let shared = (at(0) + at(1) - 1.0) * noise * 2.0;
            let fine = (at(2) - 0.5) * noise;
            std::array::from_fn(|c| {
                let value = curves[c][rgb[c] as usize];
                let tinted = if c == 1 { shared - fine } else { shared + fine };
                (value + tinted).clamp(0.0, 255.0)
            })
        })
    }
}

/// A sensor's answer to each value: the gain, with a soft shoulder instead of burnt highlights.
fn curve(gain: f32) -> [f32; 256] {
    std::array::from_fn(|i| {
        let value = i as f32 / 255.0 * gain;
        let soft = if value > 0.8 {
            0.8 + 0.2 * (1.0 - (-(value - 0.8) / 0.2).exp())
        } else {
            value
        };
        soft * 255.0
    })
}
