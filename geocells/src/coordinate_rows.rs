//! The rows of a CSV file, one by one, each with its place or what is wrong with it.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::coordinates::{CoordinateColumns, find_coordinate_columns};
use crate::{Error, LatLng, Result};

/// The rows of a CSV file with the place of each.
pub(crate) struct CoordinateRows {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    record: csv::ByteRecord,
    headers: csv::ByteRecord,
    columns: CoordinateColumns,
    rows: u64,
    swap_evidence: SwapEvidence,
}

/// One row: its line, its first field, and its place or what is wrong with it.
pub(crate) struct CoordinateRow<'a> {
    pub(crate) line: u64,
    pub(crate) first_field: &'a [u8],
    pub(crate) place: Result<LatLng, String>,
}

impl CoordinateRows {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bad_file = |error: csv::Error| Error::BadFile {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let mut file = fs_err::File::open(path)?;
        // The delimiter is read off the first line, which goes back in front of the rest.
        let mut start = Vec::new();
        file.by_ref().take(1 << 16).read_to_end(&mut start)?;
        let delimiter = delimiter_of(&start);
        let whole: Box<dyn Read> = Box::new(std::io::Cursor::new(start).chain(file));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .buffer_capacity(1 << 18)
            .from_reader(whole);
        let headers = reader.byte_headers().map_err(bad_file)?.clone();
        let names: Vec<String> = headers
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let columns = find_coordinate_columns(names.iter().map(String::as_str), path)?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            record: csv::ByteRecord::new(),
            headers,
            columns,
            rows: 0,
            swap_evidence: SwapEvidence::default(),
        })
    }

    pub(crate) fn first_header(&self) -> &[u8] {
        self.headers.get(0).unwrap_or_default()
    }

    pub(crate) fn columns(&self) -> CoordinateColumns {
        self.columns
    }

    /// How many rows were read so far, good and bad.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn next_row(&mut self) -> Result<Option<CoordinateRow<'_>>> {
        let more = self
            .reader
            .read_byte_record(&mut self.record)
            .map_err(|error| Error::BadFile {
                path: self.path.clone(),
                reason: error.to_string(),
            })?;
        if !more {
            return Ok(None);
        }
        self.rows += 1;
        let place = parse_place(&self.record, self.columns, &mut self.swap_evidence);
        Ok(Some(CoordinateRow {
            line: self.record.position().map_or(0, csv::Position::line),
            first_field: self.record.get(0).unwrap_or_default(),
            place,
        }))
    }

    /// To be asked after the last row.
    pub(crate) fn refuse_if_swapped(&self) -> Result<()> {
        let evidence = self.swap_evidence;
        if !evidence.is_conclusive() {
            return Ok(());
        }
        let (impossible, rows) = (evidence.impossible, evidence.numeric);
        Err(Error::SwappedCoordinates {
            path: self.path.clone(),
            impossible,
            rows,
        })
    }
}

/// Signs, over a whole file, that its latitudes are longitudes and the reverse.
#[derive(Debug, Clone, Copy, Default)]
struct SwapEvidence {
    /// Rows with two numbers.
    numeric: u64,
    /// Rows that are impossible as they stand and possible the other way round.
    impossible: u64,
    /// Rows with a longitude that can be no latitude.
    true_longitudes: u64,
}

impl SwapEvidence {
    fn see(&mut self, latitude: f64, longitude: f64) {
        self.numeric += 1;
        if longitude.abs() > 90.0 {
            self.true_longitudes += 1;
        } else if latitude.abs() > 90.0 && latitude.abs() <= 180.0 {
            self.impossible += 1;
        }
    }

    /// Most rows impossible; or a tenth of them, and not one longitude that speaks against it.
    fn is_conclusive(self) -> bool {
        let a_tenth = self.impossible > 0 && self.impossible * 10 >= self.numeric;
        self.impossible * 2 > self.numeric || (a_tenth && self.true_longitudes == 0)
    }
}

fn parse_place(
    record: &csv::ByteRecord,
    columns: CoordinateColumns,
    swap_evidence: &mut SwapEvidence,
) -> Result<LatLng, String> {
    let latitude = parse_degrees(record, columns.latitude, "latitude")?;
    let longitude = parse_degrees(record, columns.longitude, "longitude")?;
    swap_evidence.see(latitude, longitude);
    LatLng::new(latitude, longitude).map_err(|error| error.to_string())
}

fn parse_degrees(record: &csv::ByteRecord, column: usize, name: &str) -> Result<f64, String> {
    let Some(field) = record.get(column) else {
        return Err(format!(
            "the row has {} columns, {name} is in column {}",
            record.len(),
            column + 1
        ));
    };
    let field = field.trim_ascii();
    if field.is_empty() {
        return Err(format!("{name} is empty"));
    }
    let number = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let shown: String = String::from_utf8_lossy(field).chars().take(40).collect();
        format!("{name} is {shown:?}, not a number")
    })
}

fn delimiter_of(start: &[u8]) -> u8 {
    let first_line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let found = [b',', b'\t', b';']
        .into_iter()
        .find(|delimiter| first_line.contains(delimiter));
    found.unwrap_or(b',')
}
