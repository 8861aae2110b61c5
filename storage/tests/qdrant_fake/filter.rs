//! Filters of the fake, as the server's documentation describes them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use geocells::LatLng;
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{Condition, FieldCondition, Filter, GeoPoint, Value};

type Payload = HashMap<String, Value>;

/// Whether a point meets a filter.
pub(super) fn meets(filter: Option<&Filter>, key: (bool, u128), payload: &Payload) -> bool {
    let Some(filter) = filter else { return true };
    let holds = |condition: &Condition| condition_holds(condition, key, payload);
    filter.must.iter().all(holds)
        && (filter.should.is_empty() || filter.should.iter().any(holds))
        && !filter.must_not.iter().any(holds)
}

fn condition_holds(condition: &Condition, key: (bool, u128), payload: &Payload) -> bool {
    match condition.condition_one_of.as_ref().unwrap() {
        ConditionOneOf::HasId(ids) => ids.has_id.iter().any(|id| match &id.point_id_options {
            Some(PointIdOptions::Num(number)) => key == (false, u128::from(*number)),
            other => panic!("the fake knows no {other:?}"),
        }),
        ConditionOneOf::Field(field) => match payload.get(&field.key).and_then(|value| value.kind.as_ref()) {
            None => false,
            Some(Kind::ListValue(list)) => list
                .values
                .iter()
                .filter_map(|value| value.kind.as_ref())
                .any(|value| field_holds(field, value)),
            Some(value) => field_holds(field, value),
        },
        other => panic!("the fake knows no {other:?}"),
    }
}

fn field_holds(field: &FieldCondition, value: &Kind) -> bool {
    if let Some(wanted) = field
        .r#match
        .as_ref()
        .and_then(|wanted| wanted.match_value.as_ref())
    {
        return match (wanted, value) {
            (MatchValue::Keywords(any), Kind::StringValue(text)) => any.strings.contains(text),
            (MatchValue::Integers(any), Kind::IntegerValue(number)) => any.integers.contains(number),
            _ => false,
        };
    }
    if let Some(range) = &field.range {
        let number = match value {
            Kind::IntegerValue(number) => *number as f64,
            Kind::DoubleValue(number) => *number,
            _ => return false,
        };
        return range.gte.is_none_or(|least| number >= least) && range.lte.is_none_or(|most| number <= most);
    }
    if let Some(range) = &field.datetime_range {
        let Kind::StringValue(text) = value else {
            return false;
        };
        let Ok(time) = text.parse::<DateTime<Utc>>() else {
            return false;
        };
        let time = (time.timestamp(), time.timestamp_subsec_nanos() as i32);
        return range.gte.is_none_or(|least| time >= (least.seconds, least.nanos))
            && range.lte.is_none_or(|most| time <= (most.seconds, most.nanos));
    }
    let Some((latitude, longitude)) = place(value) else {
        return false;
    };
    if let Some(area) = &field.geo_bounding_box {
        let (top_left, bottom_right) = (area.top_left.unwrap(), area.bottom_right.unwrap());
        let (west, east) = (top_left.lon, bottom_right.lon);
        let between = match west <= east {
            true => (west..=east).contains(&longitude),
            false => longitude >= west || longitude <= east,
        };
        return between && (bottom_right.lat..=top_left.lat).contains(&latitude);
    }
    let circle = field.geo_radius.as_ref().unwrap();
    let GeoPoint { lat, lon } = circle.center.unwrap();
    let metres = LatLng::new(lat, lon)
        .unwrap()
        .distance(LatLng::new(latitude, longitude).unwrap())
        .get()
        * 1000.0;
    metres <= f64::from(circle.radius)
}

fn place(value: &Kind) -> Option<(f64, f64)> {
    let Kind::StructValue(fields) = value else {
        return None;
    };
    let degrees = |axis: &str| match fields.fields.get(axis)?.kind.as_ref()? {
        Kind::DoubleValue(number) => Some(*number),
        Kind::IntegerValue(number) => Some(*number as f64),
        _ => None,
    };
    Some((degrees("lat")?, degrees("lon")?))
}
