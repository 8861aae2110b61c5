//! Accuracy at the field's five thresholds.

use serde::{Deserialize, Serialize};

use crate::{Error, Kilometres, Result};

/// A distance within which a prediction counts as right, and the field's name for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The field's name.
    pub name: &'static str,
    /// The great-circle distance, inclusive.
    pub km: Kilometres,
}

/// The field's five thresholds: street, city, region, country, continent.
pub const THRESHOLDS: [Threshold; 5] = [
    threshold("street", 1.0),
    threshold("city", 25.0),
    threshold("region", 200.0),
    threshold("country", 750.0),
    threshold("continent", 2500.0),
];

const fn threshold(name: &'static str, km: f64) -> Threshold {
    Threshold {
        name,
        km: Kilometres::from_checked(km),
    }
}

/// How near a set of predictions came to the truth.
///
/// Serialised flat: the five shares under the keys `"1"`, `"25"`, `"200"`, `"750"` and `"2500"`, then `n`, `median_km`, `mean_km`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub struct Accuracy {
    /// How many predictions.
    pub n: u64,
    /// Share of them within each of [`THRESHOLDS`], 0 to 1.
    pub within: [f64; 5],
    /// Median error; for an even number, the mean of the middle two.
    pub median_km: f64,
    /// Mean error.
    pub mean_km: f64,
}

impl Accuracy {
    /// Summarises the great-circle errors of some predictions.
    ///
    /// # Errors
    /// [`Error::NoPredictions`] when there are none.
    pub fn from_errors(errors: &[Kilometres]) -> Result<Self> {
        if errors.is_empty() {
            return Err(Error::NoPredictions);
        }
        let mut sorted = errors.to_vec();
        sorted.sort_unstable();
        let count = sorted.len();
        let within = THRESHOLDS.map(|threshold| {
            let right = sorted.partition_point(|error| *error <= threshold.km);
            right as f64 / count as f64
        });
        let (lower, upper) = (sorted[(count - 1) / 2].get(), sorted[count / 2].get());
        let sum: f64 = sorted.iter().map(|error| error.get()).sum();
        Ok(Self {
            n: count as u64,
            within,
            median_km: f64::midpoint(lower, upper),
            mean_km: sum / count as f64,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Flat {
    #[serde(rename = "1")]
    street: f64,
    #[serde(rename = "25")]
    city: f64,
    #[serde(rename = "200")]
    region: f64,
    #[serde(rename = "750")]
    country: f64,
    #[serde(rename = "2500")]
    continent: f64,
    n: u64,
    median_km: f64,
    mean_km: f64,
}

impl From<Accuracy> for Flat {
    fn from(accuracy: Accuracy) -> Self {
        let [street, city, region, country, continent] = accuracy.within;
        Self {
            street,
            city,
            region,
            country,
            continent,
            n: accuracy.n,
            median_km: accuracy.median_km,
            mean_km: accuracy.mean_km,
        }
    }
}

impl From<Flat> for Accuracy {
    fn from(flat: Flat) -> Self {
        Self {
            n: flat.n,
            within: [flat.street, flat.city, flat.region, flat.country, flat.continent],
            median_km: flat.median_km,
            mean_km: flat.mean_km,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn errors(km: &[f64]) -> Vec<Kilometres> {
        km.iter().map(|&km| Kilometres::new(km).unwrap()).collect()
    }

    #[test]
    fn thresholds_are_inclusive_and_the_order_is_free() {
        let accuracy = Accuracy::from_errors(&errors(&[2500.1, 1.0, 25.0, 0.2, 751.0])).unwrap();
        assert_eq!(accuracy.n, 5);
        assert_eq!(accuracy.within, [0.4, 0.6, 0.6, 0.6, 0.8]);
        assert_eq!(accuracy.median_km, 25.0);
        assert!((accuracy.mean_km - 3277.3 / 5.0).abs() < 1e-9);
    }

    #[test]
    fn an_even_number_has_two_middles() {
        let accuracy = Accuracy::from_errors(&errors(&[4.0, 1.0, 2.0, 100.0])).unwrap();
        assert_eq!(accuracy.median_km, 3.0);
        assert!(matches!(Accuracy::from_errors(&[]), Err(Error::NoPredictions)));
    }

    #[test]
    fn json_is_keyed_by_kilometres() {
        let accuracy = Accuracy::from_errors(&errors(&[0.5, 30.0])).unwrap();
        let json = serde_json::to_value(accuracy).unwrap();
        assert_eq!(json["1"], 0.5);
        assert_eq!(json["25"], 0.5);
        assert_eq!(json["2500"], 1.0);
        assert_eq!(json["n"], 2);
        assert_eq!(serde_json::from_value::<Accuracy>(json).unwrap(), accuracy);
    }
}
