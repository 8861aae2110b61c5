//! Filters, on indexed and on plain fields.

use std::collections::BTreeSet;

use chrono::{TimeZone, Utc};
use geocells::{Kilometres, LatLng};
use serde_json::json;

use super::{VectorStorePlace, name, small_spec};
use crate::{Condition, Filter, Point, PointId, SearchRequest};

fn place(latitude: f64, longitude: f64) -> LatLng {
    LatLng::new(latitude, longitude).unwrap()
}

/// Seven photos: 1 Paris, 2 London, 3 Fiji (east of the 180th meridian), 4 Fiji (west of it), 5 New York, 6 and 7 with gaps.
fn photos() -> Vec<Point> {
    let point = |id: u64, payload: serde_json::Value| {
        let mut point = Point::new(
            id,
            [("embedding", vec![id as f32; 4]), ("path", vec![1.0, 0.0, 0.0])],
        );
        point.payload = payload.as_object().unwrap().clone();
        point
    };
    vec![
        point(
            1,
            json!({"token": "47e6", "photos": 10, "location": {"lat": 48.857, "lon": 2.352},
            "captured_at": "2020-01-01T00:00:00Z", "plain": "x", "cells": ["47", "47e6"]}),
        ),
        point(
            2,
            json!({"token": "4876", "photos": 20, "location": {"lat": 51.507, "lon": -0.128},
            "captured_at": "2021-06-01T12:00:00Z", "plain": "y", "cells": ["48", "4876"]}),
        ),
        point(
            3,
            json!({"token": "6e1", "photos": 30, "location": {"lat": -17.8, "lon": -179.9},
            "captured_at": "2022-06-01T12:00:00Z", "plain": "y", "cells": ["6e"]}),
        ),
        point(
            4,
            json!({"token": "6e2", "photos": 40, "location": {"lat": -17.8, "lon": 179.9},
            "captured_at": "2023-06-01T12:00:00Z", "cells": ["6e"]}),
        ),
        point(
            5,
            json!({"token": "89c", "photos": 50, "location": {"lat": 40.713, "lon": -74.006},
            "captured_at": "2024-06-01T12:00:00Z"}),
        ),
        point(6, json!({"token": "89c"})),
        point(7, json!({})),
    ]
}

fn cases() -> Vec<(&'static str, Filter, Vec<u64>)> {
    let photos = |at_least, at_most| Condition::IntegerRange {
        field: "photos".into(),
        at_least,
        at_most,
    };
    let time = |year| Utc.with_ymd_and_hms(year, 6, 1, 12, 0, 0).single();
    let taken = |since, until| Condition::Datetime {
        field: "captured_at".into(),
        since,
        until,
    };
    let radius = |center, km| Condition::GeoRadius {
        field: "location".into(),
        center,
        radius: Kilometres::new(km).unwrap(),
    };
    let within = |south_west, north_east| Condition::GeoBox {
        field: "location".into(),
        south_west,
        north_east,
    };
    let any = |any: Vec<Condition>| Filter {
        any,
        ..Filter::default()
    };
    let none_of = |must_not: Vec<Condition>| Filter {
        must_not,
        ..Filter::default()
    };
    vec![
        (
            "an empty filter takes all",
            Filter::default(),
            vec![1, 2, 3, 4, 5, 6, 7],
        ),
        (
            "one keyword",
            Condition::keyword("token", "89c").into(),
            vec![5, 6],
        ),
        (
            "one of two",
            Condition::any_keyword("token", ["47e6", "6e1"]).into(),
            vec![1, 3],
        ),
        (
            "one of none",
            Condition::any_keyword("token", [""; 0]).into(),
            vec![],
        ),
        (
            "an element of an array",
            Condition::any_keyword("cells", ["6e", "48"]).into(),
            vec![2, 3, 4],
        ),
        (
            "a field without index",
            Condition::keyword("plain", "y").into(),
            vec![2, 3],
        ),
        (
            "a field that nobody has",
            Condition::keyword("nobody", "y").into(),
            vec![],
        ),
        ("one integer", Condition::integer("photos", 30).into(), vec![3]),
        (
            "one of no integers",
            Condition::Integer {
                field: "photos".into(),
                any_of: vec![],
            }
            .into(),
            vec![],
        ),
        (
            "both ends included",
            photos(Some(20), Some(40)).into(),
            vec![2, 3, 4],
        ),
        ("open below", photos(None, Some(20)).into(), vec![1, 2]),
        ("since", taken(time(2023), None).into(), vec![4, 5]),
        ("until", taken(None, time(2021)).into(), vec![1, 2]),
        (
            "within 400 km of Paris",
            radius(place(48.857, 2.352), 400.0).into(),
            vec![1, 2],
        ),
        (
            "within 100 km over the 180th meridian",
            radius(place(-17.8, 180.0), 100.0).into(),
            vec![3, 4],
        ),
        (
            "a box",
            within(place(45.0, -5.0), place(55.0, 5.0)).into(),
            vec![1, 2],
        ),
        (
            "a box over the 180th meridian",
            within(place(-20.0, 179.0), place(-10.0, -179.0)).into(),
            vec![3, 4],
        ),
        (
            "all of two",
            Filter {
                must: vec![Condition::keyword("plain", "y"), photos(Some(30), None)],
                ..Filter::default()
            },
            vec![3],
        ),
        (
            "any of two",
            any(vec![Condition::keyword("token", "47e6"), photos(Some(50), None)]),
            vec![1, 5],
        ),
        (
            "none of two",
            none_of(vec![Condition::keyword("token", "89c"), photos(None, Some(20))]),
            vec![3, 4, 7],
        ),
        (
            "all kinds together",
            Filter {
                must: vec![photos(Some(10), None)],
                any: vec![
                    Condition::keyword("token", "47e6"),
                    Condition::keyword("token", "89c"),
                ],
                must_not: vec![taken(time(2024), None)],
            },
            vec![1],
        ),
    ]
}

/// Counts and searches see exactly the points that a filter describes.
pub async fn filters_select_what_they_say(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let photos_collection = name("filters");
    store
        .create_collection(&photos_collection, &small_spec())
        .await
        .unwrap();
    store.upsert(&photos_collection, photos()).await.unwrap();
    for finished in [false, true] {
        if finished {
            store.finish_load(&photos_collection).await.unwrap();
        }
        for (what, filter, expected) in cases() {
            let count = store
                .count(&photos_collection, Some(filter.clone()))
                .await
                .unwrap();
            assert_eq!(count, expected.len() as u64, "count: {what}");
            let request = SearchRequest::new("path", vec![1.0; 3], 100).filtered(filter);
            let hits = store.search(&photos_collection, request).await.unwrap();
            let found: BTreeSet<PointId> = hits.iter().map(|hit| hit.id).collect();
            let expected = expected.into_iter().map(PointId::Number).collect();
            assert_eq!(found, expected, "search: {what}");
        }
    }
    let swapped = Condition::GeoBox {
        field: "location".into(),
        south_west: place(55.0, 0.0),
        north_east: place(45.0, 5.0),
    };
    for bad in [
        swapped,
        Condition::keyword("a.b", "x"),
        Condition::keyword("", "x"),
    ] {
        let error = store
            .count(&photos_collection, Some(bad.into()))
            .await
            .unwrap_err();
        assert!(matches!(error, crate::Error::Invalid(_)), "{error}");
    }
}
