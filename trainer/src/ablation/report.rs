//! The tables as Markdown and CSV.

use std::fmt::Write;

use geocells::THRESHOLDS;

use super::AblationReport;
use super::paper::Verdict;
use super::table::{StudyTable, TableRow};
use crate::benchmark::Interval;

/// The tables for a document.
pub fn markdown(report: &AblationReport) -> String {
    let seeds: Vec<String> = report.seeds.iter().map(u64::to_string).collect();
    let mut text = format!(
        "{} photographs seen by each training, {} to learn from and validate on, {} test photographs; seeds {}. Shares in %, means over seeds; \
         in brackets {:.0} % intervals over seeds and test photographs.\n",
        report.photos_seen,
        report.training_photos,
        report.test_photos,
        seeds.join(", "),
        report.bootstrap.level * 100.0
    );
    for table in &report.tables {
        study(&mut text, table, report.seeds.len());
    }
    text
}

fn study(text: &mut String, table: &StudyTable, seeds: usize) {
    let paper = table
        .paper
        .as_ref()
        .map_or_else(String::new, |number| format!(" (the paper's Table {number})"));
    let _ = writeln!(text, "\n## {}: {}{paper}\n", table.name, table.title);
    if table.rows.is_empty() {
        let _ = writeln!(text, "No trial is finished yet.");
        return;
    }
    line(
        text,
        std::iter::once(String::new())
            .chain(headings())
            .chain(["median error, km".to_owned()]),
    );
    line(text, std::iter::repeat_n("---".to_owned(), 7));
    for row in &table.rows {
        let unfinished = if row.seeds.len() < seeds {
            format!(" ({} of {seeds} seeds)", row.seeds.len())
        } else {
            String::new()
        };
        let shares =
            (0..5).map(|k| with_interval(row.within[k] * 100.0, row.intervals.map(|all| all[k]), 100.0));
        let median = with_interval(row.median_km, row.median_interval, 1.0);
        line(
            text,
            std::iter::once(format!("{}{unfinished}", row.label))
                .chain(shares)
                .chain([median]),
        );
    }
    if table.rows.iter().any(|row| row.difference.is_some()) {
        let reference = table
            .rows
            .iter()
            .find(|row| row.reference)
            .map_or("the reference", |row| row.label.as_str());
        let _ = writeln!(text, "\nDifference from {reference}, points:\n");
        line(text, std::iter::once(String::new()).chain(headings()));
        line(text, std::iter::repeat_n("---".to_owned(), 6));
        for row in &table.rows {
            differences(text, row);
        }
    }
}

fn differences(text: &mut String, row: &TableRow) {
    let Some(found) = row.difference else { return };
    let cells = (0..5).map(|k| {
        let interval = row.difference_intervals.map_or_else(String::new, |all| {
            format!(" [{:+.1}, {:+.1}]", all[k].low * 100.0, all[k].high * 100.0)
        });
        format!("{:+.1}{interval}", found[k] * 100.0)
    });
    line(text, std::iter::once(row.label.clone()).chain(cells));
    let (Some(paper), Some(verdicts)) = (row.paper_difference, row.verdicts) else {
        return;
    };
    let cells = (0..5).map(|k| {
        let word = match verdicts[k] {
            Verdict::Agrees => "the same sign",
            Verdict::Contradicts => "**the other sign**",
            Verdict::Open => "open",
        };
        format!("{:+.1}: {word}", paper[k] * 100.0)
    });
    line(
        text,
        std::iter::once("the paper's difference, and here".to_owned()).chain(cells),
    );
}

fn headings() -> impl Iterator<Item = String> {
    THRESHOLDS
        .iter()
        .map(|threshold| format!("{} km", threshold.km.get()))
}

fn with_interval(value: f64, interval: Option<Interval>, factor: f64) -> String {
    interval.map_or_else(
        || format!("{value:.1}"),
        |i| format!("{value:.1} [{:.1}, {:.1}]", i.low * factor, i.high * factor),
    )
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// The tables as rows of study, row, metric, value, low, high, seeds.
pub fn csv(report: &AblationReport) -> String {
    let mut text = "study,row,metric,value,low,high,seeds\n".to_owned();
    for table in &report.tables {
        for row in &table.rows {
            let mut add = |metric: String, value: f64, interval: Option<Interval>| {
                let end = |end: Option<f64>| end.map_or_else(String::new, |end| end.to_string());
                let _ = writeln!(
                    text,
                    "{},{},{metric},{value},{},{},{}",
                    quoted(&table.name),
                    quoted(&row.label),
                    end(interval.map(|i| i.low)),
                    end(interval.map(|i| i.high)),
                    row.seeds.len()
                );
            };
            for (k, threshold) in THRESHOLDS.iter().enumerate() {
                let km = threshold.km.get();
                add(
                    format!("within_{km}_km"),
                    row.within[k],
                    row.intervals.map(|all| all[k]),
                );
                if let Some(difference) = row.difference {
                    let interval = row.difference_intervals.map(|all| all[k]);
                    add(format!("difference_within_{km}_km"), difference[k], interval);
                }
                if let Some(paper) = row.paper_difference {
                    add(format!("paper_difference_within_{km}_km"), paper[k], None);
                }
                if let Some(calibration) = row.calibration_error {
                    add(format!("calibration_error_{km}_km"), calibration[k], None);
                }
                for (seed, shares) in row.seeds.iter().zip(&row.by_seed) {
                    add(format!("within_{km}_km_seed_{seed}"), shares[k], None);
                }
            }
            add("median_km".to_owned(), row.median_km, row.median_interval);
            if let Some(coverage) = row.region_coverage {
                add("region_coverage".to_owned(), coverage, None);
            }
        }
    }
    text
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
