//! `geosurge localize`: where photographs were taken.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use datasets::DecodeLimits;
use retrieval::{Crops, LocalizeOptions, Localizer, OpenOptions, Photo, Prediction, Scoring};
use serde_json::json;

use crate::device::Compute;
use crate::progress::Bar;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::{output, photos, stores};

/// Photos decoded and encoded at once.
const BATCH: usize = 16;

#[derive(clap::Args)]
pub struct Args {
    /// Photo files, or folders of them
    #[arg(required = true, value_name = "PHOTO|FOLDER")]
    photos: Vec<PathBuf>,
    /// Print one JSON object a photo, a line each
    #[arg(long, conflicts_with = "geojson")]
    json: bool,
    /// Print one GeoJSON FeatureCollection: places, credible regions and reference photographs
    #[arg(long)]
    geojson: bool,
    /// Answer with this release instead of the active one
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// Reference photographs to tell
    #[arg(long, default_value_t = 3)]
    references: usize,
    /// Candidate geocells to tell
    #[arg(long, default_value_t = 5)]
    candidates: usize,
    /// How the levels' similarities become one score
    #[arg(long, value_enum, default_value_t = ScoringKind::Probability)]
    scoring: ScoringKind,
    /// Encode ten views of each photograph (corners, centre, mirror images) and average them: ten times the work
    #[arg(long)]
    ten_crop: bool,
    #[command(flatten)]
    segmenter: SegmenterArg,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ScoringKind {
    /// Product of the levels' softmax probabilities
    Probability,
    /// Product of (1 + cosine) / 2
    Cosine,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let files = photos::find(&args.photos)?;
    let device = args.compute.open()?;
    let segmenter = args.segmenter.open(settings, &device)?;
    let failed = stores::runtime()?.block_on(async {
        let stores = stores::open(settings).await?;
        let release = args.release.as_deref().map(str::parse).transpose()?;
        if let Some(release) = &release {
            stores::settle(
                settings,
                stores.vectors.as_ref(),
                stores.catalog.as_ref(),
                release,
            )
            .await?;
        }
        let open = OpenOptions {
            device,
            precision: args.compute.precision(),
            checkpoints: stores::checkpoints(settings),
            segmenter,
        };
        let localizer = Localizer::open(release.as_ref(), stores.vectors, stores.catalog, &open).await?;
        answer(args, &localizer, &files).await
    })?;
    if failed > 0 {
        bail!("{failed} of {} photographs could not be read", files.len());
    }
    Ok(())
}

/// Prints the answers and returns how many photos could not be read.
async fn answer(args: &Args, localizer: &Localizer, files: &[PathBuf]) -> Result<usize> {
    let mut options = LocalizeOptions {
        references: args.references,
        crops: if args.ten_crop { Crops::Ten } else { Crops::One },
        ..LocalizeOptions::default()
    };
    options.inference.candidates = args.candidates;
    options.inference.scoring = match args.scoring {
        ScoringKind::Probability => Scoring::Probability,
        ScoringKind::Cosine => Scoring::Cosine,
    };
    let bar = Bar::new(args.json || args.geojson || files.len() <= BATCH);
    let mut table = output::table(
        [
            "photograph",
            "place",
            "confidence",
            "within 25 km",
            "200 km",
            "750 km",
            "nearest look-alike",
        ],
        &[2, 3, 4, 5],
    );
    let (mut features, mut failed) = (Vec::new(), 0);
    for (index, chunk) in files.chunks(BATCH).enumerate() {
        bar.show("localizing", (index * BATCH) as u64, files.len() as u64, "");
        let (names, decoded) = decode(chunk, args.json, &mut failed)?;
        let predictions = tokio::task::block_in_place(|| localizer.encode_crops(&decoded, options.crops))?;
        for (file, prediction) in names.iter().zip(localizer.answer(predictions, &options).await?) {
            if args.json {
                output::json(&with_file(file, &prediction)?)?;
            } else if args.geojson {
                collect(&mut features, file, &prediction);
            } else {
                table.add_row(row(file, &prediction));
            }
        }
    }
    bar.finish();
    if args.geojson {
        output::json(&json!({ "type": "FeatureCollection", "features": features }))?;
    } else if !args.json && table.row_count() > 0 {
        output::line(table);
        output::line(format!(
            "release {}; {}",
            localizer.release().id,
            retrieval::ATTRIBUTION
        ));
    }
    Ok(failed)
}

/// Decodes what can be decoded; the others are told at once, on standard error and as JSON objects with `error`.
fn decode<'a>(files: &'a [PathBuf], json: bool, failed: &mut usize) -> Result<(Vec<&'a Path>, Vec<Photo>)> {
    let (mut names, mut photos) = (Vec::new(), Vec::new());
    for file in files {
        let started = Instant::now();
        match datasets::decode_image(file, &DecodeLimits::default()) {
            Ok(image) => {
                names.push(file.as_path());
                photos.push(Photo {
                    image,
                    decode: started.elapsed(),
                });
            }
            Err(error) => {
                *failed += 1;
                eprintln!("error: {error}");
                if json {
                    output::json(
                        &json!({ "file": file, "error": { "code": error.reason(), "message": error.to_string() } }),
                    )?;
                }
            }
        }
    }
    Ok((names, photos))
}

fn with_file(file: &Path, prediction: &Prediction) -> Result<serde_json::Value> {
    let mut value = serde_json::to_value(prediction)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("file".into(), json!(file));
    }
    Ok(value)
}

fn collect(features: &mut Vec<serde_json::Value>, file: &Path, prediction: &Prediction) {
    let mut collection = retrieval::to_geojson(prediction);
    if let Some(found) = collection.get_mut("features").and_then(|f| f.as_array_mut()) {
        for feature in found.iter_mut() {
            feature["properties"]["file"] = json!(file);
        }
        features.append(found);
    }
}

fn row(file: &Path, prediction: &Prediction) -> [String; 7] {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let within = &prediction.within.0;
    let place = match &prediction.place {
        Some(name) => format!("{name} ({})", output::place(prediction.location)),
        None => format!("at sea ({})", output::place(prediction.location)),
    };
    let place = match &prediction.cannot_tell {
        Some(_) => format!("cannot tell ({place}?)"),
        None => place,
    };
    let nearest = prediction
        .references
        .first()
        .map_or_else(String::new, |reference| {
            format!(
                "{} ({} away)",
                reference.path,
                output::distance(reference.distance_km)
            )
        });
    [
        file.display().to_string(),
        place,
        percent(prediction.confidence),
        percent(within[1]),
        percent(within[2]),
        percent(within[3]),
        nearest,
    ]
}
