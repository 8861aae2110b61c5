//! What a client may ask about a photo.

use std::sync::Arc;

use async_graphql::{Enum, InputObject, Json, OneofObject};
use chrono::{DateTime, Utc};
use retrieval::{Crops, InferenceOptions, ReferenceScope};
use storage::Condition;

use super::mutation::label;
use super::scalars::BoxInput;
use crate::area::Area;
use crate::caller::Caller;
use crate::queue::Wanted;
use crate::request_error::RequestError;

/// Most candidates of an answer.
const MOST_CANDIDATES: i32 = 100;
/// Most reference images of an answer.
pub(super) const MOST_REFERENCES: i32 = 100;

/// How the similarities along a path of geocells become one score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
pub enum Scoring {
    /// The product over levels of the softmax probabilities.
    #[default]
    Probability,
    /// The product over levels of (1 + cosine) / 2.
    Cosine,
}

impl From<Scoring> for retrieval::Scoring {
    fn from(scoring: Scoring) -> Self {
        match scoring {
            Scoring::Probability => Self::Probability,
            Scoring::Cosine => Self::Cosine,
        }
    }
}

impl From<retrieval::Scoring> for Scoring {
    fn from(scoring: retrieval::Scoring) -> Self {
        match scoring {
            retrieval::Scoring::Probability => Self::Probability,
            retrieval::Scoring::Cosine => Self::Cosine,
        }
    }
}

/// A part of the Earth; give exactly one field.
#[derive(Debug, Clone, OneofObject)]
#[graphql(name = "Area")]
pub enum AreaInput {
    /// A box.
    Box(BoxInput),
    /// A GeoJSON geometry, Polygon or MultiPolygon: longitude first, at most 10,000 corners, longitudes may run past 180 degrees.
    Polygon(Json<serde_json::Value>),
    /// Countries by ISO 3166-1 code or English name, such as FR or Spain.
    Countries(Vec<String>),
}

impl AreaInput {
    pub(super) fn check(self) -> Result<Area, RequestError> {
        match self {
            Self::Box(sides) => Ok(Area::Box(sides.check()?)),
            Self::Polygon(Json(geometry)) => Area::of_geojson(geometry),
            Self::Countries(names) => Area::of_countries(&names),
        }
    }
}

/// Which reference images may support an answer.
#[derive(Debug, Clone, Default, InputObject)]
pub struct ReferenceFilter {
    /// Only those taken here.
    within: Option<AreaInput>,
    /// Only those taken at this time or later.
    captured_since: Option<DateTime<Utc>>,
    /// Only those taken at this time or before.
    captured_until: Option<DateTime<Utc>>,
    /// Only those at least so alike: a cosine, -1 to 1.
    min_likeness: Option<f64>,
    /// Search the whole gallery instead of the winning geocells alone.
    #[graphql(default)]
    anywhere: bool,
}

impl ReferenceFilter {
    pub(super) fn check(self) -> Result<ReferenceScope, RequestError> {
        let mut scope = ReferenceScope {
            anywhere: self.anywhere,
            min_likeness: self.min_likeness,
            ..ReferenceScope::default()
        };
        if let Some(least) = self.min_likeness
            && !(-1.0..=1.0).contains(&least)
        {
            return Err(RequestError::invalid(format!(
                "minLikeness is {least}, but must lie between -1 and 1"
            )));
        }
        if self.captured_since.is_some() || self.captured_until.is_some() {
            scope.conditions.push(Condition::Datetime {
                field: retrieval::references::CAPTURED_AT.to_owned(),
                since: self.captured_since,
                until: self.captured_until,
            });
        }
        if let Some(within) = self.within {
            let area = within.check()?;
            match area.condition(retrieval::references::LOCATION) {
                Some(condition) => scope.conditions.push(condition),
                None => {
                    let area = Arc::new(area);
                    scope.contains = Some(Arc::new(move |place| area.contains(place)));
                }
            }
        }
        Ok(scope)
    }
}

/// How a photo is localised, and how much is told.
#[derive(Debug, Clone, InputObject)]
pub struct LocalizeOptions {
    /// Who asks, recorded with the prediction: at most 64 characters. Where the caller has an API key, the key's name goes before it.
    client: Option<String>,
    /// The photo is known to be of this area: only places in it are answered, with the probabilities given that.
    within: Option<AreaInput>,
    /// How geocells are chosen.
    #[graphql(default)]
    scoring: Scoring,
    /// Average ten views of the photo: slower, and a little more accurate.
    #[graphql(default)]
    ten_crop: bool,
    /// Candidates told, 1 to 100.
    #[graphql(default = 10)]
    candidates: i32,
    /// Reference images told, 0 to 100.
    #[graphql(default = 8)]
    references: i32,
    /// Probability that the recorded credible region holds, above 0 and below 1.
    #[graphql(default = 0.9)]
    credible_mass: f64,
    /// Which reference images may be told; those of the winning geocells when left out.
    reference_filter: Option<ReferenceFilter>,
}

impl Default for LocalizeOptions {
    fn default() -> Self {
        Self {
            client: None,
            within: None,
            scoring: Scoring::Probability,
            ten_crop: false,
            candidates: 10,
            references: 8,
            credible_mass: 0.9,
            reference_filter: None,
        }
    }
}

impl LocalizeOptions {
    /// What is wanted, and the label of the record.
    pub(super) fn check(self, caller: &Caller) -> Result<(Wanted, Option<String>), RequestError> {
        let count = |name: &str, value: i32, least: i32, most: i32| match usize::try_from(value) {
            Ok(count) if (least..=most).contains(&value) => Ok(count),
            _ => Err(RequestError::invalid(format!(
                "{name} is {value}, but must lie between {least} and {most}"
            ))),
        };
        let mut wanted = Wanted::usual();
        wanted.options.inference = InferenceOptions {
            scoring: self.scoring.into(),
            candidates: count("candidates", self.candidates, 1, MOST_CANDIDATES)?,
            credible_mass: mass(self.credible_mass)?,
            ..InferenceOptions::default()
        };
        wanted.options.references = count("references", self.references, 0, MOST_REFERENCES)?;
        wanted.options.crops = match self.ten_crop {
            true => Crops::Ten,
            false => Crops::One,
        };
        wanted.area = match self.within {
            Some(area) => Some(Arc::new(area.check()?)),
            None => None,
        };
        wanted.scope = match self.reference_filter {
            Some(filter) => Some(filter.check()?),
            None => None,
        };
        let client = label("client", self.client)?;
        let client = match (caller.name(), client) {
            (Some(key), Some(client)) => Some(format!("{key}/{client}")),
            (Some(key), None) => Some(key.to_owned()),
            (None, client) => client,
        };
        Ok((wanted, client))
    }
}

/// Checks a probability that a credible region shall hold.
pub(super) fn mass(mass: f64) -> Result<f64, RequestError> {
    if mass > 0.0 && mass < 1.0 {
        return Ok(mass);
    }
    Err(RequestError::invalid(format!(
        "the mass of a credible region is {mass}, but must lie above 0 and below 1"
    )))
}
