//! An exponential moving average of the trained parameters.
//!
//! After every step `a ← d·a + (1 − d)·x`, with the decay d lowered to `(1 + t) / (10 + t)` in the first steps t, so that the average forgets
//! where learning began.

use std::collections::{BTreeMap, HashMap};

use candle_core::Tensor;

use crate::optimizer::Trained;
use crate::{Error, Result};

/// The average of some parameters, by name.
#[derive(Debug)]
pub struct Average {
    decay: f64,
    values: BTreeMap<String, Tensor>,
}

impl Average {
    /// An average that begins at the parameters as they are.
    ///
    /// # Errors
    /// The device has no room.
    pub fn new(decay: f64, parameters: &[Trained]) -> Result<Self> {
        Ok(Self {
            decay,
            values: copy(parameters)?,
        })
    }

    /// Takes back what [`Average::values`] gave.
    ///
    /// # Errors
    /// A parameter that the state lacks.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        for (name, value) in &mut self.values {
            let saved = state
                .get(&format!("average.{name}"))
                .ok_or_else(|| Error::Config(format!("the saved state lacks average.{name}")))?;
            *value = saved.clone();
        }
        Ok(())
    }

    /// Moves the average after step `step` (from 1).
    ///
    /// # Errors
    /// A tensor operation.
    pub fn update(&mut self, parameters: &[Trained], step: u64) -> Result<()> {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        for parameter in parameters {
            if let Some(value) = self.values.get_mut(&parameter.name) {
                let new = parameter.var.as_detached_tensor();
                *value = ((&*value * decay)? + (new * (1.0 - decay))?)?;
            }
        }
        Ok(())
    }

    /// The averages, by parameter.
    pub fn values(&self) -> &BTreeMap<String, Tensor> {
        &self.values
    }
}

/// The parameters' values as they are now, by name.
///
/// # Errors
/// The device has no room.
pub fn copy(parameters: &[Trained]) -> Result<BTreeMap<String, Tensor>> {
    parameters
        .iter()
        .map(|p| Ok((p.name.clone(), p.var.as_detached_tensor().copy()?)))
        .collect()
}

/// Sets the parameters to these values; a parameter that has none stays.
///
/// # Errors
/// A value of another shape.
pub fn put(parameters: &[Trained], values: &BTreeMap<String, Tensor>) -> Result<()> {
    for parameter in parameters {
        if let Some(value) = values.get(&parameter.name) {
            parameter.var.set(value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn follows_the_parameters_and_comes_back() {
        let parameter = Trained {
            name: "a".into(),
            var: Var::new(&[1f32, 2.0], &Device::Cpu).unwrap(),
            rate: 1.0,
            decay: true,
        };
        let parameters = [parameter];
        let mut average = Average::new(0.9, &parameters).unwrap();
        let mut expected = 1.0;
        for step in 1..=40u64 {
            let value = 1.0 + step as f32;
            parameters[0]
                .var
                .set(&Tensor::new(&[value, 0.0], &Device::Cpu).unwrap())
                .unwrap();
            average.update(&parameters, step).unwrap();
            let decay = 0.9f64.min((1.0 + step as f64) / (10.0 + step as f64));
            expected = decay * expected + (1.0 - decay) * f64::from(value);
        }
        let got = average.values()["a"].to_vec1::<f32>().unwrap();
        assert!((f64::from(got[0]) - expected).abs() < 1e-3, "{got:?} {expected}");
        assert!(got[0] < 41.0 && got[0] > 30.0);

        let saved: HashMap<String, Tensor> = average
            .values()
            .iter()
            .map(|(name, value)| (format!("average.{name}"), value.clone()))
            .collect();
        let mut back = Average::new(0.9, &parameters).unwrap();
        back.restore(&saved).unwrap();
        assert_eq!(back.values()["a"].to_vec1::<f32>().unwrap(), got);
        assert!(back.restore(&HashMap::new()).is_err());

        let kept = copy(&parameters).unwrap();
        put(&parameters, average.values()).unwrap();
        assert_eq!(parameters[0].var.to_vec1::<f32>().unwrap(), got);
        put(&parameters, &kept).unwrap();
        assert_eq!(parameters[0].var.to_vec1::<f32>().unwrap(), [41.0, 0.0]);
    }
}
