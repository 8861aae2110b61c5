//! The `geosurge` command: one small file a subcommand, no logic. Settings are read here, once, and passed down.

mod ablate;
mod analytics;
mod demo;
mod device;
mod eval;
mod health;
mod import;
mod index;
mod interrupt;
mod keys;
mod localize;
mod migrate;
mod models;
mod output;
mod partition;
mod photos;
mod planet;
mod predictions;
mod progress;
mod references;
mod releases;
mod retention;
mod segment;
mod segmenter;
mod serve;
mod settings;
mod stores;
mod telemetry;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tells where on Earth a photograph was taken.
///
/// Train a model on photographs with known places, index it as a release, and ask it by GraphQL or from the command
/// line. Try `geosurge demo` first: it needs no photographs, no weights and no network.
#[derive(Parser)]
#[command(name = "geosurge", version, max_term_width = 110, propagate_version = true)]
struct Command {
    #[command(flatten, next_help_heading = "Settings of every command")]
    settings: settings::Flags,
    #[command(subcommand)]
    subcommand: Sub,
}

#[derive(Subcommand)]
enum Sub {
    /// Render a procedural planet, train on it, index it, localize held-out photographs, then serve
    Demo(demo::Args),
    /// Render a dataset of a procedural planet: photographs, segmentation maps and their places
    Planet(planet::Args),
    /// Collect photographs with known places (EXIF GPS, or a CSV or Parquet file) into a dataset
    Import(import::Args),
    /// Divide the Earth into a hierarchy of geocells, or find the geocells of coordinates
    Partition(partition::Args),
    /// Learn a model from a dataset; a run that was stopped goes on with --resume
    Train(train::Args),
    /// Measure a checkpoint on a dataset: the five distance thresholds beside chance, calibration, levels
    Eval(eval::Args),
    /// Change one choice of the method at a time, and train what others have published, over several seeds
    Ablate(ablate::Args),
    /// Build a release from a checkpoint and a dataset of reference photographs
    Index(index::Args),
    /// List, show, activate, roll back, compare and prune releases
    Releases(releases::Args),
    /// Bring the catalog's schema up to date, or say what it lacks
    Migrate(migrate::Args),
    /// Delete predictions of a client, a release or before a date
    Predictions(predictions::Args),
    /// Delete predictions that are older than the policy of the settings
    Retention(retention::Args),
    /// Add, remove or list reference photographs of a release, without training
    References(references::Args),
    /// Ask the catalog's views for analysts: accuracy, calibration, drift, volume, latency, coverage
    Analytics(analytics::Args),
    /// Serve GraphQL, the map and health checks
    Serve(serve::Args),
    /// Make, list and revoke API keys of a service
    Keys(keys::Args),
    /// Ask a running service how it does
    Health(health::Args),
    /// Answer where photographs were taken, with the active release
    Localize(localize::Args),
    /// Write the segmentation map of photographs, with a colour overlay
    Segment(segment::Args),
    /// Fetch, list and check published weights: CLIP, OneFormer, SegFormer
    Models(models::Args),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let settings = match settings::Settings::resolve(&command.settings) {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    let telemetry = match telemetry::start(&settings) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(&error),
    };
    let done = match command.subcommand {
        Sub::Demo(args) => demo::run(&args, &settings),
        Sub::Planet(args) => planet::run(&args, &settings),
        Sub::Import(args) => import::run(&args, &settings),
        Sub::Partition(args) => partition::run(&args),
        Sub::Train(args) => train::run(&args, &settings),
        Sub::Eval(args) => eval::run(&args, &settings),
        Sub::Ablate(args) => ablate::run(&args),
        Sub::Index(args) => index::run(&args, &settings),
        Sub::Releases(args) => releases::run(&args, &settings),
        Sub::Migrate(args) => migrate::run(&args, &settings),
        Sub::Predictions(args) => predictions::run(&args, &settings),
        Sub::Retention(args) => retention::run(&args, &settings),
        Sub::References(args) => references::run(&args, &settings),
        Sub::Analytics(args) => analytics::run(&args, &settings),
        Sub::Serve(args) => serve::run(&args, &settings),
        Sub::Keys(args) => keys::run(&args, &settings),
        Sub::Health(args) => health::run(&args, &settings),
        Sub::Localize(args) => localize::run(&args, &settings),
        Sub::Segment(args) => segment::run(&args, &settings),
        Sub::Models(args) => models::run(&args, &settings),
    };
    drop(telemetry);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Errors go to standard error as one line per cause, so that a program can still read standard output.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            eprintln!("  because: {cause}");
            said.push_str(&cause);
        }
    }
    ExitCode::FAILURE
}
