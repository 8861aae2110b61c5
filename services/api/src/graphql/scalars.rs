//! Small shared types: places, and the JSON of outlines.

use async_graphql::{Json, SimpleObject};
use geocells::LatLng;

/// GeoJSON, as any map library takes it.
pub type GeoJson = Json<serde_json::Value>;

/// A place on the Earth (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, SimpleObject)]
#[graphql(name = "Location")]
pub struct Location {
    /// Degrees north of the equator, -90 to 90.
    pub latitude: f64,
    /// Degrees east of Greenwich, -180 to 180.
    pub longitude: f64,
}

impl From<LatLng> for Location {
    fn from(place: LatLng) -> Self {
        Self {
            latitude: place.latitude(),
            longitude: place.longitude(),
        }
    }
}

/// What people call a place. Country: boundaries of OpenStreetMap contributors (ODbL); region and locality: GeoNames (CC BY 4.0).
/// Who shows the names names both.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct Place {
    /// The continent, in English.
    pub continent: String,
    /// The country, in English.
    pub country: String,
    /// The country's code of two capital letters (ISO 3166-1; XK for Kosovo).
    pub country_code: String,
    /// The first division of the country.
    pub region: Option<String>,
    /// The nearest town or city of the country within 25 km.
    pub locality: Option<String>,
}

impl From<storage::PlaceName> for Place {
    fn from(name: storage::PlaceName) -> Self {
        Self {
            continent: name.continent,
            country: name.country,
            country_code: name.country_code,
            region: name.region,
            locality: name.locality,
        }
    }
}
