//! Writes the contact sheet of the default planet: `cargo run --release -p geosurge-planet --example contact_sheet -- OUT.jpg [COLUMNS ROWS TILE DIFFICULTY SEED]`.

use std::error::Error;

use geosurge_planet::{Planet, PlanetConfig, contact_sheet};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments
        .next()
        .unwrap_or_else(|| "docs/images/planet.jpg".to_owned());
    let numbers = arguments
        .map(|argument| argument.parse::<f64>())
        .collect::<Result<Vec<_>, _>>()?;
    let number = |index: usize, default: f64| numbers.get(index).copied().unwrap_or(default);
    let defaults = PlanetConfig::default();
    let config = PlanetConfig {
        difficulty: number(3, defaults.difficulty),
        seed: number(4, defaults.seed as f64) as u64,
        ..defaults
    };
    let (columns, rows, tile) = (number(0, 8.0), number(1, 4.0), number(2, 192.0));
    let sheet = contact_sheet(&Planet::new(&config)?, columns as u32, rows as u32, tile as u32)?;
    let file = fs_err::File::create(&out)?;
    image::codecs::jpeg::JpegEncoder::new_with_quality(file, 82).encode_image(&sheet)?;
    Ok(())
}
