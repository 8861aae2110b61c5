//! Many photographs on one page.

use image::RgbImage;
use image::imageops::replace;

use crate::{Planet, PlanetConfig, Result};

/// Photographs of different cities side by side: `columns` x `rows` tiles of `tile` pixels, the cities in order of size.
///
/// A row shows one city when `rows` is smaller than the number of cities: neighbours in a row share architecture, roads and
/// climate, and differ by spot, light and passers-by.
///
/// # Errors
/// Those of [`Planet::places`] and, for a tile that is too small or too large, of [`Planet::new`].
pub fn contact_sheet(planet: &Planet, columns: u32, rows: u32, tile: u32) -> Result<RgbImage> {
    let config = PlanetConfig {
        size: tile,
        ..planet.config().clone()
    };
    let planet = Planet::new(&config)?;
    let places = planet.places(planet.cities().len() * 400, 1)?;
    let mut sheet = RgbImage::new(columns * tile, rows * tile);
    for row in 0..rows {
        // Far apart in rank, hence usually on different continents.
        let city = row as usize * planet.cities().len() / rows as usize;
        let mut spots = std::collections::BTreeSet::new();
        let in_city = |place: &&crate::Place| place.city == Some(city) && place.spot.is_some();
        let fresh = places
            .iter()
            .filter(in_city)
            .filter(|place| spots.insert(place.spot));
        let again = places.iter().filter(in_city);
        let chosen: Vec<_> = fresh.chain(again).take(columns as usize).collect();
        for (column, place) in chosen.into_iter().enumerate() {
            let seed = u64::from(row * columns) + column as u64;
            let scene = planet.render(place, seed);
            let (x, y) = (column as u32 * tile, row * tile);
            replace(&mut sheet, &scene.image, i64::from(x), i64::from(y));
        }
    }
    Ok(sheet)
}
