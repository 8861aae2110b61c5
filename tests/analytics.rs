//! `geosurge analytics` through the command.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use parquet::file::reader::SerializedFileReader;
use parquet::record::{Field, Row};
use serde_json::{Map, Value, json};
use storage::SqliteCatalog;
use storage::conformance::catalog::analytics::World;
use support::{fail, geosurge, succeed};

/// A data folder whose catalog holds answers with known truths.
fn record(dir: &Path) -> World {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let catalog = SqliteCatalog::open(dir.join("catalog.sqlite")).await.unwrap();
        let world = World::record(&catalog).await;
        catalog.close().await;
        world
    })
}

/// The columns that are compared.
fn to_json(row: &Row) -> Value {
    let value = |field: &Field| match field {
        Field::Null => Value::Null,
        Field::Bool(yes) => json!(yes),
        Field::Double(number) => json!(number),
        Field::Str(text) => json!(text),
        other => json!(other.to_string()),
    };
    let columns = row.get_column_iter();
    Value::Object(
        columns
            .map(|(name, field)| (name.clone(), value(field)))
            .collect::<Map<_, _>>(),
    )
}

#[test]
fn a_view_comes_as_table_csv_json_and_parquet() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let world = record(dir);

    let table = succeed(geosurge(dir).args(["analytics", "accuracy"]));
    for said in ["release", "threshold_km", "autumn", "spring", "continent"] {
        assert!(table.contains(said), "{table}");
    }

    let csv = succeed(geosurge(dir).args(["analytics", "predictions", "--csv"]));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headings: Vec<String> = reader.headers().unwrap().iter().map(Into::into).collect();
    assert_eq!(headings[0], "prediction");
    assert_eq!(reader.records().count(), world.answers.len());

    let json = succeed(geosurge(dir).args(["analytics", "predictions", "--json", "--release", "spring"]));
    let rows: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let spring = world
        .answers
        .iter()
        .filter(|answer| answer.release() == "spring")
        .count();
    assert_eq!(rows.len(), spring);
    assert!(
        rows.iter()
            .all(|row| row["release"] == "spring" && row["confidence"].is_number())
    );

    let file = dir.join("predictions.parquet");
    let said = succeed(
        geosurge(dir)
            .args(["analytics", "predictions", "--parquet", "--out"])
            .arg(&file),
    );
    assert!(said.contains(&format!("{} rows", world.answers.len())), "{said}");
    let reader = SerializedFileReader::new(fs_err::File::open(&file).unwrap().into_parts().0).unwrap();
    let parquet: Vec<Value> = reader.into_iter().map(|row| to_json(&row.unwrap())).collect();
    assert_eq!(parquet.len(), world.answers.len());
    let all = succeed(geosurge(dir).args(["analytics", "predictions", "--json"]));
    for (line, row) in all.lines().zip(&parquet) {
        let line: Value = serde_json::from_str(line).unwrap();
        for same in [
            "prediction",
            "client",
            "confidence",
            "error_km",
            "cannot_tell",
            "truth_token",
        ] {
            // A number may lose its last bit when it is read as JSON.
            match (line[same].as_f64(), row[same].as_f64()) {
                (Some(said), Some(kept)) => assert!((said - kept).abs() <= 1e-9 * kept.abs(), "{same}"),
                _ => assert_eq!(line[same], row[same], "{same}"),
            }
        }
    }
    assert!(!file.with_extension("parquet.part").exists());
}

#[test]
fn rows_are_chosen_and_limited() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    record(dir);
    let csv = succeed(geosurge(dir).args([
        "analytics",
        "volume",
        "--csv",
        "--since",
        "2026-11-22",
        "--limit",
        "2",
    ]));
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(
        csv.lines().skip(1).all(|line| line.contains("2026-11-2")),
        "{csv}"
    );
    let table = succeed(geosurge(dir).args(["analytics", "candidates"]));
    assert!(table.contains("more than 100 rows"), "{table}");
    let said = fail(geosurge(dir).args(["analytics", "accuracy", "--since", "2026-11-22"]));
    assert!(said.contains("accuracy_by_day"), "{said}");
    let said = fail(geosurge(dir).args(["analytics", "acuracy"]));
    assert!(
        said.contains("acuracy") && said.contains("accuracy_by_country"),
        "{said}"
    );
    let said = fail(geosurge(dir).args(["analytics", "latency", "--cached"]));
    assert!(said.contains("SQLite"), "{said}");
    let said = fail(geosurge(dir).args(["analytics", "latency", "--out", "x"]));
    assert!(said.contains("--csv"), "{said}");
}

#[test]
fn the_views_are_listed_and_an_empty_catalog_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let said = succeed(geosurge(dir).args(["analytics", "list"]));
    assert!(
        said.contains("accuracy_by_country") && said.contains("divergence_bits"),
        "{said}"
    );
    let views: Value =
        serde_json::from_str(&succeed(geosurge(dir).args(["analytics", "list", "--json"]))).unwrap();
    assert!(
        views
            .as_array()
            .unwrap()
            .iter()
            .any(|view| view["name"] == "coverage")
    );
    let said = succeed(geosurge(dir).args(["analytics", "accuracy"]));
    assert!(said.contains("no rows"), "{said}");
    let said = succeed(geosurge(dir).args(["analytics", "refresh"]));
    assert!(said.contains("nothing to do"), "{said}");
}
