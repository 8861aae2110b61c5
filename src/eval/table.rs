//! The report for people.

use geocells::THRESHOLDS;
use trainer::EvaluationReport;
use trainer::benchmark::Interval;
use trainer::benchmark::leakage::LeakageReport;
use trainer::benchmark::look_up::LookUpReport;

use super::Told;
use crate::output;

/// Lines of a list before "and so many more".
const MOST_LINES: usize = 20;

pub fn print(told: &Told) {
    let report = &told.report;
    output::line(format!(
        "{} photographs{}{}, {} of them inside a finest geocell",
        report.photos,
        told.benchmark
            .map_or_else(String::new, |b| format!(" of {}", b.title())),
        if report.crops > 1 {
            " in ten crops each"
        } else {
            ""
        },
        output::percent(report.coverage)
    ));
    accuracy(report);
    if let Some(benchmark) = told.benchmark {
        published(told, benchmark.table());
    }
    levels(report);
    continents(report);
    calibration(report);
    if let Some(look_up) = &report.look_up {
        found(look_up);
    }
    if let Some(leakage) = &told.leakage {
        shared(leakage);
    }
    left_out(told);
}

fn accuracy(report: &EvaluationReport) {
    output::line(output::accuracy_table(&[
        ("hierarchical", &report.accuracy),
        ("finest level alone", &report.flat),
        ("chance", &report.chance),
        ("nearest cell", &report.ceiling),
    ]));
    output::line(format!(
        "mean error {}",
        output::distance(report.accuracy.mean_km)
    ));
    if let Some(intervals) = &report.intervals {
        let shares: Vec<String> = intervals.within.iter().map(between).collect();
        output::line(format!(
            "{} intervals of the first row, {} samples of the photographs: {} %, median {:.0} to {:.0} km, mean {:.0} to {:.0} km",
            output::percent(report.bootstrap.level),
            report.bootstrap.resamples,
            shares.join(", "),
            intervals.median_km.low,
            intervals.median_km.high,
            intervals.mean_km.low,
            intervals.mean_km.high
        ));
    }
}

fn between(interval: &Interval) -> String {
    format!("{:.1} to {:.1}", interval.low * 100.0, interval.high * 100.0)
}

fn published(told: &Told, number: &str) {
    let mut headings = vec![format!("published (Table {number})")];
    headings.extend(THRESHOLDS.iter().map(|t| format!("{} km", t.km.get())));
    let mut table = output::wide_table(headings.iter().map(String::as_str), &[1, 2, 3, 4, 5]);
    for row in &told.published {
        let mut cells = vec![row.method.clone()];
        cells.extend(
            row.within
                .iter()
                .map(|share| share.map_or_else(|| "–".to_owned(), output::percent)),
        );
        table.add_row(cells);
    }
    let mut cells = vec!["this checkpoint".to_owned()];
    cells.extend(told.report.accuracy.within.map(output::percent));
    table.add_row(cells);
    output::line(table);
    if told.report.photos < told.listed {
        output::line(format!(
            "{} of the benchmark's {} photographs were judged: beside the published rows this is another test",
            told.report.photos, told.listed
        ));
    }
}

fn levels(report: &EvaluationReport) {
    let mut table = output::table(
        [
            "level",
            "cells",
            "truth inside",
            "right cell",
            "within 25 km",
            "within 750 km",
        ],
        &[0, 1, 2, 3, 4, 5],
    );
    for level in &report.levels {
        table.add_row([
            level.level.to_string(),
            level.cells.to_string(),
            output::percent(level.coverage),
            output::percent(level.cell_accuracy),
            output::percent(level.accuracy.within[1]),
            output::percent(level.accuracy.within[3]),
        ]);
    }
    output::line(table);
}

fn continents(report: &EvaluationReport) {
    let mut headings = vec!["continent".to_owned(), "photographs".to_owned()];
    headings.extend(THRESHOLDS.iter().map(|t| format!("{} km", t.km.get())));
    headings.push("median error".to_owned());
    let mut table = output::wide_table(headings.iter().map(String::as_str), &[1, 2, 3, 4, 5, 6, 7]);
    for group in &report.continents {
        let mut cells = vec![group.continent.clone(), group.accuracy.n.to_string()];
        cells.extend(group.accuracy.within.map(output::percent));
        cells.push(format!("{:.0} km", group.accuracy.median_km));
        table.add_row(cells);
    }
    output::line(table);
}

fn calibration(report: &EvaluationReport) {
    let mut table = output::table(
        [
            "P(within)",
            "calibration error",
            "95 % interval",
            "if honest",
            "Brier score",
        ],
        &[0, 1, 2, 3, 4],
    );
    for (k, reliability) in report.reliability.iter().enumerate() {
        let interval = report.intervals.map(|intervals| intervals.calibration_error[k]);
        table.add_row([
            format!("{} km", reliability.km),
            format!("{:.3}", reliability.error),
            interval.map_or_else(String::new, |i| format!("{:.3} to {:.3}", i.low, i.high)),
            format!(
                "{:.3}, at most {:.3}",
                reliability.error_if_honest[0], reliability.error_if_honest[1]
            ),
            format!("{:.3}", reliability.brier),
        ]);
    }
    output::line(table);
    let region = &report.region;
    let interval = report.intervals.map_or_else(String::new, |intervals| {
        format!(" ({} %)", between(&intervals.region_coverage))
    });
    output::line(format!(
        "regions meant to hold {} hold {}{interval} of the true places, {} of those inside some geocell; median area {:.0} km², mean {:.0} km²",
        output::percent(region.wanted),
        output::percent(region.coverage),
        output::percent(region.coverage_of_covered),
        region.median_area_km2,
        region.mean_area_km2
    ));
}

fn found(look_up: &LookUpReport) {
    output::line(format!(
        "reference photographs within {} m: {} of {} photographs have one, {:.1} on average, among {}",
        look_up.radius_m, look_up.answerable, look_up.queries, look_up.matches_a_query, look_up.gallery
    ));
    let mut table = output::table(
        ["look-up by", "recall@1", "95 %", "recall@5", "95 %"],
        &[1, 2, 3, 4],
    );
    for method in &look_up.methods {
        let interval = |k: usize| {
            method
                .intervals
                .map_or_else(|| "exact".to_owned(), |intervals| between(&intervals[k]))
        };
        table.add_row([
            method.method.clone(),
            output::percent(method.recall[0]),
            interval(0),
            output::percent(method.recall[1]),
            interval(1),
        ]);
    }
    output::line(table);
}

fn shared(leakage: &LeakageReport) {
    output::line(format!(
        "leakage: {} of {} test photographs are of {} uploaders who are in training too; {} have a near duplicate there ({} pairs within {} of 64 bits)",
        leakage.test_photos_of_shared_uploaders,
        leakage.test_photos,
        leakage.uploaders.len(),
        leakage.test_photos_with_duplicate,
        leakage.pair_count,
        leakage.near
    ));
    let unnamed = leakage.test_without_uploader + leakage.training_without_uploader;
    if unnamed > 0 {
        output::line(format!(
            "{unnamed} photographs name no uploader, so theirs could not be compared"
        ));
    }
    list(
        leakage.pairs.iter().map(|pair| {
            format!(
                "{} and {}: {} bits, {} apart",
                pair.test.display(),
                pair.training.display(),
                pair.bits,
                output::distance(pair.distance_km)
            )
        }),
        leakage.pair_count,
    );
}

fn left_out(told: &Told) {
    if !told.missing.is_empty() {
        output::line(format!(
            "{} of {} images that the metadata name are missing:",
            told.missing.len(),
            told.listed
        ));
        let lines = told
            .missing
            .iter()
            .map(|missing| format!("{}: {}", missing.name, missing.reason));
        list(lines, told.missing.len());
    }
    let unread = &told.report.skipped;
    if !unread.is_empty() {
        output::line(format!("{} photographs could not be read:", unread.len()));
        list(
            unread
                .iter()
                .map(|s| format!("{}: {}", s.file.display(), s.reason)),
            unread.len(),
        );
    }
}

fn list(lines: impl Iterator<Item = String>, count: usize) {
    for line in lines.take(MOST_LINES) {
        output::line(format!("  {line}"));
    }
    if count > MOST_LINES {
        output::line(format!("  and {} more (--json lists them)", count - MOST_LINES));
    }
}
