//! The name of a place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a place, from the continent down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlaceName {
    /// The continent: Africa, Antarctica, Asia, Europe, North America, Oceania or South America.
    pub continent: String,
    /// ISO 3166-1 code of the country, two capital letters; `XK` for Kosovo.
    pub country_code: String,
    /// The country's usual English name.
    pub country: String,
    /// The first division of the country, in ASCII letters; `None` far from any settlement.
    pub region: Option<String>,
    /// The nearest settlement, in ASCII letters; `None` where there is none within [`LOCALITY_KM`](crate::LOCALITY_KM).
    pub locality: Option<String>,
}

/// From the locality up, as on an envelope: `Paris, Ile-de-France, France`.
impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<&str> = Vec::with_capacity(3);
        for part in [
            self.locality.as_deref(),
            self.region.as_deref(),
            Some(&self.country),
        ] {
            let Some(part) = part else { continue };
            // Cities that are regions of their own, and city states, are named once.
            if parts.last() != Some(&part) {
                parts.push(part);
            }
        }
        f.pad(&parts.join(", "))
    }
}
