//! Many photographs on one page.

use image::RgbImage;
use image::imageops::replace;

use crate::{Planet, PlanetConfig, Result};

/// Photographs of different places side by side: `columns` x `rows` tiles of `tile` pixels.
///
/// Each tile is of another city, with cities of every size; the last of each row is of the country.
///
/// # Errors
/// Those of [`Planet::places`] and, for a tile that is too small or too large, of [`Planet::new`].
pub fn contact_sheet(planet: &Planet, columns: u32, rows: u32, tile: u32) -> Result<RgbImage> {
    let planet = Planet::new(&PlanetConfig {
        size: tile,
        ..planet.config().clone()
    })?;
    let cities = planet.cities().len();
    let places = planet.places(cities * 100, 1)?;
    let mut country = places.iter().filter(|place| place.city.is_none());
    let mut sheet = RgbImage::new(columns * tile, rows * tile);
    let tiles = (columns * rows) as usize;
    for index in 0..tiles {
        let (column, row) = (index as u32 % columns, index as u32 / columns);
        // A step that shares no factor with most numbers of cities visits large and small ones alike.
        let city = index * 37 % cities;
        let mut in_city = places
            .iter()
            .filter(|place| place.city == Some(city) && place.spot.is_some());
        let wanted = if column + 1 == columns {
            country.next()
        } else {
            in_city.next()
        };
        let Some(place) = wanted else {
            continue;
        };
        let scene = planet.render(place, index as u64);
        let (x, y) = (i64::from(column * tile), i64::from(row * tile));
        replace(&mut sheet, &scene.image, x, y);
    }
    Ok(sheet)
}
