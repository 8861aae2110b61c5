//! JSON in the server's words, and back.

use std::collections::HashMap;

use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{ListValue, Struct, Value};
use serde_json::Value as Json;

use crate::{Error, Payload, Result};

/// Checks that every number can be stored as it is: integers are 64-bit and signed on the server.
pub(super) fn check(payload: &Payload) -> Result<()> {
    payload.values().try_for_each(check_value)
}

fn check_value(value: &Json) -> Result<()> {
    match value {
        Json::Number(number) if number.is_u64() && !number.is_i64() => Err(Error::Invalid(format!(
            "the number {number} of a payload does not fit into 64 bits with a sign: store it as a string"
        ))),
        Json::Array(values) => values.iter().try_for_each(check_value),
        Json::Object(fields) => check(fields),
        _ => Ok(()),
    }
}

/// A payload as the server takes it; [`check`] it first.
pub(super) fn to_server(payload: &Payload) -> HashMap<String, Value> {
    payload
        .iter()
        .map(|(field, value)| (field.clone(), value_to_server(value)))
        .collect()
}

/// One value as the server takes it.
pub(super) fn value_to_server(value: &Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(*flag),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Kind::IntegerValue(integer),
            None => Kind::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(value_to_server).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(Struct {
            fields: to_server(fields),
        }),
    };
    Value { kind: Some(kind) }
}

/// A payload of the server.
pub(super) fn from_server(payload: HashMap<String, Value>) -> Payload {
    payload
        .into_iter()
        .map(|(field, value)| (field, value_from_server(value)))
        .collect()
}

/// One value of the server; a number that JSON has not becomes null.
pub(super) fn value_from_server(value: Value) -> Json {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::IntegerValue(integer)) => integer.into(),
        Some(Kind::DoubleValue(float)) => float.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value_from_server).collect(),
        Some(Kind::StructValue(fields)) => Json::Object(from_server(fields.fields)),
    }
}

/// About how many bytes a value takes in a message.
pub(super) fn size(value: &Json) -> usize {
    match value {
        Json::String(text) => 8 + text.len(),
        Json::Array(values) => 8 + values.iter().map(size).sum::<usize>(),
        Json::Object(fields) => {
            8 + fields
                .iter()
                .map(|(field, value)| 8 + field.len() + size(value))
                .sum::<usize>()
        }
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[test]
    fn values_come_back_as_they_went_in() {
        let value = json!({
            "text": "ü", "list": [1, -2.5, null, true, [], {}], "big": i64::MAX, "small": i64::MIN,
            "nested": {"lat": 48.857, "lon": -0.0}
        });
        assert_eq!(value_from_server(value_to_server(&value)), value);
    }

    #[test]
    fn a_number_that_would_change_is_refused() {
        let bad = json!({"list": [1, {"deep": u64::MAX}]});
        let error = check(bad.as_object().unwrap()).unwrap_err();
        assert!(error.to_string().contains("18446744073709551615"), "{error}");
    }
}
