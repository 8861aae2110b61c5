//! Intervals of any statistic by resampling photos with replacement (percentile bootstrap, Efron 1979).

use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::sampling::generator;

/// How intervals are made. The same seed gives the same intervals on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Samples drawn; 0 makes no intervals.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Share of the samples inside an interval.
    pub level: f64,
}

impl Default for Bootstrap {
    /// A thousand samples, 95 %.
    fn default() -> Self {
        Self {
            resamples: 1_000,
            seed: 1,
            level: 0.95,
        }
    }
}

/// The two ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Bootstrap {
    /// Intervals of `K` statistics of `n` photos. `statistics` gets the indices of a sample, `n` of them, and is called once a sample.
    /// `None` without samples or photos.
    pub fn intervals<const K: usize>(
        &self,
        n: usize,
        statistics: impl Fn(&[usize]) -> [f64; K] + Sync,
    ) -> Option<[Interval; K]> {
        self.sampled(|rng| {
            let sample: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
            statistics(&sample)
        })
        .filter(|_| n > 0)
    }

    /// Intervals of `K` statistics of which `one` draws a sample of its own.
    pub fn sampled<const K: usize>(
        &self,
        one: impl Fn(&mut rand_chacha::ChaCha8Rng) -> [f64; K] + Sync,
    ) -> Option<[Interval; K]> {
        if self.resamples == 0 {
            return None;
        }
        let samples: Vec<[f64; K]> = (0..self.resamples as u64)
            .into_par_iter()
            .map(|k| one(&mut generator(self.seed, "bootstrap", k)))
            .collect();
        let tail = (1.0 - self.level) / 2.0;
        Some(std::array::from_fn(|k| {
            let mut values: Vec<f64> = samples.iter().map(|sample| sample[k]).collect();
            values.sort_by(f64::total_cmp);
            Interval {
                low: quantile(&values, tail),
                high: quantile(&values, 1.0 - tail),
            }
        }))
    }
}

/// The quantile of ascending values, a straight line between neighbours (numpy's default). NaN when there are none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = share.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], [0, 0.025, 0.3, 0.5, 0.975, 1])
        let mut values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        values.sort_by(f64::total_cmp);
        let wanted = [
            (0.0, 1.0),
            (0.025, 1.0),
            (0.3, 2.1),
            (0.5, 3.5),
            (0.975, 8.475),
            (1.0, 9.0),
        ];
        for (share, wanted) in wanted {
            assert!((quantile(&values, share) - wanted).abs() < 1e-12, "{share}");
        }
        assert!(quantile(&[], 0.5).is_nan());
    }

    /// The interval of a mean of n Bernoulli draws is the normal one, and holds the truth about as often as it says.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let (truth, n, worlds) = (0.3, 150, 300);
        let mut held = 0;
        let mut widths = 0.0;
        for world in 0..worlds {
            let mut rng = generator(7, "world", world);
            let data: Vec<f64> = (0..n)
                .map(|_| f64::from(u8::from(rng.random::<f64>() < truth)))
                .collect();
            let bootstrap = Bootstrap {
                resamples: 400,
                seed: world,
                level: 0.95,
            };
            let mean = |sample: &[usize]| [sample.iter().map(|i| data[*i]).sum::<f64>() / n as f64];
            let [interval] = bootstrap.intervals(n, mean).unwrap();
            held += u32::from(interval.low <= truth && truth <= interval.high);
            widths += interval.high - interval.low;
        }
        let share = f64::from(held) / worlds as f64;
        assert!((0.91..=0.985).contains(&share), "{share}");
        let normal = 2.0 * 1.96 * (truth * (1.0 - truth) / n as f64).sqrt();
        assert!((widths / worlds as f64 / normal - 1.0).abs() < 0.06);
    }

    #[test]
    fn a_seed_decides_and_nothing_is_made_of_nothing() {
        let data = [1.0, 2.0, 3.0, 10.0];
        let mean = |sample: &[usize]| [sample.iter().map(|i| data[*i]).sum::<f64>() / 4.0];
        let first = Bootstrap::default().intervals(4, mean);
        assert_eq!(first, Bootstrap::default().intervals(4, mean));
        let other = Bootstrap {
            seed: 2,
            ..Bootstrap::default()
        };
        assert!(first.is_some() && other.intervals(4, mean).is_some());
        let none = Bootstrap {
            resamples: 0,
            ..Bootstrap::default()
        };
        assert_eq!(none.intervals(4, mean), None);
    }
}
