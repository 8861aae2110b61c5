//! Checkpoints in object stores: a folder as `file://`, and a server that speaks the part of S3 that is used.
#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use geosurge_retrieval::{Checkpoints, Error};
use models::Checkpoint;
use storage::{Release, ReleaseId, ReleaseStatus};
use tempfile::TempDir;

/// The checkpoint of version 1 that every later version must open.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/checkpoint-v1")
}

/// A copy of it, to be damaged.
fn copy_of_fixture(folder: &Path) -> PathBuf {
    let target = folder.join("run/checkpoint");
    copy(&fixture(), &target);
    target
}

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}

fn release(checkpoint: &Checkpoint, location: &str) -> Release {
    Release {
        id: ReleaseId::new("r").unwrap(),
        status: ReleaseStatus::Ready,
        checkpoint_id: checkpoint.id().to_owned(),
        checkpoint_path: location.to_owned(),
        embedding_dimension: 1,
        levels: 1,
        dataset_digest: String::new(),
        store: serde_json::Value::Null,
        counts: None,
        message: None,
        created_at: Utc::now(),
        ready_at: None,
        activated_at: None,
    }
}

fn left_behind(cache: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(cache).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Serves a folder as the buckets of an S3 service, and counts what is asked.
async fn serve(root: PathBuf) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move |uri: Uri| {
        let (root, count) = (root.clone(), count.clone());
        async move {
            count.fetch_add(1, Ordering::Relaxed);
            object(&root, uri.path())
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), asked)
}

fn object(root: &Path, path: &str) -> Response {
    let Ok(bytes) = fs_err::read(root.join(path.trim_start_matches('/'))) else {
        let body =
            "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>";
        return (StatusCode::NOT_FOUND, body).into_response();
    };
    let headers = [
        (header::ETAG, "\"1\""),
        (header::LAST_MODIFIED, "Wed, 01 Jan 2025 00:00:00 GMT"),
    ];
    (headers, bytes).into_response()
}

fn s3_options(endpoint: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_in_a_bucket_is_fetched_once_and_is_the_same() {
    let folder = TempDir::new().unwrap();
    copy_of_fixture(&folder.path().join("bucket"));
    let cache = folder.path().join("cache");
    let (endpoint, asked) = serve(folder.path().to_owned()).await;
    let checkpoints = Checkpoints::new(&cache, s3_options(&endpoint));
    let location = "s3://bucket/run/checkpoint";

    // Many at once: all get it, and nothing is left half done.
    let opened = futures::future::join_all((0..6).map(|_| checkpoints.open(location))).await;
    let original = Checkpoint::open(&fixture()).unwrap();
    for checkpoint in opened {
        let checkpoint = checkpoint.unwrap();
        assert_eq!(checkpoint.id(), original.id());
        assert_eq!(checkpoint.directory(), cache.join(original.id()));
    }
    assert_eq!(left_behind(&cache), [original.id()]);

    // A release's checkpoint is opened from the copy, also when the object store is away.
    let before = asked.load(Ordering::Relaxed);
    let recorded = release(&original, location);
    checkpoints.of_release(&recorded).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), before);

    // A damaged copy is fetched again; a removed one too.
    fs_err::write(cache.join(original.id()).join("config.json"), b"{}").unwrap();
    checkpoints.of_release(&recorded).await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > before);
    assert!(checkpoints.forget(original.id()).await.unwrap());
    assert!(!checkpoints.forget(original.id()).await.unwrap());
    assert!(left_behind(&cache).is_empty());
    checkpoints.of_release(&recorded).await.unwrap();

    let absent = checkpoints.open("s3://bucket/nothing").await.unwrap_err();
    assert!(
        matches!(&absent, Error::Fetch { url, .. } if url == "s3://bucket/nothing/checksums.json"),
        "{absent}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_changed_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let remote = copy_of_fixture(folder.path());
    let cache = folder.path().join("cache");
    let checkpoints = Checkpoints::new(&cache, []);
    let location = format!("file://{}", remote.display());
    let original = Checkpoint::open(&fixture()).unwrap();

    let weights = remote.join("model.safetensors");
    let mut bytes = fs_err::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs_err::write(&weights, &bytes).unwrap();
    let error = checkpoints.open(&location).await.unwrap_err();
    assert!(
        matches!(&error, Error::FetchedFile { url, .. } if url.ends_with("/model.safetensors")),
        "{error}"
    );
    assert!(
        error.to_string().contains("upload the checkpoint again"),
        "{error}"
    );
    assert!(left_behind(&cache).is_empty());

    bytes[last] ^= 1;
    fs_err::write(&weights, &bytes).unwrap();
    let opened = checkpoints.open(&location).await.unwrap();
    assert_eq!(opened.id(), original.id());

    // What a killed process left is swept by the next fetch.
    checkpoints.forget(original.id()).await.unwrap();
    let abandoned = cache.join(".fetch-abandoned");
    fs_err::create_dir_all(abandoned.join("new")).unwrap();
    fs_err::write(abandoned.join("lock"), b"").unwrap();
    checkpoints.open(&location).await.unwrap();
    assert_eq!(left_behind(&cache), [original.id()]);

    // A list that leads out of the cache is refused.
    let list = remote.join("checksums.json");
    let text = fs_err::read_to_string(&list)
        .unwrap()
        .replace("config.json", "../config.json");
    fs_err::write(&list, text).unwrap();
    let error = checkpoints.open(&location).await.unwrap_err();
    assert!(
        matches!(&error, Error::FetchedFile { reason, .. } if reason.contains("../config.json")),
        "{error}"
    );
}

#[tokio::test]
async fn locations_that_cannot_be_used_are_told() {
    let folder = TempDir::new().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), []);
    let unknown = checkpoints.open("ftp://host/checkpoint").await.unwrap_err();
    assert!(matches!(unknown, Error::CheckpointUrl { .. }), "{unknown}");
    assert!(unknown.to_string().contains("s3://bucket/path"), "{unknown}");
    let local = Checkpoints::default().open("s3://bucket/checkpoint").await;
    assert!(matches!(local, Err(Error::NoCheckpointCache { .. })));
    let folder_only = Checkpoints::default()
        .open(&fixture().to_string_lossy())
        .await
        .unwrap();
    let another = Release {
        checkpoint_id: "0".repeat(16),
        ..release(&folder_only, &fixture().to_string_lossy())
    };
    let mismatch = checkpoints.of_release(&another).await.unwrap_err();
    assert!(matches!(mismatch, Error::CheckpointMismatch { .. }), "{mismatch}");
}
