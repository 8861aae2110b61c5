//! Tables in CSV, with commas, semicolons or tabs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::cell::Cell;
use super::columns::Columns;
use super::row::{ManifestRow, Position};
use crate::{Error, Result};

/// Reads a CSV with a header row; rows that are no row (a wrong number of cells, not UTF-8) are handed on as such.
pub(crate) fn read_csv(path: &Path, each: &mut dyn FnMut(ManifestRow) -> Result<()>) -> Result<()> {
    let mut file = BufReader::new(fs_err::File::open(path).map_err(Error::io("read", path))?);
    let delimiter = delimiter(file.fill_buf().map_err(Error::io("read", path))?);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(Trim::All)
        .from_reader(file);
    let headers: Vec<String> = match reader.headers() {
        Ok(headers) => headers.iter().map(str::to_owned).collect(),
        Err(error) => {
            return Err(Error::BadManifest {
                path: path.to_path_buf(),
                detail: format!("its first row cannot be read as CSV ({error})"),
            });
        }
    };
    let columns = Columns::find(&headers, path)?;
    let table: Arc<Path> = Arc::from(path);
    let mut record = StringRecord::new();
    let mut cells = Vec::new();
    loop {
        let row = match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                cells.clear();
                cells.extend(record.iter().map(Cell::from_text));
                ManifestRow::new(&table, Position::Line(line), &columns, &mut cells)
            }
            Err(error) => {
                if let csv::ErrorKind::Io(_) = error.kind() {
                    return Err(Error::io("read", path)(error.into()));
                }
                let line = error.position().map_or(0, csv::Position::line);
                ManifestRow::unreadable(&table, Position::Line(line), describe(&error))
            }
        };
        each(row)?;
    }
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("it has {len} cells where the first row has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

/// The delimiter that the first line has most of.
fn delimiter(start: &[u8]) -> u8 {
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| first_line.iter().filter(|byte| **byte == delimiter).count();
    // The last of equals wins: a comma, when there is none of all.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter))
        .unwrap_or(b',')
}
