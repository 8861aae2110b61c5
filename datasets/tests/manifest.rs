//! Manifests: written and read back, and read from other programs.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use geocells::LatLng;
use geosurge_datasets::{Dataset, Error, Photo};
use proptest::prelude::*;
use support::{shared, write};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn noon() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-22T12:00:00Z")
        .unwrap()
        .to_utc()
}

fn at(latitude: f64, longitude: f64) -> LatLng {
    LatLng::new(latitude, longitude).unwrap()
}

#[test]
fn a_saved_manifest_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let full = Photo {
        segmentation: Some("maps/å.png".into()),
        uploader: Some("ann".into()),
        captured_at: Some(noon()),
        sha256: Some("ab".repeat(32)),
        place: Some("Inari, Finland".into()),
        ..Photo::new("images/å b.jpg", at(69.66367, -180.0))
    };
    let bare = Photo::new("/elsewhere/c.jpg", at(-90.0, 180.0));
    let dataset = Dataset::new(dir.path(), vec![full, bare]);
    assert_eq!(dataset.save().unwrap(), dir.path().join("photos.parquet"));
    let again = Dataset::open(dir.path()).unwrap();
    assert_eq!(again, dataset);
    assert_eq!(again.digest(), dataset.digest());
    assert_eq!(again.image_path(0), dir.path().join("images/å b.jpg"));
    assert_eq!(again.image_path(1), Path::new("/elsewhere/c.jpg"));
    assert_eq!(again.segmentation_path(0), Some(dir.path().join("maps/å.png")));
    assert_eq!(again.segmentation_path(1), None);
    assert_eq!(Dataset::open(dir.path().join("photos.parquet")).unwrap(), dataset);
    let left: Vec<_> = fs_err::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing but the manifest is left behind");
}

#[test]
fn the_digest_sees_every_field_and_the_order() {
    let photo = Photo::new("a.jpg", at(1.0, 2.0));
    let digest = |photos: Vec<Photo>| Dataset::new("root", photos).digest();
    let base = digest(vec![photo.clone()]);
    let changed = [
        Photo {
            path: "b.jpg".into(),
            ..photo.clone()
        },
        Photo {
            location: at(1.0, 2.000001),
            ..photo.clone()
        },
        Photo {
            uploader: Some(String::new()),
            ..photo.clone()
        },
        Photo {
            place: Some("x".into()),
            ..photo.clone()
        },
        Photo {
            uploader: Some("x".into()),
            ..photo.clone()
        },
        Photo {
            captured_at: Some(noon()),
            ..photo.clone()
        },
        Photo {
            sha256: Some("x".into()),
            ..photo.clone()
        },
        Photo {
            segmentation: Some("x".into()),
            ..photo.clone()
        },
    ];
    let mut digests: Vec<String> = changed.iter().map(|photo| digest(vec![photo.clone()])).collect();
    digests.push(base.clone());
    digests.push(digest(vec![photo.clone(), changed[0].clone()]));
    digests.push(digest(vec![changed[0].clone(), photo.clone()]));
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
    assert_eq!(Dataset::new("elsewhere", vec![photo]).digest(), base);
}

#[test]
fn a_manifest_of_pyarrow_is_read() {
    let dataset = Dataset::open(fixture("pyarrow_snappy.parquet")).unwrap();
    let photos = dataset.photos();
    assert_eq!(photos.len(), 3);
    assert_eq!(photos[0].path, Path::new("a/one.jpg"));
    assert_eq!(photos[0].location, at(51.525947, -0.124203));
    assert_eq!(
        (photos[0].uploader.as_deref(), photos[1].uploader.as_deref()),
        (Some("ann"), None)
    );
    assert_eq!(
        (photos[0].captured_at, photos[1].captured_at),
        (Some(noon()), None)
    );
    assert_eq!(dataset.image_path(2), fixture("c/three with space.jpg"));
}

#[test]
fn other_names_types_and_row_groups_are_read() {
    let dataset = Dataset::open(fixture("pyarrow_zstd_other_names.parquet")).unwrap();
    let photos = dataset.photos();
    assert_eq!(photos[0].path, Path::new("10201275523"));
    assert_eq!(photos[1].location, at(-33.875, 151.25));
    assert_eq!(photos[2].uploader.as_deref(), Some("ann"));
    assert_eq!(
        (
            photos[0].captured_at,
            photos[1].captured_at,
            photos[2].captured_at
        ),
        (Some(noon()), None, Some(noon()))
    );
    let places: Vec<_> = photos.iter().map(|photo| photo.place.as_deref()).collect();
    assert_eq!(places, [Some("London, United Kingdom"), Some("Sydney"), None]);
}

#[test]
fn a_compression_that_is_not_built_in_is_named_with_those_that_are() {
    let error = Dataset::open(fixture("pyarrow_gzip.parquet")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("pyarrow_gzip.parquet") && text.contains("snappy, zstd"),
        "{text}"
    );
}

#[test]
fn csv_manifests_of_any_dialect_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for csv in [
        "path,latitude,longitude,uploader\na.jpg,51.5,-0.125,ann\n",
        "\u{feff}IMG_ID,AUTHOR,LAT,LON\r\na.jpg,ann,51.5,-0.125\r\n",
        "lng;lat;file;user\n-0.125;51.5;a.jpg;ann\n",
        "image\tLatitude\tLongitude\tuploader\n a.jpg \t 51.5\t-0.125\tann",
    ] {
        let path = write(dir.path().join("photos.csv"), csv);
        let expected = Photo {
            uploader: Some("ann".into()),
            ..Photo::new("a.jpg", at(51.5, -0.125))
        };
        assert_eq!(
            Dataset::open(&path).unwrap().photos(),
            std::slice::from_ref(&expected),
            "{csv}"
        );
        assert_eq!(Dataset::open(dir.path()).unwrap().photos(), [expected], "{csv}");
    }
}

#[test]
fn unusable_manifests_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let open = |content: &str| Dataset::open(write(dir.path().join("m.csv"), content)).unwrap_err();
    let says = |error: Error, reason: &str, words: &[&str]| {
        let text = error.to_string();
        assert_eq!(error.reason(), reason, "{text}");
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
    };
    says(
        open("file,lat\na.jpg,1\n"),
        "bad-manifest",
        &["m.csv", "longitude", "\"lat\""],
    );
    says(
        open("path,lat,lon\na.jpg,1,2\nb.jpg,102.2,31.9\n"),
        "bad-row",
        &["line 3", "102.2", "swapped"],
    );
    says(open("path,lat,lon\na.jpg,NaN,2\n"), "bad-row", &["line 2"]);
    says(
        open("path,lat,lon\na.jpg,,2\n"),
        "bad-row",
        &["line 2", "latitude is missing"],
    );
    says(
        open("path,lat,lon\n,1,2\n"),
        "bad-row",
        &["line 2", "path is missing"],
    );
    says(
        open("path,lat,lon\na.jpg,1\n"),
        "bad-row",
        &["line 2", "2 cells", "3"],
    );
    says(
        open("path,lat,lon,captured_at\na.jpg,1,2,yesterday\n"),
        "bad-row",
        &["yesterday"],
    );
    says(open("path,lat,lon\n"), "no-photos", &["no row"]);
    says(open(""), "empty-file", &["m.csv"]);
    says(
        Dataset::open(write(dir.path().join("m.parquet"), "no parquet")).unwrap_err(),
        "bad-manifest",
        &["m.parquet"],
    );
    says(
        Dataset::open(dir.path()).unwrap_err(),
        "missing-file",
        &["photos.parquet", "import"],
    );
    says(
        Dataset::open(dir.path().join("none")).unwrap_err(),
        "missing-file",
        &["none"],
    );
}

#[test]
fn a_failed_save_leaves_the_old_manifest_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let old = Dataset::new(dir.path(), vec![Photo::new("old.jpg", at(1.0, 2.0))]);
    old.save().unwrap();
    #[cfg(unix)]
    {
        let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"bad\xff.jpg");
        let error = Dataset::new(dir.path(), vec![Photo::new(name, at(1.0, 2.0))])
            .save()
            .unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
    assert_eq!(Dataset::open(dir.path()).unwrap(), old);
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_benchmarks_metadata_is_read() {
    let Some(benchmarks) = shared("data/benchmarks") else {
        return;
    };
    for name in [
        "gws15k.csv",
        "im2gps3k_places365.csv",
        "im2gps_places365.csv",
        "yfcc4k.csv",
    ] {
        let path = benchmarks.join(name);
        let lines = fs_err::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count();
        assert_eq!(Dataset::open(&path).unwrap().len(), lines - 1, "{name}");
    }
}

prop_compose! {
    fn photo()(
        path in "[a-zé /.,\"]{1,20}",
        latitude in -90.0..=90.0_f64,
        longitude in -180.0..=180.0_f64,
        uploader in proptest::option::of("[a-z@,\"\n]{0,8}"),
        micros in proptest::option::of(-4_000_000_000_000_000_i64..4_000_000_000_000_000),
    ) -> Photo {
        Photo {
            // A manifest trims the blanks round a cell and takes an empty one for none.
            uploader: uploader.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
            captured_at: micros.and_then(DateTime::from_timestamp_micros),
            ..Photo::new(format!("p{}.jpg", path.trim()), at(latitude, longitude))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_manifest_survives_a_round_trip(photos in proptest::collection::vec(photo(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let dataset = Dataset::new(dir.path(), photos);
        dataset.save().unwrap();
        prop_assert_eq!(Dataset::open(dir.path()).unwrap(), dataset);
    }
}
