//! Points: an id, named vectors and a payload.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A JSON object kept with a point.
pub type Payload = serde_json::Map<String, serde_json::Value>;

/// The id of a point. Numbers come before UUIDs in every order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PointId {
    /// A number, e.g. a geocell's S2 id.
    Number(u64),
    /// A UUID, e.g. a reference image's.
    Uuid(Uuid),
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PointId::Number(number) => number.fmt(f),
            PointId::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

impl From<u64> for PointId {
    fn from(number: u64) -> Self {
        PointId::Number(number)
    }
}

impl From<Uuid> for PointId {
    fn from(uuid: Uuid) -> Self {
        PointId::Uuid(uuid)
    }
}

/// A point to be stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Where it is stored; an existing point of this id is replaced.
    pub id: PointId,
    /// Every vector of the collection's specification.
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// Kept as it is.
    pub payload: Payload,
}

impl Point {
    /// A point without payload.
    pub fn new<N: Into<String>>(
        id: impl Into<PointId>,
        vectors: impl IntoIterator<Item = (N, Vec<f32>)>,
    ) -> Self {
        let vectors = vectors
            .into_iter()
            .map(|(name, vector)| (name.into(), vector))
            .collect();
        Self {
            id: id.into(),
            vectors,
            payload: Payload::new(),
        }
    }

    /// With one more payload field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.payload.insert(field.into(), value.into());
        self
    }
}

/// A point as the store returns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredPoint {
    /// Its id.
    pub id: PointId,
    /// Its vectors; empty where they were not asked for.
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// Its payload.
    pub payload: Payload,
}

/// One page of [`scroll`](crate::VectorStore::scroll).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScrollPage {
    /// The points, in order of id.
    pub points: Vec<StoredPoint>,
    /// Pass this as `after` for the next page; `None` at the end.
    pub next: Option<PointId>,
}
