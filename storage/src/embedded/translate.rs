//! Our types in the engine's words, and back.

use std::collections::BTreeMap;

use qdrant_edge as edge;
use serde_json::{Value, json};

use super::graph;
use crate::{
    CollectionSpec, Condition, Error, FieldKind, Filter, Hit, Point, PointId, Result, SearchRequest,
    StoredPoint, VectorIndex,
};

/// Candidates that a search by graph keeps: more find more and cost more.
const GRAPH_SEARCH_WIDTH: usize = 128;

/// How many times the answers are compared by their vectors after the codes have chosen.
const CODE_OVERSAMPLING: f64 = 2.0;

/// Share of the components that the codes' range covers.
const CODE_QUANTILE: f32 = 0.99;

impl From<PointId> for edge::PointId {
    fn from(id: PointId) -> Self {
        match id {
            PointId::Number(number) => edge::PointId::NumId(number),
            PointId::Uuid(uuid) => edge::PointId::Uuid(uuid),
        }
    }
}

impl From<edge::PointId> for PointId {
    fn from(id: edge::PointId) -> Self {
        match id {
            edge::PointId::NumId(number) => PointId::Number(number),
            edge::PointId::Uuid(uuid) => PointId::Uuid(uuid),
        }
    }
}

/// The engine's configuration of a collection: inner product everywhere; a graph only where one is asked for, over the vectors
/// or over codes of one byte a component.
pub(super) fn config(spec: &CollectionSpec, codes: bool) -> edge::EdgeConfig {
    let has_graph = graph::has_graph(spec);
    let mut builder = edge::EdgeConfig::builder().optimizers(edge::EdgeOptimizersConfig {
        default_segment_number: Some(1),
        // The engine builds graphs above 10,000 kB of vectors, and reads 0 as "never".
        indexing_threshold: if has_graph { None } else { Some(0) },
        ..Default::default()
    });
    for vector in &spec.vectors {
        let mut params = edge::EdgeVectorParams::builder(vector.dimension, edge::Distance::Dot);
        if vector.index == VectorIndex::Flat {
            params = params.hnsw_config(edge::HnswIndexConfig {
                m: 0,
                ..Default::default()
            });
        } else if codes {
            params =
                params.quantization_config(edge::QuantizationConfig::from(edge::ScalarQuantizationConfig {
                    r#type: edge::ScalarType::Int8,
                    quantile: Some(CODE_QUANTILE),
                    always_ram: Some(true),
                }));
        }
        builder = builder.vector(vector.name.clone(), params.build());
    }
    builder.build()
}

/// The engine's operation that indexes a payload field.
pub(super) fn field_index(field: &str, kind: FieldKind) -> Result<edge::UpdateOperation> {
    let kind = match kind {
        FieldKind::Keyword => edge::PayloadSchemaType::Keyword,
        FieldKind::Integer => edge::PayloadSchemaType::Integer,
        FieldKind::Geo => edge::PayloadSchemaType::Geo,
        FieldKind::Datetime => edge::PayloadSchemaType::Datetime,
    };
    let field_name = field
        .parse()
        .map_err(|()| Error::Invalid(format!("{field:?} cannot name an indexed field")))?;
    Ok(edge::UpdateOperation::FieldIndexOperation(
        edge::FieldIndexOperations::CreateIndex(edge::CreateIndex {
            field_name,
            field_schema: Some(edge::PayloadFieldSchema::FieldType(kind)),
        }),
    ))
}

/// The engine's operation that inserts or replaces points.
pub(super) fn upsert(points: Vec<Point>) -> edge::UpdateOperation {
    let points = points
        .into_iter()
        .map(|point| {
            let vectors = edge::Vectors::new_named(point.vectors);
            edge::PointStruct::new(point.id, vectors, Value::Object(point.payload)).into()
        })
        .collect();
    edge::UpdateOperation::PointOperation(edge::PointOperations::UpsertPoints(
        edge::PointInsertOperations::PointsList(points),
    ))
}

/// The engine's operation that deletes points.
pub(super) fn delete(ids: &[PointId]) -> edge::UpdateOperation {
    let ids = ids.iter().map(|id| (*id).into()).collect();
    edge::UpdateOperation::PointOperation(edge::PointOperations::DeletePoints { ids })
}

/// The engine's query for a search, with a limit of its own.
pub(super) fn query(
    request: &SearchRequest,
    filter: Option<edge::Filter>,
    exact: bool,
    limit: usize,
) -> edge::QueryRequest {
    let nearest = edge::QueryEnum::Nearest(edge::NamedQuery {
        query: request.query.clone().into(),
        using: Some(request.vector.clone()),
    });
    edge::QueryRequest {
        prefetches: Vec::new(),
        query: Some(edge::ScoringQuery::Vector(nearest)),
        filter,
        score_threshold: None,
        limit,
        offset: 0,
        params: Some(edge::SearchParams {
            exact,
            hnsw_ef: (!exact).then_some(GRAPH_SEARCH_WIDTH.max(limit)),
            quantization: Some(edge::QuantizationSearchParams {
                ignore: exact,
                rescore: Some(true),
                oversampling: (!exact).then_some(CODE_OVERSAMPLING),
            }),
            // Without it a filter that few neighbours meet leaves parts of the graph unreached.
            acorn: (!exact && request.filter.is_some()).then_some(edge::AcornSearchParams {
                enable: true,
                max_selectivity: None,
            }),
            ..Default::default()
        }),
        with_vector: edge::WithVector::Bool(false),
        with_payload: edge::WithPayloadInterface::Bool(request.with_payload),
    }
}

/// The engine's filter; its JSON form is the one that its server documents.
pub(super) fn filter(filter: &Filter) -> Result<edge::Filter> {
    filter.check()?;
    let list = |conditions: &[Condition]| conditions.iter().map(condition).collect::<Vec<_>>();
    let mut json = json!({ "must": list(&filter.must), "must_not": list(&filter.must_not) });
    if !filter.any.is_empty() {
        json["should"] = list(&filter.any).into();
    }
    serde_json::from_value(json)
        .map_err(|error| Error::Invalid(format!("the engine refuses the filter: {error}")))
}

fn condition(condition: &Condition) -> Value {
    match condition {
        Condition::Keyword { any_of, .. } if any_of.is_empty() => nothing(),
        Condition::Integer { any_of, .. } if any_of.is_empty() => nothing(),
        Condition::Keyword { field, any_of } => json!({ "key": field, "match": { "any": any_of } }),
        Condition::Integer { field, any_of } => json!({ "key": field, "match": { "any": any_of } }),
        Condition::IntegerRange {
            field,
            at_least,
            at_most,
        } => {
            json!({ "key": field, "range": { "gte": at_least, "lte": at_most } })
        }
        Condition::Datetime { field, since, until } => {
            json!({ "key": field, "range": { "gte": since, "lte": until } })
        }
        Condition::GeoBox {
            field,
            south_west,
            north_east,
        } => json!({
            "key": field,
            "geo_bounding_box": {
                "top_left": { "lat": north_east.latitude(), "lon": south_west.longitude() },
                "bottom_right": { "lat": south_west.latitude(), "lon": north_east.longitude() },
            },
        }),
        Condition::GeoRadius {
            field,
            center,
            radius,
        } => json!({
            "key": field,
            "geo_radius": {
                "center": { "lat": center.latitude(), "lon": center.longitude() },
                "radius": radius.get() * 1000.0,
            },
        }),
    }
}

/// A condition that no point meets.
fn nothing() -> Value {
    json!({ "has_id": [] })
}

/// An answer of the engine.
pub(super) fn hit(point: edge::ScoredPoint) -> Hit {
    let payload = point.payload.map(|payload| payload.0).unwrap_or_default();
    Hit {
        id: point.id.into(),
        score: point.score,
        payload,
    }
}

/// A point of the engine.
pub(super) fn stored_point(record: edge::Record) -> Result<StoredPoint> {
    let mut vectors = BTreeMap::new();
    if let Some(stored) = record.vector {
        let edge::VectorStructInternal::Named(named) = stored else {
            return Err(Error::Unavailable("the engine returned an unnamed vector".into()));
        };
        for (name, vector) in named {
            let edge::VectorInternal::Dense(values) = vector else {
                return Err(Error::Unavailable(format!(
                    "the engine returned {name:?} not dense"
                )));
            };
            vectors.insert(name, values);
        }
    }
    let payload = record.payload.map(|payload| payload.0).unwrap_or_default();
    Ok(StoredPoint {
        id: record.id.into(),
        vectors,
        payload,
    })
}
