//! What operators see: metrics, the dashboard that reads them, readiness.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::{Client, World, bytes, config, shared};
use axum::http::StatusCode;
use serde_json::Value;

/// Names of the series in Prometheus' text format, without the suffixes of histograms.
fn families(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

async fn metrics(client: &Client) -> String {
    let response = client.get("/metrics").await;
    assert_eq!(response.status(), StatusCode::OK);
    String::from_utf8(bytes(response).await).unwrap()
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series} in {text}"))
        .trim()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_there_before_the_first_request_and_counts_afterwards() {
    let world = World::with_release().await;
    let client = world.client(config()).await;
    let before = metrics(&client).await;
    let names = families(&before);
    assert!(names.len() >= 24, "{names:?}");
    for series in [
        "geosurge_http_requests_total{route=\"graphql\",status=\"2xx\"}",
        "geosurge_http_requests_total{route=\"localize\",status=\"5xx\"}",
        "geosurge_errors_total{code=\"OVERLOADED\"}",
        "geosurge_photos_answered_total",
        "geosurge_stage_seconds_count{stage=\"encode\"}",
        "geosurge_http_request_seconds_count{route=\"graphql\"}",
        "geosurge_encoder_batch_photos_count",
        "geosurge_photos_refused_total",
    ] {
        assert_eq!(value(&before, series), 0.0, "{series}");
    }
    assert_eq!(value(&before, "geosurge_release_ready"), 1.0);
    assert_eq!(value(&before, "geosurge_catalog_up"), 1.0);
    assert!(value(&before, "geosurge_release_geocells") > 3.0);
    for name in &names {
        assert!(
            before.contains(&format!("# HELP {name} ")),
            "{name} is not described"
        );
    }

    client.localize("p.jpg", &world.photo, "id").await;
    client.localize("p.jpg", b"no photo", "id").await;
    client.query("{ nonsense }").await;
    client.get("/nothing").await;
    client.get("/health").await;
    let after = metrics(&client).await;
    assert_eq!(families(&after), names, "series appear from nowhere");
    for (series, expected) in [
        ("geosurge_photos_answered_total", 1.0),
        ("geosurge_errors_total{code=\"BAD_IMAGE\"}", 1.0),
        ("geosurge_errors_total{code=\"INVALID_QUERY\"}", 1.0),
        (
            "geosurge_http_requests_total{route=\"graphql\",status=\"2xx\"}",
            3.0,
        ),
        (
            "geosurge_http_requests_total{route=\"other\",status=\"4xx\"}",
            1.0,
        ),
        ("geosurge_stage_seconds_count{stage=\"encode\"}", 1.0),
        ("geosurge_encoder_batch_photos_count", 1.0),
        ("geosurge_queue_photos", 0.0),
    ] {
        assert_eq!(value(&after, series), expected, "{series}");
    }
    // Nothing that a client sends becomes a label.
    let odd = client.get("/references/x/y/image?size=1").await;
    assert_eq!(odd.status(), StatusCode::NOT_FOUND);
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(lines(&metrics(&client).await), lines(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_asks_for_series_that_there_are() {
    let client = shared().await.client(config()).await;
    let names = families(&metrics(&client).await);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana/geosurge.json");
    let dashboard: Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    let mut asked = BTreeSet::new();
    let mut panels = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        panels += usize::from(!targets.is_empty());
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let series: Vec<&str> = words.filter(|word| word.starts_with("geosurge_")).collect();
            assert!(!series.is_empty(), "{expression}");
            for name in series {
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix).filter(|family| names.contains(*family)))
                    .unwrap_or(name);
                assert!(
                    names.contains(family),
                    "the dashboard asks for {name}, which is not exported"
                );
                asked.insert(family.to_owned());
            }
        }
    }
    assert!(panels >= 12, "{panels}");
    let unseen: Vec<_> = names.difference(&asked).collect();
    assert!(unseen.len() <= 6, "series that no panel shows: {unseen:?}");
}
