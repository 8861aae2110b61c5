//! What the sources of an import hold: photo files, folders, tables.

use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::destination::Destination;
use super::{Candidate, ImportOptions, Item, Rejected};
use crate::sniff::{Kind, SNIFF_BYTES, sniff};
use crate::{Error, Result, table};

/// Tables that speak for the folder they lie in.
const FOLDER_TABLES: [&str; 3] = ["photos.parquet", "photos.csv", "places.csv"];

/// Extensions of files that are meant to be photos, whatever they hold.
const PHOTO_EXTENSIONS: [&str; 23] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "gif", "bmp", "heic", "heif", "hif", "avif",
    "jp2", "jxl", "cr2", "cr3", "nef", "arw", "dng", "orf", "raf",
];

/// From this share of rows on, latitudes beyond 90° mean that the columns are swapped.
const SWAPPED_SHARE: f64 = 0.2;

/// Everything that the sources name.
pub(super) struct Found {
    /// Photos and unusable rows, in the sources' order.
    pub(super) items: Vec<Item>,
    /// Files in folders that are no photos.
    pub(super) ignored: usize,
}

pub(super) fn find(sources: &[PathBuf], destination: &Destination, options: &ImportOptions) -> Result<Found> {
    let mut found = Found {
        items: Vec::new(),
        ignored: 0,
    };
    for source in sources {
        let metadata = fs_err::metadata(source).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing {
                path: source.clone(),
                remedy: "give photos, folders, or CSV or Parquet files of places".into(),
            },
            _ => Error::io("read", source)(error),
        })?;
        if metadata.is_dir() {
            found.add_folder(source, destination, options)?;
        } else if table::is_table(source) {
            found.add_table(source, options)?;
        } else {
            found.add_photo(source);
        }
    }
    Ok(found)
}

impl Found {
    fn add_photo(&mut self, image: &Path) {
        self.items.push(Ok(Candidate {
            image: image.to_path_buf(),
            known: None,
            segmentation: None,
        }));
    }

    fn add_folder(
        &mut self,
        folder: &Path,
        destination: &Destination,
        options: &ImportOptions,
    ) -> Result<()> {
        // A manifest that an earlier import wrote into this very folder does not stand for the photos in it.
        let table = FOLDER_TABLES
            .iter()
            .map(|name| folder.join(name))
            .find(|table| table.is_file() && !destination.is_manifest(table));
        if let Some(table) = table {
            return self.add_table(&table, options);
        }
        let visible =
            |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
        let entries = WalkDir::new(folder)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter();
        for entry in entries.filter_entry(|entry| visible(entry) && !destination.is_copies(entry.path())) {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) if is_photo(entry.path()) => self.add_photo(entry.path()),
                Ok(_) => self.ignored += 1,
                Err(error) => self.reject(unreadable(folder, error), options)?,
            }
        }
        Ok(())
    }

    fn add_table(&mut self, path: &Path, options: &ImportOptions) -> Result<()> {
        let base = options
            .images
            .as_deref()
            .or(path.parent())
            .unwrap_or(Path::new(""));
        let (mut rows, mut swapped) = (0_u64, 0_u64);
        let mut items = Vec::new();
        table::read(path, &mut |row| {
            rows += 1;
            swapped += u64::from(row.looks_swapped());
            let label = row.label();
            items.push(match row.photo() {
                Ok(photo) => Ok(Candidate {
                    image: base.join(&photo.path),
                    segmentation: photo.segmentation.as_ref().map(|map| base.join(map)),
                    known: Some(photo),
                }),
                Err(error) => Err(Rejected { label, error }),
            });
            Ok(())
        })?;
        if swapped > 0 && swapped as f64 >= SWAPPED_SHARE * rows as f64 {
            return Err(Error::BadManifest {
                path: path.to_path_buf(),
                detail: format!(
                    "{swapped} of its {rows} rows have a latitude beyond 90°: its latitude and longitude columns are swapped; rename them"
                ),
            });
        }
        for item in items {
            match item {
                Ok(candidate) => self.items.push(Ok(candidate)),
                Err(rejected) => self.reject(rejected, options)?,
            }
        }
        Ok(())
    }

    fn reject(&mut self, rejected: Rejected, options: &ImportOptions) -> Result<()> {
        if options.strict {
            return Err(rejected.error);
        }
        self.items.push(Err(rejected));
        Ok(())
    }
}

/// Whether a file in a folder is meant to be a photo, by its extension or else by its content.
fn is_photo(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    PHOTO_EXTENSIONS.contains(&extension.as_str()) || looks_like_photo(path)
}

fn looks_like_photo(path: &Path) -> bool {
    let Ok(file) = fs_err::File::open(path) else {
        return false;
    };
    let mut start = Vec::with_capacity(SNIFF_BYTES);
    let read = file.take(SNIFF_BYTES as u64).read_to_end(&mut start);
    read.is_ok()
        && matches!(
            sniff(&start),
            Kind::Image(_) | Kind::Unsupported("HEIC" | "HEIF" | "AVIF")
        )
}

fn unreadable(folder: &Path, error: walkdir::Error) -> Rejected {
    let label = error.path().unwrap_or(folder).to_path_buf();
    let source = if error.loop_ancestor().is_some() {
        std::io::Error::other("a symbolic link leads back to a folder above it")
    } else {
        error
            .into_io_error()
            .unwrap_or_else(|| std::io::Error::other("the folder cannot be listed"))
    };
    Rejected {
        error: Error::io("read", &label)(source),
        label,
    }
}
