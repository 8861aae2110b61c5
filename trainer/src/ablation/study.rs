//! The choices that are studied: rows of one table differ in one thing.

use datasets::Dataset;
use models::{Palette, Stream};
use serde::{Deserialize, Serialize};

use super::trial::{Levels, Method, Trial, reading};
use crate::TrainingConfig;
use crate::config::{Duplicates, PhotoAccess, SegmenterConfig};

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// Its name on the command line.
    pub name: String,
    /// What it asks.
    pub title: String,
    /// The paper's table that asks the same, if one does.
    pub paper: Option<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What is tried.
    pub label: String,
    /// Its training, with the first seed.
    pub trial: Trial,
    /// What is read off that training.
    pub reading: String,
    /// Whether the other rows stand beside this one.
    pub reference: bool,
    /// The row of the paper's table that says the same.
    pub paper: Option<String>,
}

/// The configuration that everything is changed from: a fixed number of photos seen, the same maps for every trial, weights of the end
/// of an epoch or of the last step, whichever validates better.
pub fn base(config: &TrainingConfig, photos_seen: u64, dataset: &Dataset) -> TrainingConfig {
    let maps = (0..dataset.len()).any(|photo| dataset.segmentation_path(photo).is_some());
    let mut base = config.clone();
    base.budget.epochs = u32::MAX;
    base.budget.max_samples = Some(photos_seen);
    base.budget.max_seconds = None;
    base.budget.early_stop_patience = 0;
    base.segmenter = if maps {
        SegmenterConfig::Precomputed
    } else {
        SegmenterConfig::None
    };
    base
}

/// Every study of a base configuration.
pub fn studies(base: &TrainingConfig) -> Vec<Study> {
    [
        baselines(base),
        embeddings(base),
        depth(base),
        fusion(base),
        scoring(base),
        duplicates(base),
        segmentation(base),
        palette(base),
        stream(base),
        depth_finest(base),
    ]
    .into_iter()
    .filter(|study| study.rows.len() > 1)
    .collect()
}

fn study(name: &str, title: &str, paper: Option<&str>, rows: Vec<Row>) -> Study {
    Study {
        name: name.to_owned(),
        title: title.to_owned(),
        paper: paper.map(str::to_owned),
        rows,
    }
}

fn ours(label: impl Into<String>, base: &TrainingConfig, change: impl FnOnce(&mut TrainingConfig)) -> Row {
    row(label, Method::Ours, base, change)
}

fn row(
    label: impl Into<String>,
    method: Method,
    base: &TrainingConfig,
    change: impl FnOnce(&mut TrainingConfig),
) -> Row {
    let mut config = base.clone();
    change(&mut config);
    Row {
        label: label.into(),
        reading: reading::ANSWER.to_owned(),
        trial: Trial { method, config },
        reference: false,
        paper: None,
    }
}

impl Row {
    fn reference(mut self) -> Self {
        self.reference = true;
        self
    }

    fn read(mut self, reading: &str) -> Self {
        self.reading = reading.to_owned();
        self
    }

    fn paper(mut self, row: impl Into<String>) -> Self {
        self.paper = Some(row.into());
        self
    }
}

const CLASSIFIER: Method = Method::Classifier {
    levels: Levels::All,
    smoothing_km: None,
};

/// PIGEON's smoothing, kilometres.
const SMOOTHING_KM: f64 = 75.0;

fn baselines(base: &TrainingConfig) -> Study {
    let no_fusion = |config: &mut TrainingConfig| {
        config.model.fusion.blocks = 0;
        config.segmenter = SegmenterConfig::None;
    };
    let flat = |smoothing_km| Method::Classifier {
        levels: Levels::Finest,
        smoothing_km,
    };
    study(
        "baselines",
        "Ours beside what others have published, with the same tower and photos",
        None,
        vec![
            ours("GeoSURGE", base, |_| ()).reference(),
            ours("GeoSURGE without semantic fusion", base, no_fusion),
            row("PlaNet: flat classification", flat(None), base, no_fusion),
            row(
                "ISNs: product of softmaxes over the levels",
                CLASSIFIER,
                base,
                no_fusion,
            ),
            row(
                "[L]kNN: kernel density on a classifier's features",
                CLASSIFIER,
                base,
                no_fusion,
            )
            .read(reading::DENSITY),
            row(
                "GeoCLIP: gallery of coordinates",
                Method::GpsGallery,
                base,
                no_fusion,
            ),
            row(
                "PIGEOTTO: smoothed cells, before refinement",
                flat(Some(SMOOTHING_KM)),
                base,
                no_fusion,
            ),
            row(
                "PIGEOTTO: refined by reference clusters",
                flat(Some(SMOOTHING_KM)),
                base,
                no_fusion,
            )
            .read(reading::CLUSTERS),
        ],
    )
}

fn embeddings(base: &TrainingConfig) -> Study {
    study(
        "embeddings",
        "Geographic embeddings or a classification head, everything else the same",
        Some("VI"),
        vec![
            ours("geographic embeddings", base, |_| ())
                .reference()
                .paper("geographic embeddings"),
            row("classification head", CLASSIFIER, base, |_| ()).paper("classification head"),
        ],
    )
}

/// The depths of the paper that a configuration has, and its own.
fn depths(base: &TrainingConfig) -> Vec<usize> {
    let own = base.partition.t_max.len();
    let mut depths: Vec<usize> = [1, 3, 5].into_iter().filter(|depth| *depth < own).collect();
    depths.push(own);
    depths.reverse();
    depths
}

fn levels_word(depth: usize) -> String {
    format!("{depth} level{}", if depth == 1 { "" } else { "s" })
}

fn depth(base: &TrainingConfig) -> Study {
    let own = base.partition.t_max.len();
    let rows = depths(base).into_iter().map(|depth| {
        let row =
            ours(levels_word(depth), base, |c| c.partition.t_max.truncate(depth)).paper(levels_word(depth));
        if depth == own { row.reference() } else { row }
    });
    study(
        "depth",
        "Depth of the hierarchy, the coarsest levels kept: fewer levels have larger finest cells",
        Some("VII"),
        rows.collect(),
    )
}

fn depth_finest(base: &TrainingConfig) -> Study {
    let own = base.partition.t_max.len();
    let rows = depths(base).into_iter().map(|depth| {
        let row = ours(levels_word(depth), base, |c| {
            c.partition.t_max.drain(..own - depth);
        });
        if depth == own { row.reference() } else { row }
    });
    study(
        "depth-finest",
        "Depth of the hierarchy, the finest levels kept: the answer's cells stay the same",
        None,
        rows.collect(),
    )
}

fn fusion(base: &TrainingConfig) -> Study {
    let mut blocks = vec![3, 2, 1];
    if !blocks.contains(&base.model.fusion.blocks) && base.model.fusion.blocks > 0 {
        blocks.insert(0, base.model.fusion.blocks);
    }
    let mut rows = vec![
        ours("no fusion", base, |c| {
            c.model.fusion.blocks = 0;
            c.segmenter = SegmenterConfig::None;
        })
        .reference(),
    ];
    rows.extend(blocks.into_iter().map(|blocks| {
        let label = format!("{blocks} block{}", if blocks == 1 { "" } else { "s" });
        ours(label.clone(), base, |c| c.model.fusion.blocks = blocks).paper(label)
    }));
    study(
        "fusion",
        "Blocks of semantic fusion, beside none (with one block the map cannot reach the class token)",
        Some("VIII"),
        rows,
    )
}

fn scoring(base: &TrainingConfig) -> Study {
    study(
        "scoring",
        "How similarities along a path become a score, one training",
        None,
        vec![
            ours("product of the levels' softmaxes", base, |_| ()).reference(),
            ours("product of (1 + cosine) / 2", base, |_| ()).read(reading::COSINE),
            ours("finest level alone", base, |_| ()).read(reading::FINEST),
        ],
    )
}

fn duplicates(base: &TrainingConfig) -> Study {
    let kinds = [
        (Duplicates::Masked, "masked out of the denominator"),
        (Duplicates::Kept, "kept, as in plain InfoNCE"),
        (Duplicates::FullSoftmax, "full softmax over the level"),
    ];
    let rows = kinds.into_iter().map(|(kind, label)| {
        let row = ours(label, base, |c| c.loss.duplicates = kind);
        if kind == base.loss.duplicates {
            row.reference()
        } else {
            row
        }
    });
    study(
        "duplicates",
        "Other photos of a photo's own cell in the loss",
        None,
        rows.collect(),
    )
}

fn segmentation(base: &TrainingConfig) -> Study {
    let mut rows = vec![ours("the dataset's maps", base, |_| ()).reference()];
    if base.segmenter == SegmenterConfig::Precomputed {
        rows.push(
            ours("the dataset's maps in training, none at query time", base, |_| ()).read(reading::NO_MAPS),
        );
        // It learns from decoded photos.
        if base.data.photos == PhotoAccess::Decoded {
            rows.push(ours("a compact segmenter trained on them", base, |c| {
                c.segmenter = SegmenterConfig::Compact {
                    steps: 300,
                    batch_size: 64,
                    learning_rate: 3e-3,
                    max_seconds: None,
                };
            }));
        }
        rows.push(ours("none, in training and at query time", base, |c| {
            c.segmenter = SegmenterConfig::None
        }));
    }
    study("segmentation", "Where segmentation maps come from", None, rows)
}

fn palette(base: &TrainingConfig) -> Study {
    let channels = match base.model.fusion.palette {
        Palette::Learned { channels } => channels,
        Palette::Fixed => 8,
    };
    let kinds = [
        (Palette::Learned { channels }, "learned"),
        (Palette::Fixed, "fixed colours"),
    ];
    let rows = kinds.into_iter().map(|(kind, label)| {
        let row = ours(label, base, |c| c.model.fusion.palette = kind);
        if kind == base.model.fusion.palette {
            row.reference()
        } else {
            row
        }
    });
    study(
        "palette",
        "How class ids enter the projection of a map",
        None,
        rows.collect(),
    )
}

fn stream(base: &TrainingConfig) -> Study {
    let kinds = [
        (Stream::Rgb, "the photo's tokens"),
        (Stream::Semantic, "the map's tokens"),
    ];
    let rows = kinds.into_iter().map(|(kind, label)| {
        let row = ours(label, base, |c| c.model.fusion.stream = kind);
        if kind == base.model.fusion.stream {
            row.reference()
        } else {
            row
        }
    });
    study(
        "stream",
        "The residual stream of a fusion block",
        None,
        rows.collect(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_table_has_one_reference_and_distinct_rows_that_can_be_trained() {
        let dataset = Dataset::new(
            ".",
            vec![datasets::Photo {
                segmentation: Some("map.png".into()),
                ..datasets::Photo::new("a.png", geocells::LatLng::new(0.0, 0.0).unwrap())
            }],
        );
        for config in [TrainingConfig::demo(), TrainingConfig::paper()] {
            let base = base(&config, 5_000, &dataset);
            assert_eq!(base.budget.max_samples, Some(5_000));
            let studies = studies(&base);
            let names: BTreeSet<&str> = studies.iter().map(|s| s.name.as_str()).collect();
            for name in [
                "baselines",
                "embeddings",
                "depth",
                "fusion",
                "scoring",
                "duplicates",
                "segmentation",
                "palette",
                "stream",
            ] {
                assert!(names.contains(name), "{name}");
            }
            for study in &studies {
                assert_eq!(
                    study.rows.iter().filter(|row| row.reference).count(),
                    1,
                    "{}",
                    study.name
                );
                for (k, row) in study.rows.iter().enumerate() {
                    row.trial.config.validate().unwrap();
                    let same = |other: &Row| other.trial == row.trial && other.reading == row.reading;
                    assert!(!study.rows[..k].iter().any(same), "{}: {}", study.name, row.label);
                }
            }
            let depth = studies.iter().find(|s| s.name == "depth").unwrap();
            let labels: Vec<&str> = depth.rows.iter().map(|row| row.label.as_str()).collect();
            assert_eq!(labels, ["7 levels", "5 levels", "3 levels", "1 level"]);
            assert_eq!(
                depth.rows[3].trial.config.partition.t_max,
                config.partition.t_max[..1]
            );
        }
    }
}
