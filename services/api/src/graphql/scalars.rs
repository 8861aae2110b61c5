//! Small shared types: places and geocells as the caller may see them, and the JSON of outlines.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    Context, ContextSelectionSet, InputObject, Json, Object, OutputType, Positioned, ServerResult,
    SimpleObject, Value,
};
use geocells::{GeocellId, LatLng};

use super::caller;
use crate::area::{GeoBox, GeoBoxDegrees};
use crate::caller::Caller;
use crate::request_error::RequestError;

/// GeoJSON, as any map library takes it.
pub type GeoJson = Json<serde_json::Value>;

/// A place on the Earth (WGS 84), as exact as the caller's key permits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location(LatLng);

/// A place on the Earth (WGS 84), as exact as the caller's key permits.
#[Object]
impl Location {
    /// Degrees north of the equator, -90 to 90.
    async fn latitude(&self, ctx: &Context<'_>) -> f64 {
        caller(ctx).place(self.0).latitude()
    }

    /// Degrees east of Greenwich, -180 to 180.
    async fn longitude(&self, ctx: &Context<'_>) -> f64 {
        caller(ctx).place(self.0).longitude()
    }
}

impl From<LatLng> for Location {
    fn from(place: LatLng) -> Self {
        Self(place)
    }
}

/// The S2 token of a geocell, or of the cell around it that the caller's key permits to see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token(pub GeocellId);

impl OutputType for Token {
    fn type_name() -> Cow<'static, str> {
        <String as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <String as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        _field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let token = match ctx.data_opt::<Caller>() {
            Some(caller) => caller.cell(self.0).token(),
            None => self.0.token(),
        };
        Ok(Value::String(token))
    }
}

/// What people call a place, as exact as the caller's key permits. Country: boundaries of OpenStreetMap contributors (ODbL); region
/// and locality: GeoNames (CC BY 4.0). Who shows the names names both.
#[derive(Debug, Clone, PartialEq)]
pub struct Place(storage::PlaceName);

/// What people call a place, as exact as the caller's key permits. Country: boundaries of OpenStreetMap contributors (ODbL); region
/// and locality: GeoNames (CC BY 4.0). Who shows the names names both.
#[Object]
impl Place {
    /// The continent, in English.
    async fn continent(&self) -> &str {
        &self.0.continent
    }

    /// The country, in English.
    async fn country(&self) -> &str {
        &self.0.country
    }

    /// The country's code of two capital letters (ISO 3166-1; XK for Kosovo).
    async fn country_code(&self) -> &str {
        &self.0.country_code
    }

    /// The first division of the country.
    async fn region(&self, ctx: &Context<'_>) -> Option<String> {
        caller(ctx).name_of(self.0.clone()).region
    }

    /// The nearest town or city of the country within 25 km.
    async fn locality(&self, ctx: &Context<'_>) -> Option<String> {
        caller(ctx).name_of(self.0.clone()).locality
    }

    /// From the locality up, as on an envelope: Paris, Ile-de-France, France.
    async fn name(&self, ctx: &Context<'_>) -> String {
        full_name(caller(ctx).name_of(self.0.clone()))
    }
}

/// A place's name from the locality up.
pub(super) fn full_name(name: storage::PlaceName) -> String {
    places::PlaceName {
        continent: name.continent,
        country_code: name.country_code,
        country: name.country,
        region: name.region,
        locality: name.locality,
    }
    .to_string()
}

impl From<storage::PlaceName> for Place {
    fn from(name: storage::PlaceName) -> Self {
        Self(name)
    }
}

impl Place {
    /// What people call a place; none at sea.
    pub(super) fn of(place: LatLng) -> Option<Self> {
        retrieval::place_record(place).map(Self)
    }
}

/// The sides of a box, in degrees. With west above east it crosses the 180th meridian.
#[derive(Debug, Clone, Copy, PartialEq, SimpleObject)]
pub struct Bounds {
    /// Lowest latitude.
    pub south: f64,
    /// Western longitude.
    pub west: f64,
    /// Highest latitude.
    pub north: f64,
    /// Eastern longitude.
    pub east: f64,
}

impl From<GeoBoxDegrees> for Bounds {
    fn from(sides: GeoBoxDegrees) -> Self {
        Self {
            south: sides.south,
            west: sides.west,
            north: sides.north,
            east: sides.east,
        }
    }
}

/// A place, in degrees (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, InputObject)]
pub struct Point {
    /// Degrees north of the equator, -90 to 90.
    pub latitude: f64,
    /// Degrees east of Greenwich, -180 to 180.
    pub longitude: f64,
}

/// A box, in degrees. With west above east it crosses the 180th meridian.
#[derive(Debug, Clone, Copy, PartialEq, InputObject)]
#[graphql(name = "Box")]
pub struct BoxInput {
    /// Lowest latitude, -90 to 90.
    pub south: f64,
    /// Western longitude, -180 to 180.
    pub west: f64,
    /// Highest latitude, -90 to 90.
    pub north: f64,
    /// Eastern longitude, -180 to 180.
    pub east: f64,
}

impl BoxInput {
    pub(super) fn check(self) -> Result<GeoBox, RequestError> {
        GeoBox::new(self.south, self.west, self.north, self.east)
    }
}
