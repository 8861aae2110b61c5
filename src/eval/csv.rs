//! The report and the answers as CSV, for programs and spreadsheets.

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use geocells::{Accuracy, THRESHOLDS};
use trainer::benchmark::Interval;
use trainer::evaluate::PhotoAnswer;

use super::Told;
use crate::output;

/// Rows of section, name, metric, value, low and high.
struct Rows(csv::Writer<Vec<u8>>);

impl Rows {
    fn add(&mut self, name: [&str; 3], value: f64, interval: Option<Interval>) -> Result<()> {
        let end = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let [section, name, metric] = name;
        self.0.write_record([
            section,
            name,
            metric,
            &value.to_string(),
            &end(interval.map(|i| i.low)),
            &end(interval.map(|i| i.high)),
        ])?;
        Ok(())
    }

    fn accuracy(
        &mut self,
        section: &str,
        name: &str,
        accuracy: &Accuracy,
        intervals: Option<[Interval; 5]>,
    ) -> Result<()> {
        self.add([section, name, "photos"], accuracy.n as f64, None)?;
        for (k, threshold) in THRESHOLDS.iter().enumerate() {
            let metric = format!("within_{}_km", threshold.km.get());
            self.add(
                [section, name, &metric],
                accuracy.within[k],
                intervals.map(|i| i[k]),
            )?;
        }
        Ok(())
    }
}

/// Prints the report, a row a number.
pub fn print(told: &Told) -> Result<()> {
    let report = &told.report;
    let mut rows = Rows(csv::Writer::from_writer(Vec::new()));
    rows.0
        .write_record(["section", "name", "metric", "value", "low", "high"])?;
    let intervals = report.intervals;
    for (name, accuracy, within) in [
        ("hierarchical", &report.accuracy, intervals.map(|i| i.within)),
        ("finest level alone", &report.flat, None),
        ("chance", &report.chance, None),
        ("nearest cell", &report.ceiling, None),
    ] {
        rows.accuracy("accuracy", name, accuracy, within)?;
        let own = intervals.filter(|_| name == "hierarchical");
        rows.add(
            ["accuracy", name, "median_km"],
            accuracy.median_km,
            own.map(|i| i.median_km),
        )?;
        rows.add(
            ["accuracy", name, "mean_km"],
            accuracy.mean_km,
            own.map(|i| i.mean_km),
        )?;
    }
    for level in &report.levels {
        let name = level.level.to_string();
        rows.accuracy("level", &name, &level.accuracy, None)?;
        rows.add(["level", &name, "cells"], level.cells as f64, None)?;
        rows.add(["level", &name, "coverage"], level.coverage, None)?;
        rows.add(["level", &name, "cell_accuracy"], level.cell_accuracy, None)?;
    }
    for group in &report.continents {
        rows.accuracy("continent", &group.continent, &group.accuracy, group.intervals)?;
        rows.add(
            ["continent", &group.continent, "median_km"],
            group.accuracy.median_km,
            None,
        )?;
    }
    for (k, reliability) in report.reliability.iter().enumerate() {
        let name = format!("{} km", reliability.km);
        let interval = intervals.map(|i| i.calibration_error[k]);
        rows.add(["calibration", &name, "error"], reliability.error, interval)?;
        rows.add(
            ["calibration", &name, "error_if_honest"],
            reliability.error_if_honest[0],
            None,
        )?;
        rows.add(["calibration", &name, "brier"], reliability.brier, None)?;
        for bin in &reliability.bins {
            let metric = format!("happened_{:.1}_to_{:.1}", bin.from, bin.to);
            rows.add(["reliability", &name, &metric], bin.happened, Some(bin.interval))?;
            let metric = format!("stated_{:.1}_to_{:.1}", bin.from, bin.to);
            rows.add(["reliability", &name, &metric], bin.stated, None)?;
            let metric = format!("photos_{:.1}_to_{:.1}", bin.from, bin.to);
            rows.add(["reliability", &name, &metric], bin.photos as f64, None)?;
        }
    }
    let name = format!("{}", report.region.wanted);
    let interval = intervals.map(|i| i.region_coverage);
    rows.add(["region", &name, "coverage"], report.region.coverage, interval)?;
    rows.add(
        ["region", &name, "coverage_of_covered"],
        report.region.coverage_of_covered,
        None,
    )?;
    rows.add(
        ["region", &name, "median_area_km2"],
        report.region.median_area_km2,
        None,
    )?;
    rows.add(
        ["region", &name, "mean_area_km2"],
        report.region.mean_area_km2,
        None,
    )?;
    rows.add(["coverage", "finest", "share"], report.coverage, None)?;
    for method in report.look_up.iter().flat_map(|look_up| &look_up.methods) {
        for (k, metric) in ["recall_at_1", "recall_at_5"].into_iter().enumerate() {
            rows.add(
                ["look-up", &method.method, metric],
                method.recall[k],
                method.intervals.map(|i| i[k]),
            )?;
        }
    }
    for row in &told.published {
        for (threshold, share) in THRESHOLDS.iter().zip(row.within) {
            if let Some(share) = share {
                let metric = format!("within_{}_km", threshold.km.get());
                rows.add(["published", &row.method, &metric], share, None)?;
            }
        }
    }
    if let Some(leakage) = &told.leakage {
        let counts = [
            ("shared_uploaders", leakage.uploaders.len()),
            (
                "test_photos_of_shared_uploaders",
                leakage.test_photos_of_shared_uploaders,
            ),
            ("near_duplicate_pairs", leakage.pair_count),
            (
                "test_photos_with_near_duplicate",
                leakage.test_photos_with_duplicate,
            ),
        ];
        for (metric, count) in counts {
            rows.add(["leakage", "training and test", metric], count as f64, None)?;
        }
    }
    rows.add(["photos", "listed", "count"], told.listed as f64, None)?;
    rows.add(["photos", "missing", "count"], told.missing.len() as f64, None)?;
    rows.add(
        ["photos", "unreadable", "count"],
        report.skipped.len() as f64,
        None,
    )?;
    let bytes = rows.0.into_inner().map_err(|e| e.into_error())?;
    output::line(String::from_utf8(bytes)?.trim_end());
    Ok(())
}

/// Writes every photograph's answer.
pub fn write_answers(file: &Path, answers: &[PhotoAnswer]) -> Result<()> {
    let writer = io::BufWriter::new(fs_err::File::create(file)?);
    let mut rows = csv::Writer::from_writer(writer);
    let mut header: Vec<String> = [
        "photo",
        "true_latitude",
        "true_longitude",
        "latitude",
        "longitude",
        "error_km",
        "confidence",
    ]
    .map(str::to_owned)
    .to_vec();
    header.extend(THRESHOLDS.iter().map(|t| format!("p_within_{}_km", t.km.get())));
    header.extend(["in_region", "region_km2", "cannot_tell"].map(str::to_owned));
    rows.write_record(&header)?;
    for answer in answers {
        let mut row = vec![answer.file.to_string_lossy().into_owned()];
        row.extend(
            [
                answer.truth.latitude(),
                answer.truth.longitude(),
                answer.location.latitude(),
                answer.location.longitude(),
                answer.error.get(),
                answer.confidence,
            ]
            .map(|value| value.to_string()),
        );
        row.extend(answer.within.map(|p| p.to_string()));
        row.push(answer.in_region.map_or_else(String::new, |held| held.to_string()));
        row.push(answer.region_km2.to_string());
        row.push(answer.cannot_tell.to_string());
        rows.write_record(&row)?;
    }
    rows.flush()
        .with_context(|| format!("{} cannot be written", file.display()))
}
