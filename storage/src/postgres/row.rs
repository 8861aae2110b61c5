//! Values as they stand in the tables.

use geocells::{GeocellId, LatLng};
use serde::de::DeserializeOwned;
use sqlx::Error;

use crate::PlaceName;

/// A checked place.
pub(super) fn location(latitude: f64, longitude: f64) -> Result<LatLng, Error> {
    LatLng::new(latitude, longitude).map_err(|error| undecodable("latitude", error.to_string()))
}

/// A checked geocell.
pub(super) fn geocell(token: &str) -> Result<GeocellId, Error> {
    GeocellId::from_token(token).map_err(|error| undecodable("token", error.to_string()))
}

/// A JSON column's value.
pub(super) fn json<T: DeserializeOwned>(column: &str, value: serde_json::Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|error| undecodable(column, error.to_string()))
}

/// The JSON of a value of ours. The types written here always have one.
pub(super) fn to_json(value: &impl serde::Serialize) -> crate::Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| crate::Error::Invalid(error.to_string()))
}

/// A number that fits.
pub(super) fn number<T: TryFrom<i64>>(column: &str, value: i64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| undecodable(column, format!("{value} is out of range")))
}

/// A number as it is stored; what is larger than any that can be is an error of the caller's.
pub(super) fn stored(value: impl TryInto<i64>) -> crate::Result<i64> {
    value
        .try_into()
        .map_err(|_| crate::Error::Invalid("a count is out of range".to_owned()))
}

/// A name of a place from its columns; none without a country.
pub(super) fn place(
    continent: Option<String>,
    country_code: Option<String>,
    country: Option<String>,
    region: Option<String>,
    locality: Option<String>,
) -> Option<PlaceName> {
    Some(PlaceName {
        continent: continent?,
        country_code: country_code?,
        country: country?,
        region,
        locality,
    })
}

/// An error for a column whose value is not what it should be.
pub(super) fn undecodable(column: &str, reason: String) -> Error {
    Error::ColumnDecode {
        index: column.to_owned(),
        source: reason.into(),
    }
}
