//! Points, filters and searches in the server's words, and back.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::{
    self, DatetimeRange, DenseVector, FieldCondition, GeoBoundingBox, GeoPoint, GeoRadius, HasIdCondition,
    Match, NamedVectors, PointStruct, QueryPoints, Range, RepeatedIntegers, RepeatedStrings, RetrievedPoint,
    ScoredPoint, SearchParams, Vector, VectorInput, Vectors, VectorsOutput, query, vector, vector_input,
    vector_output, vectors, vectors_output, with_payload_selector, with_vectors_selector,
};

use super::payload;
use crate::{Condition, Error, Filter, Hit, Point, PointId, Result, SearchRequest, StoredPoint};

/// An id as the server takes it.
pub(super) fn id(id: PointId) -> qdrant::PointId {
    let options = match id {
        PointId::Number(number) => PointIdOptions::Num(number),
        PointId::Uuid(uuid) => PointIdOptions::Uuid(uuid.to_string()),
    };
    qdrant::PointId {
        point_id_options: Some(options),
    }
}

/// An id of the server.
pub(super) fn id_from(id: Option<qdrant::PointId>) -> Result<PointId> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Num(number)) => Ok(PointId::Number(number)),
        Some(PointIdOptions::Uuid(text)) => text
            .parse()
            .map(PointId::Uuid)
            .map_err(|_| Error::Incompatible(format!("the Qdrant server returned the id {text:?}"))),
        None => Err(Error::Incompatible(
            "the Qdrant server returned a point without id".into(),
        )),
    }
}

/// Whether payloads are returned.
pub(super) fn with_payload(wanted: bool) -> qdrant::WithPayloadSelector {
    qdrant::WithPayloadSelector {
        selector_options: Some(with_payload_selector::SelectorOptions::Enable(wanted)),
    }
}

/// Whether vectors are returned.
pub(super) fn with_vectors(wanted: bool) -> qdrant::WithVectorsSelector {
    qdrant::WithVectorsSelector {
        selector_options: Some(with_vectors_selector::SelectorOptions::Enable(wanted)),
    }
}

/// A point, whose payload was checked, as the server takes it.
pub(super) fn point(point: &Point) -> PointStruct {
    let vectors: HashMap<String, Vector> = point
        .vectors
        .iter()
        .map(|(name, values)| {
            let dense = vector::Vector::Dense(DenseVector { data: values.clone() });
            let vector = Vector {
                vector: Some(dense),
                ..Vector::default()
            };
            (name.clone(), vector)
        })
        .collect();
    PointStruct {
        id: Some(id(point.id)),
        payload: payload::to_server(&point.payload),
        vectors: Some(Vectors {
            vectors_options: Some(vectors::VectorsOptions::Vectors(NamedVectors { vectors })),
        }),
    }
}

/// A point of the server.
pub(super) fn stored_point(point: RetrievedPoint) -> Result<StoredPoint> {
    Ok(StoredPoint {
        id: id_from(point.id)?,
        vectors: point.vectors.map(named_vectors).transpose()?.unwrap_or_default(),
        payload: payload::from_server(point.payload),
    })
}

fn named_vectors(vectors: VectorsOutput) -> Result<BTreeMap<String, Vec<f32>>> {
    let Some(vectors_output::VectorsOptions::Vectors(named)) = vectors.vectors_options else {
        return Err(Error::Incompatible(
            "the Qdrant server returned an unnamed vector".into(),
        ));
    };
    let dense = |(name, output): (String, qdrant::VectorOutput)| match output.into_vector() {
        vector_output::Vector::Dense(DenseVector { data }) => Ok((name, data)),
        _ => Err(Error::Incompatible(format!(
            "the Qdrant server returned {name:?} not dense"
        ))),
    };
    named.vectors.into_iter().map(dense).collect()
}

/// An answer of the server.
pub(super) fn hit(point: ScoredPoint) -> Result<Hit> {
    Ok(Hit {
        id: id_from(point.id)?,
        score: point.score,
        payload: payload::from_server(point.payload),
    })
}

/// A search with a limit of its own.
pub(super) fn query(
    collection: &str,
    request: &SearchRequest,
    filter: Option<qdrant::Filter>,
    params: SearchParams,
    limit: usize,
    timeout: u64,
) -> QueryPoints {
    let nearest = VectorInput {
        variant: Some(vector_input::Variant::Dense(DenseVector {
            data: request.query.clone(),
        })),
    };
    QueryPoints {
        collection_name: collection.to_owned(),
        query: Some(qdrant::Query {
            variant: Some(query::Variant::Nearest(nearest)),
        }),
        using: Some(request.vector.clone()),
        filter,
        params: Some(params),
        limit: Some(limit as u64),
        with_payload: Some(with_payload(request.with_payload)),
        with_vectors: Some(with_vectors(false)),
        timeout: Some(timeout),
        ..QueryPoints::default()
    }
}

/// A filter as the server takes it.
pub(super) fn filter(filter: &Filter) -> Result<qdrant::Filter> {
    filter.check()?;
    let list = |conditions: &[Condition]| conditions.iter().map(condition).collect();
    Ok(qdrant::Filter {
        must: list(&filter.must),
        should: list(&filter.any),
        must_not: list(&filter.must_not),
        min_should: None,
    })
}

fn condition(condition: &Condition) -> qdrant::Condition {
    let field = |field: &String| FieldCondition {
        key: field.clone(),
        ..FieldCondition::default()
    };
    let matches = |key: &String, value: MatchValue| FieldCondition {
        r#match: Some(Match {
            match_value: Some(value),
        }),
        ..field(key)
    };
    let of_field = match condition {
        Condition::Keyword { any_of, .. } if any_of.is_empty() => return nothing(),
        Condition::Integer { any_of, .. } if any_of.is_empty() => return nothing(),
        Condition::Keyword { field, any_of } => matches(
            field,
            MatchValue::Keywords(RepeatedStrings {
                strings: any_of.clone(),
            }),
        ),
        Condition::Integer { field, any_of } => matches(
            field,
            MatchValue::Integers(RepeatedIntegers {
                integers: any_of.clone(),
            }),
        ),
        Condition::IntegerRange {
            field: key,
            at_least,
            at_most,
        } => FieldCondition {
            range: Some(Range {
                gte: at_least.map(|value| value as f64),
                lte: at_most.map(|value| value as f64),
                ..Range::default()
            }),
            ..field(key)
        },
        Condition::Datetime {
            field: key,
            since,
            until,
        } => FieldCondition {
            datetime_range: Some(DatetimeRange {
                gte: since.map(timestamp),
                lte: until.map(timestamp),
                ..DatetimeRange::default()
            }),
            ..field(key)
        },
        Condition::GeoBox {
            field: key,
            south_west,
            north_east,
        } => FieldCondition {
            geo_bounding_box: Some(GeoBoundingBox {
                top_left: Some(GeoPoint {
                    lat: north_east.latitude(),
                    lon: south_west.longitude(),
                }),
                bottom_right: Some(GeoPoint {
                    lat: south_west.latitude(),
                    lon: north_east.longitude(),
                }),
            }),
            ..field(key)
        },
        Condition::GeoRadius {
            field: key,
            center,
            radius,
        } => FieldCondition {
            geo_radius: Some(GeoRadius {
                center: Some(GeoPoint {
                    lat: center.latitude(),
                    lon: center.longitude(),
                }),
                radius: (radius.get() * 1000.0) as f32,
            }),
            ..field(key)
        },
    };
    qdrant::Condition {
        condition_one_of: Some(ConditionOneOf::Field(of_field)),
    }
}

/// A condition that no point meets.
fn nothing() -> qdrant::Condition {
    qdrant::Condition {
        condition_one_of: Some(ConditionOneOf::HasId(HasIdCondition { has_id: Vec::new() })),
    }
}

fn timestamp(time: chrono::DateTime<chrono::Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos().min(999_999_999) as i32,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use chrono::{TimeZone, Utc};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn ids_come_back() {
        for there in [
            PointId::Number(0),
            u64::MAX.into(),
            Uuid::from_u128(7).into(),
            Uuid::nil().into(),
        ] {
            assert_eq!(id_from(Some(id(there))).unwrap(), there);
        }
        assert!(id_from(None).is_err());
    }

    #[test]
    fn points_carry_every_vector() {
        let given = Point::new(5, [("a", vec![1.0, 2.0]), ("b", vec![3.0])]).with("token", "89c");
        let sent = point(&given);
        let Some(vectors::VectorsOptions::Vectors(named)) = sent.vectors.unwrap().vectors_options else {
            panic!("named vectors expected");
        };
        assert_eq!(named.vectors.len(), 2);
        let Some(vector::Vector::Dense(dense)) = &named.vectors["a"].vector else {
            panic!("a dense vector expected");
        };
        assert_eq!(dense.data, [1.0, 2.0]);
        assert_eq!(sent.payload.len(), 1);
    }

    #[test]
    fn times_before_1970_are_whole_seconds_and_a_fraction() {
        let time =
            Utc.with_ymd_and_hms(1969, 12, 31, 23, 59, 59).unwrap() + chrono::Duration::milliseconds(250);
        let stamp = timestamp(time);
        assert_eq!((stamp.seconds, stamp.nanos), (-1, 250_000_000));
    }

    #[test]
    fn one_of_none_matches_nothing() {
        let none = filter(&Condition::any_keyword("token", [""; 0]).into()).unwrap();
        assert!(matches!(
            none.must[0].condition_one_of,
            Some(ConditionOneOf::HasId(HasIdCondition { ref has_id })) if has_id.is_empty()
        ));
    }
}
