//! Photos in tar shards, or decoded as they are needed: the same run as from photos decoded once, and what cannot be read is left out and listed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};

use datasets::Dataset;
use geosurge_trainer::config::{EpochOrder, PhotoAccess, SegmenterConfig};
use geosurge_trainer::record::read_skipped;
use geosurge_trainer::{RunFolder, TrainingConfig};

/// Writes a dataset as WebDataset shards of `each` samples; the samples of `spoilt` get bytes that are no image.
fn pack(dataset: &Dataset, folder: &Path, each: usize, spoilt: &[usize]) -> PathBuf {
    fs_err::create_dir_all(folder).unwrap();
    for (shard, photos) in (0..dataset.len()).collect::<Vec<_>>().chunks(each).enumerate() {
        let file = fs_err::File::create(folder.join(format!("photos-{shard:04}.tar"))).unwrap();
        let mut tar = tar::Builder::new(file);
        let mut add = |name: String, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, bytes).unwrap();
        };
        for &photo in photos {
            let image = dataset.image_path(photo);
            let kind = image.extension().unwrap().to_str().unwrap().to_owned();
            let bytes = match spoilt.contains(&photo) {
                true => b"no image".to_vec(),
                false => fs_err::read(image).unwrap(),
            };
            let key = format!("{photo:06}");
            add(format!("{key}.{kind}"), &bytes);
            let about = &dataset.photos()[photo];
            let json = serde_json::json!({
                "LAT": about.location.latitude(),
                "LON": about.location.longitude(),
                "AUTHOR": about.uploader,
            });
            add(format!("{key}.json"), json.to_string().as_bytes());
            let map = dataset.segmentation_path(photo).unwrap();
            add(format!("{key}.seg.png"), &fs_err::read(map).unwrap());
        }
        tar.finish().unwrap();
    }
    folder.to_path_buf()
}

fn config(photos: PhotoAccess, prefetch: usize) -> TrainingConfig {
    let mut config = common::config();
    config.segmenter = SegmenterConfig::Precomputed;
    config.data.photos = photos;
    config.data.prefetch = prefetch;
    config.log.every_steps = 1;
    config.log.html = false;
    config.budget.epochs = 2;
    config
}

#[test]
fn shards_teach_what_files_teach_however_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let files = common::planet(&folder.join("planet"), 150);
    let shards = Dataset::open(pack(&files, &folder.join("shards"), 40, &[])).unwrap();
    assert_eq!(shards.len(), 150);
    let run = |dataset: &Dataset, name: &str, photos, prefetch| {
        common::run(dataset, &config(photos, prefetch), folder, name, false).unwrap();
        common::losses(folder, name)
    };
    let expected = run(&files, "files", PhotoAccess::Decoded, 0);
    assert!(expected.len() >= 6);
    assert_eq!(run(&files, "files ahead", PhotoAccess::Decoded, 3), expected);
    assert_eq!(run(&files, "files streamed", PhotoAccess::Streamed, 2), expected);
    // What is held out depends on the photos' names, so the curve of shards is another one.
    let of_shards = run(&shards, "shards", PhotoAccess::Streamed, 1);
    assert_eq!(run(&shards, "shards decoded", PhotoAccess::Decoded, 2), of_shards);
    // One shard alone, and a manifest beside the shards that names their members.
    let one = Dataset::open(folder.join("shards/photos-0001.tar")).unwrap();
    assert_eq!(one.len(), 40);
    let manifest = "path,latitude,longitude\nphotos-0002.tar/000085.png,1.5,2.5\n";
    let name = shards.photos()[85].path.display().to_string();
    let manifest = manifest.replace("photos-0002.tar/000085.png", &name);
    fs_err::write(folder.join("shards/some.csv"), manifest).unwrap();
    let named = Dataset::open(folder.join("shards/some.csv")).unwrap();
    let limits = datasets::DecodeLimits::default();
    for photo in 0..files.len() {
        // The JSON of a sample holds coordinates to the last digit but one.
        let places = [&shards, &files].map(|dataset| dataset.photos()[photo].location);
        assert!(places[0].distance(places[1]).get() < 1e-6);
        assert_eq!(
            shards.read_image(photo, &limits).unwrap(),
            files.read_image(photo, &limits).unwrap()
        );
        let maps = [&shards, &files].map(|dataset| dataset.read_segmentation(photo).unwrap());
        assert!(maps[0].is_some() && maps[0] == maps[1]);
    }
    assert_eq!(
        named.read_image(0, &limits).unwrap(),
        files.read_image(85, &limits).unwrap()
    );
}

#[test]
fn what_cannot_be_read_is_left_out_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let files = common::planet(&folder.join("planet"), 150);
    let spoilt: Vec<usize> = (0..150).filter(|photo| photo % 11 == 3).collect();
    let shards = Dataset::open(pack(&files, &folder.join("shards"), 40, &spoilt)).unwrap();
    let mut config = config(PhotoAccess::Streamed, 2);
    config.data.order = EpochOrder::ShardWindows;
    config.data.shard_window = 2;
    config.budget.epochs = 3;
    let report = common::run(&shards, &config, folder, "run", false).unwrap();
    let run = RunFolder::new(folder.join("run"));
    let listed: Vec<usize> = report.skipped.iter().map(|s| s.index).collect();
    assert!(listed.iter().all(|photo| spoilt.contains(photo)), "{listed:?}");
    // The last, incomplete batch of an epoch is not read, so that a spoilt photo may stay unseen; with three epochs few do.
    assert!(listed.len() + 3 >= spoilt.len(), "{listed:?} {spoilt:?}");
    let while_learning = read_skipped(&run).unwrap();
    assert!(!while_learning.is_empty());
    assert!(
        while_learning
            .iter()
            .all(|s| s.file.display().to_string().contains(".tar/"))
    );
    let split = run.read_split().unwrap();
    assert!(split.validation.iter().all(|photo| !spoilt.contains(photo)));
    // The same again gives the same curve, although batches have fewer photos now.
    common::run(&shards, &config, folder, "again", false).unwrap();
    assert_eq!(common::losses(folder, "run"), common::losses(folder, "again"));
}

#[test]
fn damaged_shards_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = common::planet(&folder.path().join("planet"), 20);
    let shards = pack(&files, &folder.path().join("shards"), 20, &[]);
    let file = shards.join("photos-0000.tar");
    let bytes = fs_err::read(&file).unwrap();
    fs_err::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let said = Dataset::open(&shards).unwrap_err().to_string();
    assert!(
        said.contains("photos-0000.tar") && said.contains("copy the shard again"),
        "{said}"
    );
    fs_err::write(
        &file,
        b"this is no tar file at all, but a text that goes on for a while".repeat(20),
    )
    .unwrap();
    let said = Dataset::open(&shards).unwrap_err().to_string();
    assert!(said.contains("photos-0000.tar"), "{said}");
}
