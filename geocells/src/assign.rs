//! Naming the geocell of every row of a CSV file.

use std::path::{Path, PathBuf};

use crate::atomic_file::AtomicFile;
use crate::coordinate_rows::CoordinateRows;
use crate::{Error, GeocellId, Partition, Result, SkippedRow, read_cells};

/// What [`assign`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignSummary {
    /// How many rows were read and written.
    pub rows: u64,
    /// For each cells file, its name without extension and how many rows lie in one of its cells.
    pub located: Vec<(String, u64)>,
    /// Rows without a usable place; they are written with empty cells.
    pub skipped: Vec<SkippedRow>,
}

/// Writes, for every row of the `coordinates` file, its first column and one column for each of the `cells` files: the token of
/// the geocell that contains the row's place, or nothing where none does. The column bears the cells file's name without extension.
///
/// The cells files need not be nested in each other. The output appears whole or not at all.
///
/// # Errors
/// As [`read_cells`] and [`read_coordinates`](crate::read_coordinates); [`Error::BadFile`] when `out` cannot be written or two
/// cells files would name their columns alike.
pub fn assign(cells: &[PathBuf], coordinates: &Path, out: &Path) -> Result<AssignSummary> {
    let partitions = read_partitions(cells)?;
    let mut rows = CoordinateRows::open(coordinates)?;
    let cannot_write = |error: csv::Error| Error::BadFile {
        path: out.to_owned(),
        reason: format!("cannot write it: {error}"),
    };
    let mut writer = csv::Writer::from_writer(AtomicFile::create(out)?);

    writer.write_field(rows.first_header()).map_err(cannot_write)?;
    for (name, _) in &partitions {
        writer.write_field(name).map_err(cannot_write)?;
    }
    writer.write_record(None::<&[u8]>).map_err(cannot_write)?;

    let mut located = vec![0; partitions.len()];
    let mut skipped = Vec::new();
    while let Some(row) = rows.next_row()? {
        writer.write_field(row.first_field).map_err(cannot_write)?;
        let line = row.line;
        let leaf = row.place.map(GeocellId::leaf);
        for ((_, partition), located) in partitions.iter().zip(&mut located) {
            let index = leaf.as_ref().ok().and_then(|&leaf| partition.locate_id(leaf));
            *located += u64::from(index.is_some());
            let token = index.map_or_else(String::new, |index| partition.cells()[index].id.token());
            writer.write_field(token).map_err(cannot_write)?;
        }
        writer.write_record(None::<&[u8]>).map_err(cannot_write)?;
        if let Err(reason) = leaf {
            skipped.push(SkippedRow { line, reason });
        }
    }
    rows.refuse_if_swapped()?;

    let file = writer
        .into_inner()
        .map_err(|error| cannot_write(error.into_error().into()))?;
    file.commit()?;
    let names = partitions.into_iter().map(|(name, _)| name);
    Ok(AssignSummary {
        rows: rows.rows(),
        located: names.zip(located).collect(),
        skipped,
    })
}

fn read_partitions(cells: &[PathBuf]) -> Result<Vec<(String, Partition)>> {
    let mut partitions: Vec<(String, Partition)> = Vec::new();
    for path in cells {
        let name = path
            .file_stem()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        if partitions.iter().any(|(other, _)| *other == name) {
            let reason =
                format!("another cells file is named {name:?} too; the output needs different column names");
            return Err(Error::BadFile {
                path: path.clone(),
                reason,
            });
        }
        partitions.push((name, read_cells(path)?));
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HEADER: &str = "class_label,hex_id,imgs_per_cell,latitude_mean,longitude_mean";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, contents: &str) -> PathBuf {
            fs_err::write(self.path(name), contents).unwrap();
            self.path(name)
        }
    }

    #[test]
    fn every_row_is_written_with_its_cells() {
        let folder = Folder::new();
        // Face 0 lies around (0, 0); its first child holds the corner towards (-, -).
        let coarse = folder.write("faces.csv", &format!("{HEADER}\n0,1,60,0,0\n"));
        let fine = folder.write("cells_1_70.csv", &format!("{HEADER}\n0,04,60,-20,-20\n"));
        let places = folder.write(
            "places.csv",
            "photo,lat,lon\n\"a, first\",-20,-20\nb,20,20\nc,0,100\nd,91,0\ne,1\n",
        );
        let out = folder.path("out.csv");
        let summary = assign(&[coarse, fine], &places, &out).unwrap();
        assert_eq!(
            fs_err::read_to_string(&out).unwrap(),
            "photo,faces,cells_1_70\n\"a, first\",1,04\nb,1,\nc,,\nd,,\ne,,\n"
        );
        assert_eq!(summary.rows, 5);
        assert_eq!(
            summary.located,
            [("faces".to_owned(), 2), ("cells_1_70".to_owned(), 1)]
        );
        let lines: Vec<u64> = summary.skipped.iter().map(|row| row.line).collect();
        assert_eq!(lines, [5, 6]);
    }

    #[test]
    fn nothing_is_written_on_failure() {
        let folder = Folder::new();
        let cells = folder.write("cells.csv", &format!("{HEADER}\n0,1,60,0,0\n"));
        let swapped = folder.write("swapped.csv", "lat,lon\n120,30\n130,40\n");
        let out = folder.path("out.csv");
        let error = assign(std::slice::from_ref(&cells), &swapped, &out).unwrap_err();
        assert!(matches!(error, Error::SwappedCoordinates { .. }), "{error}");
        let twice = assign(&[cells.clone(), cells], &swapped, &out).unwrap_err();
        assert!(twice.to_string().contains("another cells file"), "{twice}");
        assert!(!out.exists());
        let left = fs_err::read_dir(folder.0.path()).unwrap().count();
        assert_eq!(left, 2, "only the two inputs are left");
    }
}
