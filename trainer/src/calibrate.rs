//! Making probabilities honest on validation photos.
//!
//! The posterior of a finest cell is proportional to `exp(scale · x_c) · photos_c ^ prior_weight`, where x_c is the path score.
//! The mean negative log likelihood of the true cells is convex in (scale, prior_weight), so Newton's method finds the best pair.

use candle_core::Tensor;
use geocells::{LatLng, THRESHOLDS, Threshold};
use models::Calibration;
use rayon::prelude::*;
use retrieval::{Answer, ExactIndex, InferenceOptions};
use serde::{Deserialize, Serialize};

use crate::Result;

/// With fewer located validation photos than this, a fit says more about them than about the model.
pub const FEWEST_PHOTOS: usize = 100;

/// The threshold that "cannot tell" is about.
const COUNTRY: Threshold = THRESHOLDS[3];
/// No more of the answers than this share may be "cannot tell".
pub const MOST_UNTOLD: f64 = 0.3;
/// Fewer answers than this say nothing about what lies below a confidence.
pub const FEWEST_UNTOLD: usize = 10;

/// What the calibration is and how well it fits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// The calibration that the checkpoint carries.
    pub calibration: Calibration,
    /// Validation photos that lie in a finest cell: what it was fitted on.
    pub photos: usize,
    /// Whether it was fitted; otherwise the identity was kept.
    pub fitted: bool,
    /// Why not, in words.
    pub note: Option<String>,
    /// Mean negative log likelihood (nats) of the true finest cell with the identity.
    pub before: Option<f64>,
    /// The same with this calibration.
    pub after: Option<f64>,
    /// Expected calibration error of P(within r) at 1, 25, 200, 750 and 2,500 km, on the same photos.
    pub calibration_error: Option<[f64; 5]>,
}

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

/// A stated probability and whether the thing happened.
pub type Stated = (f64, bool);

/// The expected calibration error: photos in ten bins of equal width by stated probability, the mean over photos of the
/// difference between a bin's mean probability and its share of events.
pub fn expected_calibration_error(stated: &[Stated]) -> f64 {
    let mut bins = [(0usize, 0.0, 0usize); 10];
    for (p, happened) in stated {
        let bin = &mut bins[((p * 10.0) as usize).min(9)];
        bin.0 += 1;
        bin.1 += p;
        bin.2 += usize::from(*happened);
    }
    let gap = |(n, p, k): &(usize, f64, usize)| if *n == 0 { 0.0 } else { (p - *k as f64).abs() };
    bins.iter().map(gap).sum::<f64>() / stated.len().max(1) as f64
}

/// Fits a calibration, or says why it keeps the identity.
pub fn calibrate(observations: &[Observation], photos: &[u64]) -> CalibrationReport {
    let identity = Calibration::default();
    let before = (!observations.is_empty()).then(|| negative_log_likelihood(observations, photos, &identity));
    if observations.len() < FEWEST_PHOTOS {
        let note = format!(
            "only {} validation photos lie in a finest cell, fewer than {FEWEST_PHOTOS}: probabilities are the model's own; \
             raise split.validation_fraction to calibrate them",
            observations.len()
        );
        return CalibrationReport {
            calibration: identity,
            photos: observations.len(),
            fitted: false,
            note: Some(note),
            before,
            after: before,
            calibration_error: None,
        };
    }
    let calibration = fit(observations, photos);
    let after = Some(negative_log_likelihood(observations, photos, &calibration));
    CalibrationReport {
        calibration,
        photos: observations.len(),
        fitted: true,
        note: None,
        before,
        after,
        calibration_error: None,
    }
}

/// What an index says about photos with known places: the material of a calibration.
///
/// `visual` `[photos, width]` holds unit rows in the order of `truths`. Photos that lie in no finest cell are left out.
///
/// # Errors
/// The index's.
pub fn observe(index: &ExactIndex, visual: &Tensor, truths: &[LatLng]) -> Result<Vec<Observation>> {
    let scores = index.path_scores(index.cells().depth() - 1, visual)?;
    let finest = index.cells().hierarchy().finest();
    let located = scores.into_iter().zip(truths).filter_map(|(scores, truth)| {
        Some(Observation {
            scores,
            truth: finest.locate(*truth)?,
        })
    });
    Ok(located.collect())
}

/// P(within r) of the answer to each photo at the five thresholds, and the answers.
///
/// # Errors
/// The index's.
pub fn stated(index: &ExactIndex, visual: &Tensor, calibration: &Calibration) -> Result<Vec<Answer>> {
    let options = InferenceOptions {
        searched: usize::MAX,
        candidates: 1,
        ..InferenceOptions::default()
    };
    let queries: Vec<Vec<f32>> = visual.to_vec2()?;
    Ok(queries
        .par_iter()
        .map(|query| index.infer(query, calibration, &options))
        .collect::<retrieval::Result<_>>()?)
}

/// Fits a calibration to photos with known places and measures how honest the probabilities are then.
///
/// # Errors
/// The index's.
pub fn calibrate_index(index: &ExactIndex, visual: &Tensor, truths: &[LatLng]) -> Result<CalibrationReport> {
    let photos: Vec<u64> = index.cells().finest().iter().map(|c| c.photos).collect();
    let mut report = calibrate(&observe(index, visual, truths)?, &photos);
    let answers = stated(index, visual, &report.calibration)?;
    if report.fitted {
        let right = |(answer, truth): (&Answer, &LatLng)| {
            (answer.confidence, answer.location.distance(*truth) <= COUNTRY.km)
        };
        report.calibration.cannot_tell_below =
            cannot_tell_below(answers.iter().zip(truths).map(right).collect());
    }
    report.calibration_error = Some(threshold_errors(&answers, truths));
    Ok(report)
}

/// The confidence below which an answer should say "cannot tell": the answers below it were right, within the country threshold, less
/// often than not. At most [`MOST_UNTOLD`] of the answers are below it; 0 when fewer than [`FEWEST_UNTOLD`] would be.
pub fn cannot_tell_below(mut answers: Vec<Stated>) -> f64 {
    answers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let most = (answers.len() as f64 * MOST_UNTOLD) as usize;
    let (mut right, mut below) = (0, 0);
    for (k, (_, good)) in answers.iter().enumerate().take(most) {
        right += usize::from(*good);
        if 2 * right < k + 1 && k + 1 >= FEWEST_UNTOLD {
            below = k + 1;
        }
    }
    if below == 0 {
        0.0
    } else {
        f64::midpoint(answers[below - 1].0, answers[below].0)
    }
}

/// The expected calibration error of P(within r) at the five thresholds.
pub fn threshold_errors(answers: &[Answer], truths: &[LatLng]) -> [f64; 5] {
    std::array::from_fn(|k| {
        let right = |(answer, truth): (&Answer, &LatLng)| {
            (
                answer.within.0[k],
                answer.location.distance(*truth) <= THRESHOLDS[k].km,
            )
        };
        expected_calibration_error(&answers.iter().zip(truths).map(right).collect::<Vec<Stated>>())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rand::Rng;

    use super::*;
    use crate::sampling::generator;

    /// Truths drawn from the posterior with a known calibration.
    fn world(scale: f64, prior: f64, n: usize) -> (Vec<Observation>, Vec<u64>) {
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
        let report = calibrate(&observations, &photos);
        assert!(report.after.unwrap() < report.before.unwrap());
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

    #[test]
    fn few_photos_keep_the_identity_and_say_so() {
        let (observations, photos) = world(0.6, 0.8, 20);
        let report = calibrate(&observations, &photos);
        assert_eq!(report.calibration, Calibration::default());
        assert!(!report.fitted && report.note.unwrap().contains("20 validation photos"));
    }

    #[test]
    fn cannot_tell_starts_where_answers_are_wrong_more_often_than_not() {
        let answers = |wrong_below: f64| -> Vec<Stated> {
            (0..100)
                .map(|k| (f64::from(k) / 100.0, f64::from(k) / 100.0 >= wrong_below))
                .collect()
        };
        // Twelve wrong ones, then right ones until wrong and right balance at 24.
        let threshold = cannot_tell_below(answers(0.12));
        assert!((0.22..0.24).contains(&threshold), "{threshold}");
        assert_eq!(cannot_tell_below(answers(0.0)), 0.0);
        assert_eq!(cannot_tell_below(answers(0.04)), 0.0, "too few to say");
        assert!(
            (cannot_tell_below(answers(1.0)) - 0.295).abs() < 1e-9,
            "not everything may be untold"
        );
        assert_eq!(cannot_tell_below(Vec::new()), 0.0);
    }

    #[test]
    fn calibration_error_of_known_cases() {
        let certain_and_right = vec![(1.0, true); 50];
        assert_eq!(expected_calibration_error(&certain_and_right), 0.0);
        let certain_and_wrong = vec![(1.0, false); 50];
        assert_eq!(expected_calibration_error(&certain_and_wrong), 1.0);
        let half: Vec<Stated> = (0..100).map(|k| (0.75, k % 4 != 0)).collect();
        assert!(expected_calibration_error(&half) < 1e-9);
        let mixed: Vec<Stated> = (0..100).map(|k| (0.95, k % 2 == 0)).collect();
        assert!((expected_calibration_error(&mixed) - 0.45).abs() < 1e-9);
    }
}
