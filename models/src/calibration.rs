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
}

impl Default for Calibration {
    /// The identity: the model's own posterior, and always an answer.
    fn default() -> Self {
        Self {
            scale: 1.0,
            prior_weight: 0.0,
            cannot_tell_below: 0.0,
        }
    }
}

impl Calibration {
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
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_identity_and_usable() {
        let calibration = Calibration::default();
        assert_eq!((calibration.scale, calibration.prior_weight), (1.0, 0.0));
        assert_eq!(calibration.problem(), None);
    }

    #[test]
    fn nonsense_is_named() {
        for (calibration, word) in [
            (
                Calibration {
                    scale: f64::NAN,
                    ..Default::default()
                },
                "scale",
            ),
            (
                Calibration {
                    scale: 0.0,
                    ..Default::default()
                },
                "scale",
            ),
            (
                Calibration {
                    prior_weight: -0.1,
                    ..Default::default()
                },
                "prior_weight",
            ),
            (
                Calibration {
                    cannot_tell_below: 1.5,
                    ..Default::default()
                },
                "cannot_tell_below",
            ),
        ] {
            let problem = calibration.problem();
            assert!(problem.is_some_and(|text| text.contains(word)), "{calibration:?}");
        }
    }
}
