//! The same accuracy, continent by continent: a mean over the Earth hides where a model was never trained.

use std::collections::BTreeMap;

use geocells::{Accuracy, Kilometres, LatLng};
use places::PlaceNamer;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bootstrap::{Bootstrap, Interval};
use crate::Result;

/// The name of what lies on no continent.
pub const AT_SEA: &str = "at sea";

/// The photos whose true place lies on one continent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContinentReport {
    /// The continent, in English; "at sea" for the rest.
    pub continent: String,
    /// Their accuracy.
    pub accuracy: Accuracy,
    /// Intervals of the five shares; `None` when intervals are off.
    pub intervals: Option<[Interval; 5]>,
}

/// Accuracy by the continent of the true place, in the order of names.
///
/// # Errors
/// None that can happen: every group has a photo.
pub fn by_continent(
    truths: &[LatLng],
    errors: &[Kilometres],
    bootstrap: &Bootstrap,
) -> Result<Vec<ContinentReport>> {
    let namer = PlaceNamer::shared();
    let names: Vec<String> = truths
        .par_iter()
        .map(|truth| {
            namer
                .name(*truth)
                .map_or_else(|| AT_SEA.to_owned(), |name| name.continent)
        })
        .collect();
    let mut groups: BTreeMap<&str, Vec<Kilometres>> = BTreeMap::new();
    for (name, error) in names.iter().zip(errors) {
        groups.entry(name).or_default().push(*error);
    }
    groups
        .into_iter()
        .map(|(continent, errors)| {
            Ok(ContinentReport {
                continent: continent.to_owned(),
                accuracy: Accuracy::from_errors(&errors)?,
                intervals: bootstrap.intervals(errors.len(), |sample| shares_within(&errors, sample)),
            })
        })
        .collect()
}

/// Shares of a sample of photos whose error is within each threshold.
pub fn shares_within(errors: &[Kilometres], sample: &[usize]) -> [f64; 5] {
    geocells::THRESHOLDS.map(|threshold| {
        let right = sample.iter().filter(|i| errors[**i] <= threshold.km).count();
        right as f64 / sample.len().max(1) as f64
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn photos_are_grouped_by_the_continent_of_their_true_place() {
        let place = |latitude, longitude| LatLng::new(latitude, longitude).unwrap();
        let truths = [
            place(48.85, 2.35),
            place(52.52, 13.4),
            place(-33.87, 151.2),
            place(-40.0, -120.0),
        ];
        let km = |km| Kilometres::new(km).unwrap();
        let errors = [km(0.5), km(30.0), km(3_000.0), km(100.0)];
        let found = by_continent(&truths, &errors, &Bootstrap::default()).unwrap();
        let names: Vec<&str> = found.iter().map(|group| group.continent.as_str()).collect();
        assert_eq!(names, ["Europe", "Oceania", AT_SEA]);
        assert_eq!(found[0].accuracy.within, [0.5, 0.5, 1.0, 1.0, 1.0]);
        assert_eq!(found[1].accuracy.within, [0.0; 5]);
        assert_eq!(found[0].intervals.unwrap()[2], Interval { low: 1.0, high: 1.0 });
    }
}
