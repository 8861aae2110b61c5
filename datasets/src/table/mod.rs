//! Tables of photos and places: Parquet and CSV under the column names that the field uses.

mod cell;
mod columns;
mod csv_file;
mod parquet_file;
mod row;

use std::path::Path;

pub(crate) use cell::Cell;
pub(crate) use columns::Columns;
pub(crate) use parquet_file::write_parquet;
pub(crate) use row::{ManifestRow, Position};

use crate::{Error, Result};

/// Whether a file name looks like a table's.
pub(crate) fn is_table(path: &Path) -> bool {
    is_parquet(path) || extension(path).is_some_and(|ext| ["csv", "tsv", "txt"].contains(&ext.as_str()))
}

/// Reads a table row by row; `each` gets rows whose cells are not yet judged, and may stop the reading with an error.
///
/// # Errors
/// The table cannot be read, or has no columns for photo, latitude and longitude; and whatever `each` returns.
pub(crate) fn read(path: &Path, each: &mut dyn FnMut(ManifestRow) -> Result<()>) -> Result<()> {
    if fs_err::metadata(path).map_err(Error::io("read", path))?.len() == 0 {
        return Err(Error::Empty {
            path: path.to_path_buf(),
        });
    }
    if is_parquet(path) {
        parquet_file::read_parquet(path, each)
    } else {
        csv_file::read_csv(path, each)
    }
}

fn is_parquet(path: &Path) -> bool {
    extension(path).is_some_and(|ext| ["parquet", "pq", "parq"].contains(&ext.as_str()))
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}
