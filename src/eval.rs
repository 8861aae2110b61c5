//! `geosurge eval`: a checkpoint measured on a dataset.

use std::path::PathBuf;

use anyhow::Result;
use datasets::Dataset;
use models::Crops;
use trainer::{EvaluationOptions, EvaluationReport};

use crate::device::DeviceKind;
use crate::progress::Bar;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::{interrupt, output, train};

#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint folder
    checkpoint: PathBuf,
    /// Dataset folder or manifest; use photographs that the checkpoint was not trained on
    dataset: PathBuf,
    /// Encode ten views of each photograph (corners, centre, mirror images) and average them, as the field's benchmarks do
    #[arg(long)]
    ten_crop: bool,
    #[command(flatten)]
    segmenter: SegmenterArg,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let device = args.device.open()?;
    let options = EvaluationOptions {
        photos: None,
        segmenter: args.segmenter.open(settings, &device)?,
        device,
        crops: if args.ten_crop { Crops::Ten } else { Crops::One },
    };
    let cancel = interrupt::flag()?;
    let bar = Bar::new(args.json);
    let report = trainer::evaluate(
        &args.checkpoint,
        &dataset,
        &options,
        &|p| train::show(&bar, p),
        &cancel,
    )?;
    bar.finish();
    if args.json {
        return output::json(&report);
    }
    print(&report);
    Ok(())
}

fn print(report: &EvaluationReport) {
    output::line(format!(
        "{} photographs{}, {:.1} % of them inside a finest geocell",
        report.photos,
        if report.crops > 1 {
            " in ten crops each"
        } else {
            ""
        },
        report.coverage * 100.0
    ));
    output::line(output::accuracy_table(&[
        ("hierarchical", &report.accuracy),
        ("finest level alone", &report.flat),
        ("chance", &report.chance),
    ]));
    let mut levels = output::table(
        [
            "level",
            "cells",
            "truth inside",
            "right cell",
            "within 25 km",
            "within 750 km",
        ],
        &[0, 1, 2, 3, 4, 5],
    );
    for level in &report.levels {
        levels.add_row([
            level.level.to_string(),
            level.cells.to_string(),
            format!("{:.1} %", level.coverage * 100.0),
            format!("{:.1} %", level.cell_accuracy * 100.0),
            format!("{:.1} %", level.accuracy.within[1] * 100.0),
            format!("{:.1} %", level.accuracy.within[3] * 100.0),
        ]);
    }
    output::line(levels);
    let errors: Vec<String> = report
        .calibration_error
        .iter()
        .map(|error| format!("{error:.3}"))
        .collect();
    output::line(format!(
        "expected calibration error at 1, 25, 200, 750, 2500 km: {}",
        errors.join(", ")
    ));
    if !report.skipped.is_empty() {
        output::line(format!("{} photographs could not be read:", report.skipped.len()));
        for skipped in &report.skipped {
            output::line(format!("  {}: {}", skipped.file.display(), skipped.reason));
        }
    }
}
