//! Places from any of the field's CSV files.

use std::path::Path;

use crate::coordinate_rows::CoordinateRows;
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
        rows: rows.rows(),
        skipped,
        columns: rows.columns(),
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
