//! Of what a run was made, and on what: `run.json`.

use std::path::PathBuf;

use datasets::Dataset;
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::run::{read_json, write_json};
use crate::{Result, RunFolder, TrainingConfig, TrainingOptions};

/// Everything that somebody needs who wants the same run again. `config.toml` beside it has the configuration itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunProvenance {
    /// The program's version.
    pub version: String,
    /// The source revision that the program was built from, if its builder knew.
    pub revision: Option<String>,
    /// SHA-256 of `config.toml`, defaults written out.
    pub config: String,
    /// The seed of everything random.
    pub seed: u64,
    /// What was learnt from.
    pub dataset: DatasetProvenance,
    /// Published weights that the tower started from, with the digest of each file; `None` without.
    pub tower: Option<models::TowerOrigin>,
    /// The machine of the latest start.
    pub hardware: Hardware,
    /// Every start of the run, the first and each `--resume`.
    pub starts: Vec<RunStart>,
}

/// A dataset, as far as it can be told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetProvenance {
    /// Where it lay.
    pub root: PathBuf,
    /// Its photos.
    pub photos: usize,
    /// SHA-256 of its manifest.
    pub digest: String,
}

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// Operating system and processor architecture.
    pub platform: String,
    /// The processor's own name.
    pub processor: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Where tensors lived, a device each.
    pub devices: Vec<String>,
    /// Threads that shared a step on a CPU.
    pub threads: usize,
}

/// One start of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStart {
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// The source revision of the program that was started.
    pub revision: Option<String>,
    /// Whether it went on with what was there.
    pub resumed: bool,
}

/// Writes `run.json`, adding this start to those before.
///
/// # Errors
/// A damaged `run.json`, the file system's.
pub(crate) fn record(
    run: &RunFolder,
    dataset: &Dataset,
    config: &TrainingConfig,
    options: &TrainingOptions,
    tower: Option<&models::TowerOrigin>,
) -> Result<()> {
    let path = run.provenance();
    let mut starts = match path.is_file() {
        true => read_json::<RunProvenance>(&path)?.starts,
        false => Vec::new(),
    };
    starts.push(RunStart {
        at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        revision: options.revision.clone(),
        resumed: options.resume,
    });
    write_json(
        &path,
        &RunProvenance {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: options.revision.clone(),
            config: format!("{:x}", sha2::Sha256::digest(config.to_toml()?)),
            seed: config.seed,
            dataset: DatasetProvenance {
                root: dataset.root().to_path_buf(),
                photos: dataset.len(),
                digest: dataset.digest(),
            },
            tower: tower.cloned(),
            hardware: hardware(config, options),
            starts,
        },
    )
}

fn hardware(config: &TrainingConfig, options: &TrainingOptions) -> Hardware {
    Hardware {
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: field("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        memory_bytes: field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .map(|kibibytes| kibibytes * 1024),
        devices: std::iter::once(&options.device)
            .chain(&options.further_devices)
            .map(|device| format!("{:?}", device.location()))
            .collect(),
        threads: config.resolved_threads(),
    }
}

/// The value of the first `name : value` line of a file of the system; `None` where there is no such file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs_err::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
