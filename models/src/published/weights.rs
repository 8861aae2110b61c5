//! The tensors of a published model, whatever kind of file they lie in.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::pickle::PthTensors;
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};

use super::{bad, read_tree, require_folder};
use crate::Result;

const SAFETENSORS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";
const PICKLE_INDEX: &str = "pytorch_model.bin.index.json";

/// What a file says of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorFacts {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its number format, as the file names it.
    pub dtype: String,
    /// Which of [`PublishedWeights::files`] holds it.
    pub file: usize,
}

/// The tensors of a published model: one safetensors file, shards of one with their index, or a PyTorch file.
///
/// Nothing but headers is read until a tensor is asked for, so that the text half of a CLIP file costs nothing.
pub struct PublishedWeights {
    files: Vec<PathBuf>,
    contents: Contents,
    tensors: BTreeMap<String, TensorFacts>,
}

enum Contents {
    Safetensors(Vec<MmapedSafetensors>),
    Pickle(PthTensors),
}

impl PublishedWeights {
    /// Opens a folder's weights, or one file of weights.
    ///
    /// # Errors
    /// [`crate::Error::Published`] for a folder without weights, a missing shard, a file that is cut short, a pickle or a Git LFS
    /// pointer under a safetensors name, a tensor that is in the index and in no shard.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_file() {
            let pickle = path
                .extension()
                .is_some_and(|extension| extension == "bin" || extension == "pt" || extension == "pth");
            return if pickle {
                Self::open_pickle(path)
            } else {
                Self::open_safetensors(vec![path.to_owned()])
            };
        }
        let folder = require_folder(path)?;
        if folder.join(SAFETENSORS).is_file() {
            Self::open_safetensors(vec![folder.join(SAFETENSORS)])
        } else if folder.join(INDEX).is_file() {
            Self::open_shards(&folder)
        } else if folder.join(PICKLE).is_file() {
            Self::open_pickle(&folder.join(PICKLE))
        } else if folder.join(PICKLE_INDEX).is_file() {
            Err(bad(
                &folder,
                format!("its weights are sharded pickles ({PICKLE_INDEX}), which are not read; convert them to safetensors, or fetch a revision that has them"),
            ))
        } else {
            Err(bad(
                &folder,
                format!("holds none of {SAFETENSORS}, {INDEX} and {PICKLE}; fetch the model with `geosurge models pull`"),
            ))
        }
    }

    fn open_shards(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        let tree = read_tree(&index)?;
        let Some(map) = tree["weight_map"].as_object() else {
            return Err(bad(&index, "has no weight_map; fetch the file again"));
        };
        let mut names = BTreeSet::new();
        for (tensor, file) in map {
            let file = file.as_str().filter(|name| is_plain_name(name)).ok_or_else(|| {
                bad(&index, format!("names no file beside it for tensor '{tensor}'; fetch it again"))
            })?;
            names.insert(file);
        }
        let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        if let Some(absent) = files.iter().find(|file| !file.is_file()) {
            let name = absent.file_name().unwrap_or_default().to_string_lossy();
            return Err(bad(
                folder,
                format!("the shard {name} is missing; fetch the model again with `geosurge models pull`"),
            ));
        }
        let weights = Self::open_safetensors(files)?;
        match map.keys().find(|tensor| !weights.tensors.contains_key(*tensor)) {
            Some(absent) => Err(bad(
                folder,
                format!("tensor '{absent}' is in {INDEX} and in no shard; the files are of different revisions: fetch them again"),
            )),
            None => Ok(weights),
        }
    }

    fn open_safetensors(files: Vec<PathBuf>) -> Result<Self> {
        let mut contents = Vec::with_capacity(files.len());
        let mut tensors = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            refuse_other_kinds(file)?;
            // SAFETY: the map is read-only; weights are written by rename, never in place, so a file does not change below us.
            let opened = unsafe { MmapedSafetensors::new(file) }.map_err(|error| {
                bad(
                    file,
                    format!("is cut short or damaged ({}); fetch it again", plain(&error)),
                )
            })?;
            for (name, view) in opened.tensors() {
                let facts = TensorFacts {
                    shape: view.shape().to_vec(),
                    dtype: format!("{:?}", view.dtype()).to_lowercase(),
                    file: index,
                };
                if tensors.insert(name.clone(), facts).is_some() {
                    return Err(bad(file, format!("tensor '{name}' is in another shard too; fetch the shards again")));
                }
            }
            contents.push(opened);
        }
        Ok(Self {
            files,
            contents: Contents::Safetensors(contents),
            tensors,
        })
    }

    fn open_pickle(file: &Path) -> Result<Self> {
        let unreadable = |error: candle_core::Error| {
            bad(
                file,
                format!(
                    "cannot be read as a PyTorch file ({}); PyTorch's old format and files that are cut short are not read: fetch it again, or convert it to safetensors",
                    plain(&error)
                ),
            )
        };
        let contents = PthTensors::new(file, None).map_err(unreadable)?;
        if contents.tensor_infos().is_empty() {
            return Err(bad(file, "holds no tensors by name; a state dictionary is needed"));
        }
        let tensors = contents
            .tensor_infos()
            .iter()
            .map(|(name, info)| {
                let facts = TensorFacts {
                    shape: info.layout.dims().to_vec(),
                    dtype: info.dtype.as_str().to_owned(),
                    file: 0,
                };
                (name.clone(), facts)
            })
            .collect();
        Ok(Self {
            files: vec![file.to_owned()],
            contents: Contents::Pickle(contents),
            tensors,
        })
    }

    /// The files, in the order that [`TensorFacts::file`] counts.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Every tensor by name.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, TensorFacts> {
        &self.tensors
    }

    /// Whether the tensors lie in a pickle.
    #[must_use]
    pub fn is_pickle(&self) -> bool {
        matches!(self.contents, Contents::Pickle(_))
    }

    /// Reads a tensor of this shape; f16, bf16 and f64 become f32.
    ///
    /// # Errors
    /// [`crate::Error::Published`] when it is missing, has another shape, is no tensor of floats, or holds a value that is not finite.
    pub fn tensor(&self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor> {
        let Some(facts) = self.tensors.get(name) else {
            return Err(bad(
                self.whole(),
                format!("tensor '{name}' is missing; the file belongs to another model or is of another revision"),
            ));
        };
        let file = &self.files[facts.file];
        if facts.shape != shape {
            return Err(bad(
                file,
                format!(
                    "tensor '{name}' has shape {:?} where {shape:?} is needed; config.json and weights belong to different models",
                    facts.shape
                ),
            ));
        }
        let read = match &self.contents {
            Contents::Safetensors(files) => files[facts.file].load(name, device),
            Contents::Pickle(file) => file
                .get(name)
                .and_then(|tensor| tensor.ok_or_else(|| candle_core::Error::Msg("it vanished".to_owned())))
                .and_then(|tensor| tensor.to_device(device)),
        };
        let tensor = read.map_err(|error| {
            bad(
                file,
                format!("tensor '{name}' cannot be read ({}); fetch the file again", plain(&error)),
            )
        })?;
        if !matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32 | DType::F64) {
            return Err(bad(
                file,
                format!("tensor '{name}' is of type {}, which holds no weights of this model; fetch unquantised weights", facts.dtype),
            ));
        }
        let tensor = tensor.to_dtype(DType::F32)?;
        if tensor.elem_count() > 0 && !tensor.sum_all()?.to_scalar::<f32>()?.is_finite() {
            return Err(bad(file, format!("tensor '{name}' holds a value that is not finite; fetch the file again")));
        }
        Ok(tensor)
    }

    /// The path that stands for all of the files.
    fn whole(&self) -> &Path {
        match &self.files[..] {
            [one] => one,
            files => files[0].parent().unwrap_or(Path::new(".")),
        }
    }
}

impl std::fmt::Debug for PublishedWeights {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PublishedWeights")
            .field("files", &self.files)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

/// A name that stays in its folder.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != ".." && !name.contains(['/', '\\'])
}

/// Tells apart what is often found under a safetensors name.
fn refuse_other_kinds(file: &Path) -> Result<()> {
    let mut start = Vec::with_capacity(64);
    fs_err::File::open(file)?.take(64).read_to_end(&mut start)?;
    let reason = if start.is_empty() {
        "is empty; fetch it again"
    } else if start.starts_with(b"PK\x03\x04") || start.starts_with(&[0x80, 0x02]) {
        "is a PyTorch pickle and not safetensors; name it pytorch_model.bin, or convert it"
    } else if start.starts_with(b"version https://git-lfs") {
        "is a Git LFS pointer and not the file itself; run `git lfs pull`, or fetch the model with `geosurge models pull`"
    } else if start.starts_with(b"<") {
        "is a web page and not weights; fetch it again"
    } else {
        return Ok(());
    };
    Err(bad(file, reason))
}

/// An error of candle without the backtrace that it may carry, in one line.
fn plain(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl From<&PublishedWeights> for BTreeMap<String, Vec<usize>> {
    fn from(weights: &PublishedWeights) -> Self {
        weights
            .tensors
            .iter()
            .map(|(name, facts)| (name.clone(), facts.shape.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::HashMap;

    use super::*;

    fn save(path: &Path, names: &[(&str, f32)]) {
        let tensors: HashMap<&str, Tensor> = names
            .iter()
            .map(|(name, value)| (*name, Tensor::full(*value, (2, 3), &Device::Cpu).unwrap()))
            .collect();
        candle_core::safetensors::save(&tensors, path).unwrap();
    }

    fn message(path: &Path) -> String {
        PublishedWeights::open(path).unwrap_err().to_string()
    }

    #[test]
    fn shards_are_one_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(message(folder).contains("geosurge models pull"), "{}", message(folder));
        save(&folder.join("a.safetensors"), &[("one", 1.0)]);
        let index = |text: &str| fs_err::write(folder.join(INDEX), text).unwrap();
        index(r#"{"weight_map": {"one": "a.safetensors", "two": "b.safetensors"}}"#);
        assert!(message(folder).contains("b.safetensors"), "{}", message(folder));
        save(&folder.join("b.safetensors"), &[("two", 2.0)]);
        let weights = PublishedWeights::open(folder).unwrap();
        let two = weights.tensor("two", &[2, 3], &Device::Cpu).unwrap();
        assert_eq!(two.to_vec2::<f32>().unwrap(), [[2.0; 3]; 2]);
        let said = weights.tensor("two", &[3, 2], &Device::Cpu).unwrap_err().to_string();
        assert!(said.contains("b.safetensors") && said.contains("[3, 2]"), "{said}");
        let said = weights.tensor("three", &[1], &Device::Cpu).unwrap_err().to_string();
        assert!(said.contains("'three' is missing"), "{said}");
        save(&folder.join("b.safetensors"), &[("three", 2.0)]);
        assert!(message(folder).contains("'two'"), "{}", message(folder));
        index(r#"{"weight_map": {"one": "../a.safetensors"}}"#);
        assert!(message(folder).contains("'one'"), "{}", message(folder));
        index("{}");
        assert!(message(folder).contains("weight_map"), "{}", message(folder));
    }

    #[test]
    fn what_is_no_safetensors_file_is_told_by_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SAFETENSORS);
        for (bytes, word) in [
            (&b""[..], "is empty"),
            (b"PK\x03\x04rest of a zip archive", "pickle"),
            (b"\x80\x02}q\x00", "pickle"),
            (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
            (b"<!DOCTYPE html>", "web page"),
            (b"\x08\x00\x00\x00\x00\x00\x00\x00not json", "cut short or damaged"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "cut short or damaged"),
        ] {
            fs_err::write(&path, bytes).unwrap();
            let said = message(folder.path());
            assert!(said.contains(word) && said.contains(SAFETENSORS), "{word}: {said}");
        }
        save(&path, &[("one", 1.0)]);
        let whole = fs_err::read(&path).unwrap();
        fs_err::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(message(folder.path()).contains("cut short"), "{}", message(folder.path()));
        save(&path, &[("one", f32::NAN)]);
        let weights = PublishedWeights::open(&path).unwrap();
        let said = weights.tensor("one", &[2, 3], &Device::Cpu).unwrap_err().to_string();
        assert!(said.contains("not finite"), "{said}");
        let pickle = folder.path().join(PICKLE);
        fs_err::write(&pickle, b"no archive").unwrap();
        assert!(message(&pickle).contains("convert it to safetensors"), "{}", message(&pickle));
    }
}
