//! `geosurge planet`: a dataset of the procedural Earth.

use std::path::PathBuf;

use anyhow::Result;
use planet::PlanetConfig;

use crate::output;
use crate::progress::Bar;
use crate::settings::Settings;

#[derive(clap::Args)]
pub struct Args {
    /// Folder for images/, maps/ and photos.parquet; a stopped rendering goes on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Photographs to take
    #[arg(long, default_value_t = PlanetConfig::default().photos)]
    photos: usize,
    /// Side of a photograph in pixels
    #[arg(long, default_value_t = PlanetConfig::default().size)]
    size: u32,
    /// Everything random is drawn from this number
    #[arg(long, default_value_t = PlanetConfig::default().seed)]
    seed: u64,
    /// Cities; their shares of the photographs fall by rank
    #[arg(long, default_value_t = PlanetConfig::default().cities)]
    cities: usize,
    /// How hard a place is to tell, from 0 (every cue clean) to 1
    #[arg(long, default_value_t = PlanetConfig::default().difficulty)]
    difficulty: f64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, _settings: &Settings) -> Result<()> {
    let config = PlanetConfig {
        photos: args.photos,
        size: args.size,
        seed: args.seed,
        cities: args.cities,
        difficulty: args.difficulty,
        ..PlanetConfig::default()
    };
    let bar = Bar::new(args.json);
    let dataset = planet::write_dataset(&config, &args.out, &|p| {
        bar.show("taking photographs", p.done as u64, p.total as u64, "")
    })?;
    bar.finish();
    if args.json {
        return output::json(
            &serde_json::json!({ "photos": dataset.len(), "out": args.out, "digest": dataset.digest() }),
        );
    }
    output::line(format!("{} photographs in {}", dataset.len(), args.out.display()));
    Ok(())
}
