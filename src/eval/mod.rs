//! `geosurge eval`: a checkpoint measured on a dataset or on one of the field's benchmarks.

mod csv;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use datasets::Dataset;
use geocells::LatLng;
use models::{Checkpoint, Crops};
use serde::Serialize;
use trainer::benchmark::leakage::{self, LeakageReport};
use trainer::benchmark::look_up::LookUpOptions;
use trainer::benchmark::published::published;
use trainer::benchmark::{Benchmark, BenchmarkPhotos, Bootstrap, MissingImage, PublishedRow};
use trainer::{EvaluationOptions, EvaluationReport, RunFolder};

use crate::device::Compute;
use crate::progress::Bar;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::{interrupt, output, train};

#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint folder
    checkpoint: PathBuf,
    /// Dataset folder or manifest, or with --images a benchmark's metadata file (CSV or Parquet, columns are found by name);
    /// use photographs that the checkpoint was not trained on
    dataset: PathBuf,
    /// Folder of the benchmark's images; those that are missing are listed
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// The benchmark whose published figures to show: im2gps, im2gps3k, yfcc4k, yfcc26k or gws15k [default: by the file's name]
    #[arg(long, value_name = "NAME")]
    benchmark: Option<String>,
    /// Judge on the photographs that the checkpoint's own run held out of this dataset (split.json beside the checkpoint)
    #[arg(long, conflicts_with = "images")]
    held_out: bool,
    /// Encode ten views of each photograph (corners, centre, mirror images) and average them, as the field's benchmarks do
    #[arg(long)]
    ten_crop: bool,
    #[command(flatten)]
    segmenter: SegmenterArg,
    /// Take the dataset's own segmentation maps instead of a segmenter's
    #[arg(long, conflicts_with = "segmenter")]
    maps: bool,
    /// Dataset that the checkpoint was trained on: says where in a geocell photographs are taken, and what --leakage compares with
    #[arg(long, value_name = "DIR")]
    training: Option<PathBuf>,
    /// Look for uploaders and near-duplicate photographs that training and test share; needs --training or --held-out
    #[arg(long)]
    leakage: bool,
    /// Bits of a perceptual hash that may differ between near duplicates, of 64
    #[arg(long, value_name = "BITS", default_value_t = leakage::NEAR)]
    near: u32,
    /// Look up reference photographs within so many metres: recall at 1 and 5 beside colour histograms and chance
    #[arg(long, value_name = "METRES")]
    look_up: Option<f64>,
    /// Reference photographs for --look-up [default: the other photographs of the judged dataset]
    #[arg(long, value_name = "DIR", requires = "look_up")]
    gallery: Option<PathBuf>,
    /// Samples for the bootstrap intervals; 0 makes none
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples)]
    resamples: usize,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = Bootstrap::default().seed)]
    seed: u64,
    #[command(flatten)]
    compute: Compute,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Print the report as CSV: section, name, metric, value, low, high
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write every photograph's answer to this CSV file
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

/// The report and what the command adds to it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    report: EvaluationReport,
    /// The benchmark, if it is one.
    benchmark: Option<Benchmark>,
    /// Photographs that the metadata or the dataset list.
    listed: usize,
    /// Images that the metadata name and the folder does not have.
    missing: Vec<MissingImage>,
    /// The benchmark's published rows.
    published: Vec<PublishedRow>,
    /// What training and test share, if it was looked for.
    leakage: Option<LeakageReport>,
}

/// The photographs to judge on, and the training side where it is known.
struct Sides {
    benchmark: Option<Benchmark>,
    dataset: Dataset,
    photos: Option<Vec<usize>>,
    listed: usize,
    missing: Vec<MissingImage>,
    training: Option<Dataset>,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let sides = open(args)?;
    let device = args.compute.open()?;
    let places: Vec<LatLng> = sides
        .training
        .iter()
        .flat_map(|d| d.photos())
        .map(|p| p.location)
        .collect();
    let gallery = args.gallery.as_ref().map(Dataset::open).transpose()?;
    let options = EvaluationOptions {
        photos: sides.photos.clone(),
        segmenter: args.segmenter.open(settings, &device)?,
        precision: args.compute.precision(),
        crops: if args.ten_crop { Crops::Ten } else { Crops::One },
        dataset_maps: args.maps,
        training_places: places,
        bootstrap: Bootstrap {
            resamples: args.resamples,
            seed: args.seed,
            ..Bootstrap::default()
        },
        look_up: args.look_up.map(|radius_m| LookUpOptions { gallery, radius_m }),
        ..EvaluationOptions::new(device)
    };
    let cancel = interrupt::flag()?;
    let bar = Bar::new(args.json || args.csv);
    let show = |p: &trainer::Progress| train::show(&bar, p);
    let report = trainer::evaluate(&args.checkpoint, &sides.dataset, &options, &show, &cancel)?;
    let leakage = match (&sides.training, args.leakage) {
        (Some(training), true) => {
            let test = subset(&sides.dataset, sides.photos.as_deref());
            let show = |p: &trainer::Progress| bar.show("comparing photographs", p.done, p.total, "");
            Some(leakage::check(training, &test, args.near, &show, &cancel)?)
        }
        _ => None,
    };
    bar.finish();
    if let Some(file) = &args.answers {
        csv::write_answers(file, &report.answers)?;
    }
    let told = Told {
        report,
        benchmark: sides.benchmark,
        listed: sides.listed,
        missing: sides.missing,
        published: sides.benchmark.map(published).unwrap_or_default(),
        leakage,
    };
    if args.json {
        return output::json(&told);
    }
    if args.csv {
        return csv::print(&told);
    }
    table::print(&told);
    Ok(())
}

fn open(args: &Args) -> Result<Sides> {
    let named = match &args.benchmark {
        None => None,
        Some(name) => Some(Benchmark::named(name).with_context(|| {
            let known: Vec<&str> = Benchmark::ALL.iter().map(|b| b.name()).collect();
            format!("there is no benchmark {name}; choose one of {}", known.join(", "))
        })?),
    };
    if args.leakage && args.training.is_none() && !args.held_out {
        bail!(
            "--leakage compares with the training photographs: name them with --training, or judge with --held-out"
        );
    }
    let training = args.training.as_ref().map(Dataset::open).transpose()?;
    if let Some(images) = &args.images {
        let photos = BenchmarkPhotos::open(&args.dataset, images, named)?;
        return Ok(Sides {
            benchmark: photos.benchmark,
            dataset: photos.dataset,
            photos: None,
            listed: photos.listed,
            missing: photos.missing,
            training,
        });
    }
    let dataset = Dataset::open(&args.dataset)?;
    let (photos, training) = if args.held_out {
        let (held_out, learnt) = split_of(&args.checkpoint, &dataset)?;
        (Some(held_out), training.or(Some(subset(&dataset, Some(&learnt)))))
    } else {
        (None, training)
    };
    Ok(Sides {
        benchmark: named,
        listed: photos.as_ref().map_or(dataset.len(), Vec::len),
        dataset,
        photos,
        missing: Vec::new(),
        training,
    })
}

/// The photographs that the run of this checkpoint held out, and those that it learnt from.
fn split_of(checkpoint: &Path, dataset: &Dataset) -> Result<(Vec<usize>, Vec<usize>)> {
    let run = checkpoint
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let run = RunFolder::new(run.unwrap_or(Path::new(".")));
    let split = run.read_split().with_context(|| {
        format!(
            "--held-out needs {}, which training writes beside the checkpoint; judge on a dataset of its own instead",
            run.split().display()
        )
    })?;
    let learnt_from = Checkpoint::open(checkpoint)?.provenance().dataset_digest.clone();
    if learnt_from.is_some_and(|digest| digest != dataset.digest()) {
        bail!(
            "the checkpoint was trained on another dataset than {}, so its split says nothing of this one; name the dataset that it \
             was trained on",
            dataset.root().display()
        );
    }
    Ok((split.validation, split.train))
}

fn subset(dataset: &Dataset, photos: Option<&[usize]>) -> Dataset {
    match photos {
        None => dataset.clone(),
        Some(photos) => Dataset::new(
            dataset.root(),
            photos.iter().map(|i| dataset.photos()[*i].clone()).collect(),
        ),
    }
}
