//! From photographs to answers through the command alone, on a tiny planet.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{fail, first_photo, geosurge, index, last_json, render, succeed, tiny_config, train};

const PHOTOS: u32 = 400;

/// Renders, trains, indexes and activates in `dir`.
fn build(dir: &Path) {
    render(dir, PHOTOS, 48, 6);
    let trained = train(dir, &tiny_config());
    assert_eq!(trained["ending"], "epochs");
    assert_eq!(
        trained["training_photos"].as_u64().unwrap() + trained["validation_photos"].as_u64().unwrap(),
        u64::from(PHOTOS)
    );
    let indexed = index(dir);
    assert_eq!(indexed["release"]["status"], "active");
    assert_eq!(indexed["gallery"]["encoded"], 400);
}

#[test]
fn a_photograph_finds_itself_and_every_output_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    build(dir);

    let photo = first_photo(dir);
    let answer = last_json(&succeed(geosurge(dir).args(["localize", "--json"]).arg(&photo)));
    for key in [
        "location",
        "confidence",
        "within",
        "candidates",
        "references",
        "release",
        "file",
    ] {
        assert!(!answer[key].is_null(), "{key} is missing in {answer}");
    }
    assert_eq!(answer["release"], "first");
    let within: Vec<f64> = ["1", "25", "200", "750", "2500"]
        .iter()
        .map(|km| answer["within"][km].as_f64().unwrap())
        .collect();
    assert!(
        within.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9) && within[4] <= 1.0 + 1e-9,
        "{within:?}"
    );
    let probabilities: Vec<f64> = answer["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["probability"].as_f64().unwrap())
        .collect();
    assert!(
        probabilities.windows(2).all(|pair| pair[0] >= pair[1]),
        "{probabilities:?}"
    );
    assert!((probabilities[0] - answer["confidence"].as_f64().unwrap()).abs() < 1e-9);

    let geojson = last_json(&succeed(
        geosurge(dir).args(["localize", "--geojson"]).arg(&photo),
    ));
    assert_eq!(geojson["type"], "FeatureCollection");
    let place = geojson["features"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["properties"]["kind"] == "place")
        .unwrap();
    assert_eq!(
        place["geometry"]["coordinates"][1],
        answer["location"]["latitude"]
    );

    let table = succeed(geosurge(dir).arg("localize").arg(&photo));
    assert!(table.contains("release first"), "{table}");

    let all: Vec<Value> = succeed(geosurge(dir).args(["localize", "--json", "planet/images"]))
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(all.len(), 400);

    let judged = last_json(&succeed(geosurge(dir).args([
        "eval",
        "run/checkpoint",
        "planet",
        "--json",
    ])));
    assert_eq!(judged["photos"], 400);
    assert!(
        judged["accuracy"]["2500"].as_f64().unwrap() > judged["chance"]["2500"].as_f64().unwrap(),
        "{judged}"
    );

    let segmented = last_json(&succeed(
        geosurge(dir)
            .args(["segment", "--json", "--out", "maps"])
            .arg(&photo),
    ));
    let map = image::open(dir.join(segmented["map"].as_str().unwrap())).unwrap();
    assert_eq!((map.width(), map.height()), (48, 48));
    let total: f64 = segmented["classes"]
        .as_object()
        .unwrap()
        .values()
        .map(|share| share.as_f64().unwrap())
        .sum();
    assert!((total - 1.0).abs() < 1e-9);

    let again = last_json(&succeed(geosurge(dir).args([
        "index",
        "run/checkpoint",
        "planet",
        "--name",
        "first",
        "--json",
    ])));
    assert_eq!(again["already_built"], true);
    succeed(geosurge(dir).args(["index", "run/checkpoint", "planet", "--name", "second"]));
    succeed(geosurge(dir).args(["releases", "activate", "second"]));
    let releases = last_json(&succeed(geosurge(dir).args(["releases", "list", "--json"])));
    let active: Vec<&str> = releases
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["status"] == "active")
        .map(|r| r["id"].as_str().unwrap())
        .collect();
    assert_eq!(active, ["second"]);

    bad_photographs(dir, &photo);
    changed_checkpoint(dir, &photo);
}

/// One bad photograph is told and the others are answered.
fn bad_photographs(dir: &Path, photo: &Path) {
    let bytes = fs_err::read(photo).unwrap();
    fs_err::write(dir.join("truncated.jpg"), &bytes[..bytes.len() / 3]).unwrap();
    fs_err::write(dir.join("text.png"), b"not a photograph").unwrap();
    let output = geosurge(dir)
        .args(["localize", "--json", "truncated.jpg", "text.png"])
        .arg(photo)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines.iter().filter(|line| line["error"].is_object()).count(), 2);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("truncated.jpg")
    );
    let said = fail(geosurge(dir).args(["localize", "absent.jpg"]));
    assert!(said.contains("absent.jpg"), "{said}");
}

/// A checkpoint that is not the one that was indexed never answers.
fn changed_checkpoint(dir: &Path, photo: &Path) {
    let weights = dir.join("run/checkpoint/model.safetensors");
    let mut bytes = fs_err::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs_err::write(&weights, &bytes).unwrap();
    let said = fail(geosurge(dir).arg("localize").arg(photo));
    assert!(said.contains("model.safetensors"), "{said}");
    bytes.truncate(last / 2);
    fs_err::write(&weights, &bytes).unwrap();
    let said = fail(geosurge(dir).arg("localize").arg(photo));
    assert!(said.contains("model.safetensors"), "{said}");
}

#[test]
fn the_demo_ends_with_accuracy_beside_chance_and_reuses_its_work() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let demo = || {
        let mut command = geosurge(dir);
        command
            .args([
                "demo", "--exit", "--json", "--photos", "400", "--size", "48", "--config",
            ])
            .arg(tiny_config());
        command
    };
    let first = last_json(&succeed(&mut demo()));
    for km in ["1", "25", "200", "750", "2500"] {
        for key in ["accuracy", "chance"] {
            let share = first[key][km]
                .as_f64()
                .unwrap_or_else(|| panic!("{key} {km} is missing in {first}"));
            assert!((0.0..=1.0).contains(&share));
        }
    }
    assert!(first["seconds"]["train"].as_f64().unwrap() > 0.0);
    let second = last_json(&succeed(&mut demo()));
    assert_eq!(first["accuracy"], second["accuracy"]);
    assert!(second["seconds"]["train"].as_f64().unwrap() < first["seconds"]["train"].as_f64().unwrap());
}
