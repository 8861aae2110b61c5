//! Every file of the two EXIF collections in the shared data: places as a reference reader found them, named reasons for the rest.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use geosurge_datasets::{Dataset, DecodeLimits, ImportOptions, decode_image, import, read_gps};
use support::shared;

/// File name, latitude and longitude of a collection's list.
fn listed(csv_file: &Path) -> Vec<(String, f64, f64)> {
    let mut reader = csv::Reader::from_path(csv_file).unwrap();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        (
            row[0].to_owned(),
            row[1].parse().unwrap_or(f64::NAN),
            row[2].parse().unwrap_or(f64::NAN),
        )
    });
    rows.collect()
}

#[test]
fn every_valid_file_yields_the_place_that_a_reference_reader_found() {
    let Some(exif) = shared("data/exif") else { return };
    let list = listed(&exif.join("valid.csv"));
    assert!(!list.is_empty());
    for (file, latitude, longitude) in list {
        let reading =
            read_gps(exif.join("valid").join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        // The list has six decimals.
        let off = (reading.location.latitude() - latitude)
            .abs()
            .max((reading.location.longitude() - longitude).abs());
        assert!(off < 6e-7, "{file}: {reading:?} is {off} degrees off");
    }
}

#[test]
fn every_valid_file_is_imported_or_reported_with_its_place() {
    let Some(exif) = shared("data/exif") else { return };
    let out = tempfile::tempdir().unwrap();
    let report = import(
        &[exif.join("valid")],
        out.path(),
        &ImportOptions::default(),
        &|_| (),
    )
    .unwrap();
    let list = listed(&exif.join("valid.csv"));
    assert_eq!(report.imported + report.skipped.len(), list.len());
    let dataset = Dataset::open(out.path()).unwrap();
    for (index, photo) in dataset.photos().iter().enumerate() {
        let (file, latitude, _) = list
            .iter()
            .find(|(file, ..)| dataset.image_path(index).ends_with(file))
            .unwrap();
        assert!((photo.location.latitude() - latitude).abs() < 6e-7, "{file}");
    }
    for skipped in &report.skipped {
        assert_eq!(skipped.code, "unsupported-format", "{}", skipped.reason);
        assert!(
            skipped.reason.contains("HEIC") && skipped.reason.contains("place read: "),
            "{}",
            skipped.reason
        );
    }
}

#[test]
fn every_malformed_file_gets_a_named_reason() {
    let Some(exif) = shared("data/exif") else { return };
    let list = listed(&exif.join("malformed.csv"));
    let out = tempfile::tempdir().unwrap();
    let folder = exif.join("malformed");
    let error = import(
        std::slice::from_ref(&folder),
        out.path(),
        &ImportOptions::default(),
        &|_| (),
    )
    .unwrap_err();
    assert_eq!(error.reason(), "no-photos", "{error}");
    assert!(
        error.to_string().contains(&format!("none of the {}", list.len())),
        "{error}"
    );
    for (file, ..) in list {
        let path = folder.join(&file);
        let reason = match (read_gps(&path), decode_image(&path, &DecodeLimits::default())) {
            (Err(error), _) | (Ok(_), Err(error)) => error.reason(),
            (Ok(reading), Ok(_)) => panic!("{file}: {reading:?} from a malformed file"),
        };
        assert!(
            ["no-gps", "bad-gps", "truncated", "corrupt"].contains(&reason),
            "{file}: {reason}"
        );
    }
}

#[test]
fn a_collection_of_webcams_is_imported_through_its_table() {
    let Some(world) = shared("data/photos_world") else {
        return;
    };
    let rows = fs_err::read_to_string(world.join("places.csv"))
        .unwrap()
        .lines()
        .count()
        - 1;
    let out = tempfile::tempdir().unwrap();
    let report = import(&[world], out.path(), &ImportOptions::default(), &|_| ()).unwrap();
    assert_eq!(report.imported + report.skipped.len(), rows);
    assert!(
        report.skipped.iter().all(|skipped| skipped.code == "duplicate"),
        "{:?}",
        report.skipped_by_reason()
    );
}
