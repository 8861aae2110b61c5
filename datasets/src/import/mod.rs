//! Import: photo files, folders and tables of places become a dataset.

mod destination;
mod prepare;
mod report;
mod sources;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use self::destination::Destination;
use self::prepare::Prepared;
pub use self::report::{ImportReport, Skipped};
use crate::{Dataset, DecodeLimits, Error, Progress, Result};

/// How to import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The directory that a table's relative paths start from; the table's own folder when `None`.
    pub images: Option<PathBuf>,
    /// Copy the photos (and segmentation maps) into the dataset instead of referring to them where they are.
    pub copy: bool,
    /// Stop at the first photo or row that cannot be used. Duplicates are no reason to stop.
    pub strict: bool,
    /// What one image may cost.
    pub limits: DecodeLimits,
}

/// A photo to look at, or a row that names none.
type Item = Result<Candidate, Rejected>;

/// A photo that a source names and nobody has looked at yet.
#[derive(Debug)]
struct Candidate {
    /// The image file, as the report will name it.
    image: PathBuf,
    /// What the source's table says of it; its paths are the table's.
    known: Option<crate::Photo>,
    /// The segmentation map's file.
    segmentation: Option<PathBuf>,
}

/// Something that cannot be used, and why.
#[derive(Debug)]
struct Rejected {
    label: PathBuf,
    error: Error,
}

/// Imports photos with known places into the directory `out`: writes its `photos.parquet` and `skipped.csv`.
///
/// `sources` are photo files, folders and tables (CSV or Parquet, by extension), in any mix:
/// - a photo's place comes from its EXIF ([`crate::read_gps`]);
/// - a folder is searched recursively, in name order; hidden files, and files that are neither named nor made like an image, are
///   passed over and counted. A folder with a `photos.parquet`, `photos.csv` or `places.csv` at its top is read as that table;
/// - a table's rows name an image and its place, and optionally a segmentation map, uploader and time ([`Dataset::open`] has
///   the column names). A row's place wins over its photo's EXIF.
///
/// Every photo is decoded once, in parallel, so that training never meets one that cannot be. A photo with the same bytes as an
/// earlier one is skipped as its duplicate. Without `copy`, photos inside `out` are named relative to it and others absolutely.
///
/// An earlier import in `out` is replaced at the very end, when everything is known; copies are named by their content, so a
/// stopped import can simply be run again.
///
/// # Errors
/// A source that does not exist, a table without the necessary columns or with latitude and longitude swapped, no
/// usable photo at all, an `out` that cannot be written; with `strict`, the first photo or row that cannot be used.
pub fn import(
    sources: &[PathBuf],
    out: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ImportReport> {
    let destination = Destination::new(out, options.copy)?;
    let found = sources::find(sources, &destination, options)?;
    let prepared = prepare::prepare_all(found.items, options, progress)?;
    let (kept, skipped) = without_duplicates(prepared);
    if kept.is_empty() {
        return Err(report::nothing_usable(sources, skipped, found.ignored));
    }
    let photos = destination.place(kept)?;
    let report = ImportReport {
        imported: photos.len(),
        skipped,
        ignored: found.ignored,
    };
    report.write_skipped(out)?;
    let manifest = Dataset::new(out, photos).save()?;
    tracing::info!(
        imported = report.imported,
        skipped = report.skipped.len(),
        ignored = report.ignored,
        manifest = %manifest.display(),
        "import finished"
    );
    Ok(report)
}

/// Keeps the first photo of every content; everything else goes to the report, in the sources' order.
fn without_duplicates(prepared: Vec<Result<Prepared, Rejected>>) -> (Vec<Prepared>, Vec<Skipped>) {
    let mut kept: Vec<Prepared> = Vec::with_capacity(prepared.len());
    let mut skipped = Vec::new();
    let mut first_with: HashMap<String, usize> = HashMap::new();
    for outcome in prepared {
        let photo = match outcome {
            Ok(photo) => photo,
            Err(rejected) => {
                skipped.push(Skipped::new(&rejected.label, &rejected.error));
                continue;
            }
        };
        match first_with.entry(photo.sha256.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(kept.len());
                kept.push(photo);
            }
            Entry::Occupied(first) => {
                let of = &kept[*first.get()];
                let error = Error::Duplicate {
                    path: photo.image.clone(),
                    of: of.image.clone(),
                    apart_km: of.photo.location.distance(photo.photo.location).get(),
                };
                skipped.push(Skipped::new(&photo.image, &error));
            }
        }
    }
    (kept, skipped)
}
