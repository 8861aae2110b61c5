//! Decoded, cropped photographs and maps, cached in files.
//!
//! Every epoch needs every photo at the model's size; decoding it once is enough. A cache folder holds, for one dataset and one
//! geometry, `photos.bin` (`[photos, size, size, 3]` bytes), `maps.bin` (`[photos, size, size]` ADE20K ids, 255 unlabelled) and
//! `index.json`, which is written last: a folder without it was not finished and is made again. Memory stays bounded, as photos
//! are read from the files one by one (the system keeps what is used in its page cache).

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use datasets::Dataset;
use image::{GrayImage, RgbImage};
use models::{ModelConfig, Preprocessor, UNLABELLED};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::{Photos, Skipped, View, read_photo, stamp};
use crate::progress::Report;
use crate::run::write_atomically;
use crate::{Error, Progress, Result, Stage};

/// Raised when the same photo would be cached as other bytes.
const VERSION: u32 = 1;

/// Photos decoded at a time: enough for every thread, and a bound on memory.
const CHUNK: usize = 256;

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    version: u32,
    size: usize,
    photos: usize,
    maps: usize,
    skipped: Vec<Skipped>,
}

/// A dataset's photos at the model's size, in files.
#[derive(Debug)]
pub struct PhotoCache {
    folder: PathBuf,
    index: Index,
    images: fs_err::File,
    maps: fs_err::File,
}

impl PhotoCache {
    /// Opens the cache of `dataset` for `model`'s geometry below `root`, and makes it first if it is absent or unfinished.
    ///
    /// Photos that cannot be decoded are skipped with their reason and read as black; a map that cannot be read, or has another
    /// size than its photo, skips the photo too, as it would teach nonsense.
    ///
    /// # Errors
    /// A disk that is full, or [`Error::Cancelled`] (with `root` as the run) when `cancel` becomes true.
    pub fn open(
        dataset: &Dataset,
        model: &ModelConfig,
        root: &Path,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let folder = root.join(&key(dataset, model)[..24]);
        if let Some(cache) = Self::open_finished(&folder, dataset.len(), model.image_size)? {
            progress(&Progress::counted(
                Stage::Prepare,
                dataset.len() as u64,
                dataset.len() as u64,
            ));
            return Ok(cache);
        }
        build(dataset, model, &folder, progress, cancel)?;
        Self::open_finished(&folder, dataset.len(), model.image_size)?.ok_or_else(|| Error::Run {
            path: folder,
            reason: "the photo cache changed while it was made; is another run using it?".to_owned(),
        })
    }

    fn open_finished(folder: &Path, photos: usize, size: usize) -> Result<Option<Self>> {
        let Ok(bytes) = fs_err::read(folder.join("index.json")) else {
            return Ok(None);
        };
        let Ok(index) = serde_json::from_slice::<Index>(&bytes) else {
            return Ok(None);
        };
        if index.version != VERSION || index.photos != photos || index.size != size {
            return Ok(None);
        }
        let (Ok(images), Ok(maps)) = (
            fs_err::File::open(folder.join("photos.bin")),
            fs_err::File::open(folder.join("maps.bin")),
        ) else {
            return Ok(None);
        };
        let pixels = (size * size) as u64;
        let whole = images.metadata()?.len() == photos as u64 * pixels * 3
            && maps.metadata()?.len() == photos as u64 * pixels;
        Ok(whole.then(|| Self {
            folder: folder.to_path_buf(),
            index,
            images,
            maps,
        }))
    }

    /// The same photos with other maps: `file` holds `[photos, size, size]` ids.
    ///
    /// # Errors
    /// A file that is absent or of another length.
    pub fn with_maps(mut self, file: &Path) -> Result<Self> {
        let maps = fs_err::File::open(file)?;
        let expected = (self.len() * self.map_bytes()) as u64;
        let found = maps.metadata()?.len();
        if found != expected {
            return Err(Error::Run {
                path: file.to_path_buf(),
                reason: format!("holds {found} bytes instead of {expected}; delete it and --resume"),
            });
        }
        self.maps = maps;
        Ok(self)
    }

    /// Photos of the dataset, skipped ones included.
    pub fn len(&self) -> usize {
        self.index.photos
    }

    /// Whether the dataset is empty.
    pub fn is_empty(&self) -> bool {
        self.index.photos == 0
    }

    /// Side of the cached squares, pixels.
    pub fn size(&self) -> usize {
        self.index.size
    }

    /// Photos that came with a map.
    pub fn maps(&self) -> usize {
        self.index.maps
    }

    /// Photos that could not be used, by index.
    pub fn skipped(&self) -> &[Skipped] {
        &self.index.skipped
    }

    /// The cache's own folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of a photo.
    pub fn image_bytes(&self) -> usize {
        3 * self.map_bytes()
    }

    /// Bytes of a map.
    pub fn map_bytes(&self) -> usize {
        self.size() * self.size()
    }

    /// Reads photo `index` into `to`, `[size, size, 3]`.
    ///
    /// # Errors
    /// The file system's.
    pub fn read_image(&self, index: usize, to: &mut [u8]) -> Result<()> {
        Ok(self
            .images
            .file()
            .read_exact_at(to, (index * self.image_bytes()) as u64)?)
    }

    /// Reads the map of photo `index` into `to`, `[size, size]`.
    ///
    /// # Errors
    /// The file system's.
    pub fn read_map(&self, index: usize, to: &mut [u8]) -> Result<()> {
        Ok(self
            .maps
            .file()
            .read_exact_at(to, (index * self.map_bytes()) as u64)?)
    }
}

impl Photos for PhotoCache {
    fn len(&self) -> usize {
        self.index.photos
    }

    fn size(&self) -> usize {
        self.index.size
    }

    fn read(&self, index: usize, with_map: bool) -> Result<View> {
        Ok(View {
            image: self.image(index)?,
            map: with_map.then(|| self.map(index)).transpose()?,
        })
    }
}

impl PhotoCache {
    /// Photo `index` as an image.
    ///
    /// # Errors
    /// The file system's.
    pub fn image(&self, index: usize) -> Result<RgbImage> {
        let mut bytes = vec![0; self.image_bytes()];
        self.read_image(index, &mut bytes)?;
        RgbImage::from_raw(self.size() as u32, self.size() as u32, bytes)
            .ok_or_else(|| Error::Config("a cached photo of another size".to_owned()))
    }

    /// The map of photo `index` as an image.
    ///
    /// # Errors
    /// The file system's.
    pub fn map(&self, index: usize) -> Result<GrayImage> {
        let mut bytes = vec![0; self.map_bytes()];
        self.read_map(index, &mut bytes)?;
        GrayImage::from_raw(self.size() as u32, self.size() as u32, bytes)
            .ok_or_else(|| Error::Config("a cached map of another size".to_owned()))
    }
}

/// What decides the cached bytes: the manifest, the files behind it, the geometry.
pub(crate) fn key(dataset: &Dataset, model: &ModelConfig) -> String {
    let mut hash = sha2::Sha256::new();
    hash.update(VERSION.to_le_bytes());
    hash.update(model.image_size.to_le_bytes());
    hash.update(dataset.digest());
    let stamps: Vec<(u64, u128)> = (0..dataset.len())
        .into_par_iter()
        .map(|i| stamp(&dataset.holding_file(i)))
        .collect();
    for (bytes, modified) in stamps {
        hash.update(bytes.to_le_bytes());
        hash.update(modified.to_le_bytes());
    }
    format!("{:x}", hash.finalize())
}

fn build(
    dataset: &Dataset,
    model: &ModelConfig,
    folder: &Path,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<()> {
    fs_err::create_dir_all(folder)?;
    let preprocessor = Preprocessor::new(model);
    let size = model.image_size as u32;
    let pixels = (size * size) as usize;
    let mut images = tempfile::NamedTempFile::new_in(folder)?;
    let mut maps = tempfile::NamedTempFile::new_in(folder)?;
    let mut index = Index {
        version: VERSION,
        size: model.image_size,
        photos: dataset.len(),
        maps: 0,
        skipped: Vec::new(),
    };
    let started = std::time::Instant::now();
    for start in (0..dataset.len()).step_by(CHUNK) {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Prepare.phrase(),
                run: folder.to_path_buf(),
            });
        }
        let chunk = start..(start + CHUNK).min(dataset.len());
        let done: Vec<_> = chunk
            .clone()
            .into_par_iter()
            .map(|i| read_photo(dataset, i, &preprocessor, true))
            .collect();
        for (i, cached) in chunk.clone().zip(done) {
            match cached {
                Ok(View { image, map }) => {
                    images.write_all(image.as_raw())?;
                    index.maps += usize::from(map.is_some());
                    maps.write_all(
                        map.as_ref()
                            .map_or(vec![UNLABELLED; pixels].as_slice(), |m| m.as_raw()),
                    )?;
                }
                Err(reason) => {
                    tracing::warn!(photo = %dataset.image_path(i).display(), reason, "photo skipped");
                    index.skipped.push(Skipped {
                        index: i,
                        file: dataset.image_path(i),
                        reason,
                    });
                    images.write_all(&vec![0; 3 * pixels])?;
                    maps.write_all(&vec![UNLABELLED; pixels])?;
                }
            }
        }
        let rate = chunk.end as f64 / started.elapsed().as_secs_f64();
        progress(&Progress {
            images_per_second: Some(rate),
            remaining_seconds: Some((dataset.len() - chunk.end) as f64 / rate),
            ..Progress::counted(Stage::Prepare, chunk.end as u64, dataset.len() as u64)
        });
    }
    images.persist(folder.join("photos.bin")).map_err(|e| e.error)?;
    maps.persist(folder.join("maps.bin")).map_err(|e| e.error)?;
    let json = serde_json::to_vec_pretty(&index).map_err(|source| Error::Json {
        path: folder.join("index.json"),
        source,
    })?;
    write_atomically(&folder.join("index.json"), &json)
}
