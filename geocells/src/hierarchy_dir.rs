//! A hierarchy on disk: the field's CSV file of each level, and `hierarchy.json`, which lists them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic_file::AtomicFile;
use crate::{Error, Hierarchy, Partition, Result, cells_file_name, read_cells, write_cells};

const LIST: &str = "hierarchy.json";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Listing {
    /// Version of this file's format.
    format: u32,
    /// Coarsest first.
    levels: Vec<ListedLevel>,
}

/// The counts let a reader notice files of two different hierarchies in one folder.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct ListedLevel {
    file: String,
    t_min: u64,
    t_max: u64,
    cells: usize,
    photos: u64,
}

impl ListedLevel {
    fn of(partition: &Partition) -> Self {
        Self {
            file: cells_file_name(partition.t_min(), partition.t_max()),
            t_min: partition.t_min(),
            t_max: partition.t_max(),
            cells: partition.len(),
            photos: partition.photos(),
        }
    }
}

impl Hierarchy {
    /// Writes `cells_{t_min}_{t_max}.csv` for every level, and `hierarchy.json`, into `folder`, creating it where needed.
    ///
    /// A hierarchy that is there already is replaced; other files stay. `hierarchy.json` is written last, so a folder that a
    /// killed run left behind is refused by [`open_dir`](Self::open_dir).
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::BadFile`] when something cannot be written.
    pub fn save_dir(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        fs_err::create_dir_all(folder)?;
        remove_earlier(folder)?;
        let levels: Vec<ListedLevel> = self.levels().iter().map(ListedLevel::of).collect();
        for (partition, level) in self.levels().iter().zip(&levels) {
            write_cells(partition, folder.join(&level.file))?;
        }
        let path = folder.join(LIST);
        let mut file = AtomicFile::create(&path)?;
        serde_json::to_writer_pretty(
            &mut file,
            &Listing {
                format: FORMAT,
                levels,
            },
        )
        .map_err(|error| bad_list(&path, format!("cannot write it: {error}")))?;
        file.commit()
    }

    /// Opens what [`save_dir`](Self::save_dir) wrote.
    ///
    /// # Errors
    /// [`Error::BadFile`] when `hierarchy.json` is missing, newer than this program, or does not match the CSV files; otherwise as
    /// [`read_cells`] and [`from_partitions`](Self::from_partitions).
    pub fn open_dir(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join(LIST);
        let listing = read_list(&path)?.ok_or_else(|| {
            bad_list(
                &path,
                "there is no such file, so this is no hierarchy or an unfinished one; build it again".into(),
            )
        })?;
        let mut levels = Vec::new();
        for level in listing.levels {
            let file = folder.join(&level.file);
            let partition = read_cells(&file)?;
            if ListedLevel::of(&partition) != level {
                let reason = format!("does not match {LIST} beside it; build the hierarchy again");
                return Err(Error::BadFile { path: file, reason });
            }
            levels.push(partition);
        }
        Self::from_partitions(levels)
    }
}

fn read_list(path: &Path) -> Result<Option<Listing>> {
    let contents = match fs_err::read(path) {
        Ok(contents) => contents,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let unreadable = |error: serde_json::Error| bad_list(path, format!("not a list of partitions: {error}"));
    let version: Version = serde_json::from_slice(&contents).map_err(unreadable)?;
    if version.format != FORMAT {
        let reason = format!(
            "format {} is not known here (this program reads {FORMAT}); update it",
            version.format
        );
        return Err(bad_list(path, reason));
    }
    serde_json::from_slice(&contents).map(Some).map_err(unreadable)
}

/// Removes the list first, then the files that it named, so that no moment shows a mixture as whole.
fn remove_earlier(folder: &Path) -> Result<()> {
    let path = folder.join(LIST);
    // An unreadable list is about to be replaced; its files cannot be known.
    let earlier = read_list(&path).ok().flatten();
    if path.exists() {
        fs_err::remove_file(&path)?;
    }
    for level in earlier.into_iter().flat_map(|listing| listing.levels) {
        // Built from the numbers, not from the file's own word, which might lead elsewhere.
        let file = folder.join(cells_file_name(level.t_min, level.t_max));
        if file.exists() {
            fs_err::remove_file(file)?;
        }
    }
    Ok(())
}

fn bad_list(path: &Path, reason: String) -> Error {
    Error::BadFile {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{LatLng, PartitionConfig};

    fn hierarchy(t_max: &[u64]) -> Hierarchy {
        let points: Vec<LatLng> = (0..900)
            .map(|i| LatLng::new(f64::from(i % 30) * 1.7 - 20.0, f64::from(i / 30) * 2.3 - 30.0).unwrap())
            .collect();
        let config = PartitionConfig {
            t_min: 3,
            t_max: t_max.to_vec(),
            ..PartitionConfig::default()
        };
        Hierarchy::build(&points, &config).unwrap()
    }

    #[test]
    fn opens_what_was_saved_and_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new/hierarchy");
        let first = hierarchy(&[400, 100, 20]);
        first.save_dir(&dir).unwrap();
        assert_eq!(Hierarchy::open_dir(&dir).unwrap(), first);
        fs_err::write(dir.join("notes.txt"), "mine").unwrap();
        let second = hierarchy(&[300, 30]);
        second.save_dir(&dir).unwrap();
        assert_eq!(Hierarchy::open_dir(&dir).unwrap(), second);
        let mut names: Vec<_> = fs_err::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["cells_3_30.csv", "cells_3_300.csv", "hierarchy.json", "notes.txt"]
        );
    }

    #[test]
    fn refuses_unfinished_mixed_and_newer_folders() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let failure = || Hierarchy::open_dir(dir).unwrap_err().to_string();
        assert!(failure().contains("unfinished"), "{}", failure());
        hierarchy(&[400, 100, 20]).save_dir(dir).unwrap();
        let kept = fs_err::read(dir.join("cells_3_100.csv")).unwrap();
        let cut: Vec<u8> = kept[..kept.len() - 1]
            .rsplitn(2, |byte| *byte == b'\n')
            .last()
            .unwrap()
            .to_vec();
        fs_err::write(dir.join("cells_3_100.csv"), cut).unwrap();
        assert!(failure().contains("does not match"), "{}", failure());
        fs_err::remove_file(dir.join("cells_3_100.csv")).unwrap();
        assert!(failure().contains("cells_3_100.csv"), "{}", failure());
        fs_err::write(dir.join(LIST), r#"{"format": 9, "future": true}"#).unwrap();
        assert!(failure().contains("format 9"), "{}", failure());
        fs_err::write(dir.join(LIST), "{").unwrap();
        assert!(failure().contains("hierarchy.json"), "{}", failure());
    }
}
