//! Places from any of the field's CSV files.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{Error, LatLng, Result};

/// Accepted column names, best first; any case, surrounding blanks ignored.
const LATITUDE_NAMES: [&str; 4] = ["latitude", "lat", "gps_latitude", "gpslatitude"];
const LONGITUDE_NAMES: [&str; 6] = ["longitude", "lon", "lng", "long", "gps_longitude", "gpslongitude"];

/// Which columns of a table hold latitude and longitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoordinateColumns {
    /// Index of the latitude column.
    pub latitude: usize,
    /// Index of the longitude column.
    pub longitude: usize,
}

/// The places of a CSV file.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinates {
    /// The places of all good rows, in file order.
    pub points: Vec<LatLng>,
    /// How many data rows the file has, good and bad.
    pub rows: u64,
    /// The bad rows, in file order.
    pub skipped: Vec<SkippedRow>,
    /// Where the coordinates were found.
    pub columns: CoordinateColumns,
}

/// A row without a usable place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRow {
    /// Line in the file, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Finds the latitude and longitude columns by the names that the field uses (`LAT`/`LON`, `latitude`/`longitude`,
/// `lat`/`lng`, …, any case).
///
/// # Errors
/// [`Error::NoCoordinateColumns`] naming the columns that it saw; `path` names the file in it.
pub fn find_coordinate_columns<'a>(
    headers: impl IntoIterator<Item = &'a str>,
    path: &Path,
) -> Result<CoordinateColumns> {
    let headers: Vec<&str> = headers
        .into_iter()
        .map(|header| header.trim_start_matches('\u{feff}').trim())
        .collect();
    let find = |names: &[&str], missing: &'static str| {
        names
            .iter()
            .find_map(|name| {
                headers
                    .iter()
                    .position(|header| header.eq_ignore_ascii_case(name))
            })
            .ok_or_else(|| Error::NoCoordinateColumns {
                path: path.to_owned(),
                missing,
                seen: headers
                    .iter()
                    .take(40)
                    .map(|header| (*header).to_owned())
                    .collect(),
            })
    };
    Ok(CoordinateColumns {
        latitude: find(&LATITUDE_NAMES, "latitude")?,
        longitude: find(&LONGITUDE_NAMES, "longitude")?,
    })
}

/// Reads the places of a CSV file (comma, semicolon or tab), skipping and listing rows without a usable one. Streams.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::NoCoordinateColumns`]; [`Error::SwappedCoordinates`];
/// [`Error::BadFile`] when no row has a place.
pub fn read_coordinates(path: impl AsRef<Path>) -> Result<Coordinates> {
    let path = path.as_ref();
    let mut rows = CoordinateRows::open(path)?;
    let mut points = Vec::new();
    let mut skipped = Vec::new();
    while let Some(row) = rows.next_row()? {
        match row.place {
            Ok(place) => points.push(place),
            Err(reason) => skipped.push(SkippedRow {
                line: row.line,
                reason,
            }),
        }
    }
    rows.refuse_if_swapped()?;
    let coordinates = Coordinates {
        points,
        rows: rows.rows,
        skipped,
        columns: rows.columns,
    };
    if coordinates.points.is_empty() {
        let reason = match coordinates.skipped.first() {
            Some(first) => format!(
                "none of its {} rows has a usable place; line {}: {}",
                coordinates.rows, first.line, first.reason
            ),
            None => "it has no rows below the header".to_owned(),
        };
        return Err(Error::BadFile {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(coordinates)
}

/// As [`read_coordinates`], but the first bad row is an error.
///
/// # Errors
/// As [`read_coordinates`], and [`Error::BadRow`].
pub fn read_coordinates_strict(path: impl AsRef<Path>) -> Result<Coordinates> {
    let path = path.as_ref();
    let coordinates = read_coordinates(path)?;
    match coordinates.skipped.first() {
        None => Ok(coordinates),
        Some(bad) => Err(Error::BadRow {
            path: path.to_owned(),
            line: bad.line,
            reason: bad.reason.clone(),
        }),
    }
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(contents: impl AsRef<[u8]>) -> Result<Coordinates> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.csv");
        fs_err::write(&path, contents).unwrap();
        read_coordinates(&path)
    }

    #[test]
    fn finds_the_columns_by_the_names_of_the_field() {
        let files = [
            "LAT,LON\n1.5,2.5\n",
            "path,lat,lng\na.jpg,1.5,2.5\n",
            "\u{feff}Latitude;Longitude\r\n1.5;2.5\r\n",
            "id\tlong\tlat\n7\t2.5\t1.5\n",
            "IMG_ID, AUTHOR , LAT , LON\n\"a,b.jpg\",x, 1.5, 2.5\n",
            "lat,note,longitude,latitude\n99,\"two\nlines\",2.5,1.5\n",
        ];
        for file in files {
            let found = read(file).unwrap();
            assert_eq!(found.points, [LatLng::new(1.5, 2.5).unwrap()], "{file:?}");
            assert_eq!((found.rows, found.skipped.len()), (1, 0));
        }
    }

    #[test]
    fn missing_columns_name_those_seen() {
        let message = read("name,y,x\na,1,2\n").unwrap_err().to_string();
        assert!(
            message.contains("no latitude column among [name, y, x]"),
            "{message}"
        );
        assert!(message.contains("places.csv"), "{message}");
        let message = read("lat,x\n1,2\n").unwrap_err().to_string();
        assert!(
            message.contains("no longitude column among [lat, x]"),
            "{message}"
        );
    }

    #[test]
    fn bad_rows_are_listed_with_line_and_reason() {
        let mut file = b"id,lat,lon\n".to_vec();
        let rows: [&[u8]; 8] = [
            b"a,1,2",
            b"b,,2",
            b"c,95,2",
            b"d,nan,2",
            b"e,1",
            b"f,1,\xff",
            b"g,48\xc2\xb0N,2",
            b"h,-1,-170",
        ];
        for row in rows {
            file.extend_from_slice(row);
            file.push(b'\n');
        }
        let found = read(&file).unwrap();
        assert_eq!((found.points.len(), found.rows), (2, 8));
        let listed: Vec<_> = found
            .skipped
            .iter()
            .map(|row| (row.line, row.reason.as_str()))
            .collect();
        assert_eq!(
            listed,
            [
                (3, "latitude is empty"),
                (4, "latitude 95 is not between -90 and 90 degrees"),
                (5, "latitude NaN is not between -90 and 90 degrees"),
                (6, "the row has 2 columns, longitude is in column 3"),
                (7, "longitude is \"\u{fffd}\", not a number"),
                (8, "latitude is \"48°N\", not a number"),
            ]
        );
    }

    #[test]
    fn strict_stops_at_the_first_bad_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.csv");
        fs_err::write(&path, "lat,lon\n1,2\n3,x\n5,6\n").unwrap();
        let message = read_coordinates_strict(&path).unwrap_err().to_string();
        assert!(
            message.ends_with("places.csv, line 3: longitude is \"x\", not a number"),
            "{message}"
        );
        fs_err::write(&path, "lat,lon\n1,2\n").unwrap();
        assert_eq!(read_coordinates_strict(&path).unwrap().points.len(), 1);
    }

    #[test]
    fn swapped_columns_are_told_from_a_few_bad_rows() {
        let message = read("lat,lon\n-122.4,37.8\n139.7,35.7\n2.35,48.9\n")
            .unwrap_err()
            .to_string();
        assert!(message.contains("look swapped: 2 of 3 rows"), "{message}");
        // A tenth of a world-wide file beyond 90 degrees, and no longitude beyond 90.
        let mostly_europe = "10,50\n".repeat(18) + &"121,31\n".repeat(2);
        assert!(matches!(
            read(format!("lat,lon\n{mostly_europe}")),
            Err(Error::SwappedCoordinates { .. })
        ));
        // One bad row among true longitudes is a bad row.
        let found = read("lat,lon\n120,40\n37.8,-122.4\n35.7,139.7\n").unwrap();
        assert_eq!(found.skipped.len(), 1);
    }

    #[test]
    fn files_without_places_are_refused() {
        assert!(read("lat,lon\n").unwrap_err().to_string().contains("no rows"));
        assert!(read("").unwrap_err().to_string().contains("no latitude column"));
        let message = read("lat,lon\nx,1\ny,2\n").unwrap_err().to_string();
        assert!(
            message.contains("none of its 2 rows has a usable place; line 2: latitude is \"x\""),
            "{message}"
        );
        let missing = read_coordinates("no/such/file.csv").unwrap_err().to_string();
        assert!(missing.contains("no/such/file.csv"), "{missing}");
    }
}
