//! Rates and quantiles.

use std::fmt;
use std::time::Duration;

use crate::client::Outcome;

/// What a measurement says.
pub(crate) struct Figures {
    pub(crate) a_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    answered: usize,
    refused: usize,
    pub(crate) failed: usize,
}

impl Figures {
    pub(crate) fn of(outcomes: &[Outcome], span: Duration) -> Self {
        let mut times: Vec<Duration> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Answered(took) => Some(*took),
                _ => None,
            })
            .collect();
        let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        Self {
            a_second: times.len() as f64 / span.as_secs_f64(),
            p50_ms: quantile(&mut times, 0.5),
            p99_ms: quantile(&mut times, 0.99),
            answered: times.len(),
            refused: count(|outcome| matches!(outcome, Outcome::Refused { .. })),
            failed: count(|outcome| matches!(outcome, Outcome::Failed)),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:8.1}  {:6.1}  {:6.1}  {:8}  {:7}  {:6}",
            self.a_second, self.p50_ms, self.p99_ms, self.answered, self.refused, self.failed
        )
    }
}

/// A quantile in milliseconds; nothing gives NaN.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let index = (share * last as f64).round() as usize;
    times.get(index).map_or(f64::NAN, |time| 1e3 * time.as_secs_f64())
}
