//! A tiny planet is learnt, and a finished run can be judged.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::AtomicBool;

use candle_core::Device;
use geosurge_trainer::config::Duplicates;
use geosurge_trainer::{EvaluationOptions, RunFolder, evaluate};

#[test]
fn a_tiny_planet_is_learnt_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 300);
    let mut config = common::config();
    config.budget.epochs = 14;
    config.threads = 2;
    let report = common::run(&dataset, &config, folder.path(), "run", false).unwrap();

    let run = RunFolder::new(folder.path().join("run"));
    let lines: Vec<serde_json::Value> = fs_err::read_to_string(run.metrics())
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let losses: Vec<f64> = lines
        .iter()
        .filter(|l| l["kind"] == "step")
        .map(|l| l["loss"].as_f64().unwrap())
        .collect();
    assert!(losses[losses.len() - 1] < 0.7 * losses[0], "{losses:?}");
    assert_eq!(lines.iter().filter(|l| l["kind"] == "validation").count(), 14);
    assert!(
        report.accuracy.within[3] > 2.0 * report.chance.within[3].min(0.4),
        "{:?} {:?}",
        report.accuracy,
        report.chance
    );
    assert!(report.segmenter.as_ref().unwrap().pixel_accuracy > 0.3);
    assert!(
        !report.calibration.fitted && report.calibration.note.is_some(),
        "sixty photos calibrate nothing"
    );

    let split = run.read_split().unwrap();
    assert_eq!(split.train.len() + split.validation.len(), 300);
    let judge = |photos: Option<Vec<usize>>| {
        let options = EvaluationOptions {
            photos,
            ..EvaluationOptions::new(Device::Cpu)
        };
        evaluate(
            &run.checkpoint(),
            &dataset,
            &options,
            &|_| (),
            &AtomicBool::new(false),
        )
    };
    let evaluation = judge(Some(split.validation.clone())).unwrap();
    assert_eq!(evaluation.photos, split.validation.len());
    assert_eq!(evaluation.checkpoint, report.checkpoint_id);
    let difference = (evaluation.accuracy.within[3] - report.accuracy.within[3]).abs();
    assert!(
        difference < 0.05,
        "the checkpoint answers as the trained model did: {:?} {:?}",
        evaluation.accuracy,
        report.accuracy
    );
    assert_eq!(evaluation.levels.len(), 3);
    assert!(
        evaluation
            .levels
            .iter()
            .all(|l| (0.0..=1.0).contains(&l.coverage))
    );
    assert!(judge(Some(vec![300])).unwrap_err().to_string().contains("300"));
}

#[test]
fn the_other_losses_learn_too() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 150);
    for duplicates in [Duplicates::Kept, Duplicates::FullSoftmax] {
        let mut config = common::config();
        config.loss.duplicates = duplicates;
        config.budget.epochs = 6;
        config.segmenter = geosurge_trainer::config::SegmenterConfig::None;
        let name = format!("{duplicates:?}");
        let report = common::run(&dataset, &config, folder.path(), &name, false).unwrap();
        assert!(report.segmenter.is_none());
        assert!(
            report.accuracy.mean_km < report.chance.mean_km,
            "{name}: {:?} {:?}",
            report.accuracy,
            report.chance
        );
    }
}
