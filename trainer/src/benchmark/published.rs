//! The figures that the paper publishes for each benchmark, kept as data with their source (`published.csv`).

use serde::{Deserialize, Serialize};

use super::Benchmark;

const PUBLISHED: &str = include_str!("published.csv");

/// A method's published accuracy on one benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedRow {
    /// The method, as the paper names it.
    pub method: String,
    /// Share of photos within 1, 25, 200, 750 and 2,500 km, 0 to 1; `None` where the paper has a dash.
    pub within: [Option<f64>; 5],
}

/// The published rows of a benchmark, in the paper's order, the paper's own method last.
pub fn published(benchmark: Benchmark) -> Vec<PublishedRow> {
    rows(PUBLISHED)
        .filter(|(group, _, _)| *group == benchmark.name())
        .map(|(_, method, within)| PublishedRow {
            method: method.to_owned(),
            within,
        })
        .collect()
}

/// Group, name and shares of every row of a file of published figures; comments and the header are left out.
pub(crate) fn rows(
    text: &'static str,
) -> impl Iterator<Item = (&'static str, &'static str, [Option<f64>; 5])> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split(',');
            let (group, name) = (fields.next()?, fields.next()?);
            let mut within = [None; 5];
            for share in &mut within {
                *share = fields.next()?.parse::<f64>().ok().map(|percent| percent / 100.0);
            }
            Some((group, name, within))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_benchmark_has_its_rows() {
        let counts: Vec<usize> = Benchmark::ALL.into_iter().map(|b| published(b).len()).collect();
        assert_eq!(counts, [11, 14, 14, 10, 6]);
        for benchmark in Benchmark::ALL {
            let rows = published(benchmark);
            assert_eq!(rows.last().unwrap().method, "GeoSURGE");
            for row in &rows {
                let known: Vec<f64> = row.within.iter().flatten().copied().collect();
                assert!(known.len() >= 4 && known.is_sorted(), "{row:?}");
            }
        }
        let ours = published(Benchmark::Gws15k).pop().unwrap();
        assert_eq!(
            ours.within.map(|share| (share.unwrap() * 1000.0).round()),
            [10.0, 46.0, 219.0, 547.0, 808.0]
        );
        let partly = published(Benchmark::Yfcc4k)
            .into_iter()
            .find(|row| row.method == "RFM")
            .unwrap();
        assert_eq!((partly.within[0], partly.within[1]), (None, Some(0.335)));
    }
}
