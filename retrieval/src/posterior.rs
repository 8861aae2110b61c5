//! Path scores to probabilities, with a rigorous bound on what was not retrieved.
//!
//! A query's path score of a cell is x_c = v · p(c). The posterior is
//!
//! ```text
//! P(c) = w_c / Σ w,   w_c = exp(scale · x_c) · photos_c ^ prior_weight
//! ```
//!
//! over all cells. A search returns only the K highest scores. Every other cell scores at most the K-th, so the
//! weight outside is at most exp(scale · x_K) · Σ_outside photos^prior_weight, and the last sum is known from the
//! cell table. [`Posterior`] divides by the retrieved weight *plus* that bound: its probabilities are lower bounds and
//! `outside_mass` is an upper bound, and together they sum to one.

use geocells::{LatLng, THRESHOLDS};
use models::Calibration;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cells::Spread;
use crate::{Error, Result};

/// A retrieved cell: what the posterior needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellScore {
    /// Index of the cell in its level.
    pub cell: usize,
    /// Inner product of visual embedding and path embedding.
    pub score: f64,
    /// Training photos in the cell (at least 1 for the prior's logarithm).
    pub photos: u64,
}

/// What is known of the cells that were not retrieved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outside {
    /// No such cell scores higher than this.
    pub score_at_most: f64,
    /// Sum over such cells of photos ^ prior_weight; zero when every cell was retrieved.
    pub prior: f64,
}

impl Outside {
    /// Every cell was retrieved.
    pub const NONE: Self = Self {
        score_at_most: f64::NEG_INFINITY,
        prior: 0.0,
    };
}

/// A normalised posterior over the retrieved cells of one level.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Cell and probability (lower bound), in the order of the scores given.
    pub cells: Vec<(usize, f64)>,
    /// Upper bound of the probability of all other cells.
    pub outside_mass: f64,
}

impl Posterior {
    /// Normalises the scores of the retrieved cells.
    ///
    /// # Errors
    /// A score that is not finite, no score at all, or a calibration whose scale is not positive.
    pub fn new(scores: &[CellScore], outside: Outside, calibration: &Calibration) -> Result<Self> {
        check_calibration(calibration)?;
        if scores.is_empty() || scores.iter().any(|cell| !cell.score.is_finite()) {
            return Err(Error::NotFinite);
        }
        let logit = |cell: &CellScore| {
            calibration.scale * cell.score + calibration.prior_weight * (cell.photos.max(1) as f64).ln()
        };
        let logits: Vec<f64> = scores.iter().map(logit).collect();
        let outside_logit = if outside.prior > 0.0 {
            calibration.scale * outside.score_at_most + outside.prior.ln()
        } else {
            f64::NEG_INFINITY
        };
        let highest = logits.iter().copied().fold(outside_logit, f64::max);
        let outside_weight = (outside_logit - highest).exp();
        let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let total = weights.iter().sum::<f64>() + outside_weight;
        Ok(Self {
            cells: scores
                .iter()
                .zip(&weights)
                .map(|(cell, weight)| (cell.cell, weight / total))
                .collect(),
            outside_mass: outside_weight / total,
        })
    }

    /// Entropy in nats; the mass outside counts as one lump, so this is a lower estimate when that mass is large.
    #[must_use]
    pub fn entropy(&self) -> f64 {
        let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        self.cells.iter().map(|(_, p)| term(*p)).sum::<f64>() + term(self.outside_mass)
    }

    /// The smallest set of cells whose probability reaches `mass`, most probable first, with the mass that it holds.
    /// Where the retrieved cells do not hold `mass`, all of them.
    #[must_use]
    pub fn credible_set(&self, mass: f64) -> (Vec<(usize, f64)>, f64) {
        let mut cells = self.cells.clone();
        cells.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut held = 0.0;
        let mut taken = 0;
        while taken < cells.len() && held < mass {
            held += cells[taken].1;
            taken += 1;
        }
        cells.truncate(taken);
        (cells, held)
    }

    /// Probability that the true place is within each threshold of `place`.
    ///
    /// The sum over cells of P(c) times the share of the cell's [`Spread`] that lies within the threshold, so that
    /// a large cell does not count whole because its mean happens to be near. The mass outside counts as far away.
    #[must_use]
    pub fn within<'a>(&self, place: LatLng, spread: impl Fn(usize) -> &'a Spread) -> Within {
        let mut within = [0.0; THRESHOLDS.len()];
        for &(cell, probability) in &self.cells {
            if probability < NEGLIGIBLE {
                continue;
            }
            let shares = spread(cell).shares_within(place);
            for (sum, share) in within.iter_mut().zip(shares) {
                *sum += probability * share;
            }
        }
        Within(within.map(|sum| sum.min(1.0)))
    }
}

/// Cells below this probability are left out of [`Posterior::within`]; 100,000 of them hold less than 1e-4.
const NEGLIGIBLE: f64 = 1e-9;

/// Refuses a calibration under which the bound would not hold.
pub fn check_calibration(calibration: &Calibration) -> Result<()> {
    if !(calibration.scale.is_finite() && calibration.scale > 0.0) {
        return Err(Error::Invalid {
            name: "calibration.scale",
            value: calibration.scale.to_string(),
            remedy: "it must be a positive number; run `geosurge train` again or correct calibration.json",
        });
    }
    if !calibration.prior_weight.is_finite() {
        return Err(Error::Invalid {
            name: "calibration.prior_weight",
            value: calibration.prior_weight.to_string(),
            remedy: "it must be a finite number; run `geosurge train` again or correct calibration.json",
        });
    }
    Ok(())
}

/// The probability within each of the five thresholds of [`geocells::THRESHOLDS`], nearest first.
///
/// As JSON a map from kilometres to probability: `{"1": 0.1, "25": 0.4, "200": 0.7, "750": 0.9, "2500": 1.0}`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Within(pub [f64; THRESHOLDS.len()]);

impl Within {
    /// Pairs of kilometres and probability, nearest first.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        THRESHOLDS.iter().map(|threshold| threshold.km.get()).zip(self.0)
    }
}

impl Serialize for Within {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (kilometres, probability) in self.iter() {
            map.serialize_entry(&kilometres.to_string(), &probability)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WithinVisitor;
        impl<'de> Visitor<'de> for WithinVisitor {
            type Value = Within;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a map from kilometres to probability")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Within, A::Error> {
                let mut within = Within::default();
                while let Some((key, value)) = map.next_entry::<String, f64>()? {
                    let index = THRESHOLDS
                        .iter()
                        .position(|threshold| threshold.km.get().to_string() == key);
                    let index = index
                        .ok_or_else(|| serde::de::Error::custom(format!("{key} km is not a threshold")))?;
                    within.0[index] = value;
                }
                Ok(within)
            }
        }
        deserializer.deserialize_map(WithinVisitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    /// Straight from the definition, over all cells.
    fn brute_force(cells: &[CellScore], calibration: &Calibration) -> Vec<f64> {
        let weight = |cell: &CellScore| {
            (calibration.scale * cell.score).exp() * (cell.photos as f64).powf(calibration.prior_weight)
        };
        let total: f64 = cells.iter().map(weight).sum();
        cells.iter().map(|cell| weight(cell) / total).collect()
    }

    fn all_cells() -> impl Strategy<Value = Vec<CellScore>> {
        proptest::collection::vec((-20.0_f64..20.0, 1_u64..5000), 2..60).prop_map(|mut cells| {
            cells.sort_by(|a, b| b.0.total_cmp(&a.0));
            cells
                .into_iter()
                .enumerate()
                .map(|(cell, (score, photos))| CellScore { cell, score, photos })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn with_all_cells_it_is_exact(cells in all_cells(), scale in 0.05_f64..2.0, prior_weight in 0.0_f64..1.5) {
            let calibration = Calibration { scale, prior_weight, ..Calibration::default() };
            let posterior = Posterior::new(&cells, Outside::NONE, &calibration).unwrap();
            prop_assert_eq!(posterior.outside_mass, 0.0);
            for ((_, found), wanted) in posterior.cells.iter().zip(brute_force(&cells, &calibration)) {
                prop_assert!((found - wanted).abs() < 1e-12);
            }
        }

        #[test]
        fn with_some_cells_it_bounds(
            cells in all_cells(), scale in 0.05_f64..2.0, prior_weight in 0.0_f64..1.5, share in 0.0_f64..1.0,
        ) {
            let calibration = Calibration { scale, prior_weight, ..Calibration::default() };
            let kept = 1 + (share * (cells.len() - 1) as f64) as usize;
            let (inside, left_out) = cells.split_at(kept);
            let prior = left_out.iter().map(|cell| (cell.photos as f64).powf(prior_weight)).sum();
            let outside = Outside { score_at_most: inside[kept - 1].score, prior };
            let posterior = Posterior::new(inside, outside, &calibration).unwrap();

            let truth = brute_force(&cells, &calibration);
            let true_outside: f64 = truth[kept..].iter().sum();
            prop_assert!(true_outside <= posterior.outside_mass + 1e-12, "{true_outside} {}", posterior.outside_mass);
            for ((_, found), wanted) in posterior.cells.iter().zip(&truth) {
                prop_assert!(*found <= wanted + 1e-12);
                // The true probability cannot be above what it would be with nothing outside.
                prop_assert!(wanted * (1.0 - posterior.outside_mass) <= found + 1e-12);
            }
            let sum: f64 = posterior.cells.iter().map(|cell| cell.1).sum::<f64>() + posterior.outside_mass;
            prop_assert!((sum - 1.0).abs() < 1e-9);
        }

        /// No smaller set of cells holds the wanted mass.
        #[test]
        fn the_credible_set_is_the_smallest(cells in all_cells(), scale in 0.05_f64..1.0, mass in 0.1_f64..0.99) {
            let calibration = Calibration { scale, ..Calibration::default() };
            let posterior = Posterior::new(&cells, Outside::NONE, &calibration).unwrap();
            let (set, held) = posterior.credible_set(mass);
            prop_assert!(held >= mass - 1e-9);
            let mut sorted: Vec<f64> = posterior.cells.iter().map(|cell| cell.1).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let largest_without_one: f64 = sorted[..set.len() - 1].iter().sum();
            prop_assert!(largest_without_one < mass);
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let cells = [
            CellScore {
                cell: 0,
                score: 5000.0,
                photos: 1,
            },
            CellScore {
                cell: 1,
                score: 4990.0,
                photos: 1,
            },
        ];
        let posterior = Posterior::new(&cells, Outside::NONE, &Calibration::default()).unwrap();
        assert!((posterior.cells[1].1 - (-10.0_f64).exp() / (1.0 + (-10.0_f64).exp())).abs() < 1e-15);
        assert!(Posterior::new(&[], Outside::NONE, &Calibration::default()).is_err());
        let nan = [CellScore {
            cell: 0,
            score: f64::NAN,
            photos: 1,
        }];
        assert!(Posterior::new(&nan, Outside::NONE, &Calibration::default()).is_err());
        let negative = Calibration {
            scale: -1.0,
            ..Calibration::default()
        };
        assert!(Posterior::new(&cells, Outside::NONE, &negative).is_err());
    }

    #[test]
    fn entropy_of_even_cells_is_the_logarithm_of_their_number() {
        let cells: Vec<CellScore> = (0..8)
            .map(|cell| CellScore {
                cell,
                score: 1.0,
                photos: 5,
            })
            .collect();
        let posterior = Posterior::new(&cells, Outside::NONE, &Calibration::default()).unwrap();
        assert!((posterior.entropy() - 8.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn within_weighs_cells_by_their_spread() {
        let answer = LatLng::new(0.0, 0.0).unwrap();
        let near = Spread::of_places(&[answer, LatLng::new(0.0, 0.1).unwrap()]);
        let far = Spread::of_places(&[LatLng::new(0.0, 90.0).unwrap()]);
        let posterior = Posterior {
            cells: vec![(0, 0.6), (1, 0.3)],
            outside_mass: 0.1,
        };
        let within = posterior.within(answer, |cell| if cell == 0 { &near } else { &far });
        // 0.1 degrees of longitude at the equator are 11.1 km; the far cell and the outside never count.
        let wanted = [0.3, 0.6, 0.6, 0.6, 0.6];
        assert!(
            within
                .0
                .iter()
                .zip(wanted)
                .all(|(found, wanted)| (found - wanted).abs() < 1e-12),
            "{within:?}"
        );
    }

    #[test]
    fn within_is_a_map_of_kilometres() {
        let within = Within([0.1, 0.2, 0.3, 0.4, 0.5]);
        let text = serde_json::to_string(&within).unwrap();
        assert_eq!(text, r#"{"1":0.1,"25":0.2,"200":0.3,"750":0.4,"2500":0.5}"#);
        assert_eq!(serde_json::from_str::<Within>(&text).unwrap(), within);
        assert!(serde_json::from_str::<Within>(r#"{"3":0.1}"#).is_err());
    }
}
