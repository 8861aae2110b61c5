//! What the paper found, and whether its sign is found here.

use serde::{Deserialize, Serialize};

use super::study::Row;
use crate::benchmark::Interval;
use crate::benchmark::published::rows;

const PUBLISHED: &str = include_str!("published.csv");

/// Whether a difference here has the sign of the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The same sign, and its interval does not hold zero.
    Agrees,
    /// The other sign, and its interval does not hold zero.
    Contradicts,
    /// The interval holds zero, or the paper's difference is zero.
    Open,
}

/// The difference between two rows of a table of the paper, as shares; `None` where it has not both.
/// Table VIII publishes differences from no fusion itself.
pub fn paper_difference(table: &str, row: &Row, reference: &Row) -> Option<[f64; 5]> {
    let find = |wanted: &str| {
        rows(PUBLISHED)
            .find(|(group, name, _)| *group == table && *name == wanted)
            .map(|(_, _, within)| within.map(Option::unwrap_or_default))
    };
    let own = find(row.paper.as_deref()?)?;
    match reference.paper.as_deref() {
        Some(reference) => {
            let reference = find(reference)?;
            Some(std::array::from_fn(|k| own[k] - reference[k]))
        }
        None => (table == "VIII").then_some(own),
    }
}

/// Compares a difference with the paper's.
pub fn verdict(paper: f64, found: f64, interval: Interval) -> Verdict {
    let decided = interval.low > 0.0 || interval.high < 0.0;
    if !decided || paper.abs() < 1e-9 {
        Verdict::Open
    } else if (paper > 0.0) == (found > 0.0) {
        Verdict::Agrees
    } else {
        Verdict::Contradicts
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use datasets::{Dataset, Photo};

    use super::super::study;
    use super::*;
    use crate::TrainingConfig;

    #[test]
    fn the_papers_differences_are_those_of_its_tables() {
        let photo = Photo {
            segmentation: Some("map.png".into()),
            ..Photo::new("a.png", geocells::LatLng::new(0.0, 0.0).unwrap())
        };
        let base = study::base(&TrainingConfig::demo(), 10, &Dataset::new(".", vec![photo]));
        let difference = |name: &str, label: &str| {
            let study = study::studies(&base)
                .into_iter()
                .find(|s| s.name == name)
                .unwrap();
            let reference = study.rows.iter().find(|row| row.reference).unwrap();
            let row = study.rows.iter().find(|row| row.label == label).unwrap();
            let points = paper_difference(study.paper.as_deref().unwrap(), row, reference).unwrap();
            points.map(|share| (share * 1_000.0).round() / 10.0)
        };
        assert_eq!(
            difference("embeddings", "classification head"),
            [-4.2, -0.4, 1.3, -0.9, -0.4]
        );
        assert_eq!(difference("depth", "1 level"), [-9.7, -8.9, -4.6, -2.1, -1.6]);
        assert_eq!(difference("fusion", "3 blocks"), [3.9, 2.9, 1.7, 0.9, 0.0]);
        assert_eq!(difference("fusion", "1 block"), [1.3, 1.2, -0.8, 0.0, -1.2]);
    }

    #[test]
    fn a_verdict_needs_an_interval_without_zero() {
        let interval = |low, high| Interval { low, high };
        assert_eq!(verdict(0.03, 0.02, interval(0.01, 0.03)), Verdict::Agrees);
        assert_eq!(verdict(0.03, -0.02, interval(-0.03, -0.01)), Verdict::Contradicts);
        assert_eq!(verdict(0.03, 0.02, interval(-0.01, 0.05)), Verdict::Open);
        assert_eq!(verdict(0.0, 0.02, interval(0.01, 0.03)), Verdict::Open);
    }
}
