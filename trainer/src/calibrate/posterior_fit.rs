//! One scale and one prior weight for the posterior over finest cells.
//!
//! The posterior of a finest cell is proportional to `exp(scale · x_c) · photos_c ^ prior_weight`, where x_c is the path score.
//! The mean negative log likelihood of the true cells is convex in (scale, prior_weight), so Newton's method finds the best pair.

use models::Calibration;
use rayon::prelude::*;

/// One validation photo: the path scores of all finest cells and the true one.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Path score of every finest cell.
    pub scores: Vec<f32>,
    /// Index of the true finest cell.
    pub truth: usize,
}

/// Value, gradient and second derivatives of the mean negative log likelihood at `(scale, prior_weight)`.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    value: f64,
    gradient: [f64; 2],
    /// Second derivatives: (scale, scale), (scale, prior), (prior, prior).
    curvature: [f64; 3],
}

impl Moments {
    fn plus(self, other: Self) -> Self {
        let add2 = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
        let add3 = |a: [f64; 3], b: [f64; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
        Self {
            value: self.value + other.value,
            gradient: add2(self.gradient, other.gradient),
            curvature: add3(self.curvature, other.curvature),
        }
    }

    fn of(observation: &Observation, log_photos: &[f64], at: [f64; 2]) -> Self {
        let logit = |c: usize| at[0] * f64::from(observation.scores[c]) + at[1] * log_photos[c];
        let highest = (0..log_photos.len()).map(logit).fold(f64::NEG_INFINITY, f64::max);
        let (mut mass, mut mean, mut square) = (0.0, [0.0; 2], [0.0; 3]);
        for (c, prior) in log_photos.iter().enumerate() {
            let weight = (logit(c) - highest).exp();
            let x = f64::from(observation.scores[c]);
            mass += weight;
            mean[0] += weight * x;
            mean[1] += weight * prior;
            square[0] += weight * x * x;
            square[1] += weight * x * prior;
            square[2] += weight * prior * prior;
        }
        let mean = mean.map(|m| m / mass);
        let truth = [
            f64::from(observation.scores[observation.truth]),
            log_photos[observation.truth],
        ];
        Self {
            value: highest + mass.ln() - logit(observation.truth),
            gradient: [mean[0] - truth[0], mean[1] - truth[1]],
            curvature: [
                square[0] / mass - mean[0] * mean[0],
                square[1] / mass - mean[0] * mean[1],
                square[2] / mass - mean[1] * mean[1],
            ],
        }
    }
}

fn moments(observations: &[Observation], log_photos: &[f64], at: [f64; 2]) -> Moments {
    let each: Vec<Moments> = observations
        .par_iter()
        .map(|o| Moments::of(o, log_photos, at))
        .collect();
    let sum = each.into_iter().fold(Moments::default(), Moments::plus);
    let n = observations.len().max(1) as f64;
    Moments {
        value: sum.value / n,
        gradient: sum.gradient.map(|g| g / n),
        curvature: sum.curvature.map(|c| c / n),
    }
}

/// Mean negative log likelihood (nats) of the true finest cells.
pub fn negative_log_likelihood(
    observations: &[Observation],
    photos: &[u64],
    calibration: &Calibration,
) -> f64 {
    moments(
        observations,
        &logarithms(photos),
        [calibration.scale, calibration.prior_weight],
    )
    .value
}

fn logarithms(photos: &[u64]) -> Vec<f64> {
    photos.iter().map(|n| (*n.max(&1) as f64).ln()).collect()
}

/// The scale (at least 0.01) and prior weight (0 to 2) that make the true finest cells most likely.
/// `photos` holds every finest cell's photo count.
pub fn fit(observations: &[Observation], photos: &[u64]) -> Calibration {
    const LOWEST: [f64; 2] = [0.01, 0.0];
    const HIGHEST: [f64; 2] = [100.0, 2.0];
    let log_photos = logarithms(photos);
    let clamp = |x: [f64; 2]| {
        [
            x[0].clamp(LOWEST[0], HIGHEST[0]),
            x[1].clamp(LOWEST[1], HIGHEST[1]),
        ]
    };
    let mut at = [1.0, 0.0];
    let mut here = moments(observations, &log_photos, at);
    for _ in 0..50 {
        let direction = newton(&here, at, LOWEST, HIGHEST);
        let mut length = 1.0;
        let mut moved = None;
        while length > 1e-6 {
            let there = clamp([at[0] + length * direction[0], at[1] + length * direction[1]]);
            let candidate = moments(observations, &log_photos, there);
            if candidate.value < here.value {
                moved = Some((there, candidate));
                break;
            }
            length *= 0.5;
        }
        let Some((there, candidate)) = moved else { break };
        let gain = here.value - candidate.value;
        (at, here) = (there, candidate);
        if gain < 1e-10 {
            break;
        }
    }
    Calibration {
        scale: at[0],
        prior_weight: at[1],
        ..Calibration::default()
    }
}

/// Newton's direction among the coordinates that are free to move.
fn newton(m: &Moments, at: [f64; 2], lowest: [f64; 2], highest: [f64; 2]) -> [f64; 2] {
    const RIDGE: f64 = 1e-9;
    let stuck = |k: usize| {
        (at[k] <= lowest[k] && m.gradient[k] > 0.0) || (at[k] >= highest[k] && m.gradient[k] < 0.0)
    };
    let (a, b, c) = (m.curvature[0] + RIDGE, m.curvature[1], m.curvature[2] + RIDGE);
    match (stuck(0), stuck(1)) {
        (true, true) => [0.0, 0.0],
        (true, false) => [0.0, -m.gradient[1] / c],
        (false, true) => [-m.gradient[0] / a, 0.0],
        (false, false) => {
            let determinant = (a * c - b * b).max(RIDGE * RIDGE);
            [
                -(c * m.gradient[0] - b * m.gradient[1]) / determinant,
                -(a * m.gradient[1] - b * m.gradient[0]) / determinant,
            ]
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rand::Rng;

    use super::*;
    use crate::sampling::generator;

    /// Truths drawn from the posterior with a known calibration.
    pub(crate) fn world(scale: f64, prior: f64, n: usize) -> (Vec<Observation>, Vec<u64>) {
        let mut rng = generator(5, "world", 0);
        let photos: Vec<u64> = (0..12).map(|c| 10 + 37 * c).collect();
        let draw = |rng: &mut rand_chacha::ChaCha8Rng| {
            let scores: Vec<f32> = (0..12).map(|_| rng.random_range(-3.0..3.0)).collect();
            let weights: Vec<f64> = scores
                .iter()
                .zip(&photos)
                .map(|(x, n)| (scale * f64::from(*x) + prior * (*n as f64).ln()).exp())
                .collect();
            let mut u = rng.random::<f64>() * weights.iter().sum::<f64>();
            let truth = weights
                .iter()
                .position(|w| {
                    u -= w;
                    u < 0.0
                })
                .unwrap_or(11);
            Observation { scores, truth }
        };
        ((0..n).map(|_| draw(&mut rng)).collect(), photos)
    }

    #[test]
    fn finds_the_calibration_that_made_the_world() {
        let (observations, photos) = world(0.6, 0.8, 8_000);
        let found = fit(&observations, &photos);
        assert!((found.scale - 0.6).abs() < 0.05, "{found:?}");
        assert!((found.prior_weight - 0.8).abs() < 0.08, "{found:?}");
    }

    #[test]
    fn a_prior_that_hurts_stays_at_zero_and_the_scale_is_still_fitted() {
        let (observations, photos) = world(0.5, -0.7, 4_000);
        let found = fit(&observations, &photos);
        assert_eq!(found.prior_weight, 0.0);
        let likelihood = |c: &Calibration| negative_log_likelihood(&observations, &photos, c);
        assert!(likelihood(&found) < likelihood(&Calibration::default()));
        let nudged = |d: f64| {
            negative_log_likelihood(
                &observations,
                &photos,
                &Calibration {
                    scale: found.scale + d,
                    ..found
                },
            )
        };
        assert!(nudged(0.0) <= nudged(0.01) && nudged(0.0) <= nudged(-0.01));
    }
}
