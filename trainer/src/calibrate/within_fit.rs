//! What P(within r) is worth: beta calibration by penalised likelihood.
//!
//! `logit(q) = rise ln p − fall ln(1 − p) + offset` is a logistic regression on two features, so its log likelihood is concave and
//! Newton's method with a step that is halved until it gains finds the best. A weak pull towards the identity keeps few or
//! one-sided photos from making it steep; `rise` and `fall` stay at zero where they would turn the order round.

use models::BetaMap;

use super::Stated;

/// Weight of the pull towards the identity, in photos.
const PULL: f64 = 1.0;

/// The map under which these events are most likely.
pub fn fit(stated: &[Stated]) -> BetaMap {
    let rows: Vec<([f64; 3], f64)> = stated
        .iter()
        .map(|(p, happened)| {
            let [rise, fall] = BetaMap::features(*p);
            ([rise, fall, 1.0], f64::from(u8::from(*happened)))
        })
        .collect();
    let mut free = [true; 3];
    let mut at = newton(&rows, [1.0, 1.0, 0.0], free);
    for _ in 0..2 {
        let Some(negative) = (0..2).find(|k| at[*k] < 0.0) else {
            break;
        };
        free[negative] = false;
        at[negative] = 0.0;
        at = newton(&rows, at, free);
    }
    BetaMap {
        rise: at[0].max(0.0),
        fall: at[1].max(0.0),
        offset: at[2],
    }
}

/// Penalised negative log likelihood.
fn loss(rows: &[([f64; 3], f64)], at: [f64; 3]) -> f64 {
    let pull = (at[0] - 1.0).powi(2) + (at[1] - 1.0).powi(2) + at[2].powi(2);
    let each = |(x, y): &([f64; 3], f64)| {
        let logit = dot(*x, at);
        // ln(1 + exp(logit)) without overflow.
        logit.max(0.0) + (-logit.abs()).exp().ln_1p() - y * logit
    };
    0.5 * PULL * pull + rows.iter().map(each).sum::<f64>()
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn newton(rows: &[([f64; 3], f64)], start: [f64; 3], free: [bool; 3]) -> [f64; 3] {
    let mut at = start;
    let mut here = loss(rows, at);
    for _ in 0..100 {
        let (gradient, curvature) = derivatives(rows, at);
        let direction = solve(curvature, gradient, free);
        let mut length = 1.0;
        let moved = loop {
            let there: [f64; 3] = std::array::from_fn(|k| at[k] - length * direction[k]);
            let value = loss(rows, there);
            if value < here {
                break Some((there, value));
            }
            length *= 0.5;
            if length < 1e-9 {
                break None;
            }
        };
        let Some((there, value)) = moved else { break };
        let gain = here - value;
        (at, here) = (there, value);
        if gain < 1e-12 * (1.0 + here) {
            break;
        }
    }
    at
}

fn derivatives(rows: &[([f64; 3], f64)], at: [f64; 3]) -> ([f64; 3], [[f64; 3]; 3]) {
    let identity = [1.0, 1.0, 0.0];
    let mut gradient: [f64; 3] = std::array::from_fn(|k| PULL * (at[k] - identity[k]));
    let mut curvature = [[0.0; 3]; 3];
    for (k, row) in curvature.iter_mut().enumerate() {
        row[k] = PULL;
    }
    for (x, y) in rows {
        let q = 1.0 / (1.0 + (-dot(*x, at)).exp());
        for i in 0..3 {
            gradient[i] += (q - y) * x[i];
            for j in 0..3 {
                curvature[i][j] += q * (1.0 - q) * x[i] * x[j];
            }
        }
    }
    (gradient, curvature)
}

/// Solves `matrix · x = right` for the free coordinates, the others zero; the matrix is positive definite.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3], free: [bool; 3]) -> [f64; 3] {
    for k in 0..3 {
        if !free[k] {
            matrix[k] = [0.0; 3];
            matrix.iter_mut().for_each(|row| row[k] = 0.0);
            matrix[k][k] = 1.0;
            right[k] = 0.0;
        }
    }
    for k in 0..3 {
        for i in k + 1..3 {
            let factor = matrix[i][k] / matrix[k][k];
            let above = matrix[k];
            let row = matrix[i].iter_mut().zip(above);
            row.skip(k).for_each(|(x, y)| *x -= factor * y);
            right[i] -= factor * right[k];
        }
    }
    for k in (0..3).rev() {
        let known: f64 = (k + 1..3).map(|j| matrix[k][j] * right[j]).sum();
        right[k] = (right[k] - known) / matrix[k][k];
    }
    right
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rand::Rng;

    use super::*;
    use crate::calibrate::expected_calibration_error;
    use crate::sampling::generator;

    fn events(truth: BetaMap, n: usize, seed: u64) -> Vec<Stated> {
        let mut rng = generator(seed, "events", 0);
        (0..n)
            .map(|_| {
                let p = rng.random_range(0.001..0.999);
                (p, rng.random::<f64>() < truth.apply(p))
            })
            .collect()
    }

    #[test]
    fn finds_the_map_that_made_the_events() {
        let truth = BetaMap {
            rise: 0.4,
            fall: 1.3,
            offset: -0.5,
        };
        let found = fit(&events(truth, 20_000, 3));
        for p in [0.05, 0.3, 0.6, 0.95] {
            assert!((found.apply(p) - truth.apply(p)).abs() < 0.02, "{found:?}");
        }
    }

    #[test]
    fn is_honest_on_photos_that_it_was_not_fitted_on() {
        let overconfident = BetaMap {
            rise: 0.3,
            fall: 0.3,
            offset: 0.2,
        };
        let found = fit(&events(overconfident, 800, 1));
        let others = events(overconfident, 20_000, 2);
        let before = expected_calibration_error(&others);
        let after: Vec<Stated> = others.iter().map(|(p, y)| (found.apply(*p), *y)).collect();
        let after = expected_calibration_error(&after);
        assert!(before > 0.1 && after < 0.03, "{before} {after}");
    }

    #[test]
    fn order_is_never_turned_round_and_few_photos_move_it_little() {
        let backwards: Vec<Stated> = (0..200).map(|k| (f64::from(k) / 200.0, k < 100)).collect();
        let map = fit(&backwards);
        assert!(map.rise >= 0.0 && map.fall >= 0.0, "{map:?}");
        assert!(map.apply(0.9) >= map.apply(0.1));
        let one = fit(&[(0.5, true)]);
        assert!((one.apply(0.5) - 0.5).abs() < 0.25, "{one:?}");
        assert_eq!(fit(&[]), BetaMap::IDENTITY);
    }
}
