//! A run that was stopped, wherever, goes on as if it had not been.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use geosurge_trainer::{Error, Progress, RunFolder, Stage};

fn weights(folder: &Path, name: &str) -> Vec<u8> {
    fs_err::read(
        RunFolder::new(folder.join(name))
            .checkpoint()
            .join("model.safetensors"),
    )
    .unwrap()
}

fn metrics(folder: &Path, name: &str) -> Vec<(u64, String)> {
    let text = fs_err::read_to_string(RunFolder::new(folder.join(name)).metrics()).unwrap();
    let lines = text
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    lines
        .filter(|l| l["kind"] != "stage")
        .map(|l| {
            (
                l["step"].as_u64().unwrap(),
                format!("{} {}", l["loss"], l["score"]),
            )
        })
        .collect()
}

#[test]
fn interrupted_runs_equal_the_uninterrupted_one_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 200);
    let mut config = common::config();
    config.budget.epochs = 2;
    let mut stages = BTreeSet::new();
    let seen = std::sync::Mutex::new(&mut stages);
    common::run_with(
        &dataset,
        &config,
        folder.path(),
        "whole",
        false,
        &|p| {
            seen.lock().unwrap().insert(p.stage.name());
        },
        &AtomicBool::new(false),
    )
    .unwrap();
    let expected = weights(folder.path(), "whole");
    assert!(
        ["segmenter", "maps", "learn", "validate"]
            .iter()
            .all(|s| stages.contains(s)),
        "{stages:?}"
    );

    for (stage, at) in [
        (Stage::Partition, 1),
        (Stage::Segmenter, 5),
        (Stage::Maps, 128),
        (Stage::Learn, 32),
        (Stage::Learn, 192),
        (Stage::Calibrate, 1),
    ] {
        let name = format!("{}-{at}", stage.name());
        let cancel = AtomicBool::new(false);
        let stop = |p: &Progress| {
            if p.stage == stage && p.done >= at {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let error =
            common::run_with(&dataset, &config, folder.path(), &name, false, &stop, &cancel).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{name}: {error}");
        assert!(error.to_string().contains("--resume"), "{error}");
        assert!(!RunFolder::new(folder.path().join(&name)).is_finished());
        common::run(&dataset, &config, folder.path(), &name, true).unwrap();
        assert!(weights(folder.path(), &name) == expected, "{name}: other weights");
        assert_eq!(
            metrics(folder.path(), &name),
            metrics(folder.path(), "whole"),
            "{name}"
        );
    }
}

#[test]
fn a_cache_that_was_being_made_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 300);
    let mut config = common::config();
    config.budget.epochs = 1;
    let cancel = AtomicBool::new(false);
    let stop = |p: &Progress| {
        if p.stage == Stage::Prepare {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    assert!(matches!(
        common::run_with(&dataset, &config, folder.path(), "run", false, &stop, &cancel),
        Err(Error::Cancelled { .. })
    ));
    common::run(&dataset, &config, folder.path(), "run", true).unwrap();
}

#[test]
fn a_resumed_run_must_be_the_same_but_may_be_longer() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 120);
    let mut config = common::config();
    config.segmenter = geosurge_trainer::config::SegmenterConfig::None;
    let steps = AtomicU64::new(0);
    let cancel = AtomicBool::new(false);
    let stop = |p: &Progress| {
        if p.stage == Stage::Learn && steps.fetch_add(1, Ordering::Relaxed) == 1 {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let again = |config: &_, resume| {
        common::run(&dataset, config, folder.path(), "run", resume)
            .unwrap_err()
            .to_string()
    };
    assert!(again(&config, true).contains("without --resume"));
    common::run_with(&dataset, &config, folder.path(), "run", false, &stop, &cancel).unwrap_err();
    assert!(again(&config, false).contains("--resume"));
    let mut other = config.clone();
    other.seed += 1;
    assert!(again(&other, true).contains("another configuration"));
    config.budget.epochs = 4;
    let report = common::run(&dataset, &config, folder.path(), "run", true).unwrap();
    assert_eq!(report.steps, 4 * (report.training_photos as u64 / 32));
    let same = common::run(&dataset, &config, folder.path(), "run", true).unwrap();
    assert_eq!(
        same.checkpoint_id, report.checkpoint_id,
        "a finished run returns its report"
    );
}
