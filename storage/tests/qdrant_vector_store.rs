//! The server vector store passes the conformance suite, on a server that `GEOSURGE_TEST_QDRANT_URL` names.
//!
//! `GEOSURGE_TEST_QDRANT_API_KEY` and `GEOSURGE_TEST_QDRANT_CA_FILE` are its key and its certificate authority, where it asks
//! for them. Every test has a prefix of its own and removes what it made.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use geosurge_storage::conformance::like_embeddings;
use geosurge_storage::conformance::vector_store::{self as behaviours, VectorStorePlace};
use geosurge_storage::qdrant::{ApiKey, Quantization};
use geosurge_storage::{
    CollectionName, CollectionSpec, CollectionState, Error, Point, PointId, QdrantOptions, QdrantVectorStore,
    Result, SearchRequest, VectorSpec, VectorStore,
};
use uuid::Uuid;

/// The server of these tests; says once that there is none.
fn server() -> Option<QdrantOptions> {
    static SKIPPED: Once = Once::new();
    let Ok(url) = std::env::var("GEOSURGE_TEST_QDRANT_URL") else {
        SKIPPED.call_once(|| {
            eprintln!("skipped: GEOSURGE_TEST_QDRANT_URL names no Qdrant server, so its tests were not run");
        });
        return None;
    };
    let mut options = QdrantOptions::new(url);
    options.prefix = format!("test_{}_", Uuid::new_v4().simple());
    options.ca_file = std::env::var_os("GEOSURGE_TEST_QDRANT_CA_FILE").map(PathBuf::from);
    if let Ok(key) = std::env::var("GEOSURGE_TEST_QDRANT_API_KEY") {
        options.api_key = Some(ApiKey::new(&key).unwrap());
    }
    Some(options)
}

struct Server(QdrantOptions);

#[async_trait]
impl VectorStorePlace for Server {
    async fn open(&self) -> Result<Arc<dyn VectorStore>> {
        Ok(Arc::new(QdrantVectorStore::connect(&self.0).await?))
    }

    fn is_exclusive(&self) -> bool {
        false
    }
}

impl Server {
    /// Removes everything under the prefix.
    async fn clean(&self) {
        let store = self.open().await.unwrap();
        let aliases = store.aliases().await.unwrap();
        let aliases: Vec<CollectionName> = aliases.into_iter().map(|(alias, _)| alias).collect();
        store.remove_aliases(&aliases).await.unwrap();
        for collection in store.list_collections().await.unwrap() {
            store.drop_collection(&collection).await.unwrap();
        }
    }
}

/// One test for each behaviour, cleaned up also where it fails.
macro_rules! on_the_server {
    ($($behaviour:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                let Some(options) = server() else { return };
                let place = Arc::new(Server(options));
                let run = Arc::clone(&place);
                let done = tokio::spawn(async move { behaviours::$behaviour(run.as_ref()).await }).await;
                place.clean().await;
                done.unwrap();
            }
        )+
    };
}

geosurge_storage::each_vector_store_behaviour!([on_the_server]);

fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

fn points(ids: std::ops::Range<u64>, dimension: usize) -> Vec<Point> {
    ids.map(|id| Point::new(id, [("v", vec![id as f32; dimension])]))
        .collect()
}

fn best(dimension: usize) -> SearchRequest {
    SearchRequest::new("v", vec![1.0; dimension], 1)
}

/// Runs a test against a server, if there is one, and cleans up.
async fn with_server<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Arc<Server>) -> F) {
    let Some(options) = server() else { return };
    let place = Arc::new(Server(options));
    let done = tokio::spawn(test(Arc::clone(&place))).await;
    place.clean().await;
    done.unwrap();
}

/// A service goes on answering while another process adds reference images; a first load is its loader's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_see_each_others_loads() {
    with_server(async |place: Arc<Server>| {
        let (indexer, service) = (place.open().await.unwrap(), place.open().await.unwrap());
        let collection = name("shared");
        let spec = CollectionSpec::new([VectorSpec::flat("v", 4)]);
        indexer.create_collection(&collection, &spec).await.unwrap();
        indexer.upsert(&collection, points(0..10, 4)).await.unwrap();
        indexer.search(&collection, best(4)).await.unwrap();
        let error = service.search(&collection, best(4)).await.unwrap_err();
        assert!(matches!(error, Error::Incomplete { points: 10, .. }), "{error}");
        indexer.finish_load(&collection).await.unwrap();
        assert_eq!(
            service.search(&collection, best(4)).await.unwrap()[0].id,
            9.into()
        );

        indexer.upsert(&collection, points(10..20, 4)).await.unwrap();
        assert_eq!(
            service.search(&collection, best(4)).await.unwrap()[0].id,
            19.into()
        );
        let state = |store: Arc<dyn VectorStore>| {
            let collection = collection.clone();
            async move { store.collection(&collection).await.unwrap().state }
        };
        assert_eq!(state(Arc::clone(&indexer)).await, CollectionState::Loading);
        assert_eq!(state(Arc::clone(&service)).await, CollectionState::Incomplete);
        assert!(service.collection(&collection).await.unwrap().searchable);
        assert_eq!(indexer.finish_load(&collection).await.unwrap(), 20);
        assert_eq!(state(Arc::clone(&service)).await, CollectionState::Complete);

        // The first to finish ends the load of both; the next write of the other begins one anew.
        indexer.upsert(&collection, points(20..21, 4)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        service.upsert(&collection, points(21..22, 4)).await.unwrap();
        service.finish_load(&collection).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        indexer.upsert(&collection, points(22..23, 4)).await.unwrap();
        assert_eq!(state(Arc::clone(&indexer)).await, CollectionState::Loading);
        assert_eq!(indexer.finish_load(&collection).await.unwrap(), 23);
    })
    .await;
}

/// Short codes are built when a load is finished, survive a second load, and leave exact searches exact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_codes_find_nearly_everything() {
    for (quantization, least) in [(Quantization::Scalar, 0.97), (Quantization::Binary, 0.9)] {
        with_server(async move |place: Arc<Server>| {
            let mut options = place.0.clone();
            options.layout.quantization = quantization;
            let store = QdrantVectorStore::connect(&options).await.unwrap();
            let collection = name("codes");
            let spec = CollectionSpec::new([VectorSpec::graph("v", 256)]);
            store.create_collection(&collection, &spec).await.unwrap();
            let vectors = like_embeddings(30_030, 256);
            let batch = |ids: std::ops::Range<usize>| -> Vec<Point> {
                ids.map(|id| Point::new(id as u64, [("v", vectors[id].clone())]))
                    .collect()
            };
            for first in (0..30_000).step_by(1000) {
                store
                    .upsert(&collection, batch(first..first + 1000))
                    .await
                    .unwrap();
            }
            assert_eq!(store.finish_load(&collection).await.unwrap(), 30_000);
            store.upsert(&collection, batch(30_000..30_010)).await.unwrap();
            assert_eq!(store.finish_load(&collection).await.unwrap(), 30_010);
            let mut found = 0;
            for query in &vectors[30_010..] {
                let exact = SearchRequest::new("v", query.clone(), 10);
                let wanted = store.search(&collection, exact.clone()).await.unwrap();
                let PointId::Number(best) = wanted[0].id else {
                    panic!("points have numbers here")
                };
                let score: f32 = query
                    .iter()
                    .zip(&vectors[best as usize])
                    .map(|(x, y)| x * y)
                    .sum();
                assert!(
                    (wanted[0].score - score).abs() < 1e-5,
                    "an exact score is not one of codes"
                );
                let hits = store.search(&collection, exact.approximate()).await.unwrap();
                found += hits
                    .iter()
                    .filter(|hit| wanted.iter().any(|other| other.id == hit.id))
                    .count();
            }
            let recall = f64::from(u32::try_from(found).unwrap()) / 200.0;
            println!("{quantization:?}: recall {recall} of 10");
            assert!(recall >= least, "{quantization:?}: {recall}");
        })
        .await;
    }
}

/// A collection of another program is neither used nor overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_collection_is_left_alone() {
    with_server(async |place: Arc<Server>| {
        let client = qdrant_client::Qdrant::from_url(&place.0.url)
            .skip_compatibility_check()
            .build()
            .unwrap();
        let theirs = format!("{}theirs", place.0.prefix);
        let vectors =
            qdrant_client::qdrant::VectorParamsBuilder::new(4, qdrant_client::qdrant::Distance::Dot);
        let request = qdrant_client::qdrant::CreateCollectionBuilder::new(theirs).vectors_config(vectors);
        if client.create_collection(request).await.is_err() {
            eprintln!("skipped: this server asks for a key or a certificate");
            return;
        }
        let store = place.open().await.unwrap();
        let spec = CollectionSpec::new([VectorSpec::flat("v", 4)]);
        for error in [
            store.create_collection(&name("theirs"), &spec).await.unwrap_err(),
            store.upsert(&name("theirs"), points(0..1, 4)).await.unwrap_err(),
            store.search(&name("theirs"), best(4)).await.unwrap_err(),
        ] {
            assert!(
                error.is_conflict() && error.to_string().contains("prefix"),
                "{error}"
            );
        }
    })
    .await;
}

/// A wrong key is told at once, with the setting that holds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused() {
    let Some(mut options) = server() else { return };
    if options.api_key.is_none() {
        eprintln!("skipped: GEOSURGE_TEST_QDRANT_API_KEY is not set, so the server takes every key");
        return;
    }
    for key in [Some(ApiKey::new("wrong").unwrap()), None] {
        options.api_key = key;
        let error = QdrantVectorStore::connect(&options).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(error.to_string().contains("GEOSURGE_QDRANT_API_KEY"), "{error}");
    }
}

/// A certificate of an unknown authority is refused, and the remedy told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_authority_is_refused() {
    let Some(mut options) = server() else { return };
    if options.ca_file.take().is_none() {
        eprintln!("skipped: GEOSURGE_TEST_QDRANT_CA_FILE is not set");
        return;
    }
    let error = QdrantVectorStore::connect(&options).await.unwrap_err();
    assert!(
        matches!(error, Error::Invalid(_)) && error.to_string().contains("ca_file"),
        "{error}"
    );
}
