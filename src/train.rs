//! `geosurge train`: from a dataset to a checkpoint.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use datasets::Dataset;
use hub::ModelsFolder;
use trainer::config::SHIPPED;
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
    /// Training configuration (docs/training.md explains every key), or the name of a shipped one: demo, laptop, single-gpu,
    /// geosurge-mp16. With --resume the run's own is used; one that is given may differ from it in what may change
    #[arg(long, value_name = "FILE|NAME", required_unless_present = "resume")]
    config: Option<String>,
    /// Folder of the run: configuration, metrics.jsonl, state and the checkpoint
    #[arg(long, value_name = "DIR", default_value = "run")]
    out: PathBuf,
    /// Go on with the run in --out, exactly where it stopped
    #[arg(long)]
    resume: bool,
    /// Folder of decoded photographs and stored tokens, reused by later runs [default: the run's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
    /// CUDA devices that share every batch, from the first on
    #[arg(long, value_name = "N", default_value_t = 1)]
    gpus: usize,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let folder = RunFolder::new(&args.out);
    let mut config = match (&args.config, args.resume) {
        (Some(name), _) => read_config(name)?,
        (None, true) => folder.read_config()?,
        (None, false) => bail!("--config is missing: name a file or one of {}", shipped()),
    };
    if let Some(pretrained) = &mut config.pretrained {
        // By its name, or by a path that holds wherever the run is gone on with.
        let models = ModelsFolder::new(settings.models_dir());
        pretrained.directory = models.locate(&pretrained.directory.to_string_lossy())?;
    }
    let cache = args.cache.clone().unwrap_or_else(|| args.out.join("cache"));
    let device = args.device.open()?;
    let options = TrainingOptions {
        resume: args.resume,
        further_devices: further_devices(&device, args.gpus)?,
        revision: revision(),
        ..TrainingOptions::new(cache, device)
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
    match TrainingConfig::shipped(name) {
        Some(config) if !path.exists() => Ok(config),
        _ => TrainingConfig::read(path).with_context(|| {
            format!(
                "a shipped configuration is one of {}; anything else is a file",
                shipped()
            )
        }),
    }
}

/// Names of the shipped configurations.
fn shipped() -> String {
    SHIPPED.map(|(name, _)| name).join(", ")
}

/// The CUDA devices after the first.
fn further_devices(first: &Device, count: usize) -> Result<Vec<Device>> {
    if count <= 1 {
        return Ok(Vec::new());
    }
    if !first.is_cuda() {
        bail!(
            "--gpus {count} needs CUDA devices; on a CPU, threads share a batch: set threads in the configuration"
        );
    }
    (1..count)
        .map(|k| {
            Device::new_cuda(k).with_context(|| format!("CUDA device {k} could not be opened; lower --gpus"))
        })
        .collect()
}

/// The source revision that this program was built from, where its builder knew.
pub fn revision() -> Option<String> {
    option_env!("GEOSURGE_REVISION").map(str::to_owned)
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
    if let Some(idle) = progress.idle.filter(|idle| *idle >= 0.01) {
        note.push_str(&format!("idle {:.0} % ", idle * 100.0));
    }
    if let Some(left) = progress.remaining_seconds {
        note.push_str(&format!("about {} left", output::duration(left)));
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
    let waiting = report.step_seconds.waiting / report.step_seconds.total().max(1e-9);
    output::line(format!(
        "the device waited for photographs {} of the time",
        output::percent(waiting)
    ));
    output::line(format!(
        "checkpoint {} in {}",
        report.checkpoint_id,
        report.checkpoint.display()
    ));
}
