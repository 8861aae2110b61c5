//! The curves of a run, from its `metrics.jsonl`.

use std::path::Path;

use geocells::THRESHOLDS;
use serde_json::Value;

use crate::Result;

/// Values over steps.
pub(super) type Curve = Vec<(f64, f64)>;

/// What changed while a run learnt.
#[derive(Debug, Default)]
pub(super) struct Curves {
    pub(super) loss: Curve,
    pub(super) learning_rate: Curve,
    /// Within 1, 25, 200, 750 and 2,500 km.
    pub(super) within: [Curve; 5],
    /// A level each, coarsest first.
    pub(super) temperatures: Vec<Curve>,
}

/// Reads the curves. A line that is no JSON is passed over: the file may be anybody's after a run.
///
/// # Errors
/// The file system's.
pub(super) fn read(path: &Path) -> Result<Curves> {
    let mut curves = Curves::default();
    for line in fs_err::read_to_string(path)?.lines() {
        if let Ok(line) = serde_json::from_str::<Value>(line) {
            curves.take(&line);
        }
    }
    Ok(curves)
}

impl Curves {
    fn take(&mut self, line: &Value) {
        let number = |value: &Value| value.as_f64().filter(|v| v.is_finite());
        let Some(step) = number(&line["step"]) else {
            return;
        };
        match line["kind"].as_str() {
            Some("step") => {
                self.loss.extend(number(&line["loss"]).map(|loss| (step, loss)));
                let rate = number(&line["learning_rate"]);
                self.learning_rate.extend(rate.map(|rate| (step, rate)));
            }
            Some("validation") => {
                for (threshold, curve) in THRESHOLDS.iter().zip(&mut self.within) {
                    let share = number(&line["accuracy"][threshold.km.get().to_string()]);
                    curve.extend(share.map(|share| (step, 100.0 * share)));
                }
                let temperatures = line["temperatures"].as_array().map_or(&[][..], Vec::as_slice);
                self.temperatures
                    .resize(temperatures.len().max(self.temperatures.len()), Vec::new());
                for (curve, temperature) in self.temperatures.iter_mut().zip(temperatures) {
                    curve.extend(number(temperature).map(|temperature| (step, temperature)));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::metrics::{Line, Metrics};

    #[test]
    fn lines_become_curves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(&path).unwrap();
        let step = Line::Step {
            step: 20,
            epoch: 1,
            samples: 200,
            loss: 2.5,
            learning_rate: 0.1,
            gradient_norm: 1.0,
            images_per_second: 10.0,
            idle: 0.0,
            seconds: 1.0,
        };
        metrics.write(&step).unwrap();
        let errors = [0.5, 20.0, 100.0, 500.0].map(|km| geocells::Kilometres::new(km).unwrap());
        let validation = Line::Validation {
            step: 30,
            epoch: 1,
            samples: 300,
            accuracy: geocells::Accuracy::from_errors(&errors).unwrap(),
            score: 0.5,
            best: true,
            temperatures: &[0.07, 0.05],
            seconds: 2.0,
        };
        metrics.write(&validation).unwrap();
        let mut text = fs_err::read_to_string(&path).unwrap();
        text.push_str("half a li");
        fs_err::write(&path, text).unwrap();
        let curves = read(&path).unwrap();
        assert_eq!(curves.loss, [(20.0, 2.5)]);
        assert_eq!(curves.learning_rate, [(20.0, 0.1)]);
        let last: Vec<f64> = curves.within.iter().map(|curve| curve[0].1).collect();
        assert_eq!(last, [25.0, 50.0, 75.0, 100.0, 100.0]);
        assert_eq!(curves.temperatures, [vec![(30.0, 0.07)], vec![(30.0, 0.05)]]);
    }
}
