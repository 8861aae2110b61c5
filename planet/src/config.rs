//! The settings of a planet.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a planet looks like and how many photographs are taken on it.
///
/// Two equal configurations give the same planet and the same bytes of every photograph, whatever the number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanetConfig {
    /// Everything random is drawn from this.
    pub seed: u64,
    /// Photographs to take. It also decides how many spots the cities have (see `photos_per_spot`).
    pub photos: usize,
    /// Side of a photograph in pixels, 16 to 1024.
    pub size: u32,
    /// Cities, 1 to 1000. Their shares of the photographs fall by rank as Zipf's law has it.
    pub cities: usize,
    /// Photographs that a spot (a square, a landmark: a few hundred metres) gets on average, at least 2.
    pub photos_per_spot: usize,
    /// Share of photographs taken in the country, away from every city, 0 to 0.9.
    pub rural: f64,
    /// How hard it is to tell a place from a photograph, 0 to 1.
    ///
    /// 0: every cue is clean, large and present in every photograph. 1: cues are faint, often absent or hidden, and light,
    /// weather and camera change the colours more than places do. [`Difficulty`](crate::Difficulty) has the exact scales.
    pub difficulty: f64,
}

impl Default for PlanetConfig {
    /// The planet of `geosurge demo`.
    fn default() -> Self {
        Self {
            seed: 1,
            photos: 12_000,
            size: 128,
            cities: 80,
            photos_per_spot: 36,
            rural: 0.06,
            difficulty: 0.3,
        }
    }
}

impl PlanetConfig {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first bad field.
    pub fn validate(&self) -> Result<()> {
        let refuse = |setting, value: String, remedy| {
            Err(Error::Setting {
                setting,
                value,
                remedy,
            })
        };
        if self.photos == 0 || self.photos > 10_000_000 {
            return refuse(
                "photos",
                self.photos.to_string(),
                "ask for 1 to 10,000,000 photographs",
            );
        }
        if !(16..=1024).contains(&self.size) {
            return refuse(
                "size",
                self.size.to_string(),
                "a side of 16 to 1024 pixels can be rendered",
            );
        }
        if !(1..=1000).contains(&self.cities) {
            return refuse("cities", self.cities.to_string(), "ask for 1 to 1000 cities");
        }
        if self.photos_per_spot < 2 {
            return refuse(
                "photos_per_spot",
                self.photos_per_spot.to_string(),
                "a spot needs at least 2 photographs",
            );
        }
        if !(0.0..=0.9).contains(&self.rural) {
            return refuse("rural", self.rural.to_string(), "give a share from 0 to 0.9");
        }
        if !(0.0..=1.0).contains(&self.difficulty) {
            return refuse(
                "difficulty",
                self.difficulty.to_string(),
                "give a number from 0 (clean) to 1 (hard)",
            );
        }
        Ok(())
    }
}
