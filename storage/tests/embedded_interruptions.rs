//! What the embedded vector store does when its process is killed, its place cannot be written, or its files are damaged.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use geosurge_storage::{
    CollectionName, CollectionSpec, CollectionState, EmbeddedVectorStore, Error, Point, PointId,
    SearchRequest, VectorSpec, VectorStore,
};

const DIRECTORY: &str = "GEOSURGE_TEST_VECTORS";
const BATCH: u64 = 100;

fn name() -> CollectionName {
    CollectionName::new("loaded").unwrap()
}

fn batch(first: u64) -> Vec<Point> {
    (first..first + BATCH)
        .map(|id| Point::new(id, [("v", vec![id as f32; 16])]))
        .collect()
}

fn search() -> SearchRequest {
    SearchRequest::new("v", vec![1.0; 16], 1)
}

/// Not a test by itself: the process that others start and kill. It loads for ever and counts its batches in a file.
#[tokio::test]
#[ignore = "started by other tests"]
async fn load_until_killed() {
    let Some(dir) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let dir = Path::new(&dir);
    let store = EmbeddedVectorStore::open(dir.join("vectors")).await.unwrap();
    store
        .create_collection(&name(), &CollectionSpec::new([VectorSpec::flat("v", 16)]))
        .await
        .unwrap();
    for number in 0.. {
        store.upsert(&name(), batch(number * BATCH)).await.unwrap();
        fs_err::write(dir.join("progress.new"), format!("{}", number + 1)).unwrap();
        fs_err::rename(dir.join("progress.new"), dir.join("progress")).unwrap();
    }
}

fn start_loading(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "load_until_killed", "--ignored"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn batches_done(dir: &Path) -> u64 {
    fs_err::read_to_string(dir.join("progress")).map_or(0, |text| text.parse().unwrap())
}

async fn wait_for_batches(dir: &Path, batches: u64) {
    let started = Instant::now();
    while batches_done(dir) < batches {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the loading process does not progress"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_killed_load_keeps_its_batches_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start_loading(dir.path());
    wait_for_batches(dir.path(), 5).await;

    let error = EmbeddedVectorStore::open(dir.path().join("vectors"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert!(
        error.to_string().contains(&format!("process {}", child.id())),
        "{error}"
    );

    child.kill().unwrap();
    child.wait().unwrap();
    let done = batches_done(dir.path());

    let store = EmbeddedVectorStore::open(dir.path().join("vectors"))
        .await
        .unwrap();
    let info = store.collection(&name()).await.unwrap();
    assert_eq!(info.state, CollectionState::Incomplete);
    assert!(
        info.points >= done * BATCH,
        "{} of {} points",
        info.points,
        done * BATCH
    );
    assert!(matches!(
        store.search(&name(), search()).await,
        Err(Error::Incomplete { .. })
    ));

    let ids: Vec<PointId> = (0..done * BATCH).map(PointId::Number).collect();
    let kept = store.get(&name(), &ids, true).await.unwrap();
    assert_eq!(kept.len(), ids.len());
    for point in kept {
        let PointId::Number(id) = point.id else {
            unreachable!("only numbers were written")
        };
        assert_eq!(point.vectors["v"], vec![id as f32; 16]);
    }
    let all = done + 3;
    for number in 0..all {
        store.upsert(&name(), batch(number * BATCH)).await.unwrap();
    }
    assert_eq!(store.finish_load(&name()).await.unwrap(), all * BATCH);
    let best = store.search(&name(), search()).await.unwrap();
    assert_eq!(best[0].id, (all * BATCH - 1).into());
}

/// A kill while indexes are built can leave points in two segments: the shard is rebuilt, with each point once.
#[tokio::test]
async fn an_interrupted_optimisation_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let vectors = dir.path().join("vectors");
    {
        let store = EmbeddedVectorStore::open(&vectors).await.unwrap();
        store
            .create_collection(&name(), &CollectionSpec::new([VectorSpec::flat("v", 16)]))
            .await
            .unwrap();
        for number in 0..15 {
            store.upsert(&name(), batch(number * BATCH)).await.unwrap();
        }
        store.finish_load(&name()).await.unwrap();
    }
    let collection = vectors.join(name().as_str());
    double_segments(&collection.join("shard/segments"));
    let manifest = collection.join("collection.json");
    let text = fs_err::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"complete\""));
    fs_err::write(&manifest, text.replace("\"complete\"", "\"optimizing\"")).unwrap();

    let store = EmbeddedVectorStore::open(&vectors).await.unwrap();
    let info = store.collection(&name()).await.unwrap();
    assert_eq!((info.state, info.points), (CollectionState::Incomplete, 1500));
    assert_eq!(store.finish_load(&name()).await.unwrap(), 1500);
    assert_eq!(store.search(&name(), search()).await.unwrap()[0].id, 1499.into());
    store.upsert(&name(), batch(1500)).await.unwrap();
    assert_eq!(store.finish_load(&name()).await.unwrap(), 1600);
}

/// Copies each segment's directory beside itself.
fn double_segments(segments: &Path) {
    let originals: Vec<_> = fs_err::read_dir(segments)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for (number, original) in originals.iter().enumerate() {
        copy(
            original,
            &segments.join(format!("00000000-0000-4000-8000-{number:012}")),
        );
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs_err::create_dir(to).unwrap();
        for entry in fs_err::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs_err::copy(from, to).unwrap();
    }
}

/// Points that vanished behind the manifest's back are noticed.
#[tokio::test]
async fn a_count_that_is_not_the_manifests_is_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = EmbeddedVectorStore::open(dir.path()).await.unwrap();
        store
            .create_collection(&name(), &CollectionSpec::new([VectorSpec::flat("v", 16)]))
            .await
            .unwrap();
        store.upsert(&name(), batch(0)).await.unwrap();
        store.finish_load(&name()).await.unwrap();
    }
    let manifest = dir.path().join(name().as_str()).join("collection.json");
    let text = fs_err::read_to_string(&manifest).unwrap();
    fs_err::write(&manifest, text.replace("\"points\": 100", "\"points\": 101")).unwrap();
    let store = EmbeddedVectorStore::open(dir.path()).await.unwrap();
    assert_eq!(
        store.collection(&name()).await.unwrap().state,
        CollectionState::Incomplete
    );
}

/// What an interrupted creation or deletion left is cleared, and is no collection.
#[tokio::test]
async fn leftovers_are_cleared() {
    let dir = tempfile::tempdir().unwrap();
    for leftover in [".new-loaded", ".old-loaded"] {
        fs_err::create_dir_all(dir.path().join(leftover).join("shard/segments")).unwrap();
    }
    let store = EmbeddedVectorStore::open(dir.path()).await.unwrap();
    assert!(store.list_collections().await.unwrap().is_empty());
    assert!(!dir.path().join(".new-loaded").exists() && !dir.path().join(".old-loaded").exists());
    store
        .create_collection(&name(), &CollectionSpec::new([VectorSpec::flat("v", 16)]))
        .await
        .unwrap();
    assert_eq!(store.list_collections().await.unwrap(), [name()]);
}

#[tokio::test]
async fn damaged_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = EmbeddedVectorStore::open(dir.path()).await.unwrap();
        store
            .create_collection(&name(), &CollectionSpec::new([VectorSpec::flat("v", 16)]))
            .await
            .unwrap();
        store.upsert(&name(), batch(0)).await.unwrap();
        store.finish_load(&name()).await.unwrap();
    }
    let collection = dir.path().join(name().as_str());
    let segments = collection.join("shard/segments");
    for segment in fs_err::read_dir(&segments).unwrap() {
        fs_err::write(segment.unwrap().path().join("segment.json"), "{").unwrap();
    }
    let store = EmbeddedVectorStore::open(dir.path()).await.unwrap();
    let error = store.collection(&name()).await.unwrap_err();
    assert!(
        matches!(error, Error::Corrupt { .. }) && error.to_string().contains("loaded"),
        "{error}"
    );

    fs_err::write(collection.join("collection.json"), "").unwrap();
    let error = store.count(&name(), None).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("collection.json"), "{error}");
    store.drop_collection(&name()).await.unwrap();
    assert!(store.list_collections().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs_err::write(&file, "").unwrap();
    let error = EmbeddedVectorStore::open(file.join("vectors")).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}
