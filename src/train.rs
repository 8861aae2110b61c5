//! `geosurge train`: from a dataset to a checkpoint.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use datasets::Dataset;
use hub::ModelsFolder;
use trainer::{Progress, RunFolder, TrainingConfig, TrainingOptions, TrainingReport};

use crate::device::DeviceKind;
use crate::progress::Bar;
use crate::settings::Settings;
use crate::{interrupt, output};

#[derive(clap::Args)]
pub struct Args {
    /// Dataset folder (photos.parquet) or manifest
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Training configuration (trainer/configs has documented examples), or the name of a built-in one: demo, paper, clip
    #[arg(long, value_name = "FILE|NAME", required_unless_present = "resume")]
    config: Option<String>,
    /// Folder of the run: configuration, metrics.jsonl, state and the checkpoint
    #[arg(long, value_name = "DIR", default_value = "run")]
    out: PathBuf,
    /// Go on with the run in --out, exactly where it stopped
    #[arg(long)]
    resume: bool,
    /// Folder of decoded photographs, reused by later runs [default: the run's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let folder = RunFolder::new(&args.out);
    let mut config = match (&args.config, args.resume) {
        (_, true) => folder.read_config()?,
        (Some(name), false) => read_config(name)?,
        (None, false) => bail!("--config is missing: name a file or one of demo, paper, clip"),
    };
    if let Some(pretrained) = &mut config.pretrained {
        // By its name, or by a path that holds wherever the run is gone on with.
        let models = ModelsFolder::new(settings.models_dir());
        pretrained.directory = models.locate(&pretrained.directory.to_string_lossy())?;
    }
    let options = TrainingOptions {
        resume: args.resume,
        cache: args.cache.clone().unwrap_or_else(|| args.out.join("cache")),
        device: args.device.open()?,
    };
    let cancel = interrupt::flag()?;
    let bar = Bar::new(args.json);
    let report = trainer::train(&dataset, &config, &folder, &options, &|p| show(&bar, p), &cancel)?;
    bar.finish();
    if args.json {
        return output::json(&report);
    }
    summary(&report);
    Ok(())
}

pub fn read_config(name: &str) -> Result<TrainingConfig> {
    let path = std::path::Path::new(name);
    match name {
        "demo" if !path.exists() => Ok(TrainingConfig::demo()),
        "paper" if !path.exists() => Ok(TrainingConfig::paper()),
        "clip" if !path.exists() => Ok(TrainingConfig::clip()),
        _ => TrainingConfig::read(path)
            .context("a built-in configuration is demo, paper or clip; anything else is a file"),
    }
}

/// Draws the trainer's progress.
pub fn show(bar: &Bar, progress: &Progress) {
    let mut note = String::new();
    if let Some(epoch) = progress.epoch {
        note.push_str(&format!("epoch {epoch} "));
    }
    if let Some(loss) = progress.loss {
        note.push_str(&format!("loss {loss:.3} "));
    }
    if let Some(accuracy) = progress.accuracy {
        note.push_str(&format!(
            "25/200/750 km {:.0}/{:.0}/{:.0} % ",
            accuracy[1] * 100.0,
            accuracy[2] * 100.0,
            accuracy[3] * 100.0
        ));
    }
    if let Some(rate) = progress.images_per_second {
        note.push_str(&format!("{rate:.0} photos/s "));
    }
    if let Some(left) = progress.remaining_seconds {
        note.push_str(&format!("about {left:.0} s left"));
    }
    bar.show(
        progress.stage.phrase(),
        progress.done,
        progress.total,
        note.trim_end(),
    );
}

/// Prints what training came to.
pub fn summary(report: &TrainingReport) {
    output::line(format!(
        "{} photographs learnt from, {} held out, {} seen in {} steps at {:.0} photographs/s",
        report.training_photos,
        report.validation_photos,
        report.samples,
        report.steps,
        report.images_per_second
    ));
    output::line(output::accuracy_table(&[
        ("held out", &report.accuracy),
        ("chance", &report.chance),
    ]));
    if !report.skipped.is_empty() {
        output::line(format!(
            "{} photographs could not be read; the first: {}: {}",
            report.skipped.len(),
            report.skipped[0].file.display(),
            report.skipped[0].reason
        ));
    }
    output::line(format!(
        "checkpoint {} in {}",
        report.checkpoint_id,
        report.checkpoint.display()
    ));
}
