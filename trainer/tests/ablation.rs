//! Baselines learn, trials are never repeated, and a row is what its training came to.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use datasets::Dataset;
use geosurge_trainer::Result;
use geosurge_trainer::ablation::{Ablation, AblationOptions, AblationReport};
use geosurge_trainer::benchmark::Bootstrap;

fn options(out: &Path, only: &[&str], photos_seen: u64, resume: bool) -> AblationOptions {
    let mut config = common::config();
    config.model.fusion.blocks = 2;
    AblationOptions {
        out: out.to_path_buf(),
        config,
        seeds: 1,
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        photos_seen,
        test_fraction: 0.2,
        resume,
        device: Device::Cpu,
        bootstrap: Bootstrap {
            resamples: 100,
            ..Bootstrap::default()
        },
    }
}

fn run(
    dataset: &Dataset,
    options: AblationOptions,
    cancel: &AtomicBool,
) -> Result<(AblationReport, Vec<String>)> {
    let begun = Mutex::new(Vec::new());
    let ablation = Ablation::open(dataset, options, &|_| (), cancel)?;
    let report = ablation.run(
        &|done| begun.lock().unwrap().push(done.next.to_owned()),
        &|_| (),
        cancel,
    )?;
    Ok((report, begun.into_inner().unwrap()))
}

/// The mean distance between photos of the dataset: the error of somebody who guesses a photo's place.
fn guess_km(dataset: &Dataset) -> f64 {
    let photos = dataset.photos();
    let each = |i: usize| {
        photos[i]
            .location
            .distance(photos[(i * 7 + 13) % photos.len()].location)
            .get()
    };
    (0..photos.len()).map(each).sum::<f64>() / photos.len() as f64
}

#[test]
fn every_baseline_learns_a_tiny_planet_in_the_same_harness() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 300);
    let out = folder.path().join("tables");
    let cancel = AtomicBool::new(false);
    let (report, begun) = run(&dataset, options(&out, &["baselines"], 2_400, false), &cancel).unwrap();
    assert_eq!(begun.len(), 6, "rows of one training share it: {begun:?}");
    let table = &report.tables[0];
    assert_eq!(table.rows.len(), 8);
    let guess = guess_km(&dataset);
    for row in &table.rows {
        let key = row.label.split(':').next().unwrap();
        assert!(row.within[4] > 0.35, "{key}: {:?}", row.within);
        assert!(
            row.median_km < 0.6 * guess,
            "{key}: {} of {guess} km",
            row.median_km
        );
        assert_eq!(row.difference.is_none(), row.reference);
        let (intervals, within) = (row.intervals.unwrap(), row.within);
        assert!((0..5).all(|k| intervals[k].low <= within[k] && within[k] <= intervals[k].high));
    }
    let named = |name: &str| table.rows.iter().find(|row| row.label.starts_with(name)).unwrap();
    assert!(
        named("[L]kNN").settings[0].contains("sigma")
            && named("PIGEOTTO: refined").settings[0].contains("cells")
    );
    assert!(named("GeoSURGE").calibration_error.is_some() && named("PlaNet").calibration_error.is_none());
    assert_eq!(report.training_photos + report.test_photos, 300);

    // What is finished is read, not computed; the tables are the same.
    let before = fs_err::read(out.join("tables.json")).unwrap();
    let marker = fs_err::read_dir(out.join("trials"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect::<Vec<_>>();
    for trial in &marker {
        // A trial that were carried out again would need its run folder.
        fs_err::remove_dir_all(trial.join("run")).ok();
    }
    run(&dataset, options(&out, &["baselines"], 2_400, true), &cancel).unwrap();
    assert_eq!(before, fs_err::read(out.join("tables.json")).unwrap());
    assert!(marker.iter().all(|trial| !trial.join("run").exists()));
}

#[test]
fn a_stopped_ablation_keeps_what_is_finished_and_refuses_what_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = common::planet(&folder.path().join("planet"), 150);
    let out = folder.path().join("tables");
    let studies = ["embeddings", "scoring"];
    let stop = AtomicBool::new(false);
    let ablation = Ablation::open(&dataset, options(&out, &studies, 128, false), &|_| (), &stop).unwrap();
    let starting = |done: geosurge_trainer::ablation::Done<'_>| {
        if done.finished == 1 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let said = ablation.run(&starting, &|_| (), &stop).unwrap_err().to_string();
    assert!(said.contains("stopped"), "{said}");
    let first = ablation.tables();
    assert_eq!(first.tables[0].rows.len(), 1, "the row that is finished");

    let go_on = AtomicBool::new(false);
    let (report, _) = run(&dataset, options(&out, &studies, 128, true), &go_on).unwrap();
    assert_eq!(report.tables[0].rows.len(), 2);
    assert_eq!(report.tables[0].rows[0], first.tables[0].rows[0]);
    assert_eq!(report.tables[1].rows.len(), 3);
    let markdown = fs_err::read_to_string(out.join("tables.md")).unwrap();
    assert!(
        markdown.contains("Table VI") && markdown.contains("the paper's difference"),
        "{markdown}"
    );

    let refused = |options| {
        Ablation::open(&dataset, options, &|_| (), &go_on)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(options(&out, &studies, 128, false)).contains("--resume"));
    assert!(refused(options(&folder.path().join("planet"), &studies, 128, true)).contains("other files"));
    assert!(refused(options(&out, &["colour"], 128, true)).contains("baselines"));
    let mut other = options(&out, &studies, 128, true);
    other.test_fraction = 0.3;
    assert!(refused(other).contains("another"));
}
