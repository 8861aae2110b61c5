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
