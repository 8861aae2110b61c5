//! What moves when another release answers.

mod probe;
mod shadow;

use std::collections::BTreeMap;

use geocells::{Accuracy, GeocellId, Kilometres, LatLng, THRESHOLDS};
use serde::Serialize;
use storage::ReleaseId;

pub use probe::{Probe, ProbeOptions, probe};
pub use shadow::from_shadow;

use crate::{Error, Result};

/// S2 level of the cells that moved answers are grouped by: about 600 km across.
const REGION_LEVEL: u8 = 4;

/// An answer that moved farther than this counts as a change of its region.
const MOVED_KM: f64 = 200.0;

/// One release's answer to a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The answer.
    pub location: LatLng,
    /// Probability of its geocell.
    pub confidence: f64,
    /// Whether no place was claimed.
    pub cannot_tell: bool,
    /// The best geocell of every level, coarsest first; empty where that is not known.
    pub levels: Vec<GeocellId>,
}

/// Both releases' answers to one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Of the first release.
    pub a: Side,
    /// Of the second release.
    pub b: Side,
    /// Where the photo was taken, if that is known.
    pub truth: Option<LatLng>,
}

/// How two releases differ on the same photos.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// The first release.
    pub a: ReleaseId,
    /// The second release.
    pub b: ReleaseId,
    /// What was compared, for people: a probe dataset, reference images, or answered queries.
    pub source: String,
    /// Photos compared.
    pub photos: usize,
    /// Share of photos whose answers are within 1, 25, 200, 750 and 2,500 km of each other.
    pub agreement: [f64; 5],
    /// Share of photos with the same best geocell, by level, coarsest first; empty where the releases have different levels.
    pub same_geocell: Vec<f64>,
    /// Distance between the two answers.
    pub moved: Moved,
    /// Of the first release, where the truth is known.
    pub accuracy_a: Option<Accuracy>,
    /// Of the second release, on the same photos.
    pub accuracy_b: Option<Accuracy>,
    /// Photos that the second release answers within 200 km of the truth and the first one does not.
    pub won: usize,
    /// Photos that the first release answers within 200 km of the truth and the second one does not.
    pub lost: usize,
    /// Mean confidence of the first and the second release.
    pub confidence: [f64; 2],
    /// Share of photos of which the first and the second release cannot tell the place.
    pub cannot_tell: [f64; 2],
    /// Where answers moved by more than 200 km, most moved first; the region is that of the first release's answer.
    pub regions: Vec<Region>,
}

/// Distances between two releases' answers, in kilometres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Moved {
    /// Photos with the very same place.
    pub unchanged: usize,
    /// Half of the photos moved at most this far.
    pub median_km: f64,
    /// Nine tenths moved at most this far.
    pub p90_km: f64,
    /// All but a hundredth moved at most this far.
    pub p99_km: f64,
    /// The farthest.
    pub largest_km: f64,
}

/// A part of the Earth where answers moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    /// Its S2 token.
    pub token: GeocellId,
    /// Its centre.
    pub center: LatLng,
    /// Photos that the first release placed there.
    pub photos: usize,
    /// How many of them the second release placed more than 200 km away.
    pub moved: usize,
}

/// Compares two releases by their answers.
///
/// # Errors
/// [`Error::Incomparable`] without a pair.
pub fn compare(a: ReleaseId, b: ReleaseId, source: impl Into<String>, pairs: &[Pair]) -> Result<Diff> {
    let source = source.into();
    if pairs.is_empty() {
        return Err(Error::Incomparable(format!(
            "releases {a} and {b} have no photograph in common: {source}"
        )));
    }
    let count = pairs.len() as f64;
    let mut distances: Vec<Kilometres> = pairs
        .iter()
        .map(|pair| pair.a.location.distance(pair.b.location))
        .collect();
    distances.sort_unstable();
    let within = THRESHOLDS.map(|t| distances.partition_point(|d| *d <= t.km) as f64 / count);
    let quantile = |share: f64| {
        let index = (share * (distances.len() - 1) as f64).round() as usize;
        distances[index.min(distances.len() - 1)].get()
    };
    let errors = |side: fn(&Pair) -> &Side| -> Vec<Kilometres> {
        pairs
            .iter()
            .filter_map(|pair| Some(side(pair).location.distance(pair.truth?)))
            .collect()
    };
    let (errors_a, errors_b) = (errors(|pair| &pair.a), errors(|pair| &pair.b));
    let near = |error: &Kilometres| error.get() <= MOVED_KM;
    let both = || errors_a.iter().zip(&errors_b);
    let mean = |value: &dyn Fn(&Pair) -> f64| pairs.iter().map(value).sum::<f64>() / count;
    Ok(Diff {
        a,
        b,
        source,
        photos: pairs.len(),
        agreement: within,
        same_geocell: same_geocell(pairs),
        moved: Moved {
            unchanged: pairs
                .iter()
                .filter(|pair| pair.a.location == pair.b.location)
                .count(),
            median_km: quantile(0.5),
            p90_km: quantile(0.9),
            p99_km: quantile(0.99),
            largest_km: quantile(1.0),
        },
        accuracy_a: Accuracy::from_errors(&errors_a).ok(),
        accuracy_b: Accuracy::from_errors(&errors_b).ok(),
        won: both().filter(|(a, b)| !near(a) && near(b)).count(),
        lost: both().filter(|(a, b)| near(a) && !near(b)).count(),
        confidence: [mean(&|pair| pair.a.confidence), mean(&|pair| pair.b.confidence)],
        cannot_tell: [
            mean(&|pair| f64::from(u8::from(pair.a.cannot_tell))),
            mean(&|pair| f64::from(u8::from(pair.b.cannot_tell))),
        ],
        regions: regions(pairs),
    })
}

/// Share of pairs with the same best geocell at each level that all of them have.
fn same_geocell(pairs: &[Pair]) -> Vec<f64> {
    let depth = pairs[0].a.levels.len();
    let alike = |pair: &Pair| pair.a.levels.len() == depth && pair.b.levels.len() == depth;
    if !pairs.iter().all(alike) {
        return Vec::new();
    }
    let same = |level: usize| {
        let same = pairs
            .iter()
            .filter(|pair| pair.a.levels[level] == pair.b.levels[level]);
        same.count() as f64 / pairs.len() as f64
    };
    (0..depth).map(same).collect()
}

fn regions(pairs: &[Pair]) -> Vec<Region> {
    let mut by_token: BTreeMap<GeocellId, Region> = BTreeMap::new();
    for pair in pairs {
        // Every place has a cell at every S2 level.
        let Ok(token) = GeocellId::containing(pair.a.location, REGION_LEVEL) else {
            continue;
        };
        let region = by_token.entry(token).or_insert_with(|| Region {
            token,
            center: token.center(),
            photos: 0,
            moved: 0,
        });
        region.photos += 1;
        region.moved += usize::from(pair.a.location.distance(pair.b.location).get() > MOVED_KM);
    }
    let mut moved: Vec<Region> = by_token.into_values().filter(|region| region.moved > 0).collect();
    moved.sort_by(|x, y| {
        y.moved
            .cmp(&x.moved)
            .then(y.photos.cmp(&x.photos))
            .then(x.token.cmp(&y.token))
    });
    moved
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn side(latitude: f64, longitude: f64, levels: &[u8]) -> Side {
        let location = LatLng::new(latitude, longitude).unwrap();
        Side {
            location,
            confidence: 0.5,
            cannot_tell: false,
            levels: levels
                .iter()
                .map(|level| GeocellId::containing(location, *level).unwrap())
                .collect(),
        }
    }

    fn names() -> (ReleaseId, ReleaseId) {
        (ReleaseId::new("a").unwrap(), ReleaseId::new("b").unwrap())
    }

    #[test]
    fn what_moved_is_counted_where_it_was() {
        let paris = side(48.85, 2.35, &[2, 8]);
        let near_paris = side(48.95, 2.35, &[2, 8]);
        let lyon = side(45.76, 4.84, &[2, 8]);
        let truth = Some(paris.location);
        let pair = |a: &Side, b: &Side| Pair {
            a: a.clone(),
            b: b.clone(),
            truth,
        };
        let pairs = [
            pair(&paris, &paris),
            pair(&paris, &near_paris),
            pair(&paris, &lyon),
            pair(&lyon, &paris),
        ];
        let (a, b) = names();
        let diff = compare(a, b, "test", &pairs).unwrap();
        assert_eq!((diff.photos, diff.moved.unchanged), (4, 1));
        assert_eq!(diff.agreement, [0.25, 0.5, 0.5, 1.0, 1.0]);
        assert_eq!((diff.won, diff.lost), (1, 1));
        assert_eq!(diff.same_geocell[0], 1.0);
        assert!(diff.same_geocell[1] < 1.0);
        assert_eq!(diff.accuracy_a.unwrap().within[2], 0.75);
        assert_eq!(diff.accuracy_b.unwrap().within[2], 0.75);
        let moved: usize = diff.regions.iter().map(|region| region.moved).sum();
        assert_eq!(moved, 2);
        assert!((diff.moved.largest_km - 392.0).abs() < 3.0, "{:?}", diff.moved);
    }

    #[test]
    fn without_truth_there_is_no_accuracy_and_without_photos_no_comparison() {
        let pair = Pair {
            a: side(0.0, 0.0, &[3]),
            b: side(0.0, 0.0, &[3, 5]),
            truth: None,
        };
        let (a, b) = names();
        let diff = compare(a.clone(), b.clone(), "test", &[pair]).unwrap();
        assert!(diff.accuracy_a.is_none() && diff.same_geocell.is_empty());
        assert!(matches!(
            compare(a, b, "nothing", &[]),
            Err(Error::Incomparable(_))
        ));
    }
}
