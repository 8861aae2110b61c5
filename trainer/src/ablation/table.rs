//! Rows over seeds, with intervals and differences from the row that they stand beside.
//!
//! An interval comes from samples of both seeds and test photos, drawn with replacement; a row and its reference see the same sample, so that
//! the interval of a difference is that of a paired comparison. Three seeds tell little of what another seed would do: an
//! interval is mostly that of the photos.

use geocells::THRESHOLDS;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::paper::{Verdict, paper_difference, verdict};
use super::study::{Row, Study};
use super::trial::Outcome;
use crate::benchmark::{Bootstrap, Interval};

/// A study's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyTable {
    /// The study's name.
    pub name: String,
    /// What it asks.
    pub title: String,
    /// The paper's table that asks the same.
    pub paper: Option<String>,
    /// The rows that have a finished trial.
    pub rows: Vec<TableRow>,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// What was tried.
    pub label: String,
    /// Whether the others stand beside it.
    pub reference: bool,
    /// The seeds that are finished.
    pub seeds: Vec<u64>,
    /// Mean over seeds of the share within each threshold.
    pub within: [f64; 5],
    /// Its intervals.
    pub intervals: Option<[Interval; 5]>,
    /// The share of every seed, in the order of `seeds`.
    pub by_seed: Vec<[f64; 5]>,
    /// Mean over seeds of the median error, km.
    pub median_km: f64,
    /// Its interval.
    pub median_interval: Option<Interval>,
    /// Difference from the reference at each threshold, over the seeds that both have; `None` for the reference.
    pub difference: Option<[f64; 5]>,
    /// Its intervals.
    pub difference_intervals: Option<[Interval; 5]>,
    /// The difference that the paper found, where its table has both rows.
    pub paper_difference: Option<[f64; 5]>,
    /// Whether the paper's sign is found here.
    pub verdicts: Option<[Verdict; 5]>,
    /// Mean calibration error at the five thresholds, where there is one.
    pub calibration_error: Option<[f64; 5]>,
    /// Mean share of truths inside their 90 % region, where there is one.
    pub region_coverage: Option<f64>,
    /// Geocells a level, of the first seed.
    pub cells: Vec<usize>,
    /// What was chosen on validation photos, seed by seed.
    pub settings: Vec<String>,
}

/// One row's outcomes, seed by seed; `None` where the trial is not finished.
type Outcomes = Vec<Option<Outcome>>;

/// The table of a study. `outcomes` stands in the order of its rows.
pub fn study_table(
    study: &Study,
    outcomes: Vec<Outcomes>,
    seeds: &[u64],
    bootstrap: &Bootstrap,
) -> StudyTable {
    let reference = study.rows.iter().position(|row| row.reference);
    let rows = study
        .rows
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcomes)| outcomes.iter().any(Option::is_some))
        .map(|(row, own)| {
            let beside = reference
                .filter(|_| !row.reference)
                .map(|k| (&study.rows[k], &outcomes[k]));
            table_row(study, row, own, beside, seeds, bootstrap)
        })
        .collect();
    StudyTable {
        name: study.name.clone(),
        title: study.title.clone(),
        paper: study.paper.clone(),
        rows,
    }
}

fn table_row(
    study: &Study,
    row: &Row,
    own: &Outcomes,
    beside: Option<(&Row, &Outcomes)>,
    seeds: &[u64],
    bootstrap: &Bootstrap,
) -> TableRow {
    let there: Vec<&Outcome> = own.iter().flatten().collect();
    let errors: Vec<&[f64]> = there.iter().map(|o| o.errors_km.as_slice()).collect();
    let intervals = intervals(&errors, bootstrap);
    let by_seed: Vec<[f64; 5]> = there.iter().map(|o| o.accuracy.within).collect();
    let mean = |of: &dyn Fn(&Outcome) -> f64| there.iter().map(|o| of(o)).sum::<f64>() / there.len() as f64;
    let calibration: Option<Vec<[f64; 5]>> = there.iter().map(|o| o.calibration_error).collect();
    let regions: Option<Vec<f64>> = there.iter().map(|o| o.region_coverage).collect();

    let pairs: Vec<(&[f64], &[f64])> = beside
        .iter()
        .flat_map(|(_, reference)| own.iter().zip(reference.iter()))
        .filter_map(|(a, b)| Some((a.as_ref()?.errors_km.as_slice(), b.as_ref()?.errors_km.as_slice())))
        .collect();
    let difference = (!pairs.is_empty()).then(|| differences(&pairs));
    let difference_intervals = difference_intervals(&pairs, bootstrap);
    let paper = beside.and_then(|(reference, _)| paper_difference(study.paper.as_deref()?, row, reference));
    let verdicts = match (paper, difference, difference_intervals) {
        (Some(paper), Some(found), Some(intervals)) => {
            Some(std::array::from_fn(|k| verdict(paper[k], found[k], intervals[k])))
        }
        _ => None,
    };
    TableRow {
        label: row.label.clone(),
        reference: row.reference,
        seeds: seeds
            .iter()
            .zip(own)
            .filter(|(_, o)| o.is_some())
            .map(|(seed, _)| *seed)
            .collect(),
        within: mean_of(&by_seed),
        intervals: intervals.map(|all| std::array::from_fn(|k| all[k])),
        by_seed,
        median_km: mean(&|o| o.accuracy.median_km),
        median_interval: intervals.map(|all| all[5]),
        difference,
        difference_intervals,
        paper_difference: paper,
        verdicts,
        calibration_error: calibration.map(|all| mean_of(&all)),
        region_coverage: regions.map(|all| all.iter().sum::<f64>() / all.len() as f64),
        cells: there.first().map(|o| o.cells.clone()).unwrap_or_default(),
        settings: there.iter().filter_map(|o| o.setting.clone()).collect(),
    }
}

fn mean_of(rows: &[[f64; 5]]) -> [f64; 5] {
    std::array::from_fn(|k| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len().max(1) as f64)
}

/// Seeds and photos of one sample.
struct Sample {
    seeds: Vec<usize>,
    photos: Vec<usize>,
}

impl Sample {
    fn draw(seeds: usize, photos: usize, rng: &mut impl Rng) -> Self {
        Self {
            seeds: (0..seeds).map(|_| rng.random_range(0..seeds)).collect(),
            photos: (0..photos).map(|_| rng.random_range(0..photos)).collect(),
        }
    }

    fn shares(&self, errors: &[f64]) -> [f64; 5] {
        THRESHOLDS.map(|threshold| {
            let limit = threshold.km.get();
            let right = self.photos.iter().filter(|i| errors[**i] <= limit).count();
            right as f64 / self.photos.len() as f64
        })
    }

    fn median(&self, errors: &[f64]) -> f64 {
        let mut drawn: Vec<f64> = self.photos.iter().map(|i| errors[*i]).collect();
        let middle = drawn.len() / 2;
        *drawn.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}

/// Intervals of the five shares and the median, means over seeds.
fn intervals(errors: &[&[f64]], bootstrap: &Bootstrap) -> Option<[Interval; 6]> {
    let photos = errors.first()?.len();
    bootstrap.sampled(|rng| {
        let sample = Sample::draw(errors.len(), photos, rng);
        let mut sum = [0.0; 6];
        for seed in &sample.seeds {
            let shares = sample.shares(errors[*seed]);
            sum.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
            sum[5] += sample.median(errors[*seed]);
        }
        sum.map(|sum| sum / sample.seeds.len() as f64)
    })
}

fn differences(pairs: &[(&[f64], &[f64])]) -> [f64; 5] {
    let whole = |errors: &[f64]| Sample {
        seeds: Vec::new(),
        photos: (0..errors.len()).collect(),
    };
    let each: Vec<[f64; 5]> = pairs
        .iter()
        .map(|(own, reference)| {
            let (a, b) = (whole(own).shares(own), whole(reference).shares(reference));
            std::array::from_fn(|k| a[k] - b[k])
        })
        .collect();
    mean_of(&each)
}

fn difference_intervals(pairs: &[(&[f64], &[f64])], bootstrap: &Bootstrap) -> Option<[Interval; 5]> {
    let photos = pairs.first()?.0.len();
    bootstrap.sampled(|rng| {
        let sample = Sample::draw(pairs.len(), photos, rng);
        let drawn: Vec<[f64; 5]> = sample
            .seeds
            .iter()
            .map(|seed| {
                let (own, reference) = pairs[*seed];
                let (a, b) = (sample.shares(own), sample.shares(reference));
                std::array::from_fn(|k| a[k] - b[k])
            })
            .collect();
        mean_of(&drawn)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use geocells::Kilometres;

    use super::super::study;
    use super::*;
    use crate::TrainingConfig;

    fn outcome(errors: &[f64]) -> Option<Outcome> {
        let errors: Vec<Kilometres> = errors.iter().map(|km| Kilometres::new(*km).unwrap()).collect();
        Some(Outcome::of_errors(&errors).unwrap())
    }

    #[test]
    fn rows_are_means_over_seeds_and_differences_are_paired() {
        let dataset = datasets::Dataset::new(".", Vec::new());
        let base = study::base(&TrainingConfig::demo(), 10, &dataset);
        let study = study::studies(&base)
            .into_iter()
            .find(|s| s.name == "embeddings")
            .unwrap();
        // 200 photos of which every tenth is hard for both; ours finds half of the rest within 1 km, the head a fourth.
        let errors = |every: usize| -> Vec<f64> {
            (0..200)
                .map(|i| match i {
                    i if i % 10 == 0 => 5_000.0,
                    i if i % every == 1 => 0.5,
                    _ => 10.0,
                })
                .collect()
        };
        let (ours, head) = (errors(2), errors(4));
        let outcomes = vec![vec![outcome(&ours), outcome(&ours)], vec![outcome(&head), None]];
        let table = study_table(&study, outcomes, &[1, 2], &Bootstrap::default());
        let [first, second] = [&table.rows[0], &table.rows[1]];
        assert_eq!(
            (first.seeds.as_slice(), second.seeds.as_slice()),
            ([1, 2].as_slice(), [1].as_slice())
        );
        assert_eq!(first.within, [0.5, 0.9, 0.9, 0.9, 0.9]);
        assert_eq!(second.within, [0.25, 0.9, 0.9, 0.9, 0.9]);
        assert_eq!(first.difference, None);
        assert_eq!(second.difference, Some([-0.25, 0.0, 0.0, 0.0, 0.0]));
        let interval = second.difference_intervals.unwrap()[0];
        assert!(
            interval.low > -0.35 && interval.high < -0.15 && interval.low < -0.25 && interval.high > -0.25
        );
        // Pairing: both miss the same photos, so the difference there has no spread.
        assert_eq!(
            second.difference_intervals.unwrap()[1],
            Interval { low: 0.0, high: 0.0 }
        );
        // The paper: a head loses 4.2 points at 1 km.
        assert!((second.paper_difference.unwrap()[0] + 0.042).abs() < 1e-9);
        assert_eq!(second.verdicts.unwrap()[0], Verdict::Agrees);
        assert_eq!(second.verdicts.unwrap()[1], Verdict::Open);
    }
}
