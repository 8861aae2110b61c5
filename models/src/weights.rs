//! Weights as published: a directory in the layout of Hugging Face's hub.
//!
//! Tensors are read one at a time and only when a layer asks for them, so that a network of a gigabyte needs one gigabyte.
//! Both formats that are published are read: safetensors (one file, or several with an index) and PyTorch's pickles, of which
//! nothing is executed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::pickle::PthTensors;
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use crate::{Error, ParameterSpec, Parameters, Result};

const SAFETENSORS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";
const PICKLE_INDEX: &str = "pytorch_model.bin.index.json";
/// The longest header that a safetensors file may have, as its reference reader limits it.
const LONGEST_HEADER: u64 = 100_000_000;

/// The tensors of a published model.
pub struct PublishedWeights {
    directory: PathBuf,
    files: Vec<File>,
    /// Which file holds a tensor.
    places: BTreeMap<String, usize>,
}

struct File {
    path: PathBuf,
    content: Content,
}

enum Content {
    Safetensors { start: u64, tensors: Metadata },
    Pickle(PthTensors),
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl PublishedWeights {
    /// Reads the names and shapes of all tensors in a directory: `model.safetensors`, the files that
    /// `model.safetensors.index.json` names, or `pytorch_model.bin`, whichever is there first.
    ///
    /// # Errors
    /// [`Error::Published`] naming the file and what is wrong with it; [`Error::Io`] when it cannot be read.
    pub fn open(directory: &Path) -> Result<Self> {
        let (single, index, pickle) = (
            directory.join(SAFETENSORS),
            directory.join(INDEX),
            directory.join(PICKLE),
        );
        let files = if single.is_file() {
            vec![File::safetensors(single)?]
        } else if index.is_file() {
            shards(directory, &index)?
        } else if pickle.is_file() {
            vec![File::pickle(pickle)?]
        } else if directory.join(PICKLE_INDEX).is_file() {
            return Err(published(
                directory,
                format!(
                    "its weights are pickles in shards ({PICKLE_INDEX}), which are not read; convert them to safetensors"
                ),
            ));
        } else {
            return Err(published(
                directory,
                format!(
                    "holds neither {SAFETENSORS} nor {PICKLE}; fetch the model's weights into it, as `geosurge models pull` does"
                ),
            ));
        };
        let mut places = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            for name in file.names() {
                places.insert(name, index);
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            files,
            places,
        })
    }

    /// The names of all tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The files, in the order of their names where there are several.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Whether the tensors lie in a PyTorch pickle.
    #[must_use]
    pub fn is_pickle(&self) -> bool {
        self.files
            .iter()
            .any(|file| matches!(file.content, Content::Pickle(_)))
    }

    /// The shape of a tensor; `None` when there is none of this name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.file(name)?.shape(name)
    }

    /// The file that holds a tensor, or would.
    #[must_use]
    pub fn path(&self, name: &str) -> &Path {
        let first = self.files.first().map(|file| file.path.as_path());
        self.file(name)
            .map(|file| file.path.as_path())
            .or(first)
            .unwrap_or(&self.directory)
    }

    /// Checks names and shapes against what a network needs, without reading a value. Tensors that it does not need are
    /// no fault.
    ///
    /// # Errors
    /// [`Error::Published`] with the first tensor that is missing or misshapen, and how many are.
    pub fn check(&self, needed: &[ParameterSpec]) -> Result<()> {
        let wrong = |spec: &&ParameterSpec| self.shape(&spec.name).as_ref() != Some(&spec.shape);
        let Some(first) = needed.iter().find(wrong) else {
            return Ok(());
        };
        let others = needed.iter().filter(wrong).count() - 1;
        let (name, file) = (&first.name, self.path(&first.name));
        let also = if others == 0 {
            String::new()
        } else {
            format!(", and {others} more tensors are missing or misshapen")
        };
        let remedy =
            "config.json and weights belong to different models, or the file is damaged: fetch both again";
        Err(published(
            file,
            match self.shape(name) {
                None => format!("tensor '{name}' is missing{also}; {remedy}"),
                Some(found) => format!(
                    "tensor '{name}' has shape {found:?} where config.json asks for {:?}{also}; {remedy}",
                    first.shape
                ),
            },
        ))
    }

    /// Reads the tensors of one part of a network, as f32, none of them trained.
    ///
    /// # Errors
    /// As [`PublishedWeights::check`]; [`Error::Published`] when a file is cut short or holds a value that is not finite.
    pub fn read(&self, specs: Vec<ParameterSpec>, device: &Device) -> Result<Parameters> {
        self.check(&specs)?;
        Parameters::frozen(specs, device, |spec| self.tensor(spec, device))
    }

    /// Reads one tensor, as f32, under its name in the file.
    pub(crate) fn tensor(&self, spec: &ParameterSpec, device: &Device) -> Result<Tensor> {
        let name = &spec.name;
        let fail = |reason: String| published(self.path(name), format!("tensor '{name}': {reason}"));
        let file = self
            .file(name)
            .ok_or_else(|| fail("is missing; fetch the file again".to_owned()))?;
        let tensor = file
            .tensor(name)
            .map_err(|error| fail(format!("{error}; the file is damaged: fetch it again")))?
            .to_dtype(DType::F32)?;
        // A sum is finite exactly when every value is, but for sums that overflow, which no usable weights reach.
        if !tensor.sum_all()?.to_scalar::<f32>()?.is_finite() {
            return Err(fail(
                "holds a value that is not finite; fetch the file again".to_owned(),
            ));
        }
        Ok(tensor.to_device(device)?)
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.places.get(name).map(|&index| &self.files[index])
    }
}

impl File {
    fn safetensors(path: PathBuf) -> Result<Self> {
        let damaged = |reason: String| published(&path, format!("{reason}; fetch the file again"));
        let file = fs_err::File::open(&path)?;
        let length = file.metadata()?.len();
        let mut reader = BufReader::new(file);
        let mut size = [0_u8; 8];
        reader
            .read_exact(&mut size)
            .map_err(|_| damaged("is too short to be a safetensors file".to_owned()))?;
        let size = u64::from_le_bytes(size);
        if size > LONGEST_HEADER || size + 8 > length {
            return Err(damaged(not_safetensors(&path)));
        }
        let mut header = vec![0; size as usize];
        reader.read_exact(&mut header)?;
        let tensors: Metadata = serde_json::from_slice(&header)
            .map_err(|error| damaged(format!("is not a safetensors file ({error})")))?;
        let (start, expected) = (size + 8, size + 8 + tensors.data_len() as u64);
        if expected != length {
            return Err(damaged(format!(
                "is cut short or damaged: {length} bytes where its header announces {expected}"
            )));
        }
        let content = Content::Safetensors { start, tensors };
        Ok(Self { path, content })
    }

    fn pickle(path: PathBuf) -> Result<Self> {
        let _readable = fs_err::File::open(&path)?;
        match PthTensors::new(&path, None) {
            Ok(tensors) if !tensors.tensor_infos().is_empty() => Ok(Self {
                path,
                content: Content::Pickle(tensors),
            }),
            Ok(_) => Err(published(
                &path,
                "holds no tensors; fetch the file again, or convert it to safetensors".to_owned(),
            )),
            Err(error) => Err(published(
                &path,
                format!(
                    "is not a readable PyTorch file ({error}); fetch it again, or convert it to safetensors"
                ),
            )),
        }
    }

    fn names(&self) -> Vec<String> {
        match &self.content {
            Content::Safetensors { tensors, .. } => tensors.tensors().into_keys().collect(),
            Content::Pickle(tensors) => tensors.tensor_infos().keys().cloned().collect(),
        }
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match &self.content {
            Content::Safetensors { tensors, .. } => tensors.info(name).map(|info| info.shape.clone()),
            Content::Pickle(tensors) => tensors
                .tensor_infos()
                .get(name)
                .map(|info| info.layout.dims().to_vec()),
        }
    }

    fn tensor(&self, name: &str) -> candle_core::Result<Tensor> {
        let absent = || candle_core::Error::Msg("is missing".to_owned());
        match &self.content {
            Content::Pickle(tensors) => tensors.get(name)?.ok_or_else(absent),
            Content::Safetensors { start, tensors } => {
                let info = tensors.info(name).ok_or_else(absent)?;
                let (from, to) = info.data_offsets;
                let mut file = fs_err::File::open(&self.path)?;
                file.seek(SeekFrom::Start(start + from as u64))?;
                let mut bytes = vec![0; to - from];
                file.read_exact(&mut bytes)?;
                let dtype = match info.dtype {
                    Dtype::F16 => DType::F16,
                    Dtype::BF16 => DType::BF16,
                    Dtype::F32 => DType::F32,
                    Dtype::F64 => DType::F64,
                    other => candle_core::bail!("has numbers of type {other}, which no weights have"),
                };
                Tensor::from_raw_buffer(&bytes, dtype, &info.shape, &Device::Cpu)
            }
        }
    }
}

/// What a file that starts like no safetensors file may be.
fn not_safetensors(path: &Path) -> String {
    let mut start = Vec::new();
    let read = fs_err::File::open(path).and_then(|file| file.take(40).read_to_end(&mut start));
    if read.is_ok() && (start.starts_with(b"PK") || start.first() == Some(&0x80)) {
        format!("is a PyTorch pickle, not a safetensors file; name it {PICKLE}, or convert it")
    } else if start.starts_with(b"version https://git-lfs") {
        "is a Git LFS pointer, not the file itself; run `git lfs pull`".to_owned()
    } else if start.starts_with(b"<") {
        "is a web page, not a safetensors file".to_owned()
    } else {
        "is not a safetensors file, or cut short".to_owned()
    }
}

fn shards(directory: &Path, index: &Path) -> Result<Vec<File>> {
    let parsed: Index = serde_json::from_slice(&fs_err::read(index)?).map_err(|source| Error::Json {
        file: index.to_owned(),
        source,
    })?;
    let names: BTreeSet<_> = parsed.weight_map.into_values().collect();
    let inside = |name: &String| Path::new(name).file_name() == Some(name.as_ref());
    if let Some(outside) = names.iter().find(|name| !inside(name)) {
        return Err(published(
            index,
            format!("names '{outside}', which is no file beside it; fetch the file again"),
        ));
    }
    if let Some(absent) = names.iter().find(|name| !directory.join(name).is_file()) {
        return Err(published(
            directory,
            format!("the shard {absent} is missing; fetch it again"),
        ));
    }
    names
        .into_iter()
        .map(|name| File::safetensors(directory.join(name)))
        .collect()
}

pub(crate) fn published(file: &Path, reason: String) -> Error {
    Error::Published {
        file: file.to_owned(),
        reason,
    }
}
