//! Datasets that cannot be learnt from are refused with a remedy.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use datasets::{Dataset, Photo};
use geocells::LatLng;

fn photos(folder: &std::path::Path, places: &[(f64, f64)]) -> Dataset {
    let photo = |(k, (lat, lng)): (usize, &(f64, f64))| {
        let name = format!("{k}.png");
        image::RgbImage::from_pixel(40, 32, image::Rgb([(k * 7 % 256) as u8, 90, 30]))
            .save(folder.join(&name))
            .unwrap();
        Photo {
            uploader: Some(format!("u{}", k % 7)),
            ..Photo::new(name, LatLng::new(*lat, *lng).unwrap())
        }
    };
    Dataset::new(folder, places.iter().enumerate().map(photo).collect())
}

fn refused(places: &[(f64, f64)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let dataset = photos(folder.path(), places);
    let mut config = common::config();
    config.segmenter = geosurge_trainer::config::SegmenterConfig::None;
    let error = common::run(&dataset, &config, folder.path(), "run", false)
        .unwrap_err()
        .to_string();
    assert!(!folder.path().join("run/checkpoint").exists());
    error
}

#[test]
fn nothing_one_photo_and_one_place() {
    assert!(refused(&[]).contains("import more"), "{}", refused(&[]));
    assert!(refused(&[(10.0, 20.0)]).contains("import more"));
    let one_place = refused(&[(10.0, 20.0); 60]);
    assert!(
        one_place.contains("one place") || one_place.contains("single geocell"),
        "{one_place}"
    );
    let few = refused(&[(10.0, 20.0), (-40.0, 100.0), (50.0, -100.0), (0.0, 0.0)]);
    assert!(few.contains("t_min"), "{few}");
}

#[test]
fn unreadable_photos_are_skipped_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let places: Vec<(f64, f64)> = (0..120)
        .map(|k| {
            (
                f64::from(k % 4) * 20.0,
                f64::from(k % 3) * 50.0 + f64::from(k) * 1e-3,
            )
        })
        .collect();
    let dataset = photos(folder.path(), &places);
    fs_err::write(folder.path().join("3.png"), b"no image").unwrap();
    fs_err::remove_file(folder.path().join("5.png")).unwrap();
    let mut config = common::config();
    config.segmenter = geosurge_trainer::config::SegmenterConfig::None;
    config.budget.epochs = 1;
    let report = common::run(&dataset, &config, folder.path(), "run", false).unwrap();
    assert_eq!(report.skipped.iter().map(|s| s.index).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(report.training_photos + report.validation_photos, 118);

    for k in 0..120 {
        fs_err::write(folder.path().join(format!("{k}.png")), b"no image").unwrap();
    }
    let error = common::run(&dataset, &config, folder.path(), "none", false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("120 of 120") && error.contains(".png"), "{error}");
}

#[test]
fn maps_that_are_asked_for_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let places: Vec<(f64, f64)> = (0..60)
        .map(|k| (f64::from(k % 4) * 20.0, f64::from(k) * 1e-3))
        .collect();
    let dataset = photos(folder.path(), &places);
    let mut config = common::config();
    config.segmenter = geosurge_trainer::config::SegmenterConfig::Precomputed;
    let error = common::run(&dataset, &config, folder.path(), "run", false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("precomputed") && error.contains("none"), "{error}");
}
