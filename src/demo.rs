//! `geosurge demo`: the whole line on the procedural planet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use datasets::{Dataset, DecodeLimits, SplitBy, SplitConfig};
use geocells::{Accuracy, THRESHOLDS};
use indexer::BuildOptions;
use planet::PlanetConfig;
use retrieval::{LocalizeOptions, Localizer, OpenOptions, Photo};
use serde_json::json;
use trainer::{EvaluationOptions, EvaluationReport, RunFolder, TrainingConfig, TrainingOptions};

use crate::device::DeviceKind;
use crate::progress::Bar;
use crate::settings::Settings;
use crate::stores::Stores;
use crate::{interrupt, output, serve, stores, train};

/// Share of the planet's photographs that neither training nor the index ever sees.
const HELD_OUT: f64 = 0.1;
/// Rows of the table of answers.
const SHOWN: usize = 12;

#[derive(clap::Args)]
pub struct Args {
    /// End after the table instead of serving
    #[arg(long)]
    exit: bool,
    /// End with one JSON line: accuracy and chance by threshold in kilometres, seconds by stage
    #[arg(long)]
    json: bool,
    /// Photographs to take
    #[arg(long, default_value_t = PlanetConfig::default().photos)]
    photos: usize,
    /// Side of a photograph in pixels
    #[arg(long, default_value_t = PlanetConfig::default().size)]
    size: u32,
    /// Another planet
    #[arg(long, default_value_t = PlanetConfig::default().seed)]
    seed: u64,
    /// How hard a place is to tell, from 0 to 1
    #[arg(long, default_value_t = PlanetConfig::default().difficulty)]
    difficulty: f64,
    /// Training configuration to use instead of the built-in one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Cpu)]
    device: DeviceKind,
}

/// The demo's folders and the photographs of each side.
struct World {
    run: RunFolder,
    gallery: Dataset,
    held_out: Dataset,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let cancel = interrupt::flag()?;
    let bar = Bar::new(args.json);
    let mut seconds = BTreeMap::new();
    let device = args.device.open()?;

    let started = Instant::now();
    let world = render(args, settings, &bar)?;
    seconds.insert("render", started.elapsed().as_secs_f64());

    let started = Instant::now();
    learn(args, settings, &world, &device, &bar, &cancel)?;
    seconds.insert("train", started.elapsed().as_secs_f64());

    let runtime = stores::runtime()?;
    let open = OpenOptions {
        device: device.clone(),
        checkpoints: stores::checkpoints(settings),
        ..OpenOptions::default()
    };
    let started = Instant::now();
    let stores = runtime.block_on(index(settings, &world, &device, &bar, &cancel))?;
    seconds.insert("index", started.elapsed().as_secs_f64());

    let started = Instant::now();
    let show = |p: &trainer::Progress| train::show(&bar, p);
    let judged = trainer::evaluate(
        &world.run.checkpoint(),
        &world.held_out,
        &EvaluationOptions {
            training_places: world.gallery.photos().iter().map(|p| p.location).collect(),
            ..EvaluationOptions::new(device)
        },
        &show,
        &cancel,
    )?;
    seconds.insert("evaluate", started.elapsed().as_secs_f64());

    let started = Instant::now();
    let rows = runtime.block_on(localize(&world, &stores, &open))?;
    seconds.insert("localize", started.elapsed().as_secs_f64());
    bar.finish();

    if args.json {
        let by_threshold = |accuracy: &Accuracy| -> BTreeMap<String, f64> {
            THRESHOLDS
                .iter()
                .zip(accuracy.within)
                .map(|(t, share)| (t.km.get().to_string(), share))
                .collect()
        };
        output::json(&json!({
            "accuracy": by_threshold(&judged.accuracy),
            "chance": by_threshold(&judged.chance),
            "median_km": judged.accuracy.median_km,
            "held_out": judged.photos,
            "seconds": seconds,
        }))?;
    } else {
        tell(&rows, &judged, &seconds);
    }
    if args.exit {
        return Ok(());
    }
    runtime.block_on(serve::serve(serve::config(settings), settings, stores, open))
}

/// Takes the photographs and holds out a tenth by uploader.
fn render(args: &Args, settings: &Settings, bar: &Bar) -> Result<World> {
    let config = PlanetConfig {
        photos: args.photos,
        size: args.size,
        seed: args.seed,
        difficulty: args.difficulty,
        ..PlanetConfig::default()
    };
    // One folder for each planet, so that another --seed is another demo instead of an error.
    let name = format!(
        "demo-{}-{}-{}-{}",
        config.seed, config.photos, config.size, config.difficulty
    );
    let root = settings.data_dir.join(name);
    let all = planet::write_dataset(&config, &root.join("planet"), &|p| {
        bar.show("taking photographs", p.done as u64, p.total as u64, "");
    })?;
    let split = SplitConfig {
        by: SplitBy::Uploader,
        validation_fraction: HELD_OUT,
        ..SplitConfig::default()
    };
    let split = datasets::split(&all, &split)?;
    let side = |photos: &[usize]| {
        Dataset::new(
            all.root(),
            photos.iter().map(|i| all.photos()[*i].clone()).collect(),
        )
    };
    Ok(World {
        run: RunFolder::new(root.join("run")),
        gallery: side(&split.train),
        held_out: side(&split.validation),
    })
}

/// Trains, goes on with a run that was stopped, or keeps a finished one.
fn learn(
    args: &Args,
    settings: &Settings,
    world: &World,
    device: &candle_core::Device,
    bar: &Bar,
    cancel: &AtomicBool,
) -> Result<()> {
    if world.run.is_finished() {
        return Ok(());
    }
    let resume = world.run.is_started();
    let config = match (&args.config, resume) {
        (_, true) => world.run.read_config()?,
        (Some(file), false) => TrainingConfig::read(file)?,
        (None, false) => TrainingConfig::demo(),
    };
    let options = TrainingOptions {
        resume,
        revision: train::revision(),
        ..TrainingOptions::new(settings.data_dir.join("cache"), device.clone())
    };
    let show = |p: &trainer::Progress| train::show(bar, p);
    trainer::train(&world.gallery, &config, &world.run, &options, &show, cancel)
        .context("the demo stopped while training; run it again to go on")?;
    Ok(())
}

async fn index(
    settings: &Settings,
    world: &World,
    device: &candle_core::Device,
    bar: &Bar,
    cancel: &AtomicBool,
) -> Result<Stores> {
    let stores = stores::open(settings).await?;
    let options = BuildOptions {
        activate: true,
        device: device.clone(),
        ..BuildOptions::default()
    };
    let show = |p: &indexer::Progress| bar.show(p.stage.phrase(), p.done as u64, p.total as u64, "");
    indexer::build_release(
        &world.run.checkpoint(),
        &world.gallery,
        stores.vectors.clone(),
        stores.catalog.clone(),
        &options,
        &show,
        cancel,
    )
    .await?;
    Ok(stores)
}

/// A few held-out photographs through the whole line, as a user's would go.
async fn localize(world: &World, stores: &Stores, open: &OpenOptions) -> Result<Vec<[String; 6]>> {
    let localizer = Localizer::open(None, stores.vectors.clone(), stores.catalog.clone(), open).await?;
    let step = (world.held_out.len() / SHOWN).max(1);
    let mut rows = Vec::new();
    for index in (0..world.held_out.len()).step_by(step).take(SHOWN) {
        let path = world.held_out.image_path(index);
        let image = datasets::decode_image(&path, &DecodeLimits::default())?;
        let mut answers = localizer
            .localize(vec![Photo::from(image)], &LocalizeOptions::default())
            .await?;
        let prediction = answers.pop().context("the localizer gave no answer")?;
        let truth = world.held_out.photos()[index].location;
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        rows.push([
            name,
            output::place(truth),
            output::place(prediction.location),
            output::distance(truth.distance(prediction.location).get()),
            format!("{:.0} %", prediction.within.0[2] * 100.0),
            prediction
                .cannot_tell
                .map_or_else(String::new, |_| "cannot tell".into()),
        ]);
    }
    Ok(rows)
}

fn tell(rows: &[[String; 6]], judged: &EvaluationReport, seconds: &BTreeMap<&str, f64>) {
    let mut table = output::table(
        [
            "held-out photograph",
            "taken at",
            "answer",
            "error",
            "P(within 200 km)",
            "",
        ],
        &[3, 4],
    );
    for row in rows {
        table.add_row(row.clone());
    }
    output::line(table);
    output::line(format!("all {} held-out photographs:", judged.photos));
    output::line(output::accuracy_table(&[
        ("GeoSURGE", &judged.accuracy),
        ("finest level alone", &judged.flat),
        ("chance", &judged.chance),
    ]));
    let stages: Vec<String> = seconds
        .iter()
        .map(|(stage, s)| format!("{stage} {s:.0} s"))
        .collect();
    output::line(format!("{}; a second run reuses what is done", stages.join(", ")));
}
