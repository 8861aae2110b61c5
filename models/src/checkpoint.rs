//! A trained model on disk.
//!
//! ```text
//! config.json             ModelConfig
//! model.safetensors       every parameter of the model
//! segmenter.json          CompactConfig         (with a segmenter)
//! segmenter.safetensors   its parameters        (with a segmenter)
//! hierarchy/              the geocells of every level
//! calibration.json        Calibration
//! provenance.json         Provenance, with the format version
//! checksums.json          SHA-256 of every other file
//! ```
//!
//! A checkpoint is written to a temporary folder beside its place and renamed: it is there whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use fs_err as fs;
use geocells::Hierarchy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::published::TowerOrigin;
use crate::segmentation::{CompactConfig, CompactSegmenter};
use crate::{Calibration, Error, Model, ModelConfig, ParameterSpec, Parameters, Precision, Result};

/// The newest format that this program reads, and the one that it writes. Format 2 added `within` and `region` to the calibration.
pub const FORMAT_VERSION: u32 = 2;
/// The oldest format that this program reads.
pub const OLDEST_FORMAT_VERSION: u32 = 1;

const CONFIG: &str = "config.json";
const MODEL: &str = "model.safetensors";
const SEGMENTER_CONFIG: &str = "segmenter.json";
const SEGMENTER: &str = "segmenter.safetensors";
const HIERARCHY: &str = "hierarchy";
const CALIBRATION: &str = "calibration.json";
const PROVENANCE: &str = "provenance.json";
const CHECKSUMS: &str = "checksums.json";

/// Where a checkpoint comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of the checkpoint's format.
    pub format_version: u32,
    /// When it was written, RFC 3339.
    pub created_at: String,
    /// Version of the program that wrote it.
    pub tool_version: String,
    /// Revision of the program's source, if known.
    pub git_revision: Option<String>,
    /// Digest of the dataset that it was trained on, if known.
    pub dataset_digest: Option<String>,
    /// The published tower that training started from; `None` when all weights were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tower: Option<TowerOrigin>,
    /// Seed of the training.
    pub seed: u64,
    /// What the training measured, by name.
    pub metrics: BTreeMap<String, f64>,
}

impl Provenance {
    /// Of this format and program, without metrics yet.
    #[must_use]
    pub fn new(created_at: impl Into<String>, seed: u64) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            created_at: created_at.into(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: None,
            dataset_digest: None,
            tower: None,
            seed,
            metrics: BTreeMap::new(),
        }
    }
}

/// What a checkpoint is written from.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointContents<'a> {
    /// The model's shape.
    pub config: &'a ModelConfig,
    /// The model's parameters.
    pub parameters: &'a Parameters,
    /// The segmenter's shape and parameters, if one was trained.
    pub segmenter: Option<(&'a CompactConfig, &'a Parameters)>,
    /// The geocells.
    pub hierarchy: &'a Hierarchy,
    /// What validation taught about confidence.
    pub calibration: &'a Calibration,
    /// Where it comes from.
    pub provenance: &'a Provenance,
}

/// An opened, verified checkpoint. Its parameters are read when a model is built.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    directory: PathBuf,
    id: String,
    config: ModelConfig,
    segmenter: Option<CompactConfig>,
    hierarchy: Hierarchy,
    calibration: Calibration,
    provenance: Provenance,
}

/// The content of `checksums.json`: every other file of a checkpoint with its SHA-256, so that one can be copied from afar and
/// checked file by file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checksums {
    /// SHA-256 in lower-case hexadecimal by the file's path inside the checkpoint, `/` between names.
    pub files: BTreeMap<String, String>,
}

impl Checksums {
    /// The file's name inside a checkpoint.
    pub const FILE: &'static str = CHECKSUMS;

    /// The id of the checkpoint that has these files.
    #[must_use]
    pub fn id(&self) -> String {
        let mut id = Sha256::new();
        for (name, digest) in self.files.iter().filter(|(name, _)| *name != PROVENANCE) {
            id.update(format!("{name} {digest}\n"));
        }
        hexadecimal(&id.finalize())[..16].to_owned()
    }

    /// The first name that would lie outside the checkpoint's folder, if there is one: such a file belongs to no checkpoint.
    #[must_use]
    pub fn stray(&self) -> Option<&str> {
        let outside = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\\');
        let stray = |name: &&String| name.split('/').any(outside);
        self.files.keys().find(stray).map(String::as_str)
    }
}

/// The one field of a provenance file that every format has.
#[derive(Deserialize)]
struct Version {
    format_version: u32,
}

impl Checkpoint {
    /// Writes a checkpoint, replacing one that is there, and opens it.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when something else is in its place; [`Error::Io`]; and everything that
    /// [`Checkpoint::open`] finds wrong, in which case nothing is written.
    pub fn write(directory: &Path, contents: CheckpointContents<'_>) -> Result<Self> {
        if directory.exists()
            && !directory.join(CHECKSUMS).is_file()
            && fs::read_dir(directory)?.next().is_some()
        {
            return Err(bad(
                directory,
                "the folder exists and is not a checkpoint; choose another place",
            ));
        }
        let parent = directory
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let temporary = tempfile::Builder::new()
            .prefix(".checkpoint-")
            .tempdir_in(parent)?;
        let new = temporary.path().join("new");
        fs::create_dir(&new)?;
        write_files(&new, contents)?;
        Self::open(&new).map_err(|error| relocate(error, &new, directory))?;
        if directory.exists() {
            fs::rename(directory, temporary.path().join("old"))?;
        }
        fs::rename(&new, directory)?;
        Self::open(directory)
    }

    /// Opens a checkpoint: format version, checksums, configuration, the name and shape of every tensor, and the
    /// agreement of tables and hierarchy.
    ///
    /// # Errors
    /// [`Error::FormatVersion`], [`Error::Checkpoint`] for missing or changed files, [`Error::MissingTensor`],
    /// [`Error::UnexpectedTensor`], [`Error::Shape`], [`Error::Json`], [`Error::Config`].
    pub fn open(directory: &Path) -> Result<Self> {
        if !directory.join(PROVENANCE).is_file() {
            return Err(bad(
                directory,
                "no provenance.json; this is not a checkpoint, or an unfinished copy of one",
            ));
        }
        let version: Version = read_json(&directory.join(PROVENANCE))?;
        if !(OLDEST_FORMAT_VERSION..=FORMAT_VERSION).contains(&version.format_version) {
            return Err(Error::FormatVersion {
                directory: directory.to_owned(),
                found: version.format_version,
                supported: FORMAT_VERSION,
            });
        }
        let id = verify_checksums(directory)?;
        let config: ModelConfig = read_json(&directory.join(CONFIG))?;
        config.validate()?;
        let calibration: Calibration = read_json(&directory.join(CALIBRATION))?;
        if let Some(problem) = calibration.problem() {
            return Err(bad(directory, &problem));
        }
        let hierarchy = Hierarchy::open_dir(directory.join(HIERARCHY))
            .map_err(|error| Error::Hierarchy(error.to_string()))?;
        Parameters::verify(&model_specs(&config, &hierarchy), &directory.join(MODEL))?;
        let segmenter = match directory.join(SEGMENTER_CONFIG) {
            path if path.is_file() => {
                let config: CompactConfig = read_json(&path)?;
                config.validate()?;
                Parameters::verify(&CompactSegmenter::specs(&config), &directory.join(SEGMENTER))?;
                Some(config)
            }
            _ => None,
        };
        let provenance = read_json(&directory.join(PROVENANCE))?;
        Ok(Self {
            directory: directory.to_owned(),
            id,
            config,
            segmenter,
            hierarchy,
            calibration,
            provenance,
        })
    }

    /// A name made of the contents: the same weights, geocells and calibration have the same id wherever and whenever
    /// they were written. 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The geocells.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// What validation taught about confidence.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Where it comes from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Geocells of every level, coarsest first.
    #[must_use]
    pub fn cells(&self) -> Vec<usize> {
        self.hierarchy
            .levels()
            .iter()
            .map(geocells::Partition::len)
            .collect()
    }

    /// Reads the model's parameters, trained as the configuration says.
    ///
    /// # Errors
    /// As [`Parameters::load`].
    pub fn parameters(&self, device: &Device) -> Result<Parameters> {
        Parameters::load(
            model_specs(&self.config, &self.hierarchy),
            &self.directory.join(MODEL),
            device,
        )
    }

    /// The model, frozen: for inference.
    ///
    /// # Errors
    /// As [`Parameters::load`].
    pub fn model(&self, device: &Device) -> Result<Model> {
        self.model_in(device, Precision::F32)
    }

    /// As [`Checkpoint::model`], with the frozen part of the vision tower in another number format.
    ///
    /// # Errors
    /// As [`Parameters::load`].
    pub fn model_in(&self, device: &Device, precision: Precision) -> Result<Model> {
        Model::new_in(
            &self.config,
            self.hierarchy.depth(),
            &self.parameters(device)?.freeze(),
            precision,
        )
    }

    /// The segmenter that was trained with it, frozen; `None` if there is none.
    ///
    /// # Errors
    /// As [`Parameters::load`].
    pub fn segmenter(&self, device: &Device) -> Result<Option<CompactSegmenter>> {
        self.segmenter
            .as_ref()
            .map(|config| {
                let specs = CompactSegmenter::specs(config);
                let parameters = Parameters::load(specs, &self.directory.join(SEGMENTER), device)?;
                CompactSegmenter::new(config, &parameters.freeze())
            })
            .transpose()
    }

    /// The segmenter's shape, if there is one.
    #[must_use]
    pub fn segmenter_config(&self) -> Option<&CompactConfig> {
        self.segmenter.as_ref()
    }
}

fn model_specs(config: &ModelConfig, hierarchy: &Hierarchy) -> Vec<ParameterSpec> {
    let cells: Vec<usize> = hierarchy.levels().iter().map(geocells::Partition::len).collect();
    Model::specs(config, &cells)
}

fn write_files(directory: &Path, contents: CheckpointContents<'_>) -> Result<()> {
    write_json(&directory.join(CONFIG), contents.config)?;
    contents.parameters.save(&directory.join(MODEL))?;
    if let Some((config, parameters)) = contents.segmenter {
        write_json(&directory.join(SEGMENTER_CONFIG), config)?;
        parameters.save(&directory.join(SEGMENTER))?;
    }
    contents
        .hierarchy
        .save_dir(directory.join(HIERARCHY))
        .map_err(|error| Error::Hierarchy(error.to_string()))?;
    write_json(&directory.join(CALIBRATION), contents.calibration)?;
    let provenance = Provenance {
        format_version: FORMAT_VERSION,
        ..contents.provenance.clone()
    };
    write_json(&directory.join(PROVENANCE), &provenance)?;
    let mut files = BTreeMap::new();
    for name in list_files(directory)? {
        let digest = sha256_of_file(&directory.join(&name))?;
        files.insert(name, digest);
    }
    write_json(&directory.join(CHECKSUMS), &Checksums { files })
}

/// Every file but the checksums, by its path inside the checkpoint, `/` between names.
fn list_files(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            names.extend(
                list_files(&entry.path())?
                    .into_iter()
                    .map(|inner| format!("{name}/{inner}")),
            );
        } else if name != CHECKSUMS {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Compares every file with its checksum; returns the checkpoint's id.
fn verify_checksums(directory: &Path) -> Result<String> {
    let path = directory.join(CHECKSUMS);
    if !path.is_file() {
        return Err(bad(
            directory,
            "checksums.json is missing; restore the checkpoint from a copy",
        ));
    }
    let checksums: Checksums = read_json(&path)?;
    if let Some(name) = checksums.stray() {
        return Err(bad(
            directory,
            &format!("{name} is missing; restore the checkpoint from a copy"),
        ));
    }
    for (name, expected) in &checksums.files {
        let file = directory.join(name);
        if !file.is_file() {
            return Err(bad(
                directory,
                &format!("{name} is missing; restore the checkpoint from a copy"),
            ));
        }
        if &sha256_of_file(&file)? != expected {
            let reason = format!(
                "{name} is not what was written (its checksum differs); restore the checkpoint from a copy"
            );
            return Err(bad(directory, &reason));
        }
    }
    for name in [CONFIG, MODEL, CALIBRATION, PROVENANCE] {
        if !checksums.files.contains_key(name) {
            return Err(bad(
                directory,
                &format!("{name} is not in checksums.json; restore the checkpoint from a copy"),
            ));
        }
    }
    Ok(checksums.id())
}

fn sha256_of_file(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hash)?;
    Ok(hexadecimal(&hash.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&fs::read(path)?).map_err(|source| Error::Json {
        file: path.to_owned(),
        source,
    })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|source| Error::Json {
        file: path.to_owned(),
        source,
    })?;
    text.push(b'\n');
    Ok(fs::write(path, text)?)
}

fn bad(directory: &Path, reason: &str) -> Error {
    Error::Checkpoint {
        directory: directory.to_owned(),
        reason: reason.to_owned(),
    }
}

/// An error about the temporary folder, as one about the place that was asked for.
fn relocate(error: Error, from: &Path, to: &Path) -> Error {
    match error {
        Error::Checkpoint { reason, .. } => bad(to, &reason),
        other => bad(
            to,
            &format!(
                "not written: {}",
                other.to_string().replace(&from.display().to_string(), "")
            ),
        ),
    }
}
