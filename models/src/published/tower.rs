//! A published CLIP vision tower as the start of a model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CONFIG, ClipVisionConfig, PREPROCESSOR, PublishedPreprocessing, bad};
use crate::config::ModelConfig;
use crate::{Error, ParameterSpec, Parameters, PublishedWeights, Result, VisionTower};

/// Before every name of the tower, in a whole CLIP model's file and in that of its vision model alone.
const PREFIX: &str = "vision_model.";

/// A published CLIP vision tower: its shape, what it wants to see, and its tensors.
pub struct PublishedTower {
    folder: PathBuf,
    config: ClipVisionConfig,
    preprocessing: PublishedPreprocessing,
    weights: PublishedWeights,
    prefix: &'static str,
}

/// Which published tower a checkpoint started from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TowerOrigin {
    /// The model's name on its hub where that is known, else the name of its folder.
    pub name: String,
    /// The commit of the model's repository, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// SHA-256 of every file of weights, by name.
    pub files: BTreeMap<String, String>,
}

impl PublishedTower {
    /// Opens a published folder and finds every tensor of its tower, at its shape.
    ///
    /// # Errors
    /// [`Error::Published`] for missing or damaged files, another model, and a missing or misshapen tensor.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = super::require_folder(folder)?;
        let config = ClipVisionConfig::read(&folder)?;
        let preprocessing = PublishedPreprocessing::read(&folder)?;
        if preprocessing.side != config.image_size {
            return Err(bad(
                &folder,
                format!(
                    "{PREPROCESSOR} makes squares of {} px where {CONFIG} has image_size {}; the files belong to different models",
                    preprocessing.side, config.image_size
                ),
            ));
        }
        let weights = PublishedWeights::open(&folder)?;
        let prefix = if weights.names().any(|name| name.starts_with(PREFIX)) {
            PREFIX
        } else {
            ""
        };
        let tower = Self {
            folder,
            config,
            preprocessing,
            weights,
            prefix,
        };
        tower.check_shapes()?;
        Ok(tower)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its shape.
    #[must_use]
    pub fn config(&self) -> &ClipVisionConfig {
        &self.config
    }

    /// What it wants to see.
    #[must_use]
    pub fn preprocessing(&self) -> &PublishedPreprocessing {
        &self.preprocessing
    }

    /// A model's configuration with this tower, the last `trainable_blocks` of its blocks trained.
    #[must_use]
    pub fn adopt(&self, mut model: ModelConfig, trainable_blocks: usize) -> ModelConfig {
        model.image_size = self.config.image_size;
        model.patch_size = self.config.patch_size;
        model.mean = self.preprocessing.mean;
        model.std = self.preprocessing.std;
        model.vision = self.config.vision(trainable_blocks);
        model
    }

    /// Refuses a configuration that is not this tower's.
    ///
    /// # Errors
    /// [`Error::Config`] with every field that differs and what it must be.
    pub fn check(&self, model: &ModelConfig) -> Result<()> {
        let mut differences = self.config.differences(model);
        for (name, has, needs) in [
            ("model.mean", model.mean, self.preprocessing.mean),
            ("model.std", model.std, self.preprocessing.std),
        ] {
            if has
                .iter()
                .zip(&needs)
                .any(|(has, needs)| (has - needs).abs() > 1e-6)
            {
                differences.push(format!("{name} is {has:?} and must be {needs:?}"));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::Config(format!(
            "it differs from the published tower {}: {}",
            self.folder.display(),
            differences.join("; ")
        )))
    }

    /// The published values of a parameter, `None` for one that is not the tower's.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn tensor(&self, spec: &ParameterSpec, device: &Device) -> Result<Option<Tensor>> {
        match spec.name.strip_prefix(PREFIX) {
            None => Ok(None),
            Some(rest) => {
                let spec = ParameterSpec {
                    name: format!("{}{rest}", self.prefix),
                    ..spec.clone()
                };
                self.weights.tensor(&spec, device).map(Some)
            }
        }
    }

    /// Parameters of a model that start as the published tower where they are its, and are drawn elsewhere.
    ///
    /// # Errors
    /// [`Error::Config`] where the configuration is not the tower's, and those of reading tensors.
    pub fn initialise(
        &self,
        config: &ModelConfig,
        specs: Vec<ParameterSpec>,
        seed: u64,
        device: &Device,
    ) -> Result<Parameters> {
        self.check(config)?;
        Parameters::initialise_from(specs, seed, device, |spec| self.tensor(spec, device))
    }

    /// The tower alone, frozen: what to compare and to measure with.
    ///
    /// # Errors
    /// Those of reading tensors.
    pub fn tower(&self, device: &Device) -> Result<VisionTower> {
        let config = self.adopt(ModelConfig::paper(), 0);
        let parameters = self.initialise(&config, VisionTower::specs(&config), 0, device)?;
        VisionTower::new(&config, &parameters.freeze())
    }

    /// What a checkpoint records of it. Reads every file of weights to its end.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn origin(&self) -> Result<TowerOrigin> {
        let mut files = BTreeMap::new();
        for file in self.weights.files() {
            let mut hash = Sha256::new();
            std::io::copy(&mut fs_err::File::open(file)?, &mut hash)?;
            let digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            files.insert(
                file.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                digest,
            );
        }
        let named = || {
            let folder = fs_err::canonicalize(&self.folder)?;
            let name = folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Ok::<_, Error>((name, None))
        };
        let (name, revision) = match pulled(&self.folder) {
            Some(pulled) => pulled,
            None => named()?,
        };
        Ok(TowerOrigin {
            name,
            revision,
            files,
        })
    }

    fn check_shapes(&self) -> Result<()> {
        let config = self.adopt(ModelConfig::paper(), 0);
        let mut specs = VisionTower::specs(&config);
        for spec in &mut specs {
            let rest = spec.name.strip_prefix(PREFIX).unwrap_or(&spec.name);
            spec.name = format!("{}{rest}", self.prefix);
        }
        self.weights.check(&specs)
    }
}

impl std::fmt::Debug for PublishedTower {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PublishedTower")
            .field("folder", &self.folder)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Name and revision from the record that `geosurge models pull` leaves beside the files.
fn pulled(folder: &Path) -> Option<(String, Option<String>)> {
    let text = fs_err::read(folder.join("pulled.json")).ok()?;
    let tree: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let revision = tree["commit"].as_str().map(str::to_owned);
    Some((tree["repository"].as_str()?.to_owned(), revision))
}
