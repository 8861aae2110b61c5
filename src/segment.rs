//! `geosurge segment`: ADE20K maps of photographs, with colour overlays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use datasets::{Dataset, ade20k};
use hub::ModelsFolder;
use models::{Checkpoint, Segmenter};
use serde_json::json;
use trainer::mapping::{self, Done, MappingOptions, MappingReport, Shard};

use crate::device::DeviceKind;
use crate::progress::Bar;
use crate::settings::Settings;
use crate::{interrupt, output, photos, stores, train};

/// Classes told of all photographs.
const TOLD: usize = 10;

#[derive(clap::Args)]
pub struct Args {
    /// Photo files, or folders of them
    #[arg(required_unless_present = "dataset", value_name = "PHOTO|FOLDER")]
    photos: Vec<PathBuf>,
    /// Segment the photographs of this dataset and list their maps in its manifest, for training
    #[arg(long, value_name = "DIR", conflicts_with = "photos")]
    dataset: Option<PathBuf>,
    /// Folder for <name>.png (8-bit class ids at the photo's size, 255 unlabelled), <name>.overlay.png with a legend,
    /// and classes.parquet. Photographs of one name get their folders' names too
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Published OneFormer or SegFormer: the name of a pulled model, or its folder; or a checkpoint folder [default:
    /// the active release's segmenter]
    #[arg(long, value_name = "NAME|DIR")]
    model: Option<String>,
    /// Checkpoint whose segmenter to use
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    checkpoint: Option<PathBuf>,
    /// Do one part of the work only: 3/16 is the third of sixteen, which together do all of it
    #[arg(long, value_name = "K/N", default_value = "1/1")]
    shard: Shard,
    /// Write maps and statistics only
    #[arg(long)]
    no_overlays: bool,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
    /// Print one JSON object a photo: file, map, overlay, share of pixels by class
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let dataset = args.dataset.as_ref().map(Dataset::open).transpose()?;
    let files = match &dataset {
        Some(dataset) => (0..dataset.len())
            .map(|index| dataset.image_path(index))
            .collect(),
        None => photos::find(&args.photos)?,
    };
    // Told as they were named; worked with by paths that mean the same in another folder.
    let given: BTreeMap<PathBuf, PathBuf> = files
        .iter()
        .map(|file: &PathBuf| Ok((std::path::absolute(file)?, file.clone())))
        .collect::<std::io::Result<_>>()?;
    let files = photos::distinct(&files, &args.out)?;
    let chosen = Chosen::open(args, settings)?;
    let options = MappingOptions {
        shard: args.shard,
        segmenter: chosen.identity.clone(),
        overlays: !args.no_overlays,
    };
    let cancel = interrupt::flag()?;
    let bar = Bar::new(args.json);
    let report = mapping::map_photos(
        &files,
        &args.out,
        chosen.segmenter.as_ref(),
        &options,
        &|p| train::show(&bar, p),
        &cancel,
    )?;
    bar.finish();
    for done in &report.done {
        if args.json {
            output::json(&told(
                done,
                given.get(&done.file).unwrap_or(&done.file),
                &args.out,
            ))?;
        }
    }
    for unmapped in &report.failed {
        eprintln!("error: {}", unmapped.message);
        if args.json {
            let error = json!({ "code": unmapped.reason, "message": unmapped.message });
            let file = given.get(&unmapped.file).unwrap_or(&unmapped.file);
            output::json(&json!({ "file": file, "error": error }))?;
        }
    }
    if !args.json {
        summary(args, &chosen.identity, &report);
    }
    if let Some(dataset) = &dataset {
        list(args, dataset, &files, &options, &report)?;
    }
    if !report.failed.is_empty() {
        let photos = report.failed.len() + report.done.len();
        bail!(
            "{} of {photos} photographs could not be read",
            report.failed.len()
        );
    }
    Ok(())
}

/// Names the maps in the dataset's manifest once no shard has work left.
fn list(
    args: &Args,
    dataset: &Dataset,
    files: &[PathBuf],
    options: &MappingOptions,
    report: &MappingReport,
) -> Result<()> {
    let left = report.photos - report.mapped - report.failed.len();
    if left > 0 {
        if !args.json {
            output::line(format!(
                "{left} photographs are other shards'; the last one lists all maps in {}",
                dataset.root().display()
            ));
        }
        return Ok(());
    }
    let done = mapping::mapped(files, &args.out, &options.segmenter)?;
    let listed = mapping::list_maps(dataset, &args.out, &done)?;
    if !args.json {
        output::line(format!(
            "{listed} maps listed in the dataset {}",
            dataset.root().display()
        ));
    }
    Ok(())
}

/// A segmenter, and what tells it from others.
struct Chosen {
    segmenter: Box<dyn Segmenter>,
    identity: String,
}

impl Chosen {
    fn open(args: &Args, settings: &Settings) -> Result<Self> {
        let Some(wanted) = &args.model else {
            return Self::of_checkpoint(&open_checkpoint(args, settings)?, args);
        };
        let models = ModelsFolder::new(settings.models_dir());
        let folder = models.locate(wanted)?;
        if folder.join("provenance.json").is_file() {
            return Self::of_checkpoint(&Checkpoint::open(&folder)?, args);
        }
        let segmenter = models::published::open_segmenter(&folder, &args.device.open()?)?;
        Ok(Self {
            identity: segmenter.name().to_owned(),
            segmenter: Box::new(segmenter),
        })
    }

    fn of_checkpoint(checkpoint: &Checkpoint, args: &Args) -> Result<Self> {
        let segmenter = checkpoint.segmenter(&args.device.open()?)?.with_context(|| {
            format!("the checkpoint {} was trained without a segmenter; train one with [segmenter] kind = \"compact\", or name a published one with --model", checkpoint.directory().display())
        })?;
        Ok(Self {
            identity: format!("{} of checkpoint {}", segmenter.name(), checkpoint.id()),
            segmenter: Box::new(segmenter),
        })
    }
}

fn open_checkpoint(args: &Args, settings: &Settings) -> Result<Checkpoint> {
    if let Some(folder) = &args.checkpoint {
        return Ok(Checkpoint::open(folder)?);
    }
    stores::runtime()?.block_on(async {
        let catalog = stores::catalog(settings).await?;
        let active = catalog.active_release().await?;
        let release = active.context("no release is active: name a published segmenter with --model or a checkpoint with --checkpoint, or build a release with `geosurge index`")?;
        Ok(stores::checkpoints(settings).of_release(&release).await?)
    })
}

fn told(done: &Done, file: &Path, out: &Path) -> serde_json::Value {
    let pixels = f64::from(done.width) * f64::from(done.height);
    let shares: serde_json::Map<String, serde_json::Value> = done
        .pixels
        .iter()
        .filter_map(|(class, count)| Some((ade20k::name(*class)?.to_owned(), json!(*count as f64 / pixels))))
        .collect();
    json!({
        "file": file,
        "map": out.join(&done.map),
        "overlay": done.overlay.as_ref().map(|overlay| out.join(overlay)),
        "classes": shares,
    })
}

fn summary(args: &Args, segmenter: &str, report: &MappingReport) {
    let kept = match report.kept {
        0 => String::new(),
        kept => format!(", {kept} of them from an earlier run"),
    };
    output::line(format!(
        "{} maps by {segmenter} in {}{kept}; statistics in {}",
        report.done.len(),
        args.out.display(),
        report.statistics.display()
    ));
    let mut totals = [0_u64; 256];
    for (class, count) in report.done.iter().flat_map(|done| &done.pixels) {
        totals[usize::from(*class)] += count;
    }
    let all: u64 = totals.iter().sum();
    let mut present: Vec<(u8, u64)> = (0..=u8::MAX)
        .zip(totals)
        .filter(|(_, count)| *count > 0)
        .collect();
    present.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
    let mut table = output::table(["class", "share of all pixels"], &[1]);
    for (class, count) in present.iter().take(TOLD) {
        table.add_row([
            ade20k::name(*class).unwrap_or("unknown").to_owned(),
            format!("{:.1} %", *count as f64 * 100.0 / all as f64),
        ]);
    }
    if !present.is_empty() {
        output::line(table);
    }
}
