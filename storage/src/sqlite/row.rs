//! Values as they stand in the tables.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use geocells::{GeocellId, LatLng};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row};
use uuid::Uuid;

use crate::PlaceName;

/// A time with microseconds, so that text order is time order.
pub(super) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A JSON column's text. The types written here always have one.
pub(super) fn json_text(value: &impl serde::Serialize) -> crate::Result<String> {
    serde_json::to_string(value).map_err(|error| crate::Error::Invalid(error.to_string()))
}

/// Columns read with checks; what is not what it should be is a decoding error that names the column.
pub(super) trait Columns {
    fn time(&self, column: &str) -> Result<DateTime<Utc>, Error>;
    fn optional_time(&self, column: &str) -> Result<Option<DateTime<Utc>>, Error>;
    fn optional_day(&self, column: &str) -> Result<Option<NaiveDate>, Error>;
    fn location(&self) -> Result<LatLng, Error>;
    fn place(&self) -> Result<Option<PlaceName>, Error>;
    fn geocell(&self, column: &str) -> Result<GeocellId, Error>;
    fn optional_geocell(&self, column: &str) -> Result<Option<GeocellId>, Error>;
    fn uuid(&self, column: &str) -> Result<Uuid, Error>;
    fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>, Error>;
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error>;
    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, Error>;
    fn optional_number<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, Error>;
}

impl Columns for SqliteRow {
    fn time(&self, column: &str) -> Result<DateTime<Utc>, Error> {
        parse_time(column, self.try_get(column)?)
    }

    fn optional_time(&self, column: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let text: Option<&str> = self.try_get(column)?;
        text.map(|text| parse_time(column, text)).transpose()
    }

    fn optional_day(&self, column: &str) -> Result<Option<NaiveDate>, Error> {
        let text: Option<&str> = self.try_get(column)?;
        text.map(|text| {
            text.parse()
                .map_err(|error: chrono::ParseError| undecodable(column, error.to_string()))
        })
        .transpose()
    }

    fn location(&self) -> Result<LatLng, Error> {
        LatLng::new(self.try_get("latitude")?, self.try_get("longitude")?)
            .map_err(|error| undecodable("latitude", error.to_string()))
    }

    fn place(&self) -> Result<Option<PlaceName>, Error> {
        let Some(country_code) = self.try_get("country_code")? else {
            return Ok(None);
        };
        Ok(Some(PlaceName {
            continent: self.try_get("continent")?,
            country_code,
            country: self.try_get("country")?,
            region: self.try_get("region")?,
            locality: self.try_get("locality")?,
        }))
    }

    fn geocell(&self, column: &str) -> Result<GeocellId, Error> {
        parse_geocell(column, self.try_get(column)?)
    }

    fn optional_geocell(&self, column: &str) -> Result<Option<GeocellId>, Error> {
        let text: Option<&str> = self.try_get(column)?;
        text.map(|text| parse_geocell(column, text)).transpose()
    }

    fn uuid(&self, column: &str) -> Result<Uuid, Error> {
        let text: &str = self.try_get(column)?;
        text.parse()
            .map_err(|error: uuid::Error| undecodable(column, error.to_string()))
    }

    fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>, Error> {
        let text: Option<&str> = self.try_get(column)?;
        text.map(|text| {
            text.parse()
                .map_err(|error: uuid::Error| undecodable(column, error.to_string()))
        })
        .transpose()
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        let text: &str = self.try_get(column)?;
        serde_json::from_str(text).map_err(|error| undecodable(column, error.to_string()))
    }

    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, Error> {
        narrow(column, self.try_get(column)?)
    }

    fn optional_number<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, Error> {
        let value: Option<i64> = self.try_get(column)?;
        value.map(|value| narrow(column, value)).transpose()
    }
}

fn parse_time(column: &str, text: &str) -> Result<DateTime<Utc>, Error> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|error| undecodable(column, error.to_string()))
}

fn parse_geocell(column: &str, token: &str) -> Result<GeocellId, Error> {
    GeocellId::from_token(token).map_err(|error| undecodable(column, error.to_string()))
}

fn narrow<T: TryFrom<i64>>(column: &str, value: i64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| undecodable(column, format!("{value} is out of range")))
}

/// An error for a column whose text is not what it should be.
pub(super) fn undecodable(column: &str, reason: String) -> Error {
    Error::ColumnDecode {
        index: column.to_owned(),
        source: reason.into(),
    }
}
