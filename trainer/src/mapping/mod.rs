//! Segmentation maps of many photographs, written to files that training reads.
//!
//! ```text
//! out/<name>.png               8-bit ADE20K ids at the photo's size, 255 unlabelled
//! out/<name>.overlay.png       the photo under its classes' colours, with a legend
//! out/journal-<shard>.jsonl    what is done: a line a photo, written after its files
//! out/classes-<shard>.parquet  pixels by photo and class
//! ```
//!
//! Work that was stopped goes on: a photo whose line stands in a journal, of the same segmenter and the same file, is not
//! segmented again. Shards are for several machines with one file system: each takes its part of the same list.

mod journal;
mod names;
mod overlay;
mod statistics;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use datasets::{Dataset, DecodeLimits};
use image::{GrayImage, RgbImage};
use models::Segmenter;
use rayon::prelude::*;
use serde::Serialize;

pub use journal::Done;
pub use names::distinct_names;
pub use overlay::overlay;

use crate::progress::Report;
use crate::{Error, Progress, Result, Stage};
use journal::{Journal, Stamp};

/// Photos decoded and segmented at a time.
const CHUNK: usize = 8;

/// A part of the work: shard `index` of `count`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    fn holds(self, position: usize) -> bool {
        position % self.count == self.index - 1
    }

    /// The middle of this shard's file names; empty for the whole.
    fn suffix(self) -> String {
        match self.count {
            1 => String::new(),
            count => format!("-{}-of-{count}", self.index),
        }
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    /// `3/16`: the third of sixteen.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.trim().parse().ok()?, count.trim().parse().ok()?)));
        match parsed {
            Some((index, count)) if index >= 1 && index <= count => Ok(Self { index, count }),
            _ => Err(format!(
                "'{text}' is no shard; 3/16 is the third of sixteen, and the first is 1/16"
            )),
        }
    }
}

/// How photographs are mapped.
#[derive(Clone, Debug)]
pub struct MappingOptions {
    /// The part of the photographs to do.
    pub shard: Shard,
    /// Name and version of the segmenter: photographs that another one segmented are done again.
    pub segmenter: String,
    /// Whether overlays are written.
    pub overlays: bool,
}

/// A photograph that could not be mapped.
#[derive(Clone, Debug, Serialize)]
pub struct Unmapped {
    /// Its file.
    pub file: PathBuf,
    /// A stable word for the reason.
    pub reason: &'static str,
    /// The reason in words.
    pub message: String,
}

/// What mapping came to.
#[derive(Clone, Debug, Serialize)]
pub struct MappingReport {
    /// Photographs of this shard that have their map now, in the order of the files.
    pub done: Vec<Done>,
    /// Of these, those that had it before.
    pub kept: usize,
    /// Those that could not be read.
    pub failed: Vec<Unmapped>,
    /// Photographs of all shards.
    pub photos: usize,
    /// Those that have their map, over all shards that were begun.
    pub mapped: usize,
    /// The class statistics of this shard.
    pub statistics: PathBuf,
}

/// A photograph to be mapped.
struct Item<'a> {
    file: &'a Path,
    name: &'a str,
    stamp: Stamp,
}

/// Writes the maps of a shard of `files` into `out`. Photos that cannot be read are told in the report and do not stop it.
///
/// # Errors
/// A disk that is full, a segmenter that fails, [`Error::Cancelled`] when `cancel` becomes true.
pub fn map_photos(
    files: &[PathBuf],
    out: &Path,
    segmenter: &dyn Segmenter,
    options: &MappingOptions,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<MappingReport> {
    fs_err::create_dir_all(out)?;
    let names = distinct_names(files);
    let suffix = options.shard.suffix();
    let mut journal = Journal::open(out, &suffix, &options.segmenter)?;
    let (mut todo, mut kept, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (position, (file, name)) in files.iter().zip(&names).enumerate() {
        if !options.shard.holds(position) {
            continue;
        }
        let stamp = match Stamp::of(file) {
            Ok(stamp) => stamp,
            Err(error) => {
                failed.push(unreadable(file, &error));
                continue;
            }
        };
        match journal.find(file, name, &stamp, options.overlays) {
            Some(done) => kept.push((position, done.clone())),
            None => todo.push((position, Item { file, name, stamp })),
        }
    }
    let kept_count = kept.len();
    let mut done = kept;
    let total = (todo.len() + kept_count) as u64;
    let started = std::time::Instant::now();
    let show = |finished: usize| {
        let rate = finished as f64 / started.elapsed().as_secs_f64().max(1e-9);
        progress(&Progress {
            images_per_second: (finished > 0).then_some(rate),
            remaining_seconds: (finished > 0).then(|| (todo.len() - finished) as f64 / rate),
            ..Progress::counted(Stage::Maps, (kept_count + finished) as u64, total)
        });
    };
    show(0);
    let chunks: Vec<&[(usize, Item<'_>)]> = todo.chunks(CHUNK).collect();
    let mut next = chunks.first().map(|chunk| decode(chunk));
    let mut finished = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                stage: Stage::Maps.phrase(),
                run: out.to_path_buf(),
            });
        }
        let decoded = next.take().unwrap_or_default();
        // The next photos are decoded while these are segmented and written.
        let (following, written) = rayon::join(
            || chunks.get(index + 1).map(|chunk| decode(chunk)),
            || write(chunk, decoded, out, segmenter, options.overlays),
        );
        next = following;
        for (position, outcome) in written? {
            match outcome {
                Ok(entry) => {
                    journal.append(&entry)?;
                    done.push((position, entry));
                }
                Err(unmapped) => failed.push(unmapped),
            }
        }
        finished += chunk.len();
        show(finished);
    }
    done.sort_by_key(|(position, _)| *position);
    let done: Vec<Done> = done.into_iter().map(|(_, done)| done).collect();
    let statistics = out.join(format!("classes{suffix}.parquet"));
    statistics::write(&statistics, &done)?;
    let mapped = Journal::count(out, files, &names, &options.segmenter, options.overlays)?;
    Ok(MappingReport {
        done,
        kept: kept_count,
        failed,
        photos: files.len(),
        mapped,
        statistics,
    })
}

/// Names the maps in `out` in the dataset's manifest, once every readable photo has its own; returns how many there are.
///
/// # Errors
/// A manifest that cannot be written.
pub fn list_maps(dataset: &Dataset, out: &Path, done: &[Done]) -> Result<usize> {
    let root = std::path::absolute(dataset.root())?;
    let out = std::path::absolute(out)?;
    let maps: std::collections::BTreeMap<&Path, &str> = done
        .iter()
        .map(|done| (done.file.as_path(), done.map.as_str()))
        .collect();
    let mut photos = dataset.photos().to_vec();
    let mut named = 0;
    for (index, photo) in photos.iter_mut().enumerate() {
        let file = std::path::absolute(dataset.image_path(index))?;
        if let Some(map) = maps.get(file.as_path()) {
            let map = out.join(map);
            photo.segmentation = Some(map.strip_prefix(&root).map_or(map.clone(), Path::to_path_buf));
            named += 1;
        }
    }
    Dataset::new(dataset.root(), photos).save()?;
    Ok(named)
}

/// Every photo of `files` that has its map in `out`, from the journals of all shards.
///
/// # Errors
/// A journal that cannot be read.
pub fn mapped(files: &[PathBuf], out: &Path, segmenter: &str) -> Result<Vec<Done>> {
    Journal::all(out, files, &distinct_names(files), segmenter, false)
}

type Decoded = datasets::Result<RgbImage>;

fn decode(chunk: &[(usize, Item<'_>)]) -> Vec<Decoded> {
    chunk
        .par_iter()
        .map(|(_, item)| datasets::decode_image(item.file, &DecodeLimits::default()))
        .collect()
}

type Outcome = std::result::Result<Done, Unmapped>;

/// Segments what could be decoded, and writes its files.
fn write(
    chunk: &[(usize, Item<'_>)],
    decoded: Vec<Decoded>,
    out: &Path,
    segmenter: &dyn Segmenter,
    overlays: bool,
) -> Result<Vec<(usize, Outcome)>> {
    let mut outcomes = Vec::with_capacity(chunk.len());
    let mut photos = Vec::with_capacity(chunk.len());
    let mut items = Vec::with_capacity(chunk.len());
    for ((position, item), decoded) in chunk.iter().zip(decoded) {
        match decoded {
            Ok(photo) => {
                items.push((*position, item));
                photos.push(photo);
            }
            Err(error) => {
                let unmapped = Unmapped {
                    file: item.file.to_path_buf(),
                    reason: error.reason(),
                    message: error.to_string(),
                };
                outcomes.push((*position, Err(unmapped)));
            }
        }
    }
    let maps = segmenter.segment(&photos)?;
    if maps.len() != photos.len() {
        return Err(Error::Config(format!(
            "segmenter '{}' gave {} maps for {} photos",
            segmenter.name(),
            maps.len(),
            photos.len()
        )));
    }
    let written: Vec<Result<(usize, Outcome)>> = items
        .into_par_iter()
        .zip(photos)
        .zip(maps)
        .map(|(((position, item), photo), map)| {
            let Some(map) = map else {
                let unmapped = Unmapped {
                    file: item.file.to_path_buf(),
                    reason: "no_map",
                    message: format!(
                        "{}: the segmenter '{}' gave no map",
                        item.file.display(),
                        segmenter.name()
                    ),
                };
                return Ok((position, Err(unmapped)));
            };
            Ok((position, Ok(write_one(item, &photo, &map, out, overlays)?)))
        })
        .collect();
    for written in written {
        outcomes.push(written?);
    }
    Ok(outcomes)
}

fn write_one(item: &Item<'_>, photo: &RgbImage, map: &GrayImage, out: &Path, overlays: bool) -> Result<Done> {
    let (map_name, overlay_name) = (format!("{}.png", item.name), format!("{}.overlay.png", item.name));
    let done = Done::new(
        item.file,
        &item.stamp,
        map,
        map_name,
        overlays.then_some(overlay_name),
    );
    if let Some(parent) = out.join(&done.map).parent() {
        fs_err::create_dir_all(parent)?;
    }
    if let Some(name) = &done.overlay {
        let drawn = overlay(photo, map);
        let mut bytes = std::io::Cursor::new(Vec::new());
        drawn
            .write_to(&mut bytes, image::ImageFormat::Png)
            .map_err(|error| Error::Run {
                path: out.join(name),
                reason: format!("the overlay could not be encoded: {error}"),
            })?;
        crate::run::write_atomically(&out.join(name), bytes.get_ref())?;
    }
    datasets::encode_segmentation(map, out.join(&done.map))?;
    Ok(done)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Unmapped {
    Unmapped {
        file: file.to_path_buf(),
        reason: "unreadable",
        message: format!("{}: {error}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_part_the_work() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].map(|text| text.parse().unwrap()).to_vec();
        for position in 0..20 {
            assert_eq!(shards.iter().filter(|shard| shard.holds(position)).count(), 1);
        }
        assert!((0..20).all(|position| Shard::WHOLE.holds(position)));
        for bad in ["0/3", "4/3", "3", "a/b", "1/0", ""] {
            assert!(bad.parse::<Shard>().unwrap_err().contains("3/16"), "{bad}");
        }
    }
}
