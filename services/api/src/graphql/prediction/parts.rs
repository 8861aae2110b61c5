//! The parts of an answer: candidates, best cells, region, references, timings.

use async_graphql::{ComplexObject, Context, Json, SimpleObject};
use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
use serde_json::json;
use storage::ReleaseId;

use super::region_features;
use crate::graphql::geocell::Geocell;
use crate::graphql::reference::ReferenceImage;
use crate::graphql::scalars::{GeoJson, Location, Place, Token};
use crate::graphql::{caller, service};

/// A probability by distance.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct WithinDistance {
    /// Great-circle distance from the answer, in kilometres.
    pub kilometres: f64,
    /// The field's name for it: street, city, region, country, continent.
    pub name: String,
    /// Probability that the true place is within it, 0 to 1.
    pub probability: f64,
}

/// A finest geocell that was considered.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct Candidate {
    /// 1 for the answer.
    pub rank: usize,
    /// S2 token of the finest geocell.
    pub token: Token,
    /// Posterior probability, 0 to 1.
    pub probability: f64,
    /// Mean place of the cell's training photos.
    pub location: Location,
    /// Match at each level of the path, coarsest first. Null for a prediction read from the record.
    pub path: Option<Vec<LevelMatch>>,
    #[graphql(skip)]
    pub(super) release: ReleaseId,
    #[graphql(skip)]
    pub(super) cell: GeocellId,
    #[graphql(skip)]
    pub(super) at: LatLng,
}

#[ComplexObject]
impl Candidate {
    /// What people call its location; null at sea.
    async fn place(&self) -> Option<Place> {
        Place::of(self.at)
    }

    /// The geocell, with its relatives and outline.
    async fn geocell(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Geocell>> {
        let index = service(ctx)?.geocells(&self.release).await?;
        let level = index.levels().checked_sub(1);
        Ok(index
            .find(self.cell, level)
            .map(|record| Geocell::new(&self.release, &index, record)))
    }
}

/// How well the photo matches one geocell of a path, taken by itself.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct LevelMatch {
    /// 0 is the coarsest.
    pub level: usize,
    /// S2 token.
    pub token: Token,
    /// Cosine of visual and geographic embedding, -1 to 1.
    pub cosine: f64,
    /// Softmax of cosine / temperature over all geocells of the level, 0 to 1.
    pub probability: f64,
}

/// The best geocell of one level, by the path down to it.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
#[graphql(complex)]
pub struct LevelAnswer {
    /// 0 is the coarsest.
    pub level: usize,
    /// S2 token.
    pub token: Token,
    /// Mean place of its training photos.
    pub location: Location,
    /// Training photos in it. Null for a prediction read from the record.
    pub photos: Option<u64>,
    /// Posterior probability over the level's geocells given the path down to it, 0 to 1.
    pub probability: f64,
    /// Upper bound of the probability outside the level's candidates that were scored, 0 to 1. Null for a prediction read from
    /// the record.
    pub outside_mass: Option<f64>,
    #[graphql(skip)]
    pub(super) release: ReleaseId,
    #[graphql(skip)]
    pub(super) cell: GeocellId,
}

#[ComplexObject]
impl LevelAnswer {
    /// The geocell, with its relatives and outline.
    async fn geocell(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Geocell>> {
        let index = service(ctx)?.geocells(&self.release).await?;
        Ok(index
            .find(self.cell, Some(self.level))
            .map(|record| Geocell::new(&self.release, &index, record)))
    }
}

/// The smallest set of finest geocells that holds a wanted probability.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct CredibleRegion {
    /// The probability that its cells hold, 0 to 1.
    pub mass: f64,
    /// The probability that was asked for; null for the recorded region.
    pub wanted: Option<f64>,
    /// Their area together, in square kilometres.
    pub area_km2: f64,
    /// Their S2 tokens, most probable first.
    pub tokens: Vec<Token>,
    #[graphql(skip)]
    pub(super) cells: Vec<GeocellId>,
}

#[ComplexObject]
impl CredibleRegion {
    /// Its cells as a GeoJSON FeatureCollection of polygons, cut at the 180th meridian.
    async fn geojson(&self, ctx: &Context<'_>) -> GeoJson {
        let features = region_features(caller(ctx), &self.cells);
        Json(json!({ "type": "FeatureCollection", "features": features }))
    }
}

impl CredibleRegion {
    pub(super) fn new(wanted: Option<f64>, mass: f64, area_km2: f64, cells: Vec<GeocellId>) -> Self {
        Self {
            mass,
            wanted,
            area_km2,
            tokens: cells.iter().map(|cell| Token(*cell)).collect(),
            cells,
        }
    }
}

/// A reference image that supports an answer.
#[derive(Debug, Clone, SimpleObject)]
pub struct SupportingReference {
    /// Cosine of its visual embedding and the photo's, -1 to 1.
    pub likeness: f64,
    /// Great-circle distance from the predicted place, in kilometres.
    pub distance_kilometres: f64,
    /// The reference image.
    pub image: ReferenceImage,
}

/// Time of one stage. Stages that serve several photos at once are divided among them.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct StageTiming {
    /// The stage: queue, decode, preprocess, segment, encode, search, references, total.
    pub stage: String,
    /// Milliseconds.
    pub milliseconds: f64,
}

/// Where a predicted photo was really taken.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct GroundTruth {
    /// What people call the true place; null at sea.
    pub place: Option<Place>,
    /// The true place.
    pub location: Location,
    /// Great-circle distance between it and the prediction, in kilometres.
    pub error_kilometres: f64,
    /// Who says so.
    pub source: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}
