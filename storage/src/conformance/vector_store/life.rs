//! The life of a collection and of a store.

use super::{VectorStorePlace, name, small_spec};
use crate::{
    CollectionSpec, CollectionState, Error, FieldKind, Point, PointId, SearchRequest, VectorSpec, VectorStore,
};

fn point(id: u64) -> Point {
    Point::new(id, [("embedding", vec![id as f32; 4]), ("path", vec![1.0; 3])])
}

fn search() -> SearchRequest {
    SearchRequest::new("embedding", vec![1.0; 4], 3)
}

/// The same specification again changes nothing, another one is a conflict, an impossible one invalid.
pub async fn creation_is_repeatable_and_checked(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("created");
    store.create_collection(&name, &small_spec()).await.unwrap();
    store.upsert(&name, vec![point(1)]).await.unwrap();
    let mut reordered = small_spec();
    reordered.vectors.reverse();
    reordered.indexed.reverse();
    store.create_collection(&name, &reordered).await.unwrap();
    let info = store.collection(&name).await.unwrap();
    assert_eq!((info.spec, info.points), (small_spec(), 1));

    let others = [
        CollectionSpec::new([VectorSpec::flat("embedding", 5), VectorSpec::flat("path", 3)]),
        CollectionSpec::new([VectorSpec::flat("embedding", 4)]),
        small_spec().with_index("more", FieldKind::Integer),
    ];
    for other in others {
        let error = store.create_collection(&name, &other).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
    }
    for impossible in [
        CollectionSpec::new([]),
        CollectionSpec::new([VectorSpec::flat("v", 0)]),
    ] {
        let error = store.create_collection(&name, &impossible).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    assert_eq!(store.count(&name, None).await.unwrap(), 1);
}

/// Collections are listed by name; a dropped one is gone and can be created anew, empty.
pub async fn collections_are_listed_and_dropped(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    assert!(store.list_collections().await.unwrap().is_empty());
    let (first, second) = (name("geosurge_a_level_0"), name("geosurge_a_references"));
    store.create_collection(&second, &small_spec()).await.unwrap();
    store.create_collection(&first, &small_spec()).await.unwrap();
    store.upsert(&first, vec![point(1)]).await.unwrap();
    assert_eq!(
        store.list_collections().await.unwrap(),
        [first.clone(), second.clone()]
    );
    for _ in 0..2 {
        store.drop_collection(&first).await.unwrap();
        assert_eq!(
            store.list_collections().await.unwrap(),
            std::slice::from_ref(&second)
        );
    }
    assert!(store.count(&first, None).await.unwrap_err().is_not_found());
    let other = CollectionSpec::new([VectorSpec::flat("v", 2)]);
    store.create_collection(&first, &other).await.unwrap();
    assert_eq!(store.count(&first, None).await.unwrap(), 0);
}

/// Every call names the collection that is not there.
pub async fn missing_collections_are_not_found(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("missing");
    let errors = [
        store.upsert(&name, vec![point(1)]).await.unwrap_err(),
        store.search(&name, search()).await.unwrap_err(),
        store.get(&name, &[1.into()], false).await.unwrap_err(),
        store.count(&name, None).await.unwrap_err(),
        store.scroll(&name, None, 1).await.unwrap_err(),
        store.delete(&name, &[1.into()]).await.unwrap_err(),
        store.collection(&name).await.unwrap_err(),
        store.finish_load(&name).await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            error.is_not_found() && error.to_string().contains("missing"),
            "{error}"
        );
    }
    assert!(store.list_collections().await.unwrap().is_empty());
}

/// After the end of a load everything is there when the store is opened again.
pub async fn a_finished_load_survives_reopening(at: &dyn VectorStorePlace) {
    let name = name("survives");
    let before = {
        let store = at.open().await.unwrap();
        store.create_collection(&name, &small_spec()).await.unwrap();
        store.upsert(&name, (0..600).map(point).collect()).await.unwrap();
        assert_eq!(
            store.collection(&name).await.unwrap().state,
            CollectionState::Loading
        );
        assert_eq!(store.finish_load(&name).await.unwrap(), 600);
        assert_eq!(store.finish_load(&name).await.unwrap(), 600);
        assert_eq!(
            store.collection(&name).await.unwrap().state,
            CollectionState::Complete
        );
        store.search(&name, search()).await.unwrap()
    };
    let store = at.open().await.unwrap();
    let info = store.collection(&name).await.unwrap();
    assert_eq!((info.state, info.points), (CollectionState::Complete, 600));
    assert!(info.searchable);
    assert_eq!(info.spec, small_spec());
    assert_eq!(store.search(&name, search()).await.unwrap(), before);
    let read = store.get(&name, &[7.into()], true).await.unwrap();
    assert_eq!(read[0].vectors, point(7).vectors);
}

/// A load that was not finished is reported when the store is opened again, refuses searches, and can be completed.
pub async fn an_interrupted_load_is_noticed_and_resumed(at: &dyn VectorStorePlace) {
    let name = name("interrupted");
    {
        let store = at.open().await.unwrap();
        store.create_collection(&name, &small_spec()).await.unwrap();
        store.upsert(&name, (0..300).map(point).collect()).await.unwrap();
        assert_eq!(store.search(&name, search()).await.unwrap().len(), 3);
    }
    let store = at.open().await.unwrap();
    store.create_collection(&name, &small_spec()).await.unwrap();
    let info = store.collection(&name).await.unwrap();
    assert_eq!(
        (info.state, info.searchable),
        (CollectionState::Incomplete, false)
    );
    let error = store.search(&name, search()).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error}");

    let wanted: Vec<PointId> = (0..400).map(PointId::Number).collect();
    let there = store.get(&name, &wanted, false).await.unwrap();
    let missing = wanted
        .iter()
        .filter(|id| !there.iter().any(|point| point.id == **id));
    let missing: Vec<u64> = missing
        .filter_map(|id| match id {
            PointId::Number(number) => Some(*number),
            PointId::Uuid(_) => None,
        })
        .collect();
    assert!(missing.len() >= 100);
    store
        .upsert(&name, missing.into_iter().map(point).collect())
        .await
        .unwrap();
    let error = store.search(&name, search()).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error}");
    assert_eq!(store.finish_load(&name).await.unwrap(), 400);
    assert_eq!(
        store.collection(&name).await.unwrap().state,
        CollectionState::Complete
    );
    assert_eq!(store.search(&name, search()).await.unwrap()[0].id, 399.into());
}

/// A change of a finished collection is searched at once, and is a load of its own.
pub async fn a_changed_collection_is_finished_again(at: &dyn VectorStorePlace) {
    let name = name("changed");
    let changed = |store: std::sync::Arc<dyn VectorStore>, finish: bool, id: u64| {
        let name = name.clone();
        async move {
            store.upsert(&name, vec![point(id)]).await.unwrap();
            assert_eq!(store.search(&name, search()).await.unwrap()[0].id, id.into());
            assert_eq!(
                store.collection(&name).await.unwrap().state,
                CollectionState::Loading
            );
            if finish {
                store.finish_load(&name).await.unwrap();
            }
        }
    };
    let store = at.open().await.unwrap();
    store.create_collection(&name, &small_spec()).await.unwrap();
    store.upsert(&name, vec![point(1)]).await.unwrap();
    store.finish_load(&name).await.unwrap();
    changed(store, true, 10).await;
    let store = at.open().await.unwrap();
    assert_eq!(
        store.collection(&name).await.unwrap().state,
        CollectionState::Complete
    );
    changed(store, false, 20).await;
    let store = at.open().await.unwrap();
    assert_eq!(
        store.collection(&name).await.unwrap().state,
        CollectionState::Incomplete
    );
    assert!(store.finish_load(&name).await.unwrap() >= 2);
    drop(store);
    let store = at.open().await.unwrap();
    store.delete(&name, &[1.into()]).await.unwrap();
    drop(store);
    let store = at.open().await.unwrap();
    assert_eq!(
        store.collection(&name).await.unwrap().state,
        CollectionState::Incomplete
    );
}

/// A second holder gets an error that names the place, and may open it when the first one is gone.
pub async fn exclusive_places_have_one_holder(at: &dyn VectorStorePlace) {
    let first = at.open().await.unwrap();
    match at.open().await {
        Ok(second) => {
            assert!(!at.is_exclusive(), "two holders of an exclusive place");
            second.health().await.unwrap();
        }
        Err(error) => {
            assert!(at.is_exclusive(), "{error}");
            assert!(
                matches!(error, Error::Locked { .. }) && error.is_transient(),
                "{error}"
            );
        }
    }
    first.health().await.unwrap();
    drop(first);
    at.open().await.unwrap();
}

/// Health names the engine and counts the collections.
pub async fn a_store_tells_its_health(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    store
        .create_collection(&name("healthy"), &small_spec())
        .await
        .unwrap();
    let health = store.health().await.unwrap();
    assert_eq!(health.collections, 1);
    assert!(!health.engine.is_empty());
}
