//! What is done, a line a photo, so that work goes on where it stopped.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::GrayImage;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A photograph that has its map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The photograph.
    pub file: PathBuf,
    /// Its map, relative to the folder of maps.
    pub map: String,
    /// Its overlay, likewise; `None` where none was asked for.
    pub overlay: Option<String>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pixels by class, 255 unlabelled; classes that do not occur are left out.
    pub pixels: BTreeMap<u8, u64>,
    stamp: Stamp,
}

/// Length and time of change of a photograph: another one of the same name is done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    bytes: u64,
    modified: u128,
}

impl Stamp {
    pub(super) fn of(file: &Path) -> std::io::Result<Self> {
        let metadata = fs_err::metadata(file)?;
        let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        Ok(Self {
            bytes: metadata.len(),
            modified: modified.map_or(0, |since| since.as_nanos()),
        })
    }
}

impl Done {
    pub(super) fn new(
        file: &Path,
        stamp: &Stamp,
        map: &GrayImage,
        name: String,
        overlay: Option<String>,
    ) -> Self {
        let mut counts = [0_u64; 256];
        map.as_raw()
            .iter()
            .for_each(|class| counts[usize::from(*class)] += 1);
        let pixels = (0..=u8::MAX)
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect();
        Self {
            file: file.to_path_buf(),
            map: name,
            overlay,
            width: map.width(),
            height: map.height(),
            pixels,
            stamp: stamp.clone(),
        }
    }
}

/// The first line of a journal.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    segmenter: String,
}

/// The lines of every shard, and the file that this one adds to.
pub(super) struct Journal {
    entries: BTreeMap<PathBuf, Done>,
    out: PathBuf,
    file: fs_err::File,
}

impl Journal {
    /// Reads all journals of this segmenter in `out`, and opens this shard's own, which is begun anew when it is of another segmenter.
    pub(super) fn open(out: &Path, suffix: &str, segmenter: &str) -> Result<Self> {
        let entries = read_all(out, segmenter)?;
        let path = out.join(format!("journal{suffix}.jsonl"));
        let ours = head(&path)?.is_some_and(|head| head.segmenter == segmenter);
        if !ours {
            let head = Head {
                segmenter: segmenter.to_owned(),
            };
            crate::run::write_atomically(&path, line(&head, &path)?.as_bytes())?;
        }
        let mut file = fs_err::OpenOptions::new().append(true).open(&path)?;
        // A process that was killed may have left half a line.
        if !fs_err::read(&path)?.ends_with(b"\n") {
            file.write_all(b"\n")?;
        }
        Ok(Self {
            entries,
            out: out.to_path_buf(),
            file,
        })
    }

    /// The line of a photo, where it still holds.
    pub(super) fn find(&self, file: &Path, name: &str, stamp: &Stamp, overlays: bool) -> Option<&Done> {
        self.entries
            .get(file)
            .filter(|done| done.stamp == *stamp && holds(done, &self.out, name, overlays))
    }

    pub(super) fn append(&mut self, done: &Done) -> Result<()> {
        let text = line(done, &self.out)?;
        Ok(self.file.write_all(text.as_bytes())?)
    }

    /// The photos of `files` that have their map, over all shards.
    pub(super) fn all(
        out: &Path,
        files: &[PathBuf],
        names: &[String],
        segmenter: &str,
        overlays: bool,
    ) -> Result<Vec<Done>> {
        let mut entries = read_all(out, segmenter)?;
        Ok(files
            .iter()
            .zip(names)
            .filter_map(|(file, name)| {
                entries
                    .remove(file)
                    .filter(|done| holds(done, out, name, overlays))
            })
            .collect())
    }

    /// How many these are.
    pub(super) fn count(
        out: &Path,
        files: &[PathBuf],
        names: &[String],
        segmenter: &str,
        overlays: bool,
    ) -> Result<usize> {
        Ok(Self::all(out, files, names, segmenter, overlays)?.len())
    }
}

/// Whether a line's files are there under the name that the photo has now.
fn holds(done: &Done, out: &Path, name: &str, overlays: bool) -> bool {
    let is_there = |file: &String| out.join(file).is_file();
    done.map == format!("{name}.png")
        && is_there(&done.map)
        && (!overlays || done.overlay.as_ref().is_some_and(is_there))
}

fn line(value: &impl Serialize, path: &Path) -> Result<String> {
    let mut text = serde_json::to_string(value).map_err(|source| Error::Json {
        path: path.to_path_buf(),
        source,
    })?;
    text.push('\n');
    Ok(text)
}

fn head(path: &Path) -> Result<Option<Head>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(path)?;
    Ok(text
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok()))
}

/// The lines of all journals of a segmenter. A line that does not parse was being written when its process ended: that photo
/// is done again.
fn read_all(out: &Path, segmenter: &str) -> Result<BTreeMap<PathBuf, Done>> {
    let mut entries = BTreeMap::new();
    if !out.is_dir() {
        return Ok(entries);
    }
    for entry in fs_err::read_dir(out)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.starts_with("journal") && name.ends_with(".jsonl")) {
            continue;
        }
        if head(&path)?.is_none_or(|head| head.segmenter != segmenter) {
            continue;
        }
        for line in fs_err::read_to_string(&path)?.lines().skip(1) {
            if let Ok(done) = serde_json::from_str::<Done>(line) {
                entries.insert(done.file.clone(), done);
            }
        }
    }
    Ok(entries)
}
