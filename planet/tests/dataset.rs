//! A planet's photographs on disk.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use geosurge_planet::{Error, PlanetConfig, Progress, write_dataset};
use sha2::{Digest, Sha256};

fn small() -> PlanetConfig {
    PlanetConfig {
        photos: 40,
        size: 48,
        cities: 6,
        ..PlanetConfig::default()
    }
}

/// The digest of every file below a folder, by name.
fn digests(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in ["", "images", "maps"] {
        for file in fs_err::read_dir(folder.join(entry)).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, Sha256::digest(fs_err::read(path).unwrap()).to_vec());
            }
        }
    }
    found
}

#[test]
fn the_same_bytes_on_every_run_and_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let with = |threads: usize, name: &str| {
        let out = folder.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| write_dataset(&small(), &out, &|_| {})).unwrap();
        digests(&out)
    };
    let one = with(1, "one");
    assert_eq!(one.len(), 40 + 40 + 2);
    assert_eq!(one, with(3, "three"));
}

#[test]
fn another_seed_gives_other_photographs() {
    let folder = tempfile::tempdir().unwrap();
    let write = |seed| {
        let out = folder.path().join(format!("{seed}"));
        let config = PlanetConfig {
            seed,
            photos: 4,
            ..small()
        };
        write_dataset(&config, &out, &|_| {}).unwrap();
        digests(&out)
    };
    let (a, b) = (write(1), write(2));
    assert!(a.iter().all(|(name, digest)| b[name] != *digest));
}

#[test]
fn the_manifest_names_every_photo_with_map_uploader_and_time() {
    let out = tempfile::tempdir().unwrap();
    let dataset = write_dataset(&small(), out.path(), &|_| {}).unwrap();
    let reopened = datasets::Dataset::open(out.path()).unwrap();
    assert_eq!(reopened.photos(), dataset.photos());
    assert_eq!(dataset.len(), 40);
    for (index, photo) in dataset.photos().iter().enumerate() {
        let image = image::open(dataset.image_path(index)).unwrap();
        let map = datasets::decode_segmentation(dataset.segmentation_path(index).unwrap()).unwrap();
        assert_eq!((image.width(), image.height()), (48, 48));
        assert_eq!(map.dimensions(), (48, 48));
        assert!(photo.uploader.is_some() && photo.captured_at.is_some());
    }
}

#[test]
fn a_second_run_reuses_and_a_stopped_one_goes_on() {
    let out = tempfile::tempdir().unwrap();
    let first = write_dataset(&small(), out.path(), &|_| {}).unwrap();
    let before = digests(out.path());

    let calls = AtomicUsize::new(0);
    let count = |progress: Progress| {
        assert_eq!(progress.total, 40);
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let second = write_dataset(&small(), out.path(), &count).unwrap();
    assert_eq!(second.photos(), first.photos());
    assert_eq!(calls.load(Ordering::Relaxed), 1, "nothing is rendered again");

    // As if stopped before the manifest, with some photographs missing and one kept.
    let kept = out.path().join("images/000003.jpg");
    let marked = fs_err::metadata(&kept).unwrap().modified().unwrap();
    fs_err::remove_file(out.path().join("photos.parquet")).unwrap();
    fs_err::remove_file(out.path().join("images/000007.jpg")).unwrap();
    fs_err::remove_file(out.path().join("maps/000009.png")).unwrap();
    write_dataset(&small(), out.path(), &|_| {}).unwrap();
    assert_eq!(digests(out.path()), before);
    assert_eq!(fs_err::metadata(&kept).unwrap().modified().unwrap(), marked);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let out = tempfile::tempdir().unwrap();
    write_dataset(&small(), out.path(), &|_| {}).unwrap();
    let other = PlanetConfig { seed: 99, ..small() };
    let error = write_dataset(&other, out.path(), &|_| {}).unwrap_err();
    assert!(matches!(error, Error::OtherPlanet(_)), "{error}");

    let out = tempfile::tempdir().unwrap();
    fs_err::write(out.path().join("diary.txt"), "mine").unwrap();
    let error = write_dataset(&small(), out.path(), &|_| {}).unwrap_err();
    assert!(matches!(error, Error::Occupied(_)), "{error}");
    assert_eq!(fs_err::read_dir(out.path()).unwrap().count(), 1);

    let out = tempfile::tempdir().unwrap();
    let absurd = PlanetConfig {
        difficulty: f64::NAN,
        ..small()
    };
    let error = write_dataset(&absurd, &out.path().join("new"), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("difficulty"), "{error}");
    assert!(!out.path().join("new").exists());
}
