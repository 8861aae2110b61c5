//! From coordinates to names.

use std::sync::LazyLock;

use country_boundaries::{BOUNDARIES_ODBL_360X180, CountryBoundaries, LatLon};
use geocells::LatLng;
use reverse_geocoder::ReverseGeocoder;

use crate::{PlaceName, continent, settlement};

/// Whose data the names are; to be shown wherever they are.
pub const ATTRIBUTION: &str = "names of places: © OpenStreetMap contributors (ODbL), GeoNames (CC BY 4.0)";

/// A settlement farther away than this gives no locality: the field's city threshold, in kilometres.
pub const LOCALITY_KM: f64 = 25.0;

/// A settlement farther away than this gives no region: the field's region threshold, in kilometres.
pub const REGION_KM: f64 = 200.0;

/// The treaty's limit of Antarctica, in degrees; the boundaries have no land beyond it.
const ANTARCTIC_LATITUDE: f64 = -60.0;

/// Names places. The data are part of the program and take a moment to load: use [`PlaceNamer::shared`].
pub struct PlaceNamer {
    boundaries: CountryBoundaries,
    settlements: ReverseGeocoder,
}

impl PlaceNamer {
    /// The one of this process, loaded at the first call (about a fifth of a second).
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<PlaceNamer> = LazyLock::new(|| PlaceNamer {
            boundaries: CountryBoundaries::from_reader(BOUNDARIES_ODBL_360X180)
                .expect("the boundaries are part of the program, and a test reads them"),
            settlements: ReverseGeocoder::new(),
        });
        &SHARED
    }

    /// What people call a place; `None` at sea. Coastal waters belong to their country.
    pub fn name(&self, place: LatLng) -> Option<PlaceName> {
        let code = self.country(place)?;
        let settlement = settlement::nearest(&self.settlements, place, code);
        let within = |limit: f64| settlement.as_ref().filter(|found| found.km <= limit);
        let text = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        Some(PlaceName {
            continent: continent::of(code)?.to_owned(),
            country_code: code.to_owned(),
            country: country_emoji::code_to_name(code)?.to_owned(),
            region: within(REGION_KM).and_then(|found| text(&found.record.admin1)),
            locality: within(LOCALITY_KM).and_then(|found| text(&found.record.name)),
        })
    }

    /// Whether a place lies in some country, its coastal waters included, or in Antarctica: what a map draws as land.
    pub fn is_in_a_country(&self, place: LatLng) -> bool {
        self.country(place).is_some()
    }

    /// The code of the smallest country whose boundary holds the place: ISO 3166-1, or `XK` for Kosovo; `None` at sea.
    pub fn country(&self, place: LatLng) -> Option<&str> {
        if place.latitude() <= ANTARCTIC_LATITUDE {
            return Some("AQ");
        }
        // Finite and in range: `place` is checked.
        let at = LatLon::new(place.latitude(), place.longitude()).ok()?;
        let areas = self.boundaries.ids(at);
        // Smallest first; most divisions of a country are followed by it.
        areas
            .into_iter()
            .map(continent::country_of)
            .find(|area| area.len() == 2)
    }
}
