//! `geosurge eval` and `geosurge ablate` as people run them, on a tiny planet.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{fail, geosurge, last_json, render, succeed, tiny_config, train};

fn trained(dir: &Path) {
    render(dir, 200, 32, 4);
    train(dir, &tiny_config());
}

/// A metadata file as IM2GPS3k has it, of some photos of the planet, one absent and one damaged.
fn benchmark(dir: &Path) -> usize {
    let dataset = datasets::Dataset::open(dir.join("planet")).unwrap();
    let images = dir.join("unpacked/deep");
    fs_err::create_dir_all(&images).unwrap();
    let mut rows = "IMG_ID,AUTHOR,LAT,LON,S3_Label\n".to_owned();
    for (index, photo) in dataset.photos().iter().enumerate().take(40) {
        let name = format!("{index}_x@N00.png");
        fs_err::copy(dataset.image_path(index), images.join(&name)).unwrap();
        let (latitude, longitude) = (photo.location.latitude(), photo.location.longitude());
        rows.push_str(&format!("{name},someone,{latitude},{longitude},2\n"));
    }
    rows.push_str("gone_x@N00.png,someone,10.0,20.0,2\nbroken_x@N00.png,someone,10.0,20.0,2\n");
    fs_err::write(images.join("broken_x@N00.png"), b"no image").unwrap();
    fs_err::write(dir.join("im2gps3k_places365.csv"), rows).unwrap();
    40
}

#[test]
fn a_benchmark_is_judged_beside_its_published_rows_and_nothing_is_dropped_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir);
    let usable = benchmark(dir);
    let eval = |more: &[&str]| {
        let mut command = geosurge(dir);
        command.args([
            "eval",
            "run/checkpoint",
            "im2gps3k_places365.csv",
            "--images",
            "unpacked",
        ]);
        command.args(["--resamples", "100"]).args(more);
        command
    };
    let told = last_json(&succeed(&mut eval(&["--json"])));
    assert_eq!(told["benchmark"], "im2gps3k");
    assert_eq!(
        (told["listed"].as_u64(), told["photos"].as_u64()),
        (Some(42), Some(usable as u64))
    );
    assert_eq!(told["missing"][0]["name"], "gone_x@N00.png");
    assert!(
        told["skipped"][0]["file"]
            .as_str()
            .unwrap()
            .ends_with("broken_x@N00.png")
    );
    assert_eq!(told["published"].as_array().unwrap().len(), 14);
    for k in 0..5 {
        let (interval, km) = (
            &told["intervals"]["within"][k],
            ["1", "25", "200", "750", "2500"][k],
        );
        let share = told["accuracy"][km].as_f64().unwrap();
        assert!(interval["low"].as_f64().unwrap() <= share && share <= interval["high"].as_f64().unwrap());
        let bins = told["reliability"][k]["bins"].as_array().unwrap();
        let photos: u64 = bins.iter().map(|bin| bin["photos"].as_u64().unwrap()).sum();
        assert_eq!(photos, usable as u64);
        assert_eq!(told["reliability"][k]["error"], told["calibration_error"][k]);
    }
    let by_continent: u64 = told["continents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["accuracy"]["n"].as_u64().unwrap())
        .sum();
    assert_eq!(by_continent, usable as u64);
    assert_eq!(told["region"]["wanted"], 0.9);
    let again = last_json(&succeed(&mut eval(&["--json"])));
    assert_eq!(told["intervals"], again["intervals"], "a seed decides");

    let table = succeed(&mut eval(&["--answers", "answers.csv"]));
    for said in [
        "IM2GPS3k",
        "GeoCLIP",
        "this checkpoint",
        "gone_x@N00.png",
        "broken_x@N00.png",
        "another test",
    ] {
        assert!(table.contains(said), "{said} is not in {table}");
    }
    let answers = fs_err::read_to_string(dir.join("answers.csv")).unwrap();
    assert_eq!(answers.lines().count(), usable + 1);

    let csv = succeed(&mut eval(&["--csv"]));
    let value = |row: &str| -> f64 {
        let line = csv
            .lines()
            .find(|line| line.starts_with(row))
            .unwrap_or_else(|| panic!("{row} in {csv}"));
        line.split(',').nth(3).unwrap().parse().unwrap()
    };
    assert_eq!(
        value("accuracy,hierarchical,within_750_km"),
        told["accuracy"]["750"].as_f64().unwrap()
    );
    assert_eq!((value("photos,missing"), value("photos,unreadable")), (1.0, 1.0));
    assert_eq!(value("published,GeoSURGE,within_1_km"), 0.172);

    let said = fail(&mut eval(&["--benchmark", "im2gps4k"]));
    assert!(said.contains("im2gps4k") && said.contains("yfcc26k"), "{said}");
    let said = fail(&mut eval(&["--leakage"]));
    assert!(said.contains("--training"), "{said}");
}

#[test]
fn held_out_photographs_are_compared_with_training_and_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir);
    let split: Value =
        serde_json::from_str(&fs_err::read_to_string(dir.join("run/split.json")).unwrap()).unwrap();
    let held_out = split["validation"].as_array().unwrap().len() as u64;
    let told = last_json(&succeed(geosurge(dir).args([
        "eval",
        "run/checkpoint",
        "planet",
        "--held-out",
        "--leakage",
        "--look-up",
        "25",
        "--resamples",
        "50",
        "--json",
    ])));
    assert_eq!(told["photos"].as_u64(), Some(held_out));
    let leakage = &told["leakage"];
    assert_eq!(
        leakage["uploaders"].as_array().unwrap().len(),
        0,
        "the split is by uploader"
    );
    assert_eq!(
        leakage["training_photos"].as_u64().unwrap() + leakage["test_photos"].as_u64().unwrap(),
        200
    );
    assert_eq!(told["look_up"]["queries"].as_u64(), Some(held_out));
    let methods: Vec<&str> = told["look_up"]["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["visual embedding", "colour histogram", "chance"]);

    // The same photos on both sides: every one has its duplicate and its uploader.
    let told = last_json(&succeed(geosurge(dir).args([
        "eval",
        "run/checkpoint",
        "planet",
        "--training",
        "planet",
        "--leakage",
        "--resamples",
        "0",
        "--near",
        "0",
        "--json",
    ])));
    assert_eq!(told["leakage"]["test_photos_with_duplicate"], 200);
    assert_eq!(told["leakage"]["test_photos_of_shared_uploaders"], 200);
    assert_eq!(told["intervals"], Value::Null);

    let said = fail(geosurge(dir).args(["eval", "run/checkpoint", "planet", "--look-up=-3"]));
    assert!(said.contains("look-up"), "{said}");
    succeed(geosurge(dir).args([
        "planet", "--photos", "20", "--size", "32", "--cities", "4", "--json", "--out", "other",
    ]));
    let said = fail(geosurge(dir).args(["eval", "run/checkpoint", "other", "--held-out"]));
    assert!(said.contains("another dataset"), "{said}");
    fs_err::remove_file(dir.join("run/split.json")).unwrap();
    let said = fail(geosurge(dir).args(["eval", "run/checkpoint", "planet", "--held-out"]));
    assert!(said.contains("split.json"), "{said}");
}

#[test]
fn an_ablation_tells_its_cost_first_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    render(dir, 200, 32, 4);
    let ablate = |more: &[&str]| {
        let mut command = geosurge(dir);
        command.args([
            "ablate",
            "planet",
            "--out",
            "tables",
            "--photos-seen",
            "64",
            "--seeds",
            "1",
        ]);
        command
            .args(["--only", "scoring,fusion", "--resamples", "50", "--config"])
            .arg(tiny_config())
            .args(more);
        command
    };
    let plan = last_json(&succeed(&mut ablate(&["--plan", "--json"])));
    assert_eq!(
        (plan["trainings"].as_u64(), plan["finished"].as_u64()),
        (Some(4), Some(0))
    );
    assert_eq!(plan["photos"], 256);
    assert!(plan["seconds"].as_f64().unwrap() > 0.0);
    let said = fail(&mut ablate(&[]));
    assert!(said.contains("--resume"), "{said}");
    let report = last_json(&succeed(&mut ablate(&["--resume", "--json"])));
    assert_eq!(report["tables"].as_array().unwrap().len(), 2);
    let plan = last_json(&succeed(&mut ablate(&["--plan", "--json"])));
    assert_eq!(
        (plan["finished"].as_u64(), plan["photos"].as_u64()),
        (Some(4), Some(0))
    );
    let again = last_json(&succeed(&mut ablate(&["--resume", "--json"])));
    assert_eq!(report, again);
    let csv = fs_err::read_to_string(dir.join("tables/tables.csv")).unwrap();
    assert!(csv.contains("fusion,3 blocks,within_25_km"), "{csv}");
    let said = fail(geosurge(dir).args(["ablate", "planet", "--out", "other", "--only", "colour"]));
    assert!(said.contains("colour") && said.contains("baselines"), "{said}");
}
