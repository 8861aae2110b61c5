//! What a collection's metadata says of its load.

use std::collections::HashMap;

use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{CollectionInfo, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::layout::Graph;
use super::payload;
use crate::{CollectionSpec, CollectionState, Error, Result};

/// The metadata key.
const KEY: &str = "geosurge";

/// The format written here; a reader refuses any other.
const FORMAT: u32 = 1;

/// The value under that key, always replaced whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    format: u32,
    pub(super) spec: CollectionSpec,
    /// The store that is changing the collection.
    pub(super) loader: Option<Uuid>,
    /// The loader took over from another, whose load may lack points that it does not know of.
    #[serde(default)]
    pub(super) interrupted: bool,
    /// Points when a load was last finished.
    pub(super) finished: Option<u64>,
    /// How its graphs were built when a load was last finished.
    #[serde(default)]
    pub(super) graph: Option<Graph>,
}

impl Marker {
    /// Of an empty collection that `loader` creates.
    pub(super) fn new(spec: CollectionSpec, loader: Uuid) -> Self {
        Self {
            format: FORMAT,
            spec,
            loader: Some(loader),
            interrupted: false,
            finished: None,
            graph: None,
        }
    }

    /// With `me` as its loader.
    pub(super) fn loaded_by(&self, me: Uuid) -> Self {
        Self {
            loader: Some(me),
            interrupted: self.interrupted || self.loader.is_some_and(|other| other != me),
            ..self.clone()
        }
    }

    /// Of a load that was finished with so many points.
    pub(super) fn finished(&self, points: u64, graph: Option<Graph>) -> Self {
        Self {
            loader: None,
            interrupted: false,
            finished: Some(points),
            graph,
            ..self.clone()
        }
    }

    /// Reads a collection's metadata.
    pub(super) fn read(collection: &str, info: &CollectionInfo) -> Result<Self> {
        let metadata = info.config.as_ref().and_then(|config| config.metadata.get(KEY));
        let Some(value) = metadata else {
            return Err(Error::Conflict(format!(
                "collection {collection} of the Qdrant server was made by another program (it lacks the metadata {KEY:?}): set \
                 a prefix in the [qdrant] settings, or drop the collection"
            )));
        };
        let format = match &value.kind {
            Some(Kind::StructValue(fields)) => {
                fields.fields.get("format").and_then(|value| value.kind.clone())
            }
            _ => None,
        };
        let refused = |reason: String| {
            Error::Incompatible(format!(
                "the metadata {KEY:?} of collection {collection} {reason}: use the version of geosurge that wrote it, or index \
                 the release again"
            ))
        };
        match format {
            Some(Kind::IntegerValue(format)) if format == i64::from(FORMAT) => {}
            Some(Kind::IntegerValue(format)) => {
                return Err(refused(format!(
                    "has format {format}, and this version reads {FORMAT}"
                )));
            }
            _ => return Err(refused("has no format".into())),
        }
        let marker: Self = serde_json::from_value(payload::value_from_server(value.clone()))
            .map_err(|error| refused(format!("cannot be read ({error})")))?;
        marker.spec.check()?;
        Ok(marker)
    }

    /// The metadata to be written.
    pub(super) fn metadata(&self) -> Result<HashMap<String, Value>> {
        let json = serde_json::to_value(self)
            .map_err(|error| Error::Invalid(format!("the specification cannot be written: {error}")))?;
        Ok(HashMap::from([(KEY.to_owned(), payload::value_to_server(&json))]))
    }

    /// The state as the store `me` sees it; `broken` where one of its own writes failed.
    pub(super) fn state(&self, me: Uuid, points: u64, broken: bool) -> CollectionState {
        match self.loader {
            None if self.finished == Some(points) => CollectionState::Complete,
            Some(loader) if loader == me && !broken && !self.interrupted => CollectionState::Loading,
            _ => CollectionState::Incomplete,
        }
    }

    /// Whether the store `me` may search the collection.
    pub(super) fn is_searchable(&self, me: Uuid, broken: bool) -> bool {
        self.finished.is_some() || (self.loader == Some(me) && !broken && !self.interrupted)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use qdrant_client::qdrant::CollectionConfig;
    use serde_json::json;

    use super::*;
    use crate::{FieldKind, VectorSpec};

    fn info(metadata: HashMap<String, Value>) -> CollectionInfo {
        CollectionInfo {
            config: Some(CollectionConfig {
                metadata,
                ..CollectionConfig::default()
            }),
            ..CollectionInfo::default()
        }
    }

    fn stored(json: &serde_json::Value) -> CollectionInfo {
        info(HashMap::from([(KEY.to_owned(), payload::value_to_server(json))]))
    }

    #[test]
    fn version_one_is_still_read() {
        let loader = Uuid::from_u128(5);
        let marker = Marker::read(
            "c",
            &stored(&json!({
                "format": 1,
                "spec": {"vectors": [{"name": "path", "dimension": 3, "index": "flat"}],
                    "indexed": [{"field": "token", "kind": "keyword"}]},
                "loader": loader, "finished": 7
            })),
        )
        .unwrap();
        let spec = CollectionSpec::new([VectorSpec::flat("path", 3)]).with_index("token", FieldKind::Keyword);
        assert_eq!(
            (&marker.spec, marker.loader, marker.finished),
            (&spec, Some(loader), Some(7))
        );
        assert_eq!(
            Marker::read("c", &info(marker.metadata().unwrap())).unwrap(),
            marker
        );
    }

    #[test]
    fn other_metadata_is_refused() {
        let error = Marker::read("c", &info(HashMap::new())).unwrap_err();
        assert!(
            error.is_conflict() && error.to_string().contains("collection c"),
            "{error}"
        );
        for bad in [
            json!({}),
            json!(3),
            json!({"format": 2}),
            json!({"format": 1, "spec": 4}),
        ] {
            let error = Marker::read("c", &stored(&bad)).unwrap_err();
            assert!(matches!(error, Error::Incompatible(_)), "{bad}: {error}");
        }
    }

    #[test]
    fn a_load_is_its_loaders_until_it_is_finished() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut marker = Marker::new(CollectionSpec::new([VectorSpec::flat("v", 2)]), me);
        assert_eq!(marker.state(me, 4, false), CollectionState::Loading);
        assert_eq!(marker.state(me, 4, true), CollectionState::Incomplete);
        assert_eq!(marker.state(other, 4, false), CollectionState::Incomplete);
        assert!(marker.is_searchable(me, false));
        assert!(!marker.is_searchable(me, true) && !marker.is_searchable(other, false));

        let taken = marker.loaded_by(other);
        assert_eq!(taken.state(other, 4, false), CollectionState::Incomplete);
        assert!(
            !taken.is_searchable(other, false),
            "what the first loader left out is not known"
        );
        assert!(!taken.loaded_by(me).is_searchable(me, false));

        marker = taken.finished(4, None);
        assert_eq!(marker.state(other, 4, false), CollectionState::Complete);
        assert_eq!(
            marker.state(me, 3, false),
            CollectionState::Incomplete,
            "a point was lost"
        );

        marker = marker.loaded_by(me);
        assert_eq!(marker.state(me, 5, false), CollectionState::Loading);
        assert_eq!(marker.state(other, 5, false), CollectionState::Incomplete);
        assert!(
            marker.is_searchable(other, false),
            "a change does not stop other readers"
        );
    }
}
