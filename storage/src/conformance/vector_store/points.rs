//! Points: written, read, paged, deleted.

use serde_json::json;
use uuid::Uuid;

use super::{VectorStorePlace, name, small_spec};
use crate::conformance::Numbers;
use crate::{CollectionSpec, Error, Point, PointId, SearchRequest, VectorSpec};

fn point(id: impl Into<PointId>, value: f32) -> Point {
    Point::new(id, [("embedding", vec![value; 4]), ("path", vec![value; 3])])
}

/// What is read equals what was written, in the order asked, and pages walk all points once in order of id.
pub async fn points_come_back_as_they_went_in(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("points");
    store.create_collection(&name, &small_spec()).await.unwrap();
    let uuid = Uuid::from_u128(7);
    let payload = json!({"token": "89c", "nested": {"list": [1, 2.5, null, "ü"]}, "big": i64::MAX});
    let mut rich = point(u64::MAX, 0.25);
    rich.payload = payload.as_object().unwrap().clone();
    let points = vec![
        point(2, -0.5),
        rich.clone(),
        point(uuid, 0.1),
        point(0, 3.0e-30),
        point(1, 2.0),
    ];
    store.upsert(&name, points).await.unwrap();

    let ids = [PointId::Uuid(uuid), u64::MAX.into(), 99.into(), 0.into()];
    let read = store.get(&name, &ids, true).await.unwrap();
    let order: Vec<PointId> = read.iter().map(|point| point.id).collect();
    assert_eq!(order, [PointId::Uuid(uuid), u64::MAX.into(), 0.into()]);
    assert_eq!(
        (&read[1].vectors, &read[1].payload),
        (&rich.vectors, &rich.payload)
    );
    assert_eq!(read[2].vectors["path"], vec![3.0e-30; 3]);
    let bare = store.get(&name, &ids[..2], false).await.unwrap();
    assert!(bare.iter().all(|point| point.vectors.is_empty()));
    assert_eq!(bare[1].payload, rich.payload);
    assert!(store.get(&name, &[], true).await.unwrap().is_empty());

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.scroll(&name, after, 2).await.unwrap();
        assert!(page.points.len() <= 2);
        assert!(page.points.iter().all(|point| point.vectors.len() == 2));
        seen.extend(page.points.iter().map(|point| point.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        assert_eq!(after, seen.last().copied());
    }
    let all: [PointId; 5] = [0.into(), 1.into(), 2.into(), u64::MAX.into(), uuid.into()];
    assert_eq!(seen, all);
    let end = store.scroll(&name, Some(uuid.into()), 10).await.unwrap();
    assert!(end.points.is_empty() && end.next.is_none());
    assert!(matches!(
        store.scroll(&name, None, 0).await,
        Err(Error::Invalid(_))
    ));
}

/// The same points again change nothing; an id again replaces its point.
pub async fn upserts_are_repeatable(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("repeatable");
    store.create_collection(&name, &small_spec()).await.unwrap();
    store.upsert(&name, Vec::new()).await.unwrap();
    let first: Vec<Point> = (0..700)
        .map(|id| point(id, id as f32).with("token", "old"))
        .collect();
    for _ in 0..2 {
        store.upsert(&name, first.clone()).await.unwrap();
        assert_eq!(store.count(&name, None).await.unwrap(), 700);
    }
    store
        .upsert(&name, vec![point(3, 9.0).with("photos", 5), point(3, 10.0)])
        .await
        .unwrap();
    let replaced = store.get(&name, &[3.into()], true).await.unwrap();
    assert_eq!(replaced[0].vectors["path"], vec![10.0; 3]);
    assert!(replaced[0].payload.is_empty(), "{:?}", replaced[0].payload);
    assert_eq!(store.finish_load(&name).await.unwrap(), 700);
    store.upsert(&name, first).await.unwrap();
    assert_eq!(store.finish_load(&name).await.unwrap(), 700);
    let back = store.get(&name, &[3.into()], true).await.unwrap();
    assert_eq!(
        (back[0].vectors["path"][0], &back[0].payload["token"]),
        (3.0, &json!("old"))
    );
}

/// One bad point and nothing of its batch is stored.
pub async fn bad_points_are_refused_whole(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("bad-points");
    store.create_collection(&name, &small_spec()).await.unwrap();
    let with = |field: &str, values: Vec<f32>| {
        let mut bad = point(2, 1.0);
        bad.vectors.insert(field.into(), values);
        bad
    };
    let mut lacking = point(2, 1.0);
    lacking.vectors.remove("path");
    let bad = [
        with("path", vec![1.0; 2]),
        with("path", vec![]),
        with("path", vec![1.0, f32::NAN, 1.0]),
        with("embedding", vec![f32::INFINITY; 4]),
        with("other", vec![1.0; 3]),
        lacking,
    ];
    for bad in bad {
        let shown = format!("{:?}", bad.vectors);
        let error = store.upsert(&name, vec![point(1, 1.0), bad]).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{shown}: {error}");
        assert!(error.to_string().contains("point 2"), "{error}");
        assert_eq!(store.count(&name, None).await.unwrap(), 0, "{shown}");
    }
}

/// Deleted points are in no answer, also where most of a collection goes, and before and after the end of the load.
pub async fn deleted_points_are_gone(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("deleted");
    let spec = CollectionSpec::new([VectorSpec::flat("v", 8)]);
    store.create_collection(&name, &spec).await.unwrap();
    let mut numbers = Numbers(5);
    let points: Vec<Point> = (0..1500)
        .map(|id| Point::new(id, [("v", numbers.vector(8))]))
        .collect();
    store.upsert(&name, points.clone()).await.unwrap();
    store.finish_load(&name).await.unwrap();
    let gone: Vec<PointId> = (0..1000).map(PointId::Number).collect();
    store.delete(&name, &gone).await.unwrap();
    store.delete(&name, &gone).await.unwrap();
    store.delete(&name, &[]).await.unwrap();
    for finished in [false, true] {
        if finished {
            assert_eq!(store.finish_load(&name).await.unwrap(), 500);
        }
        assert_eq!(store.count(&name, None).await.unwrap(), 500);
        assert!(store.get(&name, &gone[..3], false).await.unwrap().is_empty());
        let request = SearchRequest::new("v", points[0].vectors["v"].clone(), 2000);
        let hits = store.search(&name, request).await.unwrap();
        assert_eq!(hits.len(), 500);
        assert!(hits.iter().all(|hit| hit.id >= 1000.into()));
    }
    store.upsert(&name, points[..10].to_vec()).await.unwrap();
    assert_eq!(store.finish_load(&name).await.unwrap(), 510);
}
