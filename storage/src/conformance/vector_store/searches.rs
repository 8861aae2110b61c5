//! Searches: exact, tied, approximate, at once with writes.

use std::sync::Arc;

use uuid::Uuid;

use super::{VectorStorePlace, name, small_spec};
use crate::conformance::Numbers;
use crate::{
    CollectionName, CollectionSpec, Error, Hit, Point, PointId, SearchRequest, VectorSpec, VectorStore,
};

/// Inner product in double precision.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The best points by comparing with each of them.
fn brute_force(points: &[Point], vector: &str, query: &[f32], limit: usize) -> Vec<(PointId, f64)> {
    let mut scores: Vec<(PointId, f64)> = points
        .iter()
        .map(|point| (point.id, dot(&point.vectors[vector], query)))
        .collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores.truncate(limit);
    scores
}

/// The answers are the brute force's; points closer than single precision can tell may be in either order.
fn assert_same(hits: &[Hit], expected: &[(PointId, f64)]) {
    const TOLERANCE: f64 = 1e-5;
    assert_eq!(hits.len(), expected.len());
    for (hit, (id, score)) in hits.iter().zip(expected) {
        assert!(
            (f64::from(hit.score) - score).abs() < TOLERANCE,
            "{hit:?} is not {id} {score}"
        );
        let could_swap = expected
            .iter()
            .filter(|(_, other)| (other - score).abs() < TOLERANCE);
        assert!(
            could_swap.count() > 1 || hit.id == *id,
            "{hit:?} is not {id} {score}"
        );
    }
}

/// On 2,000 random points with two vectors, flat and with a graph, `exact` finds what comparing with every point finds.
pub async fn exact_searches_equal_brute_force(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("exact");
    let spec = CollectionSpec::new([VectorSpec::flat("flat", 24), VectorSpec::graph("graph", 48)]);
    store.create_collection(&name, &spec).await.unwrap();
    let mut numbers = Numbers(1);
    let points: Vec<Point> = (0..2000u64)
        .map(|id| {
            let vectors = [("flat", numbers.vector(24)), ("graph", numbers.vector(48))];
            match id % 2 {
                0 => Point::new(id, vectors),
                _ => Point::new(Uuid::from_u128(id.into()), vectors),
            }
        })
        .collect();
    store.upsert(&name, points.clone()).await.unwrap();
    for finished in [false, true] {
        if finished {
            assert_eq!(store.finish_load(&name).await.unwrap(), 2000);
        }
        for (vector, dimension) in [("flat", 24), ("graph", 48)] {
            let queries: Vec<Vec<f32>> = (0..20).map(|_| numbers.vector(dimension)).collect();
            let requests = queries
                .iter()
                .map(|query| SearchRequest::new(vector, query.clone(), 25));
            let requests: Vec<SearchRequest> = requests.collect();
            let batch = store.search_many(&name, requests.clone()).await.unwrap();
            for ((query, request), together) in queries.iter().zip(requests).zip(batch) {
                let alone = store.search(&name, request).await.unwrap();
                assert_same(&alone, &brute_force(&points, vector, query, 25));
                assert_eq!(alone, together);
            }
        }
    }
    let all = SearchRequest::new("flat", numbers.vector(24), 5000);
    assert_eq!(store.search(&name, all).await.unwrap().len(), 2000);
    let none = SearchRequest::new("flat", numbers.vector(24), 0);
    assert!(store.search(&name, none).await.unwrap().is_empty());
    assert!(store.search_many(&name, Vec::new()).await.unwrap().is_empty());
}

/// Points of equal score come in order of id, and a limit that cuts through them keeps the lowest ids.
pub async fn equal_scores_are_in_order_of_id(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("ties");
    store
        .create_collection(&name, &CollectionSpec::new([VectorSpec::flat("v", 2)]))
        .await
        .unwrap();
    let mut ids: Vec<PointId> = (0..200).map(PointId::Number).collect();
    ids.extend((0..100).map(|id| PointId::Uuid(Uuid::from_u128(id))));
    let mut numbers = Numbers(3);
    let mut shuffled = ids.clone();
    shuffled.sort_by_cached_key(|_| numbers.next());
    let tied = shuffled
        .into_iter()
        .map(|id| Point::new(id, [("v", vec![0.6, 0.8])]));
    store.upsert(&name, tied.collect()).await.unwrap();
    let best = Point::new(1_000_000, [("v", vec![1.0, 1.0])]);
    store.upsert(&name, vec![best]).await.unwrap();
    for limit in [1, 2, 7, 150, 250, 301, 400] {
        let request = SearchRequest::new("v", vec![0.6, 0.8], limit);
        let found = store.search(&name, request).await.unwrap();
        let found: Vec<PointId> = found.iter().map(|hit| hit.id).collect();
        let mut expected = vec![PointId::Number(1_000_000)];
        expected.extend(ids.iter().take(limit - 1));
        assert_eq!(found, expected, "limit {limit}");
    }
}

/// A query that can have no answer is an error, never an empty list.
pub async fn bad_queries_are_refused(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("bad-queries");
    store.create_collection(&name, &small_spec()).await.unwrap();
    for filled in [false, true] {
        if filled {
            let point = Point::new(1, [("embedding", vec![1.0; 4]), ("path", vec![1.0; 3])]);
            store.upsert(&name, vec![point]).await.unwrap();
        }
        let bad = [
            SearchRequest::new("path", vec![f32::NAN, 0.0, 0.0], 1),
            SearchRequest::new("path", vec![0.0, f32::NEG_INFINITY, 0.0], 1),
            SearchRequest::new("path", vec![1.0; 4], 1),
            SearchRequest::new("path", vec![], 1),
            SearchRequest::new("nowhere", vec![1.0; 3], 1),
        ];
        for bad in bad {
            let good = SearchRequest::new("path", vec![1.0; 3], 1);
            let error = store.search(&name, bad.clone()).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{bad:?}: {error}");
            let error = store.search_many(&name, vec![good, bad]).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
        }
    }
    let zero = store
        .search(&name, SearchRequest::new("path", vec![0.0; 3], 1))
        .await
        .unwrap();
    assert_eq!(zero[0].score, 0.0);
}

/// A search that may miss points finds at least nine of the ten best of clustered points.
///
/// The 12 MB of vectors are enough for every backend to build its graph.
pub async fn graphs_find_nearly_everything(at: &dyn VectorStorePlace) {
    const DIMENSION: usize = 1024;
    let store = at.open().await.unwrap();
    let name = name("graph");
    let spec = CollectionSpec::new([VectorSpec::graph("v", DIMENSION)]);
    store.create_collection(&name, &spec).await.unwrap();
    let mut numbers = Numbers(11);
    let centres: Vec<Vec<f32>> = (0..20).map(|_| numbers.vector(DIMENSION)).collect();
    let mut near = |centre: usize| -> Vec<f32> {
        let noise = numbers.vector(DIMENSION);
        centres[centre]
            .iter()
            .zip(noise)
            .map(|(c, n)| c + 0.5 * n)
            .collect()
    };
    let points: Vec<Point> = (0..3000)
        .map(|id| Point::new(id, [("v", near(id as usize % 20))]))
        .collect();
    store.upsert(&name, points.clone()).await.unwrap();
    assert_eq!(store.finish_load(&name).await.unwrap(), 3000);
    let mut found = 0;
    for centre in 0..20 {
        let query = near(centre);
        let request = SearchRequest::new("v", query.clone(), 10).approximate();
        let hits = store.search(&name, request).await.unwrap();
        let expected = brute_force(&points, "v", &query, 10);
        found += hits
            .iter()
            .filter(|hit| expected.iter().any(|(id, _)| *id == hit.id))
            .count();
    }
    assert!(found >= 180, "{found} of 200");
}

/// Searches answer while points are written, and every write is seen by the next search.
pub async fn readers_and_writers_work_at_once(at: &dyn VectorStorePlace) {
    let store = at.open().await.unwrap();
    let name = name("at-once");
    store
        .create_collection(&name, &CollectionSpec::new([VectorSpec::flat("v", 4)]))
        .await
        .unwrap();
    store
        .upsert(&name, vec![Point::new(0, [("v", vec![1.0; 4])])])
        .await
        .unwrap();
    let writers = (1..5u64).map(|writer| tokio::spawn(write(Arc::clone(&store), name.clone(), writer)));
    let readers = (0..3).map(|_| tokio::spawn(read(Arc::clone(&store), name.clone())));
    let tasks: Vec<_> = writers.chain(readers).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.finish_load(&name).await.unwrap(), 1 + 4 * 40);
}

async fn write(store: Arc<dyn VectorStore>, name: CollectionName, writer: u64) {
    for batch in 0..4 {
        let first = writer * 1000 + batch * 10;
        let points = (first..first + 10).map(|id| Point::new(id, [("v", vec![id as f32; 4])]));
        store.upsert(&name, points.collect()).await.unwrap();
        let request = SearchRequest::new("v", vec![1.0; 4], 1000);
        let hits = store.search(&name, request).await.unwrap();
        assert!(hits.iter().any(|hit| hit.id == (first + 9).into()));
        if batch == 2 {
            store.finish_load(&name).await.unwrap();
        }
    }
}

async fn read(store: Arc<dyn VectorStore>, name: CollectionName) {
    for _ in 0..20 {
        let request = SearchRequest::new("v", vec![1.0; 4], 1000);
        let hits = store.search(&name, request).await.unwrap();
        assert!(hits.iter().any(|hit| hit.id == 0.into()));
        assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
    }
}
