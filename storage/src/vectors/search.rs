//! A search and its answers.

use serde::{Deserialize, Serialize};

use super::{Filter, Payload, PointId};

/// Which points are nearest to a query by inner product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchRequest {
    /// The named vector to compare with.
    pub vector: String,
    /// The query, of that vector's dimension.
    pub query: Vec<f32>,
    /// At most so many answers.
    pub limit: usize,
    /// Only points that match.
    pub filter: Option<Filter>,
    /// Compare with every point even where a graph was built. Vectors without a graph are always searched so.
    pub exact: bool,
    /// Return payloads.
    pub with_payload: bool,
}

impl SearchRequest {
    /// An exact search of all points, without payloads.
    pub fn new(vector: impl Into<String>, query: Vec<f32>, limit: usize) -> Self {
        Self {
            vector: vector.into(),
            query,
            limit,
            filter: None,
            exact: true,
            with_payload: false,
        }
    }

    /// Only points that match.
    #[must_use]
    pub fn filtered(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// May use the graph and miss some points.
    #[must_use]
    pub fn approximate(mut self) -> Self {
        self.exact = false;
        self
    }

    /// Returns payloads.
    #[must_use]
    pub fn with_payload(mut self) -> Self {
        self.with_payload = true;
        self
    }
}

/// One answer of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The point.
    pub id: PointId,
    /// Its inner product with the query.
    pub score: f32,
    /// Its payload; empty where it was not asked for.
    pub payload: Payload,
}
