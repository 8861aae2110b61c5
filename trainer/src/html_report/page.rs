//! The page itself.

use geocells::{Accuracy, THRESHOLDS};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::charts::{Axes, Series, lines};
use super::curves::{Curve, Curves};
use super::{Case, Findings, calibration, hardest, map};
use crate::provenance::RunProvenance;
use crate::run::read_json;
use crate::{Result, RunFolder};

const STYLE: &str = include_str!("page.css");

/// Renders the page.
///
/// # Errors
/// A damaged `run.json`, a chart that cannot be drawn, a photo that can no longer be read.
pub(super) fn render(
    run: &RunFolder,
    findings: &Findings<'_>,
    curves: &Curves,
    levels: &[Accuracy],
    cases: &[Case],
) -> Result<String> {
    let report = findings.report;
    let provenance: RunProvenance = read_json(&run.provenance())?;
    let name = run.root().file_name().unwrap_or_default().to_string_lossy();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "GeoSURGE training run " (name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Training run " (name) }
                (summary(findings))
                h2 { "Accuracy on held-out photographs" }
                (accuracies(findings, levels))
                div class="charts" {
                    (chart("Loss (training, mean over the steps between two lines of the log)", &[one(&curves.loss)], &Axes { y: "loss", ..Axes::default() })?)
                    (chart("Held-out accuracy within the thresholds", &thresholds(&curves.within), &Axes { y: "%", y_range: Some(0.0..100.0), ..Axes::default() })?)
                    (chart("Temperatures, by level", &by_level(&curves.temperatures), &Axes { y: "temperature", ..Axes::default() })?)
                    (chart("Learning rate", &[one(&curves.learning_rate)], &Axes { y: "rate", ..Axes::default() })?)
                }
                h2 { "Calibration" }
                (calibrated(findings, cases)?)
                h2 { "Errors" }
                p {
                    "Each dot is a held-out photograph at its true place"
                    @if cases.len() < findings.photos.len() { (format!(" ({} of {}, evenly spaced)", cases.len(), findings.photos.len())) }
                    ". The land is that of the Earth's countries with their coastal waters; a procedural planet has other continents."
                }
                (map::errors(cases))
                h2 { "Hardest photographs" }
                (hardest::pictures(findings, cases, findings.config.log.hardest)?)
                h2 { "How it was made" }
                (made(findings, &provenance))
                p class="small" { (places::ATTRIBUTION) }
                p class="small" { "Checkpoint " code { (report.checkpoint_id) } }
            }
        }
    };
    Ok(page.into_string())
}

fn one(points: &Curve) -> Series<'_> {
    Series {
        name: String::new(),
        points,
    }
}

fn thresholds(curves: &[Curve; 5]) -> Vec<Series<'_>> {
    let named = THRESHOLDS.iter().zip(curves);
    named
        .map(|(threshold, points)| Series {
            name: format!("{} km", threshold.km.get()),
            points,
        })
        .collect()
}

fn by_level(curves: &[Curve]) -> Vec<Series<'_>> {
    let level = |(level, points)| Series {
        name: format!("level {level}"),
        points,
    };
    curves.iter().enumerate().map(level).collect()
}

fn chart(title: &str, series: &[Series<'_>], axes: &Axes<'_>) -> Result<Markup> {
    let svg = lines(series, axes)?;
    Ok(html! {
        figure {
            figcaption { (title) }
            @match svg {
                Some(svg) => div role="img" aria-label=(title) { (PreEscaped(svg)) },
                None => p class="small" { "Nothing was recorded: the run was shorter than a line of its log." },
            }
        }
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn summary(findings: &Findings<'_>) -> Markup {
    let report = findings.report;
    let waiting = report.step_seconds.waiting / report.step_seconds.total().max(1e-9);
    let facts = [
        ("photographs learnt from", report.training_photos.to_string()),
        ("held out", report.validation_photos.to_string()),
        ("left out (unreadable)", report.skipped.len().to_string()),
        ("seen, over all epochs", report.samples.to_string()),
        ("steps", report.steps.to_string()),
        ("photographs a second", format!("{:.1}", report.images_per_second)),
        ("device idle, waiting for photographs", percent(waiting)),
        ("median error", format!("{:.0} km", report.accuracy.median_km)),
    ];
    html! {
        dl {
            @for (what, value) in facts {
                div { dt { (what) } dd { (value) } }
            }
        }
    }
}

fn accuracies(findings: &Findings<'_>, levels: &[Accuracy]) -> Markup {
    let row = |name: String, cells: Option<usize>, accuracy: &Accuracy| {
        html! {
            tr {
                th scope="row" { (name) }
                td { @if let Some(cells) = cells { (cells) } }
                @for share in accuracy.within { td { (percent(share)) } }
                td { (format!("{:.0} km", accuracy.median_km)) }
            }
        }
    };
    html! {
        table {
            thead {
                tr {
                    th {} th { "cells" }
                    @for threshold in THRESHOLDS { th { (threshold.name) " " (threshold.km.get()) " km" } }
                    th { "median" }
                }
            }
            tbody {
                @for (level, accuracy) in levels.iter().enumerate() {
                    (row(format!("path down to level {level}"), findings.report.cells.get(level).copied(), accuracy))
                }
                (row("chance".to_owned(), None, &findings.report.chance))
            }
        }
    }
}

fn calibrated(findings: &Findings<'_>, cases: &[Case]) -> Result<Markup> {
    let curves = calibration::reliability(cases);
    let axes = Axes {
        x: "stated probability, %",
        y: "came true, %",
        x_range: Some(0.0..100.0),
        y_range: Some(0.0..100.0),
        diagonal: true,
    };
    let report = &findings.report.calibration;
    Ok(html! {
        div class="charts" {
            (chart("Stated probabilities against how often they came true; the grey line is honesty", &thresholds(&curves), &axes)?)
            div {
                @if let Some(errors) = report.calibration_error {
                    table {
                        thead { tr { th { "within" } th { "expected calibration error" } } }
                        tbody {
                            @for (threshold, error) in THRESHOLDS.iter().zip(errors) {
                                tr { th scope="row" { (threshold.km.get()) " km" } td { (format!("{error:.3}")) } }
                            }
                        }
                    }
                }
                p { "On the " (report.photos) " held-out photographs that the calibration was fitted on, so an evaluation on other photographs says more." }
                @if let Some(note) = &report.note { p { (note) } }
            }
        }
    })
}

fn made(findings: &Findings<'_>, provenance: &RunProvenance) -> Markup {
    let hardware = &provenance.hardware;
    let memory = hardware.memory_bytes.map_or(String::new(), |bytes| {
        format!(", {:.0} GiB of memory", bytes as f64 / f64::from(1 << 30))
    });
    let processor = hardware.processor.as_deref().unwrap_or("processor unknown");
    html! {
        table class="facts" {
            tbody {
                tr { th { "program" } td { "geosurge " (provenance.version) ", revision " (provenance.revision.as_deref().unwrap_or("unknown")) } }
                tr { th { "dataset" } td { (provenance.dataset.photos) " photographs, digest " code { (provenance.dataset.digest) } } }
                tr { th { "hardware" } td { (hardware.platform) ", " (processor) ", " (hardware.cores) " cores" (memory) "; devices " (hardware.devices.join(", ")) "; " (hardware.threads) " threads" } }
                tr { th { "starts" } td { @for start in &provenance.starts { (start.at) @if start.resumed { " (resumed)" } " " } } }
                tr { th { "seed" } td { (provenance.seed) } }
            }
        }
        details {
            summary { "Configuration" }
            pre { (findings.config.to_toml().unwrap_or_default()) }
        }
    }
}
