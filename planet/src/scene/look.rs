//! The colours and forms that a photograph's latents stand for.

use crate::Difficulty;
use crate::colour::{Rgb, blend, oklch};
use crate::latents::{Latent, Latents};

/// How everything at a place looks.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    latents: Latents,
    chroma: f32,
    /// Share of the ground that is under snow, 0 to 1.
    pub(crate) snow: f32,
    pub(crate) humidity: f32,
    pub(crate) warmth: f32,
    pub(crate) zenith: Rgb,
    pub(crate) horizon: Rgb,
    pub(crate) leaves: Rgb,
    pub(crate) grass: Rgb,
    pub(crate) rock: Rgb,
    pub(crate) soil: Rgb,
    pub(crate) road: Rgb,
    pub(crate) marking: Rgb,
    pub(crate) sign: Rgb,
    pub(crate) kerb: Rgb,
    pub(crate) trim: Rgb,
    pub(crate) roof: Rgb,
    pub(crate) paving: Rgb,
    pub(crate) landmark: Rgb,
    pub(crate) awning: Rgb,
    pub(crate) banner: Rgb,
    pub(crate) shop: Rgb,
    pub(crate) sea: Rgb,
}

impl Look {
    pub(crate) fn new(latents: Latents, difficulty: Difficulty, season: f64) -> Self {
        let chroma = difficulty.chroma() as f32;
        let value = |latent| latents.get(latent) as f32;
        let hue = |latent, lightness: f32, c: f32| oklch(lightness, c * chroma, value(latent));
        // A hue within bounds, for what cannot have every colour.
        let within = |latent, low: f32, high: f32| low + (high - low) * value(latent);
        let warmth = value(Latent::Warmth);
        let humidity = value(Latent::Humidity);
        // The first snow lies below a warmth of 0.26 in the middle of the year, more in winter.
        let snow = (1.0 + (0.22 - 0.06 * season as f32 - warmth) / 0.04).clamp(0.0, 1.0);
        let sky = within(Latent::SkyHue, 0.47, 0.80);
        let leaves = oklch(
            0.56 + 0.05 * warmth,
            0.14 * chroma,
            within(Latent::FoliageHue, 0.08, 0.46),
        );
        let dry = (1.0 - humidity) * 0.5;
        let grass = oklch(
            0.62 + 0.12 * dry,
            (0.12 - 0.04 * dry) * chroma,
            within(Latent::GroundHue, 0.14, 0.46),
        );
        let soil = oklch(0.64, 0.09 * chroma, within(Latent::SoilHue, 0.0, 0.32));
        let white = [238.0, 242.0, 248.0];
        let tone = value(Latent::RoadTone);
        let marking = [
            [240.0, 240.0, 236.0],
            [244.0, 206.0, 60.0],
            [236.0, 120.0, 48.0],
            [92.0, 170.0, 236.0],
        ][latents.kind(Latent::MarkingColour, 4)];
        Self {
            chroma,
            snow,
            humidity,
            warmth,
            zenith: oklch(0.66, 0.12 * chroma, sky),
            horizon: oklch(0.90, 0.035 * chroma, sky + 0.04),
            leaves,
            grass: blend(grass, white, snow * 0.85),
            rock: blend(hue(Latent::RockHue, 0.55, 0.06), white, snow * 0.3),
            soil,
            road: oklch(0.36 + 0.34 * tone, 0.035 * chroma, 0.75 + 0.45 * tone),
            marking: blend([150.0; 3], marking, 0.4 + 0.6 * chroma),
            sign: hue(Latent::SignHue, 0.60, 0.17),
            kerb: hue(Latent::KerbHue, 0.62, 0.16),
            trim: hue(Latent::TrimHue, 0.50, 0.11),
            roof: hue(Latent::RoofHue, 0.50, 0.11),
            paving: blend(oklch(0.74, 0.06 * chroma, value(Latent::PavingHue)), soil, 0.35),
            landmark: hue(Latent::LandmarkHue, 0.64, 0.17),
            awning: hue(Latent::AwningHue, 0.62, 0.18),
            banner: hue(Latent::BannerHue, 0.62, 0.19),
            shop: hue(Latent::ShopHue, 0.56, 0.15),
            sea: oklch(0.55 + 0.1 * warmth, 0.09 * chroma, 0.60 - 0.08 * warmth),
            latents,
        }
    }

    /// The value of a latent as this photograph shows it, 0 to 1.
    pub(crate) fn value(&self, latent: Latent) -> f32 {
        self.latents.get(latent) as f32
    }

    /// A latent as one of `n` kinds.
    pub(crate) fn kind(&self, latent: Latent, n: usize) -> usize {
        self.latents.kind(latent, n)
    }

    /// The colour of one facade of the city, `turn` of the hue circle and `lighter` away from the usual one.
    pub(crate) fn facade(&self, turn: f32, lighter: f32) -> Rgb {
        let lightness = 0.58 + 0.27 * self.value(Latent::FacadeTone) + lighter;
        oklch(
            lightness.clamp(0.35, 0.93),
            0.105 * self.chroma,
            self.value(Latent::FacadeHue) + turn,
        )
    }
}
