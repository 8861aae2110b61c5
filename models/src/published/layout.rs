//! Which tensors a published model must hold, computed from its `config.json`, and what of it a folder holds.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{CONFIG, bad, layout_clip, layout_segmenter, read_tree};
use crate::{PublishedWeights, Result};

/// The kinds of published models that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// CLIP, or its vision tower alone.
    Clip,
    /// OneFormer on a Swin backbone.
    OneFormer,
    /// SegFormer for semantic segmentation.
    SegFormer,
}

impl Family {
    /// Its name, as people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "CLIP",
            Self::OneFormer => "OneFormer",
            Self::SegFormer => "SegFormer",
        }
    }
}

/// A tensor of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether this program reads it.
    pub needed: bool,
    /// Whether files of the model may lack it: buffers that newer versions compute, and halves of a model.
    pub optional: bool,
}

/// The tensors of a published model.
#[derive(Clone, Debug)]
pub struct Layout {
    /// What kind of model it is.
    pub family: Family,
    /// Every tensor by name.
    pub tensors: BTreeMap<String, Expected>,
}

impl Layout {
    /// The layout that a `config.json` means.
    ///
    /// # Errors
    /// [`crate::Error::Published`] for a missing file, an unknown kind of model, or a field without meaning.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG);
        let tree = read_tree(&path)?;
        match tree["model_type"].as_str() {
            Some("clip" | "clip_vision_model") => layout_clip::layout(folder, &tree),
            Some("oneformer") => layout_segmenter::layout(folder, Family::OneFormer),
            Some("segformer") => layout_segmenter::layout(folder, Family::SegFormer),
            Some(other) => Err(bad(
                &path,
                format!(
                    "describes a model of type '{other}'; clip, clip_vision_model, oneformer and segformer are known"
                ),
            )),
            None => Err(bad(&path, "has no model_type; fetch the file again")),
        }
    }

    /// Tensors that this program reads.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.tensors.values().filter(|tensor| tensor.needed).count()
    }
}

/// Collects tensors under a prefix.
pub(super) struct Collector<'a> {
    tensors: &'a mut BTreeMap<String, Expected>,
    prefix: String,
    needed: bool,
    optional: bool,
}

impl<'a> Collector<'a> {
    pub(super) fn new(tensors: &'a mut BTreeMap<String, Expected>, needed: bool, optional: bool) -> Self {
        Self {
            tensors,
            prefix: String::new(),
            needed,
            optional,
        }
    }

    /// The same under `part` of the name.
    pub(super) fn under(&mut self, part: impl AsRef<str>) -> Collector<'_> {
        Collector {
            prefix: format!("{}{}.", self.prefix, part.as_ref()),
            tensors: self.tensors,
            needed: self.needed,
            optional: self.optional,
        }
    }

    pub(super) fn tensor(&mut self, name: &str, shape: &[usize]) {
        let expected = Expected {
            shape: shape.to_vec(),
            needed: self.needed,
            optional: self.optional,
        };
        self.tensors.insert(format!("{}{name}", self.prefix), expected);
    }

    /// A tensor that files may have, and that nobody reads.
    pub(super) fn ignored(&mut self, name: &str, shape: &[usize]) {
        let expected = Expected {
            shape: shape.to_vec(),
            needed: false,
            optional: true,
        };
        self.tensors.insert(format!("{}{name}", self.prefix), expected);
    }

    /// A weight of this shape and a bias as long as its first dimension.
    pub(super) fn layer(&mut self, name: &str, shape: &[usize]) {
        self.tensor(&format!("{name}.weight"), shape);
        self.tensor(&format!("{name}.bias"), &shape[..1]);
    }

    pub(super) fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.layer(name, &[outputs, inputs]);
    }

    pub(super) fn norm(&mut self, name: &str, width: usize) {
        self.layer(name, &[width]);
    }
}

/// A tensor of another shape than the layout's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misshapen {
    /// The tensor.
    pub name: String,
    /// The shape that `config.json` means.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
}

/// What a folder holds, beside what it should.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// What kind of model `config.json` describes.
    pub family: Family,
    /// Tensors in the files.
    pub tensors: usize,
    /// Tensors that this program reads.
    pub needed: usize,
    /// Values in all tensors of the files.
    pub parameters: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The weights' files.
    pub files: Vec<String>,
    /// Whether they are a pickle.
    pub pickle: bool,
    /// Tensors that must be there and are not.
    pub missing: Vec<String>,
    /// Tensors that do not belong to the model.
    pub extra: Vec<String>,
    /// Tensors of another shape.
    pub misshapen: Vec<Misshapen>,
}

impl Verification {
    /// Whether the folder holds exactly its model.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty()
    }

    /// Whether everything that this program reads is there at its shape; what is extra does not matter.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty()
    }
}

/// Holds the tensors of a published folder against the layout that its `config.json` means: every name, every shape.
/// Values are not read.
///
/// # Errors
/// Where there is nothing to compare: no readable `config.json`, or no readable weights.
pub fn verify(folder: &Path) -> Result<Verification> {
    let folder = super::require_folder(folder)?;
    let layout = Layout::read(&folder)?;
    let weights = PublishedWeights::open(&folder)?;
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    // A half of CLIP is whole: its text model is optional, but not a part of it.
    for (name, expected) in &layout.tensors {
        match weights.shape(name) {
            None if expected.optional => {}
            None => missing.push(name.clone()),
            Some(found) if found != expected.shape => misshapen.push(Misshapen {
                name: name.clone(),
                expected: expected.shape.clone(),
                found,
            }),
            Some(_) => {}
        }
    }
    let (mut extra, mut parameters) = (Vec::new(), 0);
    for name in weights.names() {
        if !layout.tensors.contains_key(name) {
            extra.push(name.to_owned());
        }
        let shape = weights.shape(name).unwrap_or_default();
        parameters += shape.iter().map(|side| *side as u64).product::<u64>();
    }
    let mut bytes = 0;
    for file in weights.files() {
        bytes += fs_err::metadata(file)?.len();
    }
    Ok(Verification {
        family: layout.family,
        tensors: weights.names().count(),
        needed: layout.needed(),
        parameters,
        bytes,
        files: weights
            .files()
            .map(|file| {
                file.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect(),
        pickle: weights.is_pickle(),
        missing,
        extra,
        misshapen,
    })
}
