//! The learning rate as a function of how much of the run is done.

use crate::config::Schedule;

impl Schedule {
    /// The factor of the peak learning rate.
    ///
    /// `epoch` counts finished epochs; `done` is the share of the budget that is used up, 0 to 1.
    pub fn factor(&self, epoch: u32, done: f64) -> f64 {
        let done = done.clamp(0.0, 1.0);
        let power = |factor: f64, times: u32| factor.powi(times.min(1_000) as i32);
        match *self {
            Schedule::HalvedEachEpoch => power(0.5, epoch),
            Schedule::Step {
                epochs,
                factor,
                warmup,
            } => rise(done, warmup) * power(factor, epoch / epochs.max(1)),
            Schedule::Constant { warmup } => rise(done, warmup),
            Schedule::WarmupCosine { warmup, floor } => {
                if done < warmup {
                    return rise(done, warmup);
                }
                let rest = (done - warmup) / (1.0 - warmup);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * rest).cos())
            }
        }
    }
}

/// Linear from a thousandth to 1 while `done` grows to `warmup`.
fn rise(done: f64, warmup: f64) -> f64 {
    if done < warmup {
        (done / warmup).max(1e-3)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_is_the_papers() {
        let factors: Vec<f64> = (0..4).map(|e| Schedule::HalvedEachEpoch.factor(e, 0.9)).collect();
        assert_eq!(factors, [1.0, 0.5, 0.25, 0.125]);
    }

    #[test]
    fn warm_up_rises_and_cosine_falls_to_the_floor() {
        let s = Schedule::WarmupCosine {
            warmup: 0.1,
            floor: 0.05,
        };
        assert!(s.factor(0, 0.0) > 0.0);
        assert!((s.factor(0, 0.05) - 0.5).abs() < 1e-12);
        assert!((s.factor(0, 0.1) - 1.0).abs() < 1e-12);
        assert!((s.factor(0, 0.55) - (0.05 + 0.95 * 0.5)).abs() < 1e-12);
        assert!((s.factor(9, 1.0) - 0.05).abs() < 1e-12);
        assert!((s.factor(9, 7.0) - 0.05).abs() < 1e-12);
        let falling: Vec<f64> = (1..=10).map(|k| s.factor(0, f64::from(k) / 10.0)).collect();
        assert!(falling.windows(2).all(|w| w[1] < w[0]));
    }

    #[test]
    fn steps_and_constants_follow_their_warm_up() {
        let step = Schedule::Step {
            epochs: 2,
            factor: 0.1,
            warmup: 0.1,
        };
        assert!((step.factor(0, 0.05) - 0.5).abs() < 1e-12);
        let after: Vec<f64> = (0..5).map(|epoch| step.factor(epoch, 0.5)).collect();
        for (got, want) in after.iter().zip([1.0, 1.0, 0.1, 0.1, 0.01]) {
            assert!((got - want).abs() < 1e-12, "{after:?}");
        }
        let constant = Schedule::Constant { warmup: 0.0 };
        assert_eq!((constant.factor(0, 0.0), constant.factor(9, 1.0)), (1.0, 1.0));
    }
}
