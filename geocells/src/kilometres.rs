//! A length on the Earth.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A length in kilometres: finite and not negative, so it is totally ordered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Kilometres(f64);

impl Kilometres {
    /// No distance at all.
    pub const ZERO: Self = Self(0.0);

    /// A length of `km` kilometres.
    ///
    /// # Errors
    /// [`Error::InvalidLength`] when `km` is negative, infinite or not a number.
    pub fn new(km: f64) -> Result<Self> {
        if km.is_finite() && km >= 0.0 {
            Ok(Self(km))
        } else {
            Err(Error::InvalidLength { km })
        }
    }

    /// For lengths that are known to be finite and not negative.
    pub(crate) const fn from_checked(km: f64) -> Self {
        Self(km)
    }

    /// The length as a number of kilometres.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Kilometres {}

impl PartialOrd for Kilometres {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kilometres {
    fn cmp(&self, other: &Self) -> Ordering {
        // Never NaN, and `new` lets -0.0 through, which must equal 0.0.
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl TryFrom<f64> for Kilometres {
    type Error = Error;

    fn try_from(km: f64) -> Result<Self> {
        Self::new(km)
    }
}

impl From<Kilometres> for f64 {
    fn from(length: Kilometres) -> Self {
        length.0
    }
}

/// Metres below one kilometre, one decimal below a hundred, whole kilometres above.
impl fmt::Display for Kilometres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let km = self.0;
        if km < 0.9995 {
            f.pad(&format!("{:.0} m", km * 1000.0))
        } else if km < 99.95 {
            f.pad(&format!("{km:.1} km"))
        } else {
            f.pad(&format!("{km:.0} km"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn refuses_what_is_not_a_length() {
        for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Kilometres::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Kilometres::new(-0.0).unwrap(), Kilometres::ZERO);
    }

    #[test]
    fn prints_for_people() {
        let shown = |km| Kilometres::new(km).unwrap().to_string();
        assert_eq!(shown(0.0342), "34 m");
        assert_eq!(shown(0.9999), "1.0 km");
        assert_eq!(shown(24.97), "25.0 km");
        assert_eq!(shown(2500.4), "2500 km");
    }

    #[test]
    fn orders_and_round_trips() {
        let (near, far) = (Kilometres::new(1.0).unwrap(), Kilometres::new(2.5).unwrap());
        assert!(near < far);
        let json = serde_json::to_string(&far).unwrap();
        assert_eq!(json, "2.5");
        assert_eq!(serde_json::from_str::<Kilometres>(&json).unwrap(), far);
        assert!(serde_json::from_str::<Kilometres>("-1.0").is_err());
    }
}
