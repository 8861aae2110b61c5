//! `geosurge partition`: hierarchies from coordinates, and the geocells of coordinates.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Subcommand, ValueEnum};
use geocells::{Hierarchy, LocationKind, PartitionConfig};

use crate::output;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Divide the Earth by the places of a CSV file: one cells_{t_min}_{t_max}.csv for each level
    Build(Build),
    /// Write the geocell of every row of a CSV file, one column for each cells file
    Assign(Assign),
}

#[derive(clap::Args)]
struct Build {
    /// CSV file with a latitude and a longitude column (LAT/LON, latitude/longitude, lat/lng, …), or a dataset folder
    coordinates: PathBuf,
    /// Cells with this many photos or fewer are dropped
    #[arg(long, default_value_t = 50, value_name = "PHOTOS")]
    t_min: u64,
    /// A cell with more photos than this is split; one value for each level, coarsest first
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "25000,10000,5000,2000,1000,750,500",
        value_name = "PHOTOS,…"
    )]
    t_max: Vec<u64>,
    /// S2 level to start splitting from: 0 is the six faces, 2 reproduces the field's reference files
    #[arg(long, default_value_t = 0, value_name = "LEVEL")]
    start_level: u8,
    /// How a cell's place is computed from its photos' places
    #[arg(long, value_enum, default_value_t = Mean::Spherical)]
    mean: Mean,
    /// Folder for the cells files, made when it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Stop at the first row without a usable place instead of skipping it
    #[arg(long)]
    strict: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mean {
    /// The mean direction on the sphere
    Spherical,
    /// The mean of latitudes and of longitudes, as the field's reference files have it
    Plain,
}

#[derive(clap::Args)]
struct Assign {
    /// A cells file (class_label,hex_id,…); give the option once for each file
    #[arg(long, required = true, value_name = "FILE")]
    cells: Vec<PathBuf>,
    /// CSV file with a latitude and a longitude column
    #[arg(long, value_name = "FILE")]
    coordinates: PathBuf,
    /// CSV file to write: the first column of the coordinates file, then one token column for each cells file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    match &args.action {
        Action::Build(args) => build(args),
        Action::Assign(args) => assign(args),
    }
}

fn build(args: &Build) -> Result<()> {
    let (points, skipped) = if args.coordinates.is_dir() {
        let dataset = datasets::Dataset::open(&args.coordinates)?;
        (
            dataset.photos().iter().map(|photo| photo.location).collect(),
            Vec::new(),
        )
    } else if args.strict {
        (
            geocells::read_coordinates_strict(&args.coordinates)?.points,
            Vec::new(),
        )
    } else {
        let read = geocells::read_coordinates(&args.coordinates)?;
        (read.points, read.skipped)
    };
    ensure!(
        !args.t_max.is_empty(),
        "--t-max needs at least one number of photos"
    );
    let config = PartitionConfig {
        t_min: args.t_min,
        t_max: args.t_max.clone(),
        start_level: args.start_level,
        location: match args.mean {
            Mean::Spherical => LocationKind::Spherical,
            Mean::Plain => LocationKind::Plain,
        },
    };
    let hierarchy = Hierarchy::build(&points, &config)?;
    fs_err::create_dir_all(&args.out).context("the output folder cannot be made")?;
    let mut files = Vec::new();
    for partition in hierarchy.levels() {
        let path = args
            .out
            .join(geocells::cells_file_name(partition.t_min(), partition.t_max()));
        geocells::write_cells(partition, &path)?;
        files.push(path);
    }
    report(args, &hierarchy, &points, &skipped, &files)
}

fn report(
    args: &Build,
    hierarchy: &Hierarchy,
    points: &[geocells::LatLng],
    skipped: &[geocells::SkippedRow],
    files: &[PathBuf],
) -> Result<()> {
    let mut table = output::table(
        [
            "level",
            "t_max",
            "cells",
            "S2 levels",
            "photos a cell",
            "outside",
            "file",
        ],
        &[0, 1, 2, 4, 5],
    );
    let mut levels = Vec::new();
    for (level, (partition, file)) in hierarchy.levels().iter().zip(files).enumerate() {
        let cells = partition.cells();
        let located: u64 = cells.iter().map(|cell| cell.photos).sum();
        let outside = points.len() as u64 - located;
        let s2 = cells.iter().map(|cell| cell.id.s2_level());
        let (low, high) = (s2.clone().min().unwrap_or(0), s2.max().unwrap_or(0));
        let mean = located as f64 / cells.len().max(1) as f64;
        table.add_row([
            level.to_string(),
            partition.t_max().to_string(),
            cells.len().to_string(),
            format!("{low} to {high}"),
            format!("{mean:.0}"),
            outside.to_string(),
            file.display().to_string(),
        ]);
        levels.push(serde_json::json!({
            "level": level, "t_max": partition.t_max(), "cells": cells.len(), "s2_levels": [low, high],
            "located": located, "outside": outside, "file": file,
        }));
    }
    if args.json {
        return output::json(&serde_json::json!({
            "points": points.len(), "skipped": skipped.len(), "t_min": args.t_min, "levels": levels,
        }));
    }
    output::line(format!(
        "{} places, {} rows skipped, t_min {}",
        points.len(),
        skipped.len(),
        args.t_min
    ));
    output::line(table);
    for row in skipped.iter().take(5) {
        eprintln!("skipped line {}: {}", row.line, row.reason);
    }
    if skipped.len() > 5 {
        eprintln!(
            "… and {} more rows; --strict stops at the first",
            skipped.len() - 5
        );
    }
    Ok(())
}

fn assign(args: &Assign) -> Result<()> {
    let summary = geocells::assign(&args.cells, &args.coordinates, &args.out)?;
    let mut table = output::table(["cells file", "rows inside", "rows outside"], &[1, 2]);
    for (name, located) in &summary.located {
        table.add_row([
            name.clone(),
            located.to_string(),
            (summary.rows - located).to_string(),
        ]);
    }
    output::line(table);
    for row in summary.skipped.iter().take(5) {
        eprintln!("no place in line {}: {}", row.line, row.reason);
    }
    Ok(())
}
