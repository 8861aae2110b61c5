//! Which points a search, count or page may see.

use chrono::{DateTime, Utc};
use geocells::{Kilometres, LatLng};
use serde::{Deserialize, Serialize};

use super::collection::check_identifier;
use crate::{Error, Result};

/// Points that meet every condition of `must`, at least one of `any` where there are some, and none of `must_not`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// All of these.
    #[serde(default)]
    pub must: Vec<Condition>,
    /// At least one of these, where there are some.
    #[serde(default)]
    pub any: Vec<Condition>,
    /// None of these.
    #[serde(default)]
    pub must_not: Vec<Condition>,
}

/// One condition on a payload field. A field that is missing meets none. An array meets it with any of its elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The string is one of these.
    Keyword {
        /// The payload key.
        field: String,
        /// The strings; with none of them nothing matches.
        any_of: Vec<String>,
    },
    /// The integer is one of these.
    Integer {
        /// The payload key.
        field: String,
        /// The integers; with none of them nothing matches.
        any_of: Vec<i64>,
    },
    /// The integer lies between, both ends included.
    IntegerRange {
        /// The payload key.
        field: String,
        /// Not below.
        at_least: Option<i64>,
        /// Not above.
        at_most: Option<i64>,
    },
    /// The time lies between, both ends included.
    Datetime {
        /// The payload key.
        field: String,
        /// Not before.
        since: Option<DateTime<Utc>>,
        /// Not after.
        until: Option<DateTime<Utc>>,
    },
    /// The place lies in the box. A box with `west` above `east` crosses the 180th meridian.
    GeoBox {
        /// The payload key.
        field: String,
        /// The corner with the lowest latitude and the western longitude.
        south_west: LatLng,
        /// The corner with the highest latitude and the eastern longitude.
        north_east: LatLng,
    },
    /// The place lies within a great-circle distance.
    GeoRadius {
        /// The payload key.
        field: String,
        /// From here.
        center: LatLng,
        /// At most so far.
        radius: Kilometres,
    },
}

impl Condition {
    /// The field equals one string.
    pub fn keyword(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self::any_keyword(field, [value])
    }

    /// The field equals one of the strings.
    pub fn any_keyword<V: Into<String>>(
        field: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let any_of = values.into_iter().map(Into::into).collect();
        Condition::Keyword {
            field: field.into(),
            any_of,
        }
    }

    /// The field equals one integer.
    pub fn integer(field: impl Into<String>, value: i64) -> Self {
        Condition::Integer {
            field: field.into(),
            any_of: vec![value],
        }
    }

    /// The payload key.
    pub fn field(&self) -> &str {
        match self {
            Condition::Keyword { field, .. }
            | Condition::Integer { field, .. }
            | Condition::IntegerRange { field, .. }
            | Condition::Datetime { field, .. }
            | Condition::GeoBox { field, .. }
            | Condition::GeoRadius { field, .. } => field,
        }
    }
}

impl From<Condition> for Filter {
    fn from(condition: Condition) -> Self {
        Filter {
            must: vec![condition],
            ..Filter::default()
        }
    }
}

impl Filter {
    /// Checks field names, distances and the corners of boxes.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field.
    pub fn check(&self) -> Result<()> {
        for condition in self.must.iter().chain(&self.any).chain(&self.must_not) {
            check_identifier("field", condition.field())?;
            match condition {
                Condition::GeoRadius { field, radius, .. }
                    if !(radius.get().is_finite() && radius.get() >= 0.0) =>
                {
                    return Err(Error::Invalid(format!(
                        "the radius on {field:?} is {} km: it must be finite and not negative",
                        radius.get()
                    )));
                }
                Condition::GeoBox {
                    field,
                    south_west,
                    north_east,
                } if south_west.latitude() > north_east.latitude() => {
                    return Err(Error::Invalid(format!(
                        "the box on {field:?} has its south above its north: swap the corners"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
