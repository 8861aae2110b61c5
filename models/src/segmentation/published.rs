//! Published segmenters, recognised by their `config.json`.

use std::path::Path;

use candle_core::Device;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Segmenter;
use super::oneformer::{OneFormer, OneFormerConfig};
use super::segformer::{SegFormer, SegFormerConfig};
use crate::weights::{PublishedWeights, published};
use crate::{Activation, Error, ParameterSpec, Result};

const CONFIG: &str = "config.json";

/// The part of any published configuration that says which model it is.
#[derive(Deserialize)]
struct Header {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
}

enum Kind {
    OneFormer(OneFormerConfig),
    SegFormer(SegFormerConfig),
}

/// Opens a published segmenter from a directory in the layout of Hugging Face's hub: `config.json`,
/// `preprocessor_config.json` and the weights. OneFormer with a Swin backbone and SegFormer are known.
///
/// # Errors
/// [`Error::Published`] and [`Error::Json`] name the file, the tensor if there is one, and what to do; [`Error::Config`]
/// when the configuration asks for what the published models do not have.
pub fn open_published(directory: &Path, device: &Device) -> Result<Box<dyn Segmenter>> {
    Ok(match kind(directory)? {
        Kind::OneFormer(config) => Box::new(OneFormer::open(config, directory, device)?),
        Kind::SegFormer(config) => Box::new(SegFormer::open(config, directory, device)?),
    })
}

/// Names and shapes of the tensors that a published segmenter needs, by its `config.json` alone. What else its file holds
/// serves training only.
///
/// # Errors
/// As [`open_published`], but for the weights, which are not looked at.
pub fn published_layout(directory: &Path) -> Result<Vec<ParameterSpec>> {
    Ok(match kind(directory)? {
        Kind::OneFormer(config) => OneFormer::specs(&config),
        Kind::SegFormer(config) => SegFormer::specs(&config),
    })
}

fn kind(directory: &Path) -> Result<Kind> {
    let path = directory.join(CONFIG);
    if !path.is_file() {
        return Err(published(
            directory,
            format!("holds no {CONFIG}; name the folder of a OneFormer or SegFormer model"),
        ));
    }
    let header: Header = read_json(&path)?;
    let architecture = header.architectures.unwrap_or_default().join(", ");
    let model = header.model_type.unwrap_or_default();
    match model.as_str() {
        "oneformer" if [ONEFORMER, ""].contains(&architecture.as_str()) => {
            let config: OneFormerConfig = read_json(&path)?;
            config.validate().map_err(|error| in_file(&path, &error))?;
            Ok(Kind::OneFormer(config))
        }
        "segformer" if [SEGFORMER, ""].contains(&architecture.as_str()) => {
            let config: SegFormerConfig = read_json(&path)?;
            config.validate().map_err(|error| in_file(&path, &error))?;
            Ok(Kind::SegFormer(config))
        }
        _ => Err(published(
            &path,
            format!(
                "describes a model of type '{model}' ({architecture}), not a segmenter that is known here; use {ONEFORMER} or {SEGFORMER}"
            ),
        )),
    }
}

const ONEFORMER: &str = "OneFormerForUniversalSegmentation";
const SEGFORMER: &str = "SegformerForSemanticSegmentation";

fn in_file(path: &Path, error: &Error) -> Error {
    published(path, error.to_string())
}

/// Reads a JSON file of a published model.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&fs_err::read(path)?).map_err(|source| Error::Json {
        file: path.to_owned(),
        source,
    })
}

/// Classes that a published model answers, by the tensor of its last layer, which has `extra` rows more.
pub(super) fn classes_of(
    weights: &PublishedWeights,
    tensor: &str,
    extra: usize,
    directory: &Path,
) -> Result<usize> {
    let classes = weights
        .shape(tensor)
        .and_then(|shape| shape.first().copied())
        .and_then(|rows| rows.checked_sub(extra))
        .filter(|classes| *classes > 0)
        .ok_or_else(|| {
            published(
                directory,
                format!(
                    "no weights for the classes (tensor '{tensor}'); the weights belong to another model than {CONFIG}: fetch both again"
                ),
            )
        })?;
    if classes > 255 {
        return Err(published(
            directory,
            format!(
                "answers {classes} classes, more than a map of bytes can hold; use a model trained on ADE20K"
            ),
        ));
    }
    if classes != crate::CLASSES {
        tracing::warn!(classes, directory = %directory.display(), "not a model of ADE20K's 150 classes");
    }
    Ok(classes)
}

/// The nonlinearity that a published configuration names.
pub(super) fn activation(name: &str) -> Result<Activation> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "quick_gelu" => Ok(Activation::QuickGelu),
        "relu" => Ok(Activation::Relu),
        _ => Err(Error::Config(format!(
            "hidden_act '{name}' is not supported; gelu, gelu_new, quick_gelu and relu are"
        ))),
    }
}
