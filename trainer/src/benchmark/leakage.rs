//! Photos and uploaders that training and test share: what makes a benchmark look better than it is.
//!
//! - **uploaders**: people photograph one trip many times; a test photo of a training uploader may show the same minute;
//! - **near duplicates**: a perceptual hash of 64 bits (the 8 x 8 lowest frequencies of a discrete cosine transform, above or below
//!   their median) that differs in few bits: the same photo at another size, quality or brightness.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use datasets::{Dataset, DecodeLimits};
use image_hasher::{HashAlg, Hasher, HasherConfig};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::photos::Skipped;
use crate::progress::Report;
use crate::{Error, Progress, Result, Stage};

/// Bits of a perceptual hash that may differ between near duplicates, of 64.
pub const NEAR: u32 = 5;
/// Pairs told in full; all are counted.
const MOST_PAIRS: usize = 10_000;
/// Photos hashed between two looks at the flag.
const CHUNK: usize = 256;

/// What training and test share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakageReport {
    /// Training photos.
    pub training_photos: usize,
    /// Test photos.
    pub test_photos: usize,
    /// Training photos without a known uploader.
    pub training_without_uploader: usize,
    /// Test photos without a known uploader.
    pub test_without_uploader: usize,
    /// Uploaders with photos on both sides, most test photos first.
    pub uploaders: Vec<SharedUploader>,
    /// Test photos of such uploaders.
    pub test_photos_of_shared_uploaders: usize,
    /// Bits that may differ, of 64.
    pub near: u32,
    /// How many pairs of near duplicates there are.
    pub pair_count: usize,
    /// Test photos that have a near duplicate in training.
    pub test_photos_with_duplicate: usize,
    /// The pairs, nearest first; at most 10,000.
    pub pairs: Vec<DuplicatePair>,
    /// Photos of either side that could not be read and so were not compared.
    pub skipped: Vec<Skipped>,
}

/// An uploader on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedUploader {
    /// Who.
    pub uploader: String,
    /// Photos in training.
    pub training: usize,
    /// Photos in the test.
    pub test: usize,
}

/// Two photos that are nearly the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DuplicatePair {
    /// The test photo's file.
    pub test: PathBuf,
    /// The training photo's file.
    pub training: PathBuf,
    /// Bits that differ, of 64.
    pub bits: u32,
    /// Distance between their places, km.
    pub distance_km: f64,
}

type Bits = u64;

/// Compares two datasets. Photos are pairs when at most `near` bits of their hashes differ.
///
/// # Errors
/// [`Error::Cancelled`] only; photos that cannot be read are listed.
pub fn check(
    training: &Dataset,
    test: &Dataset,
    near: u32,
    progress: Report<'_>,
    cancel: &AtomicBool,
) -> Result<LeakageReport> {
    let total = (training.len() + test.len()) as u64;
    let mut skipped = Vec::new();
    let mut hash = |dataset: &Dataset, before: usize| -> Result<Vec<(usize, Bits)>> {
        let mut hashed = Vec::with_capacity(dataset.len());
        for start in (0..dataset.len()).step_by(CHUNK) {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled {
                    stage: Stage::Encode.phrase(),
                    run: dataset.root().to_path_buf(),
                });
            }
            let part = start..(start + CHUNK).min(dataset.len());
            let done: Vec<(usize, Result<Bits, String>)> = part
                .clone()
                .into_par_iter()
                .map_init(hasher, |hasher, index| (index, hash_of(hasher, dataset, index)))
                .collect();
            for (index, bits) in done {
                match bits {
                    Ok(bits) => hashed.push((index, bits)),
                    Err(reason) => skipped.push(Skipped {
                        index,
                        file: dataset.image_path(index),
                        reason,
                    }),
                }
            }
            progress(&Progress::counted(
                Stage::Encode,
                (before + part.end) as u64,
                total,
            ));
        }
        Ok(hashed)
    };
    let training_hashes = hash(training, 0)?;
    let test_hashes = hash(test, training.len())?;
    let (uploaders, test_photos_of_shared_uploaders) = shared_uploaders(training, test);

    let mut pairs: Vec<(u32, usize, usize)> = test_hashes
        .par_iter()
        .flat_map_iter(|(i, a)| {
            training_hashes.iter().filter_map(move |(j, b)| {
                let bits = (a ^ b).count_ones();
                (bits <= near).then_some((bits, *i, *j))
            })
        })
        .collect();
    pairs.sort_unstable();
    let mut with_duplicate: Vec<usize> = pairs.iter().map(|(_, i, _)| *i).collect();
    with_duplicate.sort_unstable();
    with_duplicate.dedup();
    let unnamed = |dataset: &Dataset| dataset.photos().iter().filter(|p| p.uploader.is_none()).count();
    Ok(LeakageReport {
        training_photos: training.len(),
        test_photos: test.len(),
        training_without_uploader: unnamed(training),
        test_without_uploader: unnamed(test),
        uploaders,
        test_photos_of_shared_uploaders,
        near,
        pair_count: pairs.len(),
        test_photos_with_duplicate: with_duplicate.len(),
        pairs: pairs
            .into_iter()
            .take(MOST_PAIRS)
            .map(|(bits, i, j)| DuplicatePair {
                test: test.image_path(i),
                training: training.image_path(j),
                bits,
                distance_km: test.photos()[i]
                    .location
                    .distance(training.photos()[j].location)
                    .get(),
            })
            .collect(),
        skipped,
    })
}

fn shared_uploaders(training: &Dataset, test: &Dataset) -> (Vec<SharedUploader>, usize) {
    let count = |dataset: &Dataset| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for uploader in dataset.photos().iter().filter_map(|p| p.uploader.as_ref()) {
            *counts.entry(uploader.clone()).or_default() += 1;
        }
        counts
    };
    let known = count(training);
    let both: BTreeMap<String, usize> = count(test)
        .into_iter()
        .filter(|(u, _)| known.contains_key(u))
        .collect();
    let photos = both.values().sum();
    let mut shared: Vec<SharedUploader> = both
        .into_iter()
        .map(|(uploader, test)| SharedUploader {
            training: known[&uploader],
            uploader,
            test,
        })
        .collect();
    shared.sort_by(|a, b| b.test.cmp(&a.test).then_with(|| a.uploader.cmp(&b.uploader)));
    (shared, photos)
}

fn hasher() -> Hasher {
    HasherConfig::new()
        .hash_size(8, 8)
        .hash_alg(HashAlg::Median)
        .preproc_dct()
        .to_hasher()
}

fn hash_of(hasher: &Hasher, dataset: &Dataset, index: usize) -> Result<Bits, String> {
    let image = datasets::decode_image(dataset.image_path(index), &DecodeLimits::default())
        .map_err(|e| e.to_string())?;
    Ok(word(hasher.hash_image(&image).as_bytes()))
}

fn word(bytes: &[u8]) -> Bits {
    bytes
        .iter()
        .take(8)
        .enumerate()
        .fold(0, |word, (k, byte)| word | u64::from(*byte) << (8 * k))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::path::Path;

    use datasets::Photo;
    use geocells::LatLng;
    use image::{Rgb, RgbImage, imageops};

    use super::*;

    /// Smooth, distinct scenes.
    fn scene(k: u32, side: u32) -> RgbImage {
        let wave = |x: f32, y: f32, c: f32| {
            let a = (x * (2.0 + k as f32 * 1.3) + c).sin()
                + (y * (3.0 + k as f32 * 0.9) - c).cos()
                + (x * y * 5.0 + k as f32).sin();
            ((a + 3.0) * 42.0) as u8
        };
        RgbImage::from_fn(side, side, |x, y| {
            let (x, y) = (x as f32 / side as f32 * 4.0, y as f32 / side as f32 * 4.0);
            Rgb([wave(x, y, 0.0), wave(x, y, 1.0), wave(y, x, 2.0)])
        })
    }

    fn dataset(root: &Path, photos: Vec<(&str, RgbImage, &str)>) -> Dataset {
        let photos = photos
            .into_iter()
            .map(|(name, image, uploader)| {
                image.save(root.join(name)).unwrap();
                Photo {
                    uploader: (!uploader.is_empty()).then(|| uploader.to_owned()),
                    ..Photo::new(name, LatLng::new(10.0, 20.0).unwrap())
                }
            })
            .collect();
        Dataset::new(root, photos)
    }

    #[test]
    fn copies_are_found_in_another_size_quality_and_format_and_other_photos_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let training: Vec<(String, RgbImage)> =
            (0..8).map(|k| (format!("train{k}.png"), scene(k, 128))).collect();
        let training = dataset(
            folder.path(),
            training
                .iter()
                .map(|(n, i)| (n.as_str(), i.clone(), "ann"))
                .collect(),
        );
        let small = imageops::resize(&scene(2, 128), 61, 61, imageops::FilterType::Triangle);
        let brighter = RgbImage::from_fn(128, 128, |x, y| {
            Rgb(scene(5, 128).get_pixel(x, y).0.map(|v| v.saturating_add(6)))
        });
        let mut test = dataset(
            folder.path(),
            vec![
                ("small.jpg", small, "ann"),
                ("brighter.jpg", brighter, "bob"),
                ("new.png", scene(20, 128), ""),
            ],
        );
        let found = check(&training, &test, NEAR, &|_| (), &AtomicBool::new(false)).unwrap();
        let pairs: Vec<(String, String)> = found
            .pairs
            .iter()
            .map(|p| {
                let name = |p: &Path| p.file_name().unwrap().to_string_lossy().into_owned();
                (name(&p.test), name(&p.training))
            })
            .collect();
        let mut names: Vec<&str> = pairs.iter().map(|(test, _)| test.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["brighter.jpg", "small.jpg"], "{pairs:?}");
        assert!(pairs.contains(&("small.jpg".into(), "train2.png".into())));
        assert!(pairs.contains(&("brighter.jpg".into(), "train5.png".into())));
        assert_eq!((found.pair_count, found.test_photos_with_duplicate), (2, 2));
        assert_eq!(
            found.uploaders,
            [SharedUploader {
                uploader: "ann".into(),
                training: 8,
                test: 1
            }]
        );
        assert_eq!(
            (found.test_photos_of_shared_uploaders, found.test_without_uploader),
            (1, 1)
        );

        let mut photos = test.photos().to_vec();
        photos.push(Photo::new("gone.png", LatLng::new(0.0, 0.0).unwrap()));
        test = Dataset::new(folder.path(), photos);
        let found = check(&training, &test, NEAR, &|_| (), &AtomicBool::new(false)).unwrap();
        assert_eq!(
            (found.skipped.len(), found.pair_count),
            (1, 2),
            "listed, not dropped"
        );
    }
}
