//! A dataset: a manifest and the photos that it names.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::table::{self, ManifestRow};
use crate::{Error, Photo, Result, atomic};

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
}

impl Dataset {
    /// A dataset in memory; [`Dataset::save`] writes its manifest into `root`.
    pub fn new(root: impl Into<PathBuf>, photos: Vec<Photo>) -> Self {
        Self {
            root: root.into(),
            photos,
        }
    }

    /// Opens a directory that holds `photos.parquet` (or else `photos.csv`), or a manifest file itself (Parquet or CSV).
    ///
    /// Columns are found by the names that the field uses, in any case: `path`, `IMG_ID`, `image`, `file`… for the photo;
    /// `latitude`, `LAT`… and `longitude`, `LON`, `lng`… for the place; and optionally `segmentation`, `uploader` or
    /// `AUTHOR`, `captured_at`, `sha256`, `place`. Photos are not looked at, only named.
    ///
    /// # Errors
    /// A missing or unreadable manifest, columns that are missing or look swapped, a row that cannot be used, no row at all.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let manifest = manifest_of(path.as_ref())?;
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
        Ok(Self { root, photos })
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
