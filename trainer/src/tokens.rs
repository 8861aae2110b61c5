//! What the tower's frozen blocks make of every photo, stored once.
//!
//! All blocks but the last are frozen, so their output for a photo never changes: a run that reads it from a file spends its time on
//! the trained block and the fusion alone. A folder holds `tokens-00000.f16` and so on, each `[photos, tokens, width]` of
//! little-endian f16, and `index.json`: whose output it is, of which photos, and every file's checksum. Files are mapped
//! into memory, so that what is used stays in the system's page cache and nothing else does.
//!
//! A folder of other weights, another preprocessing or other photos is refused, never mixed in and never overwritten.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Tensor};
use half::f16;
use memmap2::Mmap;
use models::ModelConfig;
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::augmentation::Change;
use crate::config::{DataConfig, TrainingConfig};
use crate::inputs::{Inputs, Source};
use crate::model::LearningModel;
use crate::parallel::Workers;
use crate::photos::{Photos, Skipped};
use crate::progress::Report;
use crate::run::{read_json, write_json};
use crate::{Error, Progress, Result, Stage};

/// Raised when the same photo would be stored as other bytes.
const VERSION: u32 = 1;
/// Photos that go through the frozen blocks at a time, per worker.
const CHUNK: usize = 16;
const BYTES: usize = size_of::<f16>();

/// What decides the stored bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Origin {
    version: u32,
    /// SHA-256 of the frozen weights.
    weights: String,
    /// Number format that the frozen blocks computed in.
    precision: models::Precision,
    /// Side, patch, mean and deviation of what the tower saw.
    image_size: usize,
    patch_size: usize,
    mean: [f32; 3],
    std: [f32; 3],
    /// The photos: manifest and files.
    photos: String,
    count: usize,
    tokens: usize,
    width: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    origin: Origin,
    shard_photos: usize,
    /// CRC-32C of every file.
    checksums: Vec<u32>,
    skipped: Vec<Skipped>,
}

/// Stored tokens of a dataset's photos.
#[derive(Debug)]
pub struct TokenCache {
    index: Index,
    files: Vec<Mmap>,
}

/// What a cache is made of and for.
#[derive(Clone, Copy)]
pub struct TokenSetting<'a> {
    /// The run's configuration.
    pub config: &'a TrainingConfig,
    /// The model whose frozen blocks compute.
    pub model: &'a LearningModel,
    /// Who computes.
    pub workers: &'a Workers,
    /// The photos.
    pub photos: &'a dyn Photos,
    /// What identifies the photos: their manifest and files.
    pub photos_key: &'a str,
    /// Who is told.
    pub progress: Report<'a>,
    /// Becomes true when the work is to stop.
    pub cancel: &'a AtomicBool,
}

impl TokenCache {
    /// Opens the cache in `folder`; what it lacks is computed first, shard by shard, so that stopped work goes on.
    ///
    /// # Errors
    /// [`Error::Run`] for a cache of another tower, preprocessing or dataset, and for a damaged file; [`Error::Cancelled`]
    /// (with `folder` as the run); a full disk.
    pub fn open(folder: &Path, setting: TokenSetting<'_>) -> Result<Self> {
        let origin = Origin::of(&setting)?;
        let file = folder.join("index.json");
        let mut index = if file.is_file() {
            read_json::<Index>(&file)?
        } else {
            Index {
                origin: origin.clone(),
                shard_photos: setting.config.data.token_shard,
                checksums: Vec::new(),
                skipped: Vec::new(),
            }
        };
        if let Some(difference) = index.origin.difference(&origin) {
            return Err(Error::Run {
                path: folder.to_path_buf(),
                reason: format!(
                    "holds stored tokens of {difference}; delete the folder to store them anew, or choose another with --cache"
                ),
            });
        }
        let shards = origin.count.div_ceil(index.shard_photos);
        let already = index.checksums.len();
        for shard in already..shards {
            let checksum = store(folder, shard, &mut index, setting)?;
            index.checksums.push(checksum);
            write_json(&file, &index)?;
        }
        let files = (0..shards)
            .map(|shard| map(folder, shard, &index, shard < already, &setting.config.data))
            .collect::<Result<_>>()?;
        Ok(Self { index, files })
    }

    /// Tokens of a photo, the class token included.
    pub fn tokens(&self) -> usize {
        self.index.origin.tokens
    }

    /// Width of a token.
    pub fn width(&self) -> usize {
        self.index.origin.width
    }

    /// Photos whose tokens could not be computed.
    pub fn skipped(&self) -> &[Skipped] {
        &self.index.skipped
    }

    /// Why a photo has no tokens, if it has none.
    pub fn missing(&self, photo: usize) -> Option<&Skipped> {
        let position = self
            .index
            .skipped
            .binary_search_by_key(&photo, |s| s.index)
            .ok()?;
        self.index.skipped.get(position)
    }

    /// The tokens of some photos (dataset indices), `[photos, tokens, width]` row-major.
    ///
    /// # Errors
    /// A photo that the dataset does not have.
    pub fn read(&self, photos: &[usize]) -> Result<Vec<f16>> {
        let values = self.tokens() * self.width();
        let mut all = Vec::with_capacity(photos.len() * values);
        for photo in photos {
            let (shard, row) = (photo / self.index.shard_photos, photo % self.index.shard_photos);
            let start = row * values * BYTES;
            let bytes = self
                .files
                .get(shard)
                .and_then(|file| file.get(start..start + values * BYTES))
                .ok_or_else(|| Error::Dataset(format!("photo {photo} has no stored tokens")))?;
            all.extend(
                bytes
                    .chunks_exact(BYTES)
                    .map(|two| f16::from_le_bytes([two[0], two[1]])),
            );
        }
        Ok(all)
    }
}

impl Origin {
    fn of(setting: &TokenSetting<'_>) -> Result<Self> {
        let ModelConfig {
            image_size,
            patch_size,
            mean,
            std,
            ..
        } = *setting.model.config();
        Ok(Self {
            version: VERSION,
            weights: frozen_digest(setting.model)?,
            precision: setting
                .config
                .pretrained
                .as_ref()
                .map_or(models::Precision::F32, |p| p.precision),
            image_size,
            patch_size,
            mean,
            std,
            photos: setting.photos_key.to_owned(),
            count: setting.photos.len(),
            tokens: setting.model.config().tokens(),
            width: setting.model.config().vision.width,
        })
    }

    /// In what a stored cache differs from what is needed, as words that follow "of".
    fn difference(&self, needed: &Self) -> Option<&'static str> {
        if self == needed {
            None
        } else if self.version != needed.version {
            Some("another version of this program")
        } else if self.weights != needed.weights || self.precision != needed.precision {
            Some("another tower: its frozen weights or their number format differ")
        } else if (self.photos != needed.photos) || self.count != needed.count {
            Some("other photos: the dataset or its files have changed")
        } else {
            Some("another preprocessing or shape of the tower")
        }
    }
}

/// SHA-256 of the tower's frozen weights, by name.
fn frozen_digest(model: &LearningModel) -> Result<String> {
    let mut hash = sha2::Sha256::new();
    for (name, tensor) in model.parameters().frozen_tensors() {
        hash.update(name.as_bytes());
        for value in tensor.flatten_all()?.to_vec1::<f32>()? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("tokens-{shard:05}.f16"))
}

/// Computes and writes one file; its checksum.
fn store(folder: &Path, shard: usize, index: &mut Index, setting: TokenSetting<'_>) -> Result<u32> {
    let TokenSetting {
        model,
        workers,
        photos,
        progress,
        cancel,
        ..
    } = setting;
    fs_err::create_dir_all(folder)?;
    let (count, values) = (index.origin.count, index.origin.tokens * index.origin.width);
    let first = shard * index.shard_photos;
    let all: Vec<usize> = (first..(first + index.shard_photos).min(count)).collect();
    let source = Source {
        photos,
        tokens: None,
        maps: false,
    };
    let mut file = std::io::BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
    let mut checksum = 0;
    let started = std::time::Instant::now();
    for (done, chunk) in all.chunks(CHUNK * workers.count()).enumerate() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Tokens.phrase(),
                run: folder.to_path_buf(),
            });
        }
        let batch: Vec<(usize, Change)> = chunk.iter().map(|photo| (*photo, Change::NONE)).collect();
        let (rows, skipped) = rows(model, workers, source, &batch, values)?;
        for row in rows {
            checksum = crc32c::crc32c_append(checksum, &row);
            file.write_all(&row)?;
        }
        index.skipped.extend(skipped);
        let done_here = (done * CHUNK * workers.count() + chunk.len()) as f64;
        let rate = done_here / started.elapsed().as_secs_f64();
        let done = first as u64 + done_here as u64;
        progress(&Progress {
            images_per_second: Some(rate),
            remaining_seconds: Some((count as u64 - done) as f64 / rate),
            ..Progress::counted(Stage::Tokens, done, count as u64)
        });
    }
    let file = file.into_inner().map_err(|error| error.into_error())?;
    file.as_file().sync_all()?;
    file.persist(path(folder, shard)).map_err(|e| e.error)?;
    Ok(checksum)
}

/// Every photo's tokens as bytes, zeros where it cannot be used.
fn rows(
    model: &LearningModel,
    workers: &Workers,
    source: Source<'_>,
    batch: &[(usize, Change)],
    values: usize,
) -> Result<(Vec<Vec<u8>>, Vec<Skipped>)> {
    let inputs = match Inputs::read(source, batch) {
        Err(Error::Dataset(_)) => return none_of(source, batch, values),
        inputs => inputs?,
    };
    let parts = workers.map(|k| {
        let range = workers.share(inputs.len(), k);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let tokens: Tensor = model.trunk(&inputs, range)?.to_dtype(DType::F16)?;
        Ok(tokens.flatten_all()?.to_vec1::<f16>()?)
    })?;
    let all: Vec<f16> = parts.into_iter().flatten().collect();
    let mut read = inputs.photos().iter().zip(all.chunks_exact(values)).peekable();
    let mut rows = Vec::with_capacity(batch.len());
    for (photo, _) in batch {
        let Some((_, row)) = read.next_if(|(read, _)| *read == photo) else {
            rows.push(vec![0; values * BYTES]);
            continue;
        };
        if row.iter().any(|value| !value.is_finite()) {
            return Err(Error::Config(format!(
                "the tower's tokens of photo {photo} are too large for f16; set data.token_cache to false"
            )));
        }
        rows.push(row.iter().flat_map(|value| value.to_le_bytes()).collect());
    }
    Ok((rows, inputs.skipped().to_vec()))
}

/// The same where no photo of the chunk can be used.
fn none_of(
    source: Source<'_>,
    batch: &[(usize, Change)],
    values: usize,
) -> Result<(Vec<Vec<u8>>, Vec<Skipped>)> {
    let mut skipped = Vec::new();
    for (photo, _) in batch {
        match source.photos.read(*photo, false) {
            Err(Error::Photo(one)) => skipped.push(one),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok((vec![vec![0; values * BYTES]; batch.len()], skipped))
}

/// Maps a file after holding it against what the index says of it.
fn map(folder: &Path, shard: usize, index: &Index, older: bool, config: &DataConfig) -> Result<Mmap> {
    let path = path(folder, shard);
    let damaged = |reason: String| Error::Run {
        path: path.clone(),
        reason: format!("{reason}; delete {} to store the tokens anew", folder.display()),
    };
    let file = fs_err::File::open(&path)?;
    let photos = index
        .shard_photos
        .min(index.origin.count - shard * index.shard_photos);
    let expected = (photos * index.origin.tokens * index.origin.width * BYTES) as u64;
    let found = file.metadata()?.len();
    if found != expected {
        return Err(damaged(format!("holds {found} bytes instead of {expected}")));
    }
    // SAFETY: the file was written by this program and is complete; nothing of it writes to finished files. Another program that
    // cuts it short while it is mapped ends this one with a signal, which resuming recovers from.
    let map = unsafe { Mmap::map(file.file())? };
    if older && config.token_verify && crc32c::crc32c(&map) != index.checksums[shard] {
        return Err(damaged("does not match its checksum".to_owned()));
    }
    Ok(map)
}
