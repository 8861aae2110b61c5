//! The literal product of similarities, which is not linear in the query.
//!
//! Candidates come from the path search and are rescored exactly. A cell c that the search left out has
//! Σ_l s_l(c) / τ_l ≤ x_K, the lowest retrieved path score, and s_l(c) ≤ m_l, the highest cosine of its level. Under these
//! constraints the largest Σ_l ln((1 + s_l) / 2) is a small concave problem with the solution
//! 1 + s_l = min(1 + m_l, τ_l / λ): [`log_product_at_most`] solves it, so that an answer can be certified.

/// Natural logarithm of the product over levels of (1 + s_l) / 2.
#[must_use]
pub fn log_product(cosines: &[f64]) -> f64 {
    cosines
        .iter()
        .map(|cosine| ((1.0 + cosine.clamp(-1.0, 1.0)) / 2.0).ln())
        .sum()
}

/// Upper bound of [`log_product`] over all paths whose path score is at most `path_score`.
///
/// `temperatures`: τ_l > 0, one a level; `highest_cosines`: m_l, one a level, each in -1..=1.
/// Returns -∞ where no path can score so low.
#[must_use]
pub fn log_product_at_most(path_score: f64, temperatures: &[f64], highest_cosines: &[f64]) -> f64 {
    // In terms of u_l = 1 + s_l: maximise Σ ln u_l with Σ u_l / τ_l ≤ budget and 0 ≤ u_l ≤ 1 + m_l.
    let budget = path_score + temperatures.iter().map(|t| 1.0 / t).sum::<f64>();
    if budget <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let caps: Vec<f64> = highest_cosines
        .iter()
        .map(|cosine| 1.0 + cosine.clamp(-1.0, 1.0))
        .collect();
    let spent = |water: f64| -> f64 {
        temperatures
            .iter()
            .zip(&caps)
            .map(|(t, cap)| (water).min(cap / t))
            .sum()
    };
    // Each level spends min(water, cap / τ) of the budget; raise the water until the budget is spent.
    let full = temperatures
        .iter()
        .zip(&caps)
        .map(|(t, cap)| cap / t)
        .fold(0.0, f64::max);
    let water = if spent(full) <= budget {
        full
    } else {
        let (mut low, mut high) = (0.0, full);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if spent(middle) <= budget {
                low = middle
            } else {
                high = middle
            }
        }
        high
    };
    temperatures
        .iter()
        .zip(&caps)
        .map(|(t, cap)| ((water * t).min(*cap) / 2.0).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_level_is_its_own_bound() {
        let bound = log_product_at_most(0.3 / 0.07, &[0.07], &[1.0]);
        assert!((bound - log_product(&[0.3])).abs() < 1e-9, "{bound}");
    }

    #[test]
    fn without_a_budget_the_highest_cosines_bound() {
        let bound = log_product_at_most(1e6, &[0.07, 0.1], &[0.5, 0.25]);
        assert!((bound - log_product(&[0.5, 0.25])).abs() < 1e-12);
    }

    proptest! {
        /// The bound holds for every path under the constraints, and some path comes close to it.
        #[test]
        fn bounds_every_path(
            temperatures in proptest::collection::vec(0.02_f64..1.0, 1..7),
            share in 0.05_f64..0.95,
            picks in proptest::collection::vec(proptest::collection::vec(-1.0_f64..1.0, 7), 50),
        ) {
            let highest = vec![0.9; temperatures.len()];
            let scale: f64 = temperatures.iter().map(|t| 1.0 / t).sum();
            let limit = (2.0 * share - 1.0) * scale;
            let bound = log_product_at_most(limit, &temperatures, &highest);
            for pick in &picks {
                let cosines: Vec<f64> = pick.iter().zip(&highest).map(|(c, cap)| c.min(*cap)).take(temperatures.len()).collect();
                let path: f64 = cosines.iter().zip(&temperatures).map(|(c, t)| c / t).sum();
                if path <= limit {
                    prop_assert!(log_product(&cosines) <= bound + 1e-9);
                }
            }
            // The even path that just meets the limit is allowed, so the bound is at least its product.
            let even = vec![(2.0 * share - 1.0).min(0.9); temperatures.len()];
            prop_assert!(log_product(&even) <= bound + 1e-9);
        }
    }
}
