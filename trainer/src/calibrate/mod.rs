//! Making probabilities honest on validation photos, in three steps.
//!
//! | module | what is fitted |
//! | --- | --- |
//! | [`posterior_fit`] | one scale and one prior weight, by the likelihood of the true finest cells |
//! | [`within_fit`] | for each threshold, what P(within r) of that posterior is worth |
//! | [`region_fit`] | how much of that posterior a credible region must hold to hold the truth so often |
//!
//! The scale alone cannot make every threshold honest: the product over levels counts coarse evidence several times, and a photo outside
//! every geocell never enters the likelihood. The last two steps see every validation photo.
//! How honest the result is on photos that it was not fitted on is told by refitting them without a fifth of the photos, five times.

use candle_core::Tensor;
use geocells::{LatLng, THRESHOLDS, Threshold};
use models::Calibration;
use rayon::prelude::*;
use retrieval::{Answer, ExactIndex, InferenceOptions};
use serde::{Deserialize, Serialize};

use crate::Result;

pub mod posterior_fit;
pub mod region_fit;
pub mod within_fit;

pub use posterior_fit::{Observation, fit, negative_log_likelihood};

/// With fewer located validation photos than this, a fit says more about them than about the model.
pub const FEWEST_PHOTOS: usize = 100;

/// The threshold that "cannot tell" is about.
const COUNTRY: Threshold = THRESHOLDS[3];
/// No more of the answers than this share may be "cannot tell".
pub const MOST_UNTOLD: f64 = 0.3;
/// Fewer answers than this say nothing about what lies below a confidence.
pub const FEWEST_UNTOLD: usize = 10;
/// Parts of the validation photos that are held out in turn.
const FOLDS: usize = 5;
/// The region whose honesty is told.
const WANTED: f64 = 0.9;

/// What the calibration is and how well it fits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// The calibration that the checkpoint carries.
    pub calibration: Calibration,
    /// Validation photos that lie in a finest cell: what the scale was fitted on.
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
    /// The same with the scale and prior weight alone: what the maps of P(within r) improve.
    #[serde(default)]
    pub scale_calibration_error: Option<[f64; 5]>,
    /// The same where every fifth of the photos is judged by maps that were fitted on the others.
    #[serde(default)]
    pub held_out_calibration_error: Option<[f64; 5]>,
    /// Share of the truths, uncovered ones counted, that lie in regions made to hold 90 % of them, each fifth judged as above.
    #[serde(default)]
    pub held_out_region_coverage: Option<f64>,
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
            scale_calibration_error: None,
            held_out_calibration_error: None,
            held_out_region_coverage: None,
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
        scale_calibration_error: None,
        held_out_calibration_error: None,
        held_out_region_coverage: None,
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
    let observations = observe(index, visual, truths)?;
    let mut report = calibrate(&observations, &photos);
    let answers = stated(index, visual, &report.calibration)?;
    let raw: Vec<Judged> = answers.iter().zip(truths).map(Judged::new).collect();
    report.calibration_error = Some(errors_of(&raw, &report.calibration));
    if !report.fitted {
        return Ok(report);
    }
    let right = |(answer, truth): (&Answer, &LatLng)| {
        (answer.confidence, answer.location.distance(*truth) <= COUNTRY.km)
    };
    report.calibration.cannot_tell_below = cannot_tell_below(answers.iter().zip(truths).map(right).collect());

    let finest = index.cells().hierarchy().finest();
    let covered: Vec<bool> = truths
        .iter()
        .map(|truth| finest.locate(*truth).is_some())
        .collect();
    let mut located = observations.iter();
    let before: Vec<f64> = covered
        .iter()
        .map(|covered| match covered.then(|| located.next()).flatten() {
            Some(observation) => region_fit::mass_before(observation, &photos, &report.calibration),
            None => f64::INFINITY,
        })
        .collect();
    let (errors, coverage) = held_out(&raw, &before, &report.calibration);
    report.scale_calibration_error = report.calibration_error;
    report.held_out_calibration_error = Some(errors);
    report.held_out_region_coverage = Some(coverage);
    report.calibration = with_maps(&report.calibration, &raw, &before);
    report.calibration_error = Some(errors_of(&raw, &report.calibration));
    Ok(report)
}

/// An answer's P(within r) by the scaled posterior, and whether it was.
#[derive(Debug, Clone, Copy)]
struct Judged {
    within: [f64; 5],
    right: [bool; 5],
}

impl Judged {
    fn new((answer, truth): (&Answer, &LatLng)) -> Self {
        let error = answer.location.distance(*truth);
        Self {
            within: answer.within.0,
            right: THRESHOLDS.map(|threshold| error <= threshold.km),
        }
    }
}

fn errors_of(judged: &[Judged], calibration: &Calibration) -> [f64; 5] {
    let within: Vec<[f64; 5]> = judged.iter().map(|j| calibration.within(j.within)).collect();
    std::array::from_fn(|k| {
        let stated: Vec<Stated> = within
            .iter()
            .zip(judged)
            .map(|(p, j)| (p[k], j.right[k]))
            .collect();
        expected_calibration_error(&stated)
    })
}

fn with_maps(scaled: &Calibration, judged: &[Judged], before: &[f64]) -> Calibration {
    let map = |k: usize| {
        let stated: Vec<Stated> = judged.iter().map(|j| (j.within[k], j.right[k])).collect();
        within_fit::fit(&stated)
    };
    Calibration {
        within: Some(std::array::from_fn(map)),
        region: Some(region_fit::fit(before)),
        ..*scaled
    }
}

/// Calibration error and coverage of 90 % regions where each fifth of the photos, one after the other as they stand (photos of one
/// uploader often stand together), is judged by maps of the others.
fn held_out(judged: &[Judged], before: &[f64], scaled: &Calibration) -> ([f64; 5], f64) {
    let n = judged.len();
    let mut stated: [Vec<Stated>; 5] = Default::default();
    let mut held = 0;
    for fold in 0..FOLDS {
        let part = n * fold / FOLDS..n * (fold + 1) / FOLDS;
        let others: Vec<usize> = (0..n).filter(|i| !part.contains(i)).collect();
        let other_judged: Vec<Judged> = others.iter().map(|i| judged[*i]).collect();
        let other_before: Vec<f64> = others.iter().map(|i| before[*i]).collect();
        let maps = with_maps(scaled, &other_judged, &other_before);
        let mass = maps.region_mass(WANTED);
        for i in part {
            let within = maps.within(judged[i].within);
            for (k, stated) in stated.iter_mut().enumerate() {
                stated.push((within[k], judged[i].right[k]));
            }
            held += usize::from(before[i] < mass);
        }
    }
    (
        stated.map(|stated| expected_calibration_error(&stated)),
        held as f64 / n.max(1) as f64,
    )
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
    use super::*;

    #[test]
    fn few_photos_keep_the_identity_and_say_so() {
        let (observations, photos) = posterior_fit::tests::world(0.6, 0.8, 20);
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
