//! Trains with a preset and some fields changed, and prints what came out: how the numbers in docs/results.md were found.
//!
//! ```text
//! cargo run --release -p geosurge-trainer --example experiment -- DATASET RUN demo batch_size=64 optimizer.learning_rate=2e-3
//! ```
#![allow(clippy::print_stdout, reason = "a command")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::Device;
use geosurge_trainer::{
    EvaluationOptions, Progress, RunFolder, Stage, TrainingConfig, TrainingOptions, evaluate, train,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Anything = Result<(), Box<dyn std::error::Error>>;

fn main() -> Anything {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dataset, run, preset, changes @ ..] = arguments.as_slice() else {
        return Err(
            "usage: experiment DATASET RUN demo|laptop|single-gpu|geosurge-mp16|FILE.toml [field=value]..."
                .into(),
        );
    };
    let preset = match TrainingConfig::shipped(preset) {
        Some(config) => config,
        None => TrainingConfig::read(Path::new(preset))?,
    };
    let mut table = toml::Table::try_from(&preset)?;
    for change in changes {
        let (field, value) = change.split_once('=').ok_or("a change is field=value")?;
        let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
            .or_else(|_| toml::from_str(&format!("v = \"{value}\"")))?
            .remove("v")
            .ok_or("no value")?;
        set(&mut table, field, value)?;
    }
    let config: TrainingConfig = table.try_into()?;
    let dataset = datasets::Dataset::open(Path::new(dataset))?;
    let run = RunFolder::new(run);
    let options = TrainingOptions {
        resume: run.is_started(),
        ..TrainingOptions::new(cache(&run), Device::Cpu)
    };

    let shown = Mutex::new((Instant::now(), None::<Stage>));
    let show = |p: &Progress| {
        let Ok(mut shown) = shown.lock() else { return };
        if shown.0.elapsed().as_secs_f64() > 4.0
            || shown.1 != Some(p.stage)
            || (p.stage == Stage::Validate && p.done > 0)
        {
            *shown = (Instant::now(), Some(p.stage));
            println!(
                "{:<10} {:>7}/{:<7} epoch {:?} loss {:?} within {:?} img/s {:?} left {:?}",
                p.stage.name(),
                p.done,
                p.total,
                p.epoch,
                p.loss,
                p.accuracy,
                p.images_per_second.map(f64::round),
                p.remaining_seconds.map(f64::round)
            );
        }
    };
    let cancel = AtomicBool::new(false);
    let report = train(&dataset, &config, &run, &options, &show, &cancel)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    let held_out = run.read_split()?.validation;
    let evaluation = evaluate(
        &run.checkpoint(),
        &dataset,
        &EvaluationOptions {
            photos: Some(held_out),
            ..EvaluationOptions::new(Device::Cpu)
        },
        &show,
        &cancel,
    )?;
    println!("{}", serde_json::to_string_pretty(&evaluation)?);
    println!("RESULT {changes:?}");
    println!(
        "  cells {:?} img/s {:.0} seconds {:?}",
        report.cells, report.images_per_second, report.seconds
    );
    for (name, a) in [
        ("model", &evaluation.accuracy),
        ("flat", &evaluation.flat),
        ("chance", &evaluation.chance),
    ] {
        println!(
            "  {name:<7} {:?} median {:.1} km",
            a.within.map(|x| (x * 1000.0).round() / 10.0),
            a.median_km
        );
    }
    Ok(())
}

fn cache(run: &RunFolder) -> PathBuf {
    run.root().parent().unwrap_or(Path::new(".")).join("cache")
}

fn set(table: &mut toml::Table, field: &str, value: toml::Value) -> Anything {
    match field.split_once('.') {
        None => {
            table.insert(field.to_owned(), value);
            Ok(())
        }
        Some((outer, rest)) => {
            let inner = table.entry(outer).or_insert_with(|| toml::Table::new().into());
            set(
                inner.as_table_mut().ok_or(format!("{outer} has no fields"))?,
                rest,
                value,
            )
        }
    }
}
