//! What people call a place, without a network.
//!
//! - The **country** is the one whose boundary holds the place: boundaries of OpenStreetMap, by `country-boundaries`.
//! - **Region** and **locality** are those of the nearest settlement of the same country: GeoNames, by
//!   `reverse_geocoder`.
//! - The **continent** follows from the country.
//!
//! Both data sets ask to be named wherever their names are shown: [`ATTRIBUTION`].

mod continent;
mod country;
mod name;
mod namer;
mod settlement;

pub use country::{countries, country_code};
pub use name::PlaceName;
pub use namer::{ATTRIBUTION, LOCALITY_KM, PlaceNamer, REGION_KM};
