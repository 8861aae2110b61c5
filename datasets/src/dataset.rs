//! A dataset: a manifest and the photos that it names.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};

use crate::shards::{Shards, is_shard, shard_of, shards_in};
use crate::table::{self, ManifestRow};
use crate::{
    DecodeLimits, Error, Photo, Result, atomic, decode_bytes, decode_image, decode_segmentation,
    decode_segmentation_bytes,
};

/// The manifest's file name inside a dataset's directory.
pub const MANIFEST: &str = "photos.parquet";

/// A CSV that is accepted in the manifest's place, for people who make one by hand.
const CSV_MANIFEST: &str = "photos.csv";

/// Photographs with known places: a root directory and a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The directory that relative paths start from.
    root: PathBuf,
    /// The photos, in the manifest's order.
    photos: Vec<Photo>,
    /// Where the photos lie that are members of shards.
    shards: Arc<Shards>,
}

impl Dataset {
    /// A dataset in memory; [`Dataset::save`] writes its manifest into `root`.
    pub fn new(root: impl Into<PathBuf>, photos: Vec<Photo>) -> Self {
        Self {
            root: root.into(),
            photos,
            shards: Arc::default(),
        }
    }

    /// Opens a directory that holds `photos.parquet` (or else `photos.csv`), or a manifest file itself (Parquet or CSV); or
    /// a directory of WebDataset shards (`*.tar`) without a manifest, or one shard.
    ///
    /// Columns are found by the names that the field uses, in any case: `path`, `IMG_ID`, `image`, `file`… for the photo;
    /// `latitude`, `LAT`… and `longitude`, `LON`, `lng`… for the place; and optionally `segmentation`, `uploader` or
    /// `AUTHOR`, `captured_at`, `sha256`, `place`. Photos are not looked at, only named. The JSON of a shard's sample has the same
    /// names. A manifest may name members of shards: `shard-000000.tar/one.jpg`.
    ///
    /// # Errors
    /// A missing or unreadable manifest, columns that are missing or look swapped, a row that cannot be used, no row at all.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if let Some((root, files)) = bare_shards(path)? {
            return Self::open_shards(root, files);
        }
        let manifest = manifest_of(path)?;
        let root = match manifest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let mut photos = Vec::new();
        table::read(&manifest, &mut |row: ManifestRow| {
            photos.push(row.photo()?);
            Ok(())
        })?;
        if photos.is_empty() {
            return Err(Error::NoPhotos {
                detail: format!("{} has no row; import photos first", manifest.display()),
            });
        }
        let shards = Arc::new(shards_named(&root, &photos)?);
        Ok(Self { root, photos, shards })
    }

    fn open_shards(root: PathBuf, files: Vec<PathBuf>) -> Result<Self> {
        let shards = Shards::index(&root, files)?;
        let photos = shards.photos()?;
        if photos.is_empty() {
            return Err(Error::NoPhotos {
                detail: format!("the shards in {} hold no photo", root.display()),
            });
        }
        Ok(Self {
            root,
            photos,
            shards: Arc::new(shards),
        })
    }

    /// Reads and decodes a photo, from its file or its shard.
    ///
    /// # Errors
    /// As [`crate::decode_image`].
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`].
    pub fn read_image(&self, index: usize, limits: &DecodeLimits) -> Result<RgbImage> {
        match self.shards.read(&self.photos[index].path, limits)? {
            Some(bytes) => decode_bytes(&bytes, self.image_path(index), limits),
            None => decode_image(self.image_path(index), limits),
        }
    }

    /// Reads and decodes a photo's segmentation map, from its file or its shard; `None` when the manifest names none.
    ///
    /// # Errors
    /// As [`crate::decode_segmentation`].
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`].
    pub fn read_segmentation(&self, index: usize) -> Result<Option<GrayImage>> {
        let Some(path) = &self.photos[index].segmentation else {
            return Ok(None);
        };
        let full = self.root.join(path);
        let map = match self.shards.read(path, &DecodeLimits::default())? {
            Some(bytes) => decode_segmentation_bytes(&bytes, full)?,
            None => decode_segmentation(full)?,
        };
        Ok(Some(map))
    }

    /// The file on disk that holds a photo: its own, or its shard.
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`].
    #[must_use]
    pub fn holding_file(&self, index: usize) -> PathBuf {
        match self.shards.file(&self.photos[index].path) {
            Some(shard) => shard.to_path_buf(),
            None => self.image_path(index),
        }
    }

    /// The shard of every photo, as a number that grows in the manifest's order of shards; photos in files of their own are
    /// counted in pieces of `piece`.
    #[must_use]
    pub fn shard_numbers(&self, piece: usize) -> Vec<usize> {
        let mut known: HashMap<PathBuf, usize> = HashMap::new();
        let number = |(index, photo): (usize, &Photo)| {
            let shard = self.shards.file(&photo.path).map_or_else(
                || PathBuf::from(format!("{}", index / piece.max(1))),
                Path::to_path_buf,
            );
            let next = known.len();
            *known.entry(shard).or_insert(next)
        };
        self.photos.iter().enumerate().map(number).collect()
    }

    /// Writes `photos.parquet` into the root, which is created where needed, and returns its path.
    ///
    /// Columns `path` (text), `latitude` and `longitude` (f64, degrees) and, null where unknown, `segmentation`, `uploader`,
    /// `captured_at` (UTC timestamp, microseconds), `sha256`, `place`. The file appears whole or not at all.
    ///
    /// # Errors
    /// The directory cannot be written, or a path is not UTF-8.
    pub fn save(&self) -> Result<PathBuf> {
        let path = self.root.join(MANIFEST);
        atomic::write(&path, |file| table::write_parquet(&path, file, &self.photos))?;
        Ok(path)
    }

    /// The directory that relative paths start from.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The photos, in the manifest's order.
    #[must_use]
    pub fn photos(&self) -> &[Photo] {
        &self.photos
    }

    /// How many photos there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.photos.len()
    }

    /// Whether there is no photo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.photos.is_empty()
    }

    /// The photo's image file, as a path that can be opened.
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`].
    #[must_use]
    pub fn image_path(&self, index: usize) -> PathBuf {
        self.root.join(&self.photos[index].path)
    }

    /// The photo's segmentation map, as a path that can be opened; `None` when the manifest names none.
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`].
    #[must_use]
    pub fn segmentation_path(&self, index: usize) -> Option<PathBuf> {
        self.photos[index]
            .segmentation
            .as_ref()
            .map(|path| self.root.join(path))
    }

    /// SHA-256 of everything that the manifest says, in its order, as lower-case hexadecimal.
    ///
    /// Equal for a dataset and its saved copy, in Parquet or CSV, wherever it lies. Images are covered by their `sha256`
    /// column where it is known (import fills it), and by their names alone where it is not.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for photo in &self.photos {
            let fields = [
                Some(photo.path.to_string_lossy().into_owned()),
                photo
                    .segmentation
                    .as_ref()
                    .map(|path| path.to_string_lossy().into_owned()),
                photo.uploader.clone(),
                photo.captured_at.map(|time| time.timestamp_micros().to_string()),
                photo.sha256.clone(),
                photo.place.clone(),
            ];
            hasher.update(photo.location.latitude().to_le_bytes());
            hasher.update(photo.location.longitude().to_le_bytes());
            for field in fields {
                // Length first, so that no two different rows feed the same bytes.
                let length = field.as_ref().map_or(u64::MAX, |text| text.len() as u64);
                hasher.update(length.to_le_bytes());
                hasher.update(field.unwrap_or_default());
            }
        }
        format!("{:x}", hasher.finalize())
    }
}

/// Root and shards, where `path` is a shard or a folder of shards without a manifest.
fn bare_shards(path: &Path) -> Result<Option<(PathBuf, Vec<PathBuf>)>> {
    if path.is_file() && is_shard(path) {
        let root = path.parent().map(Path::to_path_buf).unwrap_or_default();
        return Ok(Some((root, vec![path.to_path_buf()])));
    }
    let has_manifest = [MANIFEST, CSV_MANIFEST]
        .iter()
        .any(|name| path.join(name).is_file());
    if !path.is_dir() || has_manifest {
        return Ok(None);
    }
    let files = shards_in(path)?;
    Ok((!files.is_empty()).then(|| (path.to_path_buf(), files)))
}

/// The shards that a manifest's photos and maps are named in.
fn shards_named(root: &Path, photos: &[Photo]) -> Result<Shards> {
    let named = photos
        .iter()
        .flat_map(|photo| [Some(&photo.path), photo.segmentation.as_ref()])
        .flatten();
    let files: BTreeSet<PathBuf> = named
        .filter_map(|path| shard_of(path))
        .map(|shard| root.join(shard))
        .filter(|shard| shard.is_file())
        .collect();
    Shards::index(root, files.into_iter().collect())
}

/// The manifest that `path` means: itself, or the one inside the directory.
fn manifest_of(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_path_buf());
    }
    if !path.exists() {
        return Err(Error::Missing {
            path: path.to_path_buf(),
            remedy: "give a dataset's directory or its manifest".into(),
        });
    }
    for name in [MANIFEST, CSV_MANIFEST] {
        let manifest = path.join(name);
        if manifest.is_file() {
            return Ok(manifest);
        }
    }
    Err(Error::Missing {
        path: path.join(MANIFEST),
        remedy: "the directory is no dataset, or its import did not finish: run the import (again)".into(),
    })
}
