//! The field's file format for one partition.
//!
//! ```text
//! num_images: 4723695
//! min_concept_probability: ---
//! class_label,hex_id,imgs_per_cell,latitude_mean,longitude_mean
//! 0,8747c,827,38.67121908948002,-109.49742631801699
//! ```
//!
//! The two lines above the header are optional, lines end in LF or CRLF, and rows come in any order of ids.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use crate::atomic_file::AtomicFile;
use crate::{Error, Geocell, GeocellId, LatLng, Partition, Result};

const COLUMNS: [&str; 5] = [
    "class_label",
    "hex_id",
    "imgs_per_cell",
    "latitude_mean",
    "longitude_mean",
];

/// The field's name for the file of a partition: `cells_{t_min}_{t_max}.csv`.
pub fn cells_file_name(t_min: u64, t_max: u64) -> String {
    format!("cells_{t_min}_{t_max}.csv")
}

/// Reads the geocells of one partition.
///
/// The thresholds are read off a file name like `cells_50_1000.csv`; under any other name they are the tightest that the
/// photo counts obey. Cells at the deepest S2 level may exceed `t_max`, so counts are not checked against it.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::BadFile`] when it is no cells file, and
/// [`Error::BadRow`] with the line of a bad row.
pub fn read_cells(path: impl AsRef<Path>) -> Result<Partition> {
    let path = path.as_ref();
    parse_cells(&fs_err::read(path)?, path)
}

/// As [`read_cells`], for the contents of a file; `path` names it in errors and gives the thresholds.
///
/// # Errors
/// As [`read_cells`].
pub fn parse_cells(contents: &[u8], path: &Path) -> Result<Partition> {
    let bad_file = |reason: String| Error::BadFile {
        path: path.to_owned(),
        reason,
    };
    let contents = std::str::from_utf8(contents).map_err(|_| bad_file("not a text file".into()))?;
    let preamble = Preamble::of(contents.trim_start_matches('\u{feff}')).map_err(&bad_file)?;

    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(preamble.table.as_bytes());
    let headers = reader
        .headers()
        .map_err(|error| bad_file(error.to_string()))?
        .clone();
    let columns = find_columns(&headers).map_err(&bad_file)?;

    let mut cells = Vec::new();
    let mut labels = HashSet::new();
    let mut ids = HashSet::new();
    for record in reader.records() {
        let record = record.map_err(|error| bad_file(error.to_string()))?;
        let line = preamble.lines + record.position().map_or(0, csv::Position::line);
        let bad_row = |reason: String| Error::BadRow {
            path: path.to_owned(),
            line,
            reason,
        };
        let (label, cell) = parse_row(&record, columns).map_err(bad_row)?;
        if !labels.insert(label) {
            return Err(bad_row(format!("class_label {label} appears a second time")));
        }
        if !ids.insert(cell.id) {
            return Err(bad_row(format!("geocell {} appears a second time", cell.id)));
        }
        cells.push((label, cell));
    }

    let photos: u64 = cells.iter().map(|(_, cell)| cell.photos).sum();
    let (t_min, t_max) = thresholds_of_name(path).unwrap_or_else(|| tightest_thresholds(&cells));
    let partition =
        Partition::with_labels(t_min, t_max, cells).map_err(|error| bad_file(error.to_string()))?;
    match preamble.num_images {
        None => Ok(partition),
        Some(total) if total >= photos => Ok(partition.with_total_photos(total)),
        Some(total) => Err(bad_file(format!(
            "num_images is {total}, but the cells hold {photos} photos"
        ))),
    }
}

/// Writes the geocells of one partition, whole or not at all, in the order of their class labels.
///
/// The two lines above the header are written when the total number of photos is known, as the field's readers expect them.
///
/// # Errors
/// [`Error::BadFile`] or [`Error::Io`] when the file cannot be written.
pub fn write_cells(partition: &Partition, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let mut file = AtomicFile::create(path)?;
    write_table(partition, &mut file).map_err(|error| Error::BadFile {
        path: path.to_owned(),
        reason: format!("cannot write it: {error}"),
    })?;
    file.commit()
}

fn write_table(partition: &Partition, out: &mut impl Write) -> std::io::Result<()> {
    if let Some(total) = partition.total_photos() {
        writeln!(out, "num_images: {total}\nmin_concept_probability: ---")?;
    }
    writeln!(out, "{}", COLUMNS.join(","))?;
    let mut by_label: Vec<usize> = (0..partition.len()).collect();
    by_label.sort_unstable_by_key(|&index| partition.class_label(index));
    for index in by_label {
        let (label, cell) = (partition.class_label(index), &partition.cells()[index]);
        let (latitude, longitude) = (cell.location.latitude(), cell.location.longitude());
        writeln!(out, "{label},{},{},{latitude},{longitude}", cell.id, cell.photos)?;
    }
    Ok(())
}

/// The optional `key: value` lines above the header.
struct Preamble<'a> {
    num_images: Option<u64>,
    lines: u64,
    table: &'a str,
}

impl<'a> Preamble<'a> {
    fn of(contents: &'a str) -> Result<Self, String> {
        let mut preamble = Self {
            num_images: None,
            lines: 0,
            table: contents,
        };
        while let Some((line, rest)) = preamble.table.split_once('\n') {
            let Some((key, value)) = line.split_once(':').filter(|_| !line.contains(',')) else {
                break;
            };
            if key.trim() == "num_images" {
                let value = value.trim();
                let number = value
                    .parse()
                    .map_err(|_| format!("num_images is {value:?}, not a number"))?;
                preamble.num_images = Some(number);
            }
            preamble.lines += 1;
            preamble.table = rest;
        }
        Ok(preamble)
    }
}

fn find_columns(headers: &csv::StringRecord) -> Result<[usize; 5], String> {
    let mut columns = [0; 5];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        *column = headers
            .iter()
            .position(|header| header.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let seen: Vec<&str> = headers.iter().take(20).collect();
                format!(
                    "no {name} column among [{}]; a cells file has the columns {}",
                    seen.join(", "),
                    COLUMNS.join(",")
                )
            })?;
    }
    Ok(columns)
}

fn parse_row(record: &csv::StringRecord, columns: [usize; 5]) -> Result<(u64, Geocell), String> {
    let field = |which: usize| match record.get(columns[which]) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("{} is missing", COLUMNS[which])),
    };
    let whole = |which: usize| {
        let value = field(which)?;
        value
            .parse::<u64>()
            .map_err(|_| format!("{} is {value:?}, not a whole number", COLUMNS[which]))
    };
    let degrees = |which: usize| {
        let value = field(which)?;
        value
            .parse::<f64>()
            .map_err(|_| format!("{} is {value:?}, not a number", COLUMNS[which]))
    };
    let cell = Geocell {
        id: GeocellId::from_token(field(1)?).map_err(|error| error.to_string())?,
        photos: whole(2)?,
        location: LatLng::new(degrees(3)?, degrees(4)?).map_err(|error| error.to_string())?,
        parent: None,
    };
    Ok((whole(0)?, cell))
}

fn thresholds_of_name(path: &Path) -> Option<(u64, u64)> {
    let name = path.file_name()?.to_str()?;
    let (t_min, t_max) = name
        .strip_prefix("cells_")?
        .strip_suffix(".csv")?
        .split_once('_')?;
    Some((t_min.parse().ok()?, t_max.parse().ok()?))
}

fn tightest_thresholds(cells: &[(u64, Geocell)]) -> (u64, u64) {
    let counts = || cells.iter().map(|(_, cell)| cell.photos);
    let fewest = counts().min().unwrap_or(0);
    (fewest.saturating_sub(1), counts().max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const TABLE: &str = "class_label,hex_id,imgs_per_cell,latitude_mean,longitude_mean\n\
                         0,89c25,51,40.7,-74.0\n1,364,827,25.5,-80.25\n";

    fn parse(contents: &str) -> Result<Partition> {
        parse_cells(contents.as_bytes(), Path::new("some/cells_50_1000.csv"))
    }

    fn failure(contents: &str) -> String {
        parse(contents).unwrap_err().to_string()
    }

    #[test]
    fn reads_with_and_without_preamble_and_crlf() {
        let bare = parse(TABLE).unwrap();
        assert_eq!((bare.t_min(), bare.t_max(), bare.len()), (50, 1000, 2));
        assert_eq!(bare.total_photos(), None);
        let full = parse(&format!("num_images: 900\nmin_concept_probability: ---\n{TABLE}")).unwrap();
        assert_eq!(full.cells(), bare.cells());
        assert_eq!(full.unlocated(), Some(900 - 878));
        let windows =
            format!("\u{feff}num_images: 900\nmin_concept_probability: ---\n{TABLE}").replace('\n', "\r\n");
        assert_eq!(parse(&windows).unwrap(), full);
    }

    #[test]
    fn class_labels_survive_a_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cells_50_1000.csv");
        let text = format!("num_images: 900\nmin_concept_probability: ---\n{TABLE}");
        let partition = parse(&text).unwrap();
        // 364 sorts before 89c25 but keeps its label.
        assert_eq!(partition.cells()[0].id.token(), "364");
        assert_eq!((partition.class_label(0), partition.class_label(1)), (1, 0));
        write_cells(&partition, &path).unwrap();
        let written = fs_err::read_to_string(&path).unwrap();
        assert_eq!(read_cells(&path).unwrap(), partition);
        assert_eq!(written.replace(",-74\n", ",-74.0\n"), text);
        let names: Vec<_> = fs_err::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing but the file is left");
    }

    #[test]
    fn another_name_gives_the_tightest_thresholds() {
        let partition = parse_cells(TABLE.as_bytes(), Path::new("mine.csv")).unwrap();
        assert_eq!((partition.t_min(), partition.t_max()), (50, 827));
    }

    #[test]
    fn bad_rows_name_file_line_and_reason() {
        let with = |row: &str| failure(&format!("num_images: 9000\n{TABLE}{row}\n"));
        let expectations = [
            (
                "2,zz,60,1,1",
                "some/cells_50_1000.csv, line 5: \"zz\" is not an S2 cell token",
            ),
            ("2,1c,60,95,1", "line 5: latitude 95"),
            ("2,1c,60,1,NaN", "line 5: longitude NaN"),
            ("2,1c,-3,1,1", "line 5: imgs_per_cell is \"-3\""),
            ("2,1c,60,1", "line 5: longitude_mean is missing"),
            ("x,1c,60,1,1", "line 5: class_label is \"x\""),
            ("1,1c,60,1,1", "line 5: class_label 1 appears a second time"),
            ("2,364,60,1,1", "line 5: geocell 364 appears a second time"),
        ];
        for (row, expected) in expectations {
            let message = with(row);
            assert!(message.contains(expected), "{row}: {message}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert!(failure("a,b\n1,2\n").contains("no class_label column among [a, b]"));
        assert!(failure("").contains("no class_label column"));
        assert!(
            failure("class_label,hex_id,imgs_per_cell,latitude_mean,longitude_mean\n")
                .contains("at least one geocell")
        );
        assert!(failure(&format!("num_images: many\n{TABLE}")).contains("num_images"));
        assert!(failure(&format!("num_images: 7\n{TABLE}")).contains("hold 878 photos"));
        assert!(failure(&format!("{TABLE}2,37,60,1,1\n")).contains("overlap"));
        let binary = parse_cells(&[0xff, 0xd8, 0xff], Path::new("a.jpg")).unwrap_err();
        assert_eq!(binary.to_string(), "a.jpg: not a text file");
        let missing = read_cells("no/such/cells.csv").unwrap_err().to_string();
        assert!(missing.contains("no/such/cells.csv"), "{missing}");
    }
}
