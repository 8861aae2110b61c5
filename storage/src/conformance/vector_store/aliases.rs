//! Aliases: second names of collections.

use super::{VectorStorePlace, name, small_spec};
use crate::{CollectionName, Error, Point, SearchRequest, VectorStore};

fn point(id: u64) -> Point {
    Point::new(id, [("embedding", vec![id as f32; 4]), ("path", vec![1.0; 3])])
}

fn search() -> SearchRequest {
    SearchRequest::new("embedding", vec![1.0; 4], 1)
}

/// Two finished collections: `old` with the points 0 to 9, `new` with the points 100 to 119.
async fn two_collections(store: &dyn VectorStore) -> (CollectionName, CollectionName) {
    let (old, new) = (name("old"), name("new"));
    for (collection, ids) in [(&old, 0..10), (&new, 100..120)] {
        store.create_collection(collection, &small_spec()).await.unwrap();
        store.upsert(collection, ids.map(point).collect()).await.unwrap();
        store.finish_load(collection).await.unwrap();
    }
    (old, new)
}

/// One call points several aliases at their collections, replaces earlier targets and leaves other aliases alone; all of it is
/// there when the store is opened again. Removing an alias twice is no error.
pub async fn aliases_are_set_together(at: &dyn VectorStorePlace) {
    let (level, references, other) = (
        CollectionName::active_level(0),
        CollectionName::active_references(),
        name("other"),
    );
    let (old, new) = {
        let store = at.open().await.unwrap();
        let (old, new) = two_collections(store.as_ref()).await;
        assert!(store.aliases().await.unwrap().is_empty());
        store.set_aliases(&[]).await.unwrap();
        let first = [
            (references.clone(), old.clone()),
            (level.clone(), old.clone()),
            (other.clone(), old.clone()),
        ];
        for _ in 0..2 {
            store.set_aliases(&first).await.unwrap();
            let mut sorted = first.to_vec();
            sorted.sort();
            assert_eq!(store.aliases().await.unwrap(), sorted);
        }
        store
            .set_aliases(&[(level.clone(), new.clone()), (references.clone(), new.clone())])
            .await
            .unwrap();
        assert_eq!(
            store.list_collections().await.unwrap(),
            [new.clone(), old.clone()],
            "aliases are no collections"
        );
        (old, new)
    };
    let store = at.open().await.unwrap();
    let expected = [
        (level.clone(), new.clone()),
        (references.clone(), new.clone()),
        (other.clone(), old),
    ];
    assert_eq!(store.aliases().await.unwrap(), expected);
    for _ in 0..2 {
        store
            .remove_aliases(&[level.clone(), other.clone()])
            .await
            .unwrap();
        assert_eq!(
            store.aliases().await.unwrap(),
            [(references.clone(), new.clone())]
        );
    }
    store.remove_aliases(&[]).await.unwrap();
    let error = store.count(&level, None).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

/// Searches and reads by an alias are those of the collection that it names now.
pub async fn searches_and_reads_follow_an_alias(at: &dyn VectorStorePlace) {
    let alias = CollectionName::active_references();
    let store = at.open().await.unwrap();
    let (old, new) = two_collections(store.as_ref()).await;
    for (target, points, best) in [(&old, 10, 9u64), (&new, 20, 119), (&old, 10, 9)] {
        store
            .set_aliases(&[(alias.clone(), target.clone())])
            .await
            .unwrap();
        let hits = store.search(&alias, search()).await.unwrap();
        assert_eq!(hits, store.search(target, search()).await.unwrap());
        assert_eq!(hits[0].id, best.into());
        let many = store.search_many(&alias, vec![search(), search()]).await.unwrap();
        assert_eq!(many, [hits.clone(), hits]);
        assert_eq!(store.count(&alias, None).await.unwrap(), points);
        let read = store.get(&alias, &[best.into()], true).await.unwrap();
        assert_eq!(read[0].vectors, point(best).vectors);
        let page = store.scroll(&alias, None, 5).await.unwrap();
        assert_eq!(page, store.scroll(target, None, 5).await.unwrap());
        assert_eq!(
            store.collection(&alias).await.unwrap(),
            store.collection(target).await.unwrap()
        );
    }
    drop(store);
    let store = at.open().await.unwrap();
    assert_eq!(store.search(&alias, search()).await.unwrap()[0].id, 9.into());
}

/// A call with one impossible alias changes nothing.
pub async fn bad_aliases_are_refused_whole(at: &dyn VectorStorePlace) {
    let (alias, second) = (name("alias"), name("second"));
    let store = at.open().await.unwrap();
    let (old, new) = two_collections(store.as_ref()).await;
    store.set_aliases(&[(alias.clone(), old.clone())]).await.unwrap();
    let good = (alias.clone(), new.clone());
    let error = store
        .set_aliases(&[good.clone(), (second.clone(), name("missing"))])
        .await
        .unwrap_err();
    assert!(
        error.is_not_found() && error.to_string().contains("missing"),
        "{error}"
    );
    let error = store
        .set_aliases(&[good.clone(), (second.clone(), alias.clone())])
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "an alias of an alias: {error}");
    let error = store
        .set_aliases(&[good.clone(), (new.clone(), old.clone())])
        .await
        .unwrap_err();
    assert!(error.is_conflict(), "{error}");
    let error = store
        .set_aliases(&[good, (second.clone(), new.clone()), (second, old.clone())])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(store.aliases().await.unwrap(), [(alias, old)]);
}

/// What an alias names is not dropped, and what changes a collection does not go by an alias.
pub async fn aliased_collections_are_kept(at: &dyn VectorStorePlace) {
    let alias = name("alias");
    let store = at.open().await.unwrap();
    let (old, new) = two_collections(store.as_ref()).await;
    store.set_aliases(&[(alias.clone(), old.clone())]).await.unwrap();
    let error = store.drop_collection(&old).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("alias"),
        "{error}"
    );
    let errors = [
        store.create_collection(&alias, &small_spec()).await.unwrap_err(),
        store.upsert(&alias, vec![point(1)]).await.unwrap_err(),
        store.delete(&alias, &[1.into()]).await.unwrap_err(),
        store.finish_load(&alias).await.unwrap_err(),
        store.drop_collection(&alias).await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            error.is_conflict() && error.to_string().contains("alias"),
            "{error}"
        );
    }
    assert_eq!(store.count(&alias, None).await.unwrap(), 10);
    store.set_aliases(&[(alias.clone(), new.clone())]).await.unwrap();
    store.drop_collection(&old).await.unwrap();
    assert_eq!(store.count(&alias, None).await.unwrap(), 20);
    store.remove_aliases(&[alias]).await.unwrap();
    store.drop_collection(&new).await.unwrap();
    assert!(store.list_collections().await.unwrap().is_empty());
}
