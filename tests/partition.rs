//! `geosurge partition`, as a user runs it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use support::{fail, geosurge, last_json, shared, succeed};

/// Four clusters of 100 places each, in columns with the field's names.
fn coordinates(dir: &std::path::Path, header: &str) -> std::path::PathBuf {
    let mut text = format!("{header}\n");
    for (cluster, (latitude, longitude)) in [(48.85, 2.35), (-33.86, 151.2), (40.7, -74.0), (35.68, 139.7)]
        .into_iter()
        .enumerate()
    {
        for i in 0..100 {
            let (dx, dy) = (f64::from(i % 10) * 0.01, f64::from(i / 10) * 0.01);
            writeln!(text, "{cluster}-{i}.jpg,{},{}", latitude + dy, longitude + dx).unwrap();
        }
    }
    let path = dir.join("coordinates.csv");
    fs_err::write(&path, text).unwrap();
    path
}

#[test]
fn build_writes_a_file_a_level_and_assign_finds_the_same_cells() {
    let dir = tempfile::tempdir().unwrap();
    let coordinates = coordinates(dir.path(), "IMG_ID,LAT,LON");
    let out = dir.path().join("cells");
    let summary = last_json(&succeed(
        geosurge(dir.path())
            .args([
                "partition",
                "build",
                "--t-min",
                "5",
                "--t-max",
                "150,50",
                "--json",
                "--out",
            ])
            .arg(&out)
            .arg(&coordinates),
    ));
    assert_eq!(summary["points"], 400);
    let (coarse, fine) = (out.join("cells_5_150.csv"), out.join("cells_5_50.csv"));
    let assigned = dir.path().join("assigned.csv");
    succeed(
        geosurge(dir.path())
            .args(["partition", "assign", "--coordinates"])
            .arg(&coordinates)
            .arg("--cells")
            .arg(&coarse)
            .arg("--cells")
            .arg(&fine)
            .arg("--out")
            .arg(&assigned),
    );
    let text = fs_err::read_to_string(assigned).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("IMG_ID,cells_5_150,cells_5_50"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 400);
    let tokens = |level: usize| {
        rows.iter()
            .map(|row| row[level])
            .filter(|t| !t.is_empty())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        tokens(1).len() as u64,
        summary["levels"][0]["cells"].as_u64().unwrap()
    );
    assert_eq!(
        tokens(2).len() as u64,
        summary["levels"][1]["cells"].as_u64().unwrap()
    );
    assert!(tokens(2).len() > tokens(1).len());
}

#[test]
fn swapped_and_missing_columns_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let build = |path: &std::path::Path| {
        fail(
            geosurge(dir.path())
                .args(["partition", "build", "--out", "x"])
                .arg(path),
        )
    };
    let said = build(&coordinates(dir.path(), "image,longitude,latitude"));
    assert!(said.contains("swapped"), "{said}");
    let said = build(&coordinates(dir.path(), "image,up,right"));
    assert!(said.contains("up") && said.contains("right"), "{said}");
    assert!(!dir.path().join("x").exists());
}

#[test]
fn too_few_places_say_what_to_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one.csv");
    fs_err::write(&path, "lat,lng\n48.8,2.3\n").unwrap();
    let said = fail(
        geosurge(dir.path())
            .args(["partition", "build", "--out", "x"])
            .arg(&path),
    );
    assert!(said.contains("t-min") || said.contains("t_min"), "{said}");
}

#[test]
fn the_reference_partition_assigns_every_published_row() {
    let (Some(cells), Some(rows)) = (
        shared("data/partition/cells_50_1000.csv"),
        shared("data/partition/yfcc_assignments.csv"),
    ) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.csv");
    let coarse = cells.with_file_name("cells_50_5000.csv");
    succeed(
        geosurge(dir.path())
            .args(["partition", "assign", "--cells"])
            .arg(&cells)
            .arg("--cells")
            .arg(&coarse)
            .arg("--coordinates")
            .arg(&rows)
            .arg("--out")
            .arg(&out),
    );
    let labels = |file: &std::path::Path| -> std::collections::HashMap<String, String> {
        let text = fs_err::read_to_string(file).unwrap();
        text.lines()
            .skip(3)
            .map(|line| line.split(',').collect::<Vec<_>>())
            .map(|f| (f[1].to_owned(), f[0].to_owned()))
            .collect()
    };
    let (fine, coarse) = (labels(&cells), labels(&coarse));
    let published = fs_err::read_to_string(&rows).unwrap();
    let written = fs_err::read_to_string(&out).unwrap();
    let mut compared = 0;
    for (published, written) in published.lines().zip(written.lines()).skip(1) {
        let (published, written): (Vec<_>, Vec<_>) =
            (published.split(',').collect(), written.split(',').collect());
        assert_eq!(published[0], written[0]);
        assert_eq!(published[4], fine[written[1]]);
        assert_eq!(published[3], coarse[written[2]]);
        compared += 1;
    }
    assert_eq!(compared, 12_800);
}
