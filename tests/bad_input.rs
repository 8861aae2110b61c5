//! What goes in wrong comes back as an error that names the file and the remedy, with nothing half-written.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use support::{fail, geosurge, last_json, shared, succeed, tiny_config};

fn photo(path: &Path, shade: u8) {
    image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([shade, x as u8 * 6, y as u8 * 8]))
        .save(path)
        .unwrap();
}

fn dataset(dir: &Path, places: &[(f64, f64)]) {
    fs_err::create_dir_all(dir.join("photos")).unwrap();
    let mut table = "file,latitude,longitude\n".to_owned();
    for (i, (latitude, longitude)) in places.iter().enumerate() {
        photo(&dir.join(format!("photos/{i}.png")), i as u8);
        table.push_str(&format!("photos/{i}.png,{latitude},{longitude}\n"));
    }
    fs_err::write(dir.join("places.csv"), table).unwrap();
}

fn train(dir: &Path) -> String {
    fail(
        geosurge(dir)
            .args(["train", "--dataset", "d", "--out", "run", "--config"])
            .arg(tiny_config()),
    )
}

#[test]
fn one_photograph_is_too_few_to_train_on() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path(), &[(48.0, 2.0)]);
    succeed(geosurge(dir.path()).args(["import", "places.csv", "--out", "d"]));
    let said = train(dir.path());
    assert!(!said.trim().is_empty());
    assert!(!dir.path().join("run/checkpoint").exists());
}

#[test]
fn all_photographs_at_one_point_are_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path(), &[(48.0, 2.0); 40]);
    succeed(geosurge(dir.path()).args(["import", "places.csv", "--out", "d"]));
    let said = train(dir.path());
    assert!(said.contains("place") || said.contains("point"), "{said}");
    assert!(!dir.path().join("run/checkpoint").exists());
}

#[test]
fn import_skips_and_names_what_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    dataset(dir, &[(48.0, 2.0), (49.0, 3.0), (95.0, 3.0)]);
    fs_err::copy(dir.join("photos/0.png"), dir.join("photos/copy.png")).unwrap();
    let whole = fs_err::read(dir.join("photos/1.png")).unwrap();
    fs_err::write(dir.join("photos/cut.png"), &whole[..whole.len() - 30]).unwrap();
    let mut table = fs_err::read_to_string(dir.join("places.csv")).unwrap();
    table.push_str("photos/copy.png,48.0,2.0\nphotos/cut.png,50.0,4.0\nphotos/absent.png,50.0,4.0\n");
    fs_err::write(dir.join("places.csv"), table).unwrap();
    let report = last_json(&succeed(geosurge(dir).args([
        "import",
        "places.csv",
        "--out",
        "d",
        "--json",
    ])));
    assert_eq!(report["imported"], 2);
    let skipped = report["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 4, "{report}");
    for expected in ["copy.png", "cut.png", "absent.png"] {
        assert!(
            skipped
                .iter()
                .any(|s| s["file"].as_str().unwrap().contains(expected)),
            "{expected} in {report}"
        );
    }
    assert!(dir.join("d/photos.parquet").is_file() && dir.join("d/skipped.csv").is_file());
    let said = fail(geosurge(dir).args(["import", "places.csv", "--out", "strict", "--strict"]));
    assert!(said.contains("places.csv") || said.contains("png"), "{said}");
    assert!(!dir.join("strict/photos.parquet").exists());
}

#[test]
fn an_import_of_nothing_usable_still_tells_a_program_each_reason() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs_err::create_dir(dir.join("photos")).unwrap();
    photo(&dir.join("photos/without-place.png"), 7);
    fs_err::write(dir.join("photos/empty.jpg"), b"").unwrap();
    let output = geosurge(dir)
        .args(["import", "photos", "--out", "d", "--json"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let report = last_json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(report["imported"], 0);
    let reasons: Vec<&str> = report["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["reason"].as_str().unwrap())
        .collect();
    assert!(reasons.iter().any(|r| r.starts_with("no-gps")), "{reasons:?}");
    assert!(reasons.iter().any(|r| r.starts_with("empty-file")), "{reasons:?}");
    assert!(!dir.join("d/photos.parquet").exists());
}

#[test]
fn folders_without_photographs_are_no_dataset() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir(dir.path().join("empty")).unwrap();
    let said = fail(geosurge(dir.path()).args(["import", "empty", "--out", "d"]));
    assert!(said.contains("empty"), "{said}");
    assert!(!dir.path().join("d/photos.parquet").exists());
}

#[test]
fn without_a_release_the_remedy_is_named() {
    let dir = tempfile::tempdir().unwrap();
    photo(&dir.path().join("a.png"), 1);
    let said = fail(geosurge(dir.path()).args(["localize", "a.png"]));
    assert!(
        said.contains("geosurge index") || said.contains("activate"),
        "{said}"
    );
    let said = fail(geosurge(dir.path()).args(["index", "no-such-run/checkpoint", "no-such-dataset"]));
    assert!(said.contains("no-such"), "{said}");
}

#[test]
fn settings_and_arguments_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("geosurge.toml"), "listen = \"everywhere\"\n").unwrap();
    let said = fail(geosurge(dir.path()).args(["releases", "list"]));
    assert!(
        said.contains("geosurge.toml") && said.contains("listen"),
        "{said}"
    );
    let output = geosurge(dir.path()).arg("no-such-command").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn real_exif_files_give_their_places_or_a_named_reason() {
    let (Some(valid), Some(malformed)) = (shared("data/exif/valid"), shared("data/exif/malformed")) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let report = last_json(&succeed(
        geosurge(dir.path())
            .args(["import", "--json", "--out", "d"])
            .arg(&valid),
    ));
    let skipped = report["skipped"].as_array().unwrap();
    assert!(
        skipped
            .iter()
            .all(|s| s["reason"].as_str().is_some_and(|r| r.len() > 10)),
        "{report}"
    );
    assert!(report["imported"].as_u64().unwrap() >= 20, "{report}");
    let output = geosurge(dir.path())
        .args(["import", "--json", "--out", "m"])
        .arg(&malformed)
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_geosurge"))
        .args(["analytics", "list"])
        .stdout(writer)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_geosurge"))
        .args(["analytics", "list"])
        .stdout(full)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("could not be written to standard output"), "{said}");
}
