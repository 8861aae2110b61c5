#![doc = include_str!("../README.md")]

mod camera;
mod canvas;
mod colour;
mod config;
mod contact_sheet;
mod dataset;
mod difficulty;
mod error;
mod field;
mod geography;
mod grid;
mod latents;
mod names;
mod place;
mod planet;
mod random;
mod scene;
mod sphere;

pub use config::PlanetConfig;
pub use contact_sheet::contact_sheet;
pub use dataset::{Progress, write_dataset};
pub use difficulty::Difficulty;
pub use error::{Error, Result};
pub use geography::{City, Spot};
pub use latents::{Latent, Latents, Scale};
pub use place::Place;
pub use planet::{Planet, Scene};
