//! Weights that others published, in Hugging Face layout: read, checked and taken over.
//!
//! A published model is a folder: `config.json` with its shape, `preprocessor_config.json` with what it wants to see, and
//! its tensors as `model.safetensors`, as shards with `model.safetensors.index.json`, or as `pytorch_model.bin`.
//! [`crate::PublishedWeights`] reads the tensors of any of them, [`PublishedTower`] is a CLIP vision tower,
//! and [`verify`] holds a folder against the layout that its configuration implies.

mod clip_config;
mod layout;
mod layout_clip;
mod layout_segmenter;
mod preprocessor_config;
mod segmenter;
mod tower;

pub use clip_config::ClipVisionConfig;
pub use layout::{Expected, Family, Layout, Misshapen, Verification, verify};
pub use preprocessor_config::PublishedPreprocessing;
pub use segmenter::{NamedSegmenter, open_segmenter};
pub use tower::{PublishedTower, TowerOrigin};

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The file that tells a published model's shape.
pub const CONFIG: &str = "config.json";
/// The file that tells what a published model wants to see.
pub const PREPROCESSOR: &str = "preprocessor_config.json";

/// What tells a published folder from others: the digest of its `config.json` and of its weights' names and lengths, 16
/// hexadecimal digits. Weights are not read.
///
/// # Errors
/// A folder without configuration or weights.
pub fn fingerprint(folder: &Path) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(fs_err::read(folder.join(CONFIG))?);
    for file in crate::PublishedWeights::open(folder)?.files() {
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(fs_err::metadata(file)?.len().to_le_bytes());
    }
    Ok(hash.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// An error about a published folder or file.
fn bad(path: &Path, reason: impl Into<String>) -> Error {
    Error::Published {
        file: path.to_owned(),
        reason: reason.into(),
    }
}

/// Reads one of the folder's JSON files as a tree: published files have fields by the hundred, of which few matter here.
fn read_tree(path: &Path) -> Result<serde_json::Value> {
    let text = match fs_err::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("."));
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            return Err(bad(
                folder,
                format!(
                    "{name} is missing; fetch the whole model with `geosurge models pull`, or copy the file beside the weights"
                ),
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let tree: serde_json::Value = serde_json::from_slice(&text).map_err(|source| Error::Json {
        file: path.to_owned(),
        source,
    })?;
    if !tree.is_object() {
        return Err(bad(path, "holds no JSON object; fetch the file again"));
    }
    Ok(tree)
}

/// What `folder` must be for its files to be looked for.
fn require_folder(folder: &Path) -> Result<PathBuf> {
    if folder.is_dir() {
        return Ok(folder.to_owned());
    }
    Err(bad(
        folder,
        "is not a folder; a published model is a folder with config.json and its weights",
    ))
}
