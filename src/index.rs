//! `geosurge index`: a release from a checkpoint and a gallery.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use datasets::Dataset;
use indexer::BuildOptions;

use crate::device::DeviceKind;
use crate::progress::Bar;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::{interrupt, output, stores};

#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint folder; it must stay where it is, for the release refers to it
    checkpoint: PathBuf,
    /// Dataset of reference photographs
    dataset: PathBuf,
    /// The release's name [default: the day and the checkpoint, such as 2026-11-22-1a2b3c4d]
    #[arg(long)]
    name: Option<String>,
    /// Make it the release that answers
    #[arg(long)]
    activate: bool,
    /// Stop at the first photograph that cannot be read
    #[arg(long)]
    strict: bool,
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
    ensure!(
        args.checkpoint.is_dir(),
        "{} is not a checkpoint folder; a training run writes one as <run>/checkpoint",
        args.checkpoint.display()
    );
    let dataset = Dataset::open(&args.dataset)?;
    let device = args.device.open()?;
    let name = args.name.as_deref().map(str::parse).transpose()?;
    let options = BuildOptions {
        name,
        activate: args.activate,
        strict: args.strict,
        segmenter: args.segmenter.open(settings, &device)?,
        device,
        ..BuildOptions::default()
    };
    let cancel = interrupt::flag()?;
    let bar = Bar::new(args.json);
    let report = stores::runtime()?.block_on(async {
        let stores = stores::open(settings).await?;
        let show = |p: &indexer::Progress| bar.show(p.stage.phrase(), p.done as u64, p.total as u64, "");
        let built = indexer::build_release(
            &args.checkpoint,
            &dataset,
            stores.vectors,
            stores.catalog,
            &options,
            &show,
            &cancel,
        )
        .await?;
        anyhow::Ok(built)
    })?;
    bar.finish();
    if args.json {
        return output::json(&report);
    }
    let gallery = &report.gallery;
    let state = if report.already_built {
        "had been built before"
    } else {
        "built and verified"
    };
    output::line(format!(
        "release {} {state}, {} in {:.1} s",
        report.release.id, report.release.status, report.seconds
    ));
    if !report.already_built {
        output::line(format!(
            "{} reference photographs encoded, {} kept from an earlier build, {} outside every finest geocell, {} unreadable",
            gallery.encoded,
            gallery.kept,
            gallery.outside,
            gallery.skipped.len()
        ));
    }
    for skipped in gallery.skipped.iter().take(10) {
        eprintln!("left out {}: {}", skipped.file.display(), skipped.reason);
    }
    if !args.activate {
        output::line(format!(
            "make it answer with: geosurge releases activate {}",
            report.release.id
        ));
    }
    Ok(())
}
