//! The server backend against a fake server in this process: the conformance suite, and failures on demand.
#![allow(clippy::unwrap_used, reason = "tests")]

mod qdrant_fake;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use geosurge_storage::conformance::vector_store::VectorStorePlace;
use geosurge_storage::qdrant::ApiKey;
use geosurge_storage::{
    CollectionName, CollectionSpec, CollectionState, Error, FieldKind, Point, QdrantVectorStore, Result,
    SearchRequest, VectorSpec, VectorStore,
};
use qdrant_fake::Fake;
use tonic::Code;

struct FakeServer(Fake);

impl FakeServer {
    async fn new() -> Self {
        Self(Fake::start().await)
    }
}

#[async_trait]
impl VectorStorePlace for FakeServer {
    async fn open(&self) -> Result<Arc<dyn VectorStore>> {
        Ok(Arc::new(QdrantVectorStore::connect(&self.0.options()).await?))
    }

    fn is_exclusive(&self) -> bool {
        false
    }
}

geosurge_storage::vector_store_conformance!(FakeServer::new().await);

fn name() -> CollectionName {
    CollectionName::new("loaded").unwrap()
}

fn spec() -> CollectionSpec {
    CollectionSpec::new([VectorSpec::flat("v", 4)]).with_index("token", FieldKind::Keyword)
}

fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
    ids.map(|id| Point::new(id, [("v", vec![id as f32; 4])]))
        .collect()
}

fn search() -> SearchRequest {
    SearchRequest::new("v", vec![1.0; 4], 1)
}

async fn open(fake: &Fake) -> QdrantVectorStore {
    QdrantVectorStore::connect(&fake.options()).await.unwrap()
}

#[tokio::test]
async fn a_server_that_comes_back_is_waited_for() {
    let fake = Fake::start().await;
    let store = open(&fake).await;
    store.create_collection(&name(), &spec()).await.unwrap();
    for (path, code) in [
        ("Upsert", Code::Unavailable),
        ("Upsert", Code::Cancelled),
        ("Points/Query", Code::Unavailable),
        ("Points/Count", Code::DeadlineExceeded),
    ] {
        fake.fail(path, code, "restarting");
    }
    store.upsert(&name(), points(0..10)).await.unwrap();
    assert_eq!(fake.calls("Upsert"), 3);
    assert_eq!(store.search(&name(), search()).await.unwrap()[0].id, 9.into());
    assert_eq!(store.finish_load(&name()).await.unwrap(), 10);
}

#[tokio::test]
async fn a_server_that_stays_away_is_an_error_and_the_load_goes_on_later() {
    let fake = Fake::start().await;
    let mut options = fake.options();
    options.retry_writes = Duration::from_millis(300);
    options.retry_reads = Duration::from_millis(300);
    let store = QdrantVectorStore::connect(&options).await.unwrap();
    store.create_collection(&name(), &spec()).await.unwrap();
    store.upsert(&name(), points(0..10)).await.unwrap();
    for _ in 0..30 {
        fake.fail("Upsert", Code::Unavailable, "down");
        fake.fail("Points/Query", Code::Unavailable, "down");
    }
    let started = Instant::now();
    let error = store.upsert(&name(), points(10..20)).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains(&fake.url),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    let state = store.collection(&name()).await.unwrap().state;
    assert_eq!(state, CollectionState::Incomplete);
    let error = store.search(&name(), search()).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { points: 10, .. }), "{error}");

    let again = open(&fake).await;
    while again.upsert(&name(), points(10..20)).await.is_err() {}
    assert_eq!(again.finish_load(&name()).await.unwrap(), 20);
    assert_eq!(store.collection(&name()).await.unwrap().points, 20);
}

#[tokio::test]
async fn lost_answers_do_no_harm() {
    let fake = Fake::start().await;
    let store = open(&fake).await;
    for path in [
        "Collections/Create",
        "CreateFieldIndex",
        "Upsert",
        "Points/Delete",
        "Collections/Update",
        "UpdateAliases",
        "Collections/Delete",
    ] {
        fake.lose_answer(path);
    }
    store.create_collection(&name(), &spec()).await.unwrap();
    store.upsert(&name(), points(0..10)).await.unwrap();
    store.delete(&name(), &[9.into()]).await.unwrap();
    assert_eq!(store.finish_load(&name()).await.unwrap(), 9);
    let alias = CollectionName::active_references();
    store.set_aliases(&[(alias.clone(), name())]).await.unwrap();
    assert_eq!(store.search(&alias, search()).await.unwrap()[0].id, 8.into());
    store.remove_aliases(&[alias]).await.unwrap();
    store.drop_collection(&name()).await.unwrap();
    assert!(store.list_collections().await.unwrap().is_empty());
}

/// A creation that was killed between the collection and its indexes is completed by the next.
#[tokio::test]
async fn an_interrupted_creation_is_completed() {
    let fake = Fake::start().await;
    fake.fail("CreateFieldIndex", Code::InvalidArgument, "killed");
    let error = open(&fake)
        .await
        .create_collection(&name(), &spec())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("killed"), "{error}");
    let store = open(&fake).await;
    store.create_collection(&name(), &spec()).await.unwrap();
    assert_eq!(fake.calls("CreateFieldIndex"), 2);
    store.create_collection(&name(), &spec()).await.unwrap();
    assert_eq!(fake.calls("CreateFieldIndex"), 2, "the index is there");
}

#[tokio::test]
async fn errors_that_stay_are_told_at_once() {
    let fake = Fake::start().await;
    let store = open(&fake).await;
    store.create_collection(&name(), &spec()).await.unwrap();
    fake.fail(
        "Upsert",
        Code::Internal,
        "Service internal error: No space left on device: WAL buffer size",
    );
    let error = store.upsert(&name(), points(0..10)).await.unwrap_err();
    assert!(
        matches!(error, Error::DiskFull { .. }) && error.to_string().contains(&fake.url),
        "{error}"
    );
    fake.fail("Upsert", Code::PermissionDenied, "Forbidden: read-only");
    let error = store.upsert(&name(), points(0..10)).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert_eq!(fake.calls("Upsert"), 2);
}

#[tokio::test]
async fn old_servers_and_wrong_keys_are_refused_when_connecting() {
    let fake = Fake::start().await;
    fake.set_version("1.15.4");
    let error = QdrantVectorStore::connect(&fake.options()).await.unwrap_err();
    assert!(
        matches!(error, Error::Incompatible(_)) && error.to_string().contains("1.15.4"),
        "{error}"
    );
    fake.set_version("1.19.0");
    fake.set_key("right");
    let mut options = fake.options();
    for key in [None, Some("wrong")] {
        options.api_key = key.map(|key| ApiKey::new(key).unwrap());
        let error = QdrantVectorStore::connect(&options).await.unwrap_err();
        assert!(error.to_string().contains("GEOSURGE_QDRANT_API_KEY"), "{error}");
        assert!(
            matches!(error, Error::Denied { .. }) && !error.to_string().contains("wrong"),
            "{error}"
        );
    }
    options.api_key = Some(ApiKey::new("right").unwrap());
    assert_eq!(
        QdrantVectorStore::connect(&options)
            .await
            .unwrap()
            .health()
            .await
            .unwrap()
            .engine,
        "qdrant 1.19.0"
    );
}

/// Two installations share a server, each with its own prefix.
#[tokio::test]
async fn prefixes_keep_installations_apart() {
    let fake = Fake::start().await;
    let mut options = fake.options();
    options.prefix = "first_".into();
    let first = QdrantVectorStore::connect(&options).await.unwrap();
    options.prefix = "second_".into();
    let second = QdrantVectorStore::connect(&options).await.unwrap();
    for (store, last) in [(&first, 5), (&second, 7)] {
        store.create_collection(&name(), &spec()).await.unwrap();
        store.upsert(&name(), points(0..last)).await.unwrap();
        store.finish_load(&name()).await.unwrap();
        store
            .set_aliases(&[(CollectionName::active_level(0), name())])
            .await
            .unwrap();
    }
    for (store, count) in [(&first, 5), (&second, 7)] {
        assert_eq!(store.list_collections().await.unwrap(), [name()]);
        assert_eq!(
            store.aliases().await.unwrap(),
            [(CollectionName::active_level(0), name())]
        );
        assert_eq!(
            store.count(&CollectionName::active_level(0), None).await.unwrap(),
            count
        );
    }
    let error = first
        .count(&CollectionName::new("missing").unwrap(), None)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "collection missing does not exist");
}

/// Points that vanished, e.g. with an old snapshot, are noticed, and a load mends it.
#[tokio::test]
async fn lost_points_are_noticed() {
    let fake = Fake::start().await;
    let store = open(&fake).await;
    store.create_collection(&name(), &spec()).await.unwrap();
    store.upsert(&name(), points(0..10)).await.unwrap();
    store.finish_load(&name()).await.unwrap();
    fake.lose_points("loaded", 2);
    let info = store.collection(&name()).await.unwrap();
    assert_eq!((info.state, info.points), (CollectionState::Incomplete, 8));
    store.upsert(&name(), points(0..10)).await.unwrap();
    assert_eq!(store.finish_load(&name()).await.unwrap(), 10);
    assert_eq!(
        store.collection(&name()).await.unwrap().state,
        CollectionState::Complete
    );
}

/// A batch larger than a message goes in pieces, and many searches in few messages.
#[tokio::test]
async fn large_batches_are_split() {
    let fake = Fake::start().await;
    let store = open(&fake).await;
    let spec = CollectionSpec::new([VectorSpec::flat("v", 4096)]);
    store.create_collection(&name(), &spec).await.unwrap();
    let points = (0..1200).map(|id| Point::new(id, [("v", vec![id as f32; 4096])]));
    store.upsert(&name(), points.collect()).await.unwrap();
    assert_eq!(fake.calls("Upsert"), 3);
    assert_eq!(store.finish_load(&name()).await.unwrap(), 1200);

    let few = CollectionName::new("few").unwrap();
    store.create_collection(&few, &self::spec()).await.unwrap();
    store.upsert(&few, self::points(0..10)).await.unwrap();
    let answers = store.search_many(&few, vec![search(); 130]).await.unwrap();
    assert!(answers.len() == 130 && answers.iter().all(|hits| hits[0].id == 9.into()));
    assert_eq!(fake.calls("Points/QueryBatch"), 3);
}

/// An authority of its own, and what it signed for `localhost`: the authority's certificate, the server's, and its key.
fn authority() -> (String, String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    (certificate, server.pem(), server_key.serialize_pem())
}

/// With `https` the server must show a certificate of a trusted authority, before the key is sent.
#[tokio::test]
async fn a_server_behind_tls_is_trusted_by_its_authority_alone() {
    let (certificate, server, key) = authority();
    let fake = Fake::start_tls(&server, &key).await;
    fake.set_key("right");
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    let mut options = fake.options();
    options.api_key = Some(ApiKey::new("right").unwrap());

    let error = QdrantVectorStore::connect(&options).await.unwrap_err();
    assert!(error.to_string().contains("is not trusted"), "{error}");
    fs_err::write(&ca_file, authority().0).unwrap();
    options.ca_file = Some(ca_file.clone());
    let error = QdrantVectorStore::connect(&options).await.unwrap_err();
    assert!(error.to_string().contains("is not trusted"), "{error}");
    assert_eq!(fake.calls(""), 0);

    fs_err::write(&ca_file, certificate).unwrap();
    let store = QdrantVectorStore::connect(&options).await.unwrap();
    store.create_collection(&name(), &spec()).await.unwrap();
    store.upsert(&name(), points(0..10)).await.unwrap();
    assert_eq!(store.finish_load(&name()).await.unwrap(), 10);
    assert_eq!(store.search(&name(), search()).await.unwrap()[0].id, 9.into());

    // Spoken to without encryption, it does not answer.
    let mut plain = options.clone();
    plain.url = options.url.replace("https", "http");
    plain.ca_file = None;
    plain.retry_reads = Duration::from_millis(100);
    QdrantVectorStore::connect(&plain).await.unwrap_err();
}
