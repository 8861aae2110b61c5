//! The learning rate as a function of how much of the run is done.

use crate::config::Schedule;

impl Schedule {
    /// The factor of the peak learning rate.
    ///
    /// `epoch` counts finished epochs; `done` is the share of the budget that is used up, 0 to 1.
    pub fn factor(&self, epoch: u32, done: f64) -> f64 {
        match *self {
            Schedule::HalvedEachEpoch => 0.5f64.powi(epoch.min(1_000) as i32),
            Schedule::WarmupCosine { warmup, floor } => {
                let done = done.clamp(0.0, 1.0);
                if done < warmup {
                    return (done / warmup).max(1e-3);
                }
                let rest = (done - warmup) / (1.0 - warmup);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * rest).cos())
            }
        }
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
}
