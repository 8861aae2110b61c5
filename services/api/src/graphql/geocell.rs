//! `Geocell`: one S2 cell of a release's hierarchy.

use std::sync::Arc;

use async_graphql::{ID, Json, Object};
use geocells::GeocellId;
use storage::{GeocellRecord, ReleaseId};

use super::scalars::{GeoJson, Location};
use crate::geocell_index::GeocellIndex;
use crate::request_error::RequestError;

/// One S2 cell of a release's hierarchy. Its relatives come from memory: asking for them costs no store call.
#[derive(Clone)]
pub struct Geocell {
    release: ReleaseId,
    index: Arc<GeocellIndex>,
    record: Arc<GeocellRecord>,
}

impl Geocell {
    pub(super) fn new(release: &ReleaseId, index: &Arc<GeocellIndex>, record: Arc<GeocellRecord>) -> Self {
        Self {
            release: release.clone(),
            index: index.clone(),
            record,
        }
    }

    pub(super) fn position(&self) -> usize {
        self.record.index
    }

    fn relative(&self, record: Arc<GeocellRecord>) -> Self {
        Self::new(&self.release, &self.index, record)
    }
}

/// One S2 cell of a release's hierarchy.
#[Object]
impl Geocell {
    /// Its S2 token.
    async fn token(&self) -> String {
        self.record.token.token()
    }

    /// Level of the hierarchy, 0 the coarsest. A small cell may belong to several levels.
    async fn level(&self) -> usize {
        self.record.level
    }

    /// The release it belongs to.
    async fn release_id(&self) -> ID {
        ID(self.release.to_string())
    }

    /// Training photos in it.
    async fn photos(&self) -> u64 {
        self.record.photos
    }

    /// Mean place of these photos: what is answered when this cell wins.
    async fn location(&self) -> Location {
        self.record.location.into()
    }

    /// Its area in square kilometres.
    async fn area_km2(&self) -> f64 {
        self.record.token.area_km2()
    }

    /// The geocell of the next coarser level that contains it; null on level 0.
    async fn parent(&self) -> Option<Geocell> {
        self.index
            .parent(&self.record)
            .map(|record| self.relative(record))
    }

    /// The geocells of the next finer level inside it.
    #[graphql(complexity = "20 * child_complexity")]
    async fn children(&self) -> Vec<Geocell> {
        self.index
            .children(&self.record)
            .into_iter()
            .map(|record| self.relative(record))
            .collect()
    }

    /// Its outline as a GeoJSON geometry, cut at the 180th meridian.
    async fn outline(&self) -> GeoJson {
        Json(outline(self.record.token))
    }
}

/// The outline of a cell as a GeoJSON geometry.
pub(super) fn outline(token: GeocellId) -> serde_json::Value {
    retrieval::cell_polygon(token)
}

/// Checks a token that a client sent.
pub(super) fn geocell_id(token: &str) -> Result<GeocellId, RequestError> {
    GeocellId::from_token(token).map_err(|error| RequestError::invalid(error.to_string()))
}
