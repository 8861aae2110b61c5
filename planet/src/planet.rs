//! A planet: its continents, its cities and its latent fields.

use geocells::LatLng;
use image::{GrayImage, RgbImage};

use crate::geography::{City, Geography};
use crate::latents::{LatentFields, Latents};
use crate::place::{self, Place};
use crate::scene;
use crate::sphere::Vector;
use crate::{Difficulty, PlanetConfig, Result};

/// One photograph with the class of every pixel.
#[derive(Debug, Clone)]
pub struct Scene {
    /// `size` x `size` pixels.
    pub image: RgbImage,
    /// As large as the image; ADE20K class ids, 0 to 149.
    pub segmentation: GrayImage,
    /// The quality with which this camera writes JPEG files, 1 to 100.
    pub jpeg_quality: u8,
}

/// A procedural Earth, ready to be photographed.
#[derive(Debug, Clone)]
pub struct Planet {
    config: PlanetConfig,
    geography: Geography,
    fields: LatentFields,
}

impl Planet {
    /// Makes the planet of a configuration: a few milliseconds.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a setting outside its range, [`Error::NoRoom`](crate::Error::NoRoom) when
    /// the seed's land is too small for so many cities.
    pub fn new(config: &PlanetConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            config: config.clone(),
            geography: Geography::new(config)?,
            fields: LatentFields::new(config.seed),
        })
    }

    /// The settings that it was made of.
    pub fn config(&self) -> &PlanetConfig {
        &self.config
    }

    /// Its cities, the largest first.
    pub fn cities(&self) -> &[City] {
        &self.geography.cities
    }

    /// Whether a place is on land.
    pub fn is_land(&self, location: LatLng) -> bool {
        self.geography.land.height(Vector::of(location)) > 0.0
    }

    /// How near the sea is, from 0 (far inland) to 1 (on the beach or at sea).
    pub fn seaside(&self, location: LatLng) -> f64 {
        self.geography.land.seaside(Vector::of(location))
    }

    /// The hidden properties of a place.
    pub fn latents(&self, location: LatLng) -> Latents {
        self.fields.at(Vector::of(location))
    }

    /// Draws `n` places as people choose them: cities by size, inside a city its spots, a few in the country.
    ///
    /// The same seed gives the same places; another seed gives other people who visit the same cities and spots.
    ///
    /// # Errors
    /// Only if a place cannot be written as a latitude and a longitude.
    pub fn places(&self, n: usize, seed: u64) -> Result<Vec<Place>> {
        place::draw(&self.geography, &self.config, n, seed)
    }

    /// Takes a photograph of a place; another seed is another heading, weather, passers-by and camera.
    pub fn render(&self, place: &Place, photo_seed: u64) -> Scene {
        scene::render(self, place, photo_seed)
    }

    pub(crate) fn difficulty(&self) -> Difficulty {
        Difficulty::new(self.config.difficulty)
    }
}
