//! Stated probabilities beside what happened.

use geocells::{LatLng, THRESHOLDS};
use retrieval::Answer;
use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, quantile};
use crate::calibrate::{Stated, expected_calibration_error};
use crate::sampling::generator;

/// Bins of a reliability diagram.
pub const BINS: usize = 10;
/// Worlds drawn to tell what a perfect forecast would score.
const WORLDS: u64 = 200;

/// The photos whose stated probability lies in one tenth of 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lower end of the tenth.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// Photos in it.
    pub photos: usize,
    /// Their mean stated probability; 0 without photos.
    pub stated: f64,
    /// Share of them for which it happened; 0 without photos.
    pub happened: f64,
    /// Wilson's 95 % interval of that share; 0 to 1 without photos.
    pub interval: Interval,
}

/// The reliability of P(within r) for one threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The threshold in kilometres.
    pub km: f64,
    /// Expected calibration error over the bins.
    pub error: f64,
    /// What that error would be, in the mean and at its 95th percentile, if every stated probability were exactly right: the noise of so
    /// many photos. An error below the percentile cannot be told from honesty.
    pub error_if_honest: [f64; 2],
    /// Mean squared error of the stated probabilities (Brier score).
    pub brier: f64,
    /// The bins, lowest first.
    pub bins: Vec<Bin>,
}

/// What was stated for each threshold, and whether it happened.
pub fn stated(answers: &[Answer], truths: &[LatLng]) -> [Vec<Stated>; 5] {
    std::array::from_fn(|k| {
        answers
            .iter()
            .zip(truths)
            .map(|(answer, truth)| {
                let right = answer.location.distance(*truth) <= THRESHOLDS[k].km;
                (answer.within.0[k], right)
            })
            .collect()
    })
}

/// The reliability of what was stated for one threshold.
pub fn reliability(km: f64, stated: &[Stated]) -> Reliability {
    let n = stated.len().max(1) as f64;
    Reliability {
        km,
        error: expected_calibration_error(stated),
        error_if_honest: if_honest(stated),
        brier: stated
            .iter()
            .map(|(p, happened)| (p - f64::from(u8::from(*happened))).powi(2))
            .sum::<f64>()
            / n,
        bins: bins(stated),
    }
}

/// Photos by tenths of the stated probability.
pub fn bins(stated: &[Stated]) -> Vec<Bin> {
    (0..BINS)
        .map(|k| {
            let own: Vec<&Stated> = stated
                .iter()
                .filter(|(p, _)| ((p * BINS as f64) as usize).min(BINS - 1) == k)
                .collect();
            let (photos, happened) = (own.len(), own.iter().filter(|(_, happened)| *happened).count());
            let mean = |sum: f64| if photos == 0 { 0.0 } else { sum / photos as f64 };
            Bin {
                from: k as f64 / BINS as f64,
                to: (k + 1) as f64 / BINS as f64,
                photos,
                stated: mean(own.iter().map(|(p, _)| p).sum()),
                happened: mean(happened as f64),
                interval: wilson(happened, photos),
            }
        })
        .collect()
}

/// Wilson's 95 % interval of a share.
pub fn wilson(happened: usize, of: usize) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, p) = (of as f64, happened as f64 / of as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval {
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
    }
}

/// Mean and 95th percentile of the error in worlds where each event happens with exactly the probability stated.
fn if_honest(stated: &[Stated]) -> [f64; 2] {
    use rand::Rng;
    use rayon::prelude::*;
    let mut errors: Vec<f64> = (0..WORLDS)
        .into_par_iter()
        .map(|world| {
            let mut rng = generator(1, "honest", world);
            let drawn: Vec<Stated> = stated
                .iter()
                .map(|(p, _)| (*p, rng.random::<f64>() < *p))
                .collect();
            expected_calibration_error(&drawn)
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    [
        errors.iter().sum::<f64>() / errors.len() as f64,
        quantile(&errors, 0.95),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_and_error_of_a_case_done_by_hand() {
        // Tenth 1 (0.1 to 0.2): 4 photos stated 0.15, one happened. Tenth 9: 4 stated 0.95, three happened.
        let stated: Vec<Stated> = (0..4)
            .map(|k| (0.15, k == 0))
            .chain((0..4).map(|k| (0.95, k < 3)))
            .collect();
        let found = reliability(25.0, &stated);
        assert!((found.error - (0.5 * 0.10 + 0.5 * 0.20)).abs() < 1e-12);
        assert_eq!((found.bins[1].photos, found.bins[9].photos), (4, 4));
        assert!((found.bins[1].stated - 0.15).abs() < 1e-12 && (found.bins[9].happened - 0.75).abs() < 1e-12);
        // 0.15: (0.7225 + 3 x 0.0225) / 8; 0.95: (3 x 0.0025 + 0.9025) / 8.
        assert!((found.brier - (0.7225 + 0.0675 + 0.0075 + 0.9025) / 8.0).abs() < 1e-12);
        assert!(found.error_if_honest[0] > 0.05, "eight photos say little");
    }

    #[test]
    fn wilsons_interval_is_scipys() {
        // scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
        for (k, n, low, high) in [
            (3, 10, 0.107_791_267_406_301, 0.603_221_852_538_854_6),
            (0, 20, 0.0, 0.161_125_158_052_819_35),
            (95, 100, 0.888_249_530_768_081, 0.978_456_320_845_632),
        ] {
            let found = wilson(k, n);
            assert!(
                (found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9,
                "{k} of {n}: {found:?}"
            );
        }
    }

    #[test]
    fn an_honest_forecast_scores_the_noise_of_its_photos() {
        use rand::Rng;
        let mut rng = generator(3, "forecast", 0);
        let stated: Vec<Stated> = (0..2_000)
            .map(|_| {
                let p = rng.random::<f64>();
                (p, rng.random::<f64>() < p)
            })
            .collect();
        let found = reliability(1.0, &stated);
        assert!(
            found.error < found.error_if_honest[1] * 1.2,
            "{} {:?}",
            found.error,
            found.error_if_honest
        );
        let dishonest: Vec<Stated> = stated.iter().map(|(p, y)| (p.sqrt(), *y)).collect();
        let found = reliability(1.0, &dishonest);
        assert!(found.error > 3.0 * found.error_if_honest[1]);
    }
}
