//! What validation photos teach about the confidence of the posterior.

use serde::{Deserialize, Serialize};

/// Corrections to the posterior over geocells, fitted on validation photos after training.
///
/// The log-posterior of a finest cell `c` is, up to a constant of the query,
/// `scale * (v · p(c)) + prior_weight * ln(photos(c))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Multiplies the path logits: below 1 softens an overconfident model.
    pub scale: f64,
    /// Weight of the logarithm of a cell's photo count, the prior that a contrastive loss leaves out.
    pub prior_weight: f64,
    /// A prediction whose confidence is below this says "cannot tell". 0 always answers.
    pub cannot_tell_below: f64,
    /// What P(within 1, 25, 200, 750 and 2,500 km) of the posterior is worth; `None` (checkpoints of format 1): as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<[BetaMap; 5]>,
    /// How much of the posterior a credible region must hold; `None` (checkpoints of format 1): what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionMasses>,
}

impl Default for Calibration {
    /// The identity: the model's own posterior, and always an answer.
    fn default() -> Self {
        Self {
            scale: 1.0,
            prior_weight: 0.0,
            cannot_tell_below: 0.0,
            within: None,
            region: None,
        }
    }
}

/// Beta calibration of a probability (Kull, Silva Filho and Flach, 2017): `logit(q) = rise ln p − fall ln(1 − p) + offset`.
///
/// With `rise` and `fall` not negative it never turns an order round; (1, 1, 0) is the identity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BetaMap {
    /// Factor of ln p, not negative.
    pub rise: f64,
    /// Factor of −ln(1 − p), not negative.
    pub fall: f64,
    /// Added to the logit.
    pub offset: f64,
}

impl BetaMap {
    /// What changes nothing but probabilities nearer to 0 or 1 than [`BetaMap::NEAREST`].
    pub const IDENTITY: Self = Self {
        rise: 1.0,
        fall: 1.0,
        offset: 0.0,
    };
    /// Probabilities are taken to be at least so far from 0 and 1: no number of validation photos speaks of less.
    pub const NEAREST: f64 = 1e-4;

    /// `ln p` and `−ln(1 − p)`: what a map weighs.
    #[must_use]
    pub fn features(p: f64) -> [f64; 2] {
        let p = p.clamp(Self::NEAREST, 1.0 - Self::NEAREST);
        [p.ln(), -(-p).ln_1p()]
    }

    /// The calibrated probability.
    #[must_use]
    pub fn apply(&self, p: f64) -> f64 {
        let [rise, fall] = Self::features(p);
        let logit = self.rise * rise + self.fall * fall + self.offset;
        1.0 / (1.0 + (-logit).exp())
    }

    fn usable(&self) -> bool {
        let good = |factor: f64| factor.is_finite() && factor >= 0.0;
        good(self.rise) && good(self.fall) && self.offset.is_finite()
    }
}

/// How much of the posterior a credible region holds so that it holds the truth as often as it says.
///
/// Found on validation photos as a quantile of the mass that comes before the true cell (adaptive prediction sets, Romano, Sesia and
/// Candès, 2020); between the [`RegionMasses::WANTED`] and towards 0 and 1 it is a straight line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegionMasses(pub [f64; 8]);

impl RegionMasses {
    /// The shares of truths for which masses are known.
    pub const WANTED: [f64; 8] = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99];

    /// The posterior mass of a region that holds the truth with probability `wanted`.
    #[must_use]
    pub fn posterior(&self, wanted: f64) -> f64 {
        interpolate(&Self::WANTED, &self.0, wanted)
    }

    /// The probability with which a region of this posterior mass holds the truth.
    #[must_use]
    pub fn held(&self, mass: f64) -> f64 {
        interpolate(&self.0, &Self::WANTED, mass)
    }

    fn usable(&self) -> bool {
        let masses = self.0;
        masses.iter().all(|mass| *mass > 0.0 && *mass < 1.0) && masses.is_sorted()
    }
}

/// The line through (0, 0), the points, and (1, 1). Where several points have one `from`, the last counts.
fn interpolate(from: &[f64], to: &[f64], at: f64) -> f64 {
    let next = from.partition_point(|x| *x <= at);
    let (x0, y0) = if next == 0 {
        (0.0, 0.0)
    } else {
        (from[next - 1], to[next - 1])
    };
    let (x1, y1) = if next == from.len() {
        (1.0, 1.0)
    } else {
        (from[next], to[next])
    };
    if x1 <= x0 {
        return y1;
    }
    y0 + (y1 - y0) * ((at - x0) / (x1 - x0)).clamp(0.0, 1.0)
}

impl Calibration {
    /// P(within 1, 25, 200, 750 and 2,500 km) from the posterior's own, nearest first; never falling with distance.
    #[must_use]
    pub fn within(&self, posterior: [f64; 5]) -> [f64; 5] {
        let Some(maps) = &self.within else {
            return posterior;
        };
        let mut highest = 0.0_f64;
        std::array::from_fn(|k| {
            highest = highest.max(maps[k].apply(posterior[k]));
            highest
        })
    }

    /// The posterior mass of a region that holds the truth with probability `wanted`.
    #[must_use]
    pub fn region_mass(&self, wanted: f64) -> f64 {
        self.region.map_or(wanted, |region| region.posterior(wanted))
    }

    /// The probability with which a region of this posterior mass holds the truth.
    #[must_use]
    pub fn region_held(&self, mass: f64) -> f64 {
        self.region.map_or(mass, |region| region.held(mass))
    }

    /// The first field that cannot be meant, in words; `None` when all can be used.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Some(format!(
                "calibration scale must be a positive number, not {}",
                self.scale
            ));
        }
        if !(self.prior_weight.is_finite() && self.prior_weight >= 0.0) {
            return Some(format!(
                "calibration prior_weight must be zero or more, not {}",
                self.prior_weight
            ));
        }
        if !(0.0..=1.0).contains(&self.cannot_tell_below) {
            return Some(format!(
                "calibration cannot_tell_below must lie in 0..=1, not {}",
                self.cannot_tell_below
            ));
        }
        if let Some(map) = self.within.iter().flatten().find(|map| !map.usable()) {
            return Some(format!(
                "calibration within must have finite numbers, and rise and fall of zero or more, not {map:?}"
            ));
        }
        if let Some(region) = self.region.filter(|region| !region.usable()) {
            return Some(format!(
                "calibration region must hold {} masses between 0 and 1 that never fall, not {:?}",
                RegionMasses::WANTED.len(),
                region.0
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_default_is_the_identity_and_usable() {
        let calibration = Calibration::default();
        assert_eq!((calibration.scale, calibration.prior_weight), (1.0, 0.0));
        assert_eq!(calibration.problem(), None);
        let posterior = [0.1, 0.2, 0.3, 0.4, 0.5];
        assert_eq!(calibration.within(posterior), posterior);
        assert_eq!(
            (calibration.region_mass(0.9), calibration.region_held(0.9)),
            (0.9, 0.9)
        );
    }

    #[test]
    fn nonsense_is_named() {
        let change = |change: fn(&mut Calibration)| {
            let mut calibration = Calibration::default();
            change(&mut calibration);
            calibration
        };
        let falling = BetaMap {
            fall: -1.0,
            ..BetaMap::IDENTITY
        };
        let mut maps = [BetaMap::IDENTITY; 5];
        maps[3] = falling;
        let backwards = Calibration {
            within: Some(maps),
            ..Calibration::default()
        };
        for (calibration, word) in [
            (change(|c| c.scale = f64::NAN), "scale"),
            (change(|c| c.scale = 0.0), "scale"),
            (change(|c| c.prior_weight = -0.1), "prior_weight"),
            (change(|c| c.cannot_tell_below = 1.5), "cannot_tell_below"),
            (change(|c| c.region = Some(RegionMasses([0.5; 8]))), ""),
            (backwards, "within"),
            (
                change(|c| c.region = Some(RegionMasses([0.5, 0.4, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9]))),
                "region",
            ),
        ] {
            let problem = calibration.problem();
            assert_eq!(problem.is_some(), !word.is_empty(), "{calibration:?}");
            assert!(problem.unwrap_or_default().contains(word), "{calibration:?}");
        }
    }

    #[test]
    fn a_beta_map_keeps_order_and_meets_known_values() {
        for p in [0.001, 0.2, 0.5, 0.93] {
            assert!((BetaMap::IDENTITY.apply(p) - p).abs() < 1e-12);
        }
        let map = BetaMap {
            rise: 0.5,
            fall: 2.0,
            offset: -0.3,
        };
        // 1 / (1 + exp(-(0.5 ln 0.7 - 2 ln 0.3 - 0.3))), computed by hand.
        assert!((map.apply(0.7) - 0.873_206_0).abs() < 1e-6, "{}", map.apply(0.7));
        let mut last = 0.0;
        for k in 0..=100 {
            let q = map.apply(f64::from(k) / 100.0);
            assert!(q >= last && (0.0..=1.0).contains(&q));
            last = q;
        }
    }

    #[test]
    fn probabilities_never_fall_with_distance() {
        let mut maps = [BetaMap::IDENTITY; 5];
        maps[0].offset = 5.0;
        let calibration = Calibration {
            within: Some(maps),
            ..Calibration::default()
        };
        let within = calibration.within([0.5, 0.6, 0.7, 0.8, 0.9999]);
        assert!(within.is_sorted() && within[0] > 0.99, "{within:?}");
    }

    #[test]
    fn region_masses_are_a_line_there_and_back() {
        let region = RegionMasses([0.3, 0.4, 0.5, 0.6, 0.65, 0.75, 0.9, 0.97]);
        assert_eq!(region.posterior(0.9), 0.75);
        assert!((region.posterior(0.875) - 0.7).abs() < 1e-12);
        assert!((region.posterior(0.25) - 0.15).abs() < 1e-12);
        assert!((region.posterior(0.995) - 0.985).abs() < 1e-12);
        for wanted in [0.1, 0.55, 0.9, 0.93, 0.999] {
            assert!((region.held(region.posterior(wanted)) - wanted).abs() < 1e-12);
        }
    }

    #[test]
    fn calibrations_of_format_1_are_read_and_written_as_they_were() {
        let text = r#"{"scale":0.5,"prior_weight":0.25,"cannot_tell_below":0.1}"#;
        let calibration: Calibration = serde_json::from_str(text).unwrap();
        assert_eq!(calibration.within, None);
        assert_eq!(serde_json::to_string(&calibration).unwrap(), text);
    }
}
