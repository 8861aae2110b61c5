//! Credible regions that hold the truth as often as they say.
//!
//! A region takes the most probable cells until they hold a mass `m`. It holds the true cell when the mass that comes before that cell is
//! below `m`. So the mass before the true cell, over validation photos, has the wanted share of truths below its quantile of that
//! share: adaptive prediction sets (Romano, Sesia and Candès, 2020), here with the corrected rank ⌈(n + 1) share⌉ that makes the
//! promise hold for the next photo and not only for these.

use models::{Calibration, RegionMasses};

use super::Observation;

/// The most that a region may have to hold, where too many truths lie outside every cell to hold the wanted share at all.
const MOST: f64 = 0.9999;
/// A region holds at least its most probable cell.
const LEAST: f64 = 1e-6;

/// The posterior mass of the cells that come before the true one: what a region must exceed to hold it.
/// Cells of equal weight stand in the order of their indices. `photos` holds every finest cell's photo count.
pub fn mass_before(observation: &Observation, photos: &[u64], calibration: &Calibration) -> f64 {
    let logits: Vec<f64> = observation
        .scores
        .iter()
        .zip(photos)
        .map(|(score, n)| {
            calibration.scale * f64::from(*score) + calibration.prior_weight * (*n.max(&1) as f64).ln()
        })
        .collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let own = logits[observation.truth];
    let (mut total, mut before) = (0.0, 0.0);
    for (cell, logit) in logits.iter().enumerate() {
        let weight = (logit - highest).exp();
        total += weight;
        if *logit > own || (*logit == own && cell < observation.truth) {
            before += weight;
        }
    }
    before / total
}

/// The masses by which regions hold the wanted shares of truths. `before` holds [`mass_before`] of every validation photo, infinity
/// where the truth lies in no cell.
pub fn fit(before: &[f64]) -> RegionMasses {
    let mut sorted = before.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut least = LEAST;
    RegionMasses(RegionMasses::WANTED.map(|share| {
        let rank = ((sorted.len() + 1) as f64 * share).ceil() as usize;
        let quantile = sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::INFINITY);
        // A region must exceed the mass before the truth; the next number up does.
        let mass = (quantile + LEAST).clamp(least, MOST);
        least = mass;
        mass
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rand::Rng;

    use super::super::posterior_fit::tests::world;
    use super::*;
    use crate::sampling::generator;

    #[test]
    fn the_mass_before_the_truth_is_what_a_region_needs() {
        let observation = |truth| Observation {
            scores: vec![0.0, 3.0_f32.ln(), 6.0_f32.ln()],
            truth,
        };
        let before = |truth| mass_before(&observation(truth), &[1, 1, 1], &Calibration::default());
        assert!((before(2) - 0.0).abs() < 1e-7);
        assert!((before(1) - 0.6).abs() < 1e-7);
        assert!((before(0) - 0.9).abs() < 1e-7);
    }

    #[test]
    fn quantiles_have_the_corrected_rank_and_uncovered_truths_count() {
        let before: Vec<f64> = (0..99).map(|k| f64::from(k) / 100.0).collect();
        // Rank ceil(100 * 0.9) = 90: the 90th smallest is 0.89.
        assert!((fit(&before).posterior(0.9) - (0.89 + LEAST)).abs() < 1e-9);
        let mut uncovered = before.clone();
        uncovered.extend([f64::INFINITY; 11]);
        // Rank ceil(111 * 0.9) = 100 of 110 lies outside every cell.
        assert_eq!(fit(&uncovered).posterior(0.9), MOST);
    }

    #[test]
    fn regions_of_an_overconfident_posterior_hold_what_they_say_on_other_photos() {
        // Truths are drawn at scale 0.4, the posterior believes in 1.
        let (observations, photos) = world(0.4, 0.0, 6_000);
        let calibration = Calibration::default();
        let before: Vec<f64> = observations
            .iter()
            .map(|o| mass_before(o, &photos, &calibration))
            .collect();
        let (fitted, others) = before.split_at(3_000);
        let masses = fit(fitted);
        for wanted in [0.5, 0.8, 0.9, 0.95] {
            let share = |mass: f64| others.iter().filter(|b| **b < mass).count() as f64 / 3_000.0;
            assert!(
                share(wanted) < wanted - 0.02,
                "believed as it is, {wanted} is too little"
            );
            let held = share(masses.posterior(wanted));
            assert!((held - wanted).abs() < 0.025, "{wanted}: {held}");
        }
    }

    #[test]
    fn certain_answers_need_next_to_nothing() {
        let mut rng = generator(1, "ties", 0);
        let before: Vec<f64> = (0..500)
            .map(|_| if rng.random::<f64>() < 0.95 { 0.0 } else { 0.99 })
            .collect();
        let masses = fit(&before);
        assert!(masses.posterior(0.9) <= 2.0 * LEAST);
        assert!(masses.0.is_sorted());
    }
}
