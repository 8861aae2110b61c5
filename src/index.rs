//! `geosurge index`: a release from a checkpoint and a gallery.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use datasets::Dataset;
use indexer::{BuildOptions, BuildReport, Estimate};

use crate::device::Compute;
use crate::progress::Bar;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::{interrupt, output, stores};

#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint folder, which must stay where it is, or the URL of one in an object store: s3://, gs:// or file://
    checkpoint: PathBuf,
    /// Dataset of reference photographs
    dataset: PathBuf,
    /// The release's name [default: the day and the checkpoint, such as 2026-11-22-1a2b3c4d]
    #[arg(long)]
    name: Option<String>,
    /// Make it the release that answers
    #[arg(long, conflicts_with = "dry_run")]
    activate: bool,
    /// Stop at the first photograph that cannot be read
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    segmenter: SegmenterArg,
    /// Print sizes and the time it would take, measured on a sample, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Photographs encoded at once
    #[arg(long, default_value_t = BuildOptions::default().batch)]
    batch: usize,
    /// Reference photographs written together; a kill costs at most what was not written yet
    #[arg(long, default_value_t = BuildOptions::default().together, hide_short_help = true)]
    write_batch: usize,
    #[command(flatten)]
    compute: Compute,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    ensure!(
        retrieval::is_url(&args.checkpoint.to_string_lossy()) || args.checkpoint.is_dir(),
        "{} is not a checkpoint folder; a training run writes one as <run>/checkpoint",
        args.checkpoint.display()
    );
    let dataset = Dataset::open(&args.dataset)?;
    let device = args.compute.open()?;
    let name = args.name.as_deref().map(str::parse).transpose()?;
    let options = BuildOptions {
        name,
        batch: args.batch,
        together: args.write_batch,
        activate: args.activate,
        strict: args.strict,
        segmenter: args.segmenter.open(settings, &device)?,
        device,
        precision: args.compute.precision(),
        checkpoints: stores::checkpoints(settings),
        photos: Some(settings.references_dir()),
        ..BuildOptions::default()
    };
    if args.dry_run {
        let estimate = indexer::estimate(&args.checkpoint, &dataset, &options);
        return tell_estimate(args, &stores::runtime()?.block_on(estimate)?);
    }
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
    tell(args, &report)
}

fn tell(args: &Args, report: &BuildReport) -> Result<()> {
    if args.json {
        return output::json(report);
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
    if gallery.removed > 0 {
        output::line(format!(
            "{} reference photographs that the dataset does not have were removed; add them again with `geosurge references add`",
            gallery.removed
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

fn tell_estimate(args: &Args, estimate: &Estimate) -> Result<()> {
    if args.json {
        return output::json(estimate);
    }
    let mut table = output::table(["level", "geocells"], &[0, 1]);
    for level in &estimate.levels {
        table.add_row([level.level.to_string(), level.geocells.to_string()]);
    }
    output::line(table);
    output::line(format!(
        "{} photographs, embeddings of {} numbers, checkpoint {}",
        estimate.photos, estimate.dimension, estimate.checkpoint
    ));
    output::line(format!(
        "vectors {}, about {} on the disk of an embedded store",
        output::bytes(estimate.vector_bytes),
        output::bytes(estimate.disk_bytes)
    ));
    match (estimate.photos_a_second, estimate.seconds) {
        (Some(rate), Some(seconds)) => output::line(format!(
            "about {} for all photographs: {rate:.1} a second, measured on {}; writing and verifying take more",
            output::duration(seconds),
            estimate.sampled - estimate.unreadable.len()
        )),
        _ => output::line(format!(
            "none of {} sampled photographs could be read; check the paths in the dataset",
            estimate.sampled
        )),
    }
    for skipped in estimate.unreadable.iter().take(10) {
        eprintln!("unreadable {}: {}", skipped.file.display(), skipped.reason);
    }
    output::line("nothing was written");
    Ok(())
}
