//! Reference images added to and removed from a built release, and what a kill between two steps leaves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::{House, World};
use datasets::{Dataset, DecodeLimits, Photo};
use geocells::LatLng;
use geosurge_indexer::references::{AddOptions, Added, add, remove, settle};
use geosurge_indexer::{Error, reconcile, silent};
use retrieval::{Checkpoints, LocalizeOptions, Localizer, references};
use serde_json::json;
use storage::{AuditEntry, AuditFilter, CollectionName, CollectionState, ReleaseId};
use uuid::Uuid;

/// A photo that the gallery does not have, written beside it.
fn new_photo(world: &World, folder: &std::path::Path, index: usize) -> (PathBuf, LatLng) {
    let path = folder.join(format!("new-{index}.png"));
    world.held_out[index].save(&path).unwrap();
    // The middle of a finest geocell, so that answers can lead to it.
    (path, world.hierarchy.finest().cells()[index].location)
}

async fn options(house: &House, localizer: &Localizer, copy: bool) -> AddOptions {
    AddOptions {
        encoder: localizer.encoder(),
        hierarchy: Arc::new(localizer.searcher().model().cells.hierarchy().clone()),
        photos: house.photos(),
        copy,
        batch: 8,
        limits: DecodeLimits::default(),
        actor: Some("test".into()),
    }
}

async fn add_photos(house: &House, release: &ReleaseId, photos: Vec<Photo>, copy: bool) -> Added {
    let localizer = house.open(Some(release)).await.unwrap();
    let options = options(house, &localizer, copy).await;
    let never = AtomicBool::new(false);
    let dataset = Dataset::new("", photos);
    add(
        release,
        &dataset,
        house.store.as_ref(),
        house.catalog.as_ref(),
        &options,
        &silent,
        &never,
    )
    .await
    .unwrap()
}

async fn points(house: &House, release: &ReleaseId) -> u64 {
    let collection = CollectionName::references(release);
    let info = house.store.collection(&collection).await.unwrap();
    assert_eq!(info.state, CollectionState::Complete);
    assert_eq!(
        info.points,
        house.catalog.counts(release).await.unwrap().reference_images
    );
    info.points
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_added_photo_supports_the_next_answer_and_a_removed_one_no_answer() {
    let world = World::shared();
    let house = House::new().await;
    let release = house.build(world, "growing").await;
    house.activate(&release).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    // Opened before the change, as by a running service.
    let running = house.open(None).await.unwrap();
    let query = || async {
        let asked = vec![world.held_out[0].clone().into()];
        let options = LocalizeOptions {
            references: 50,
            ..LocalizeOptions::default()
        };
        running.localize(asked, &options).await.unwrap().remove(0)
    };
    let winning = query().await.candidates[0].location;
    let (path, _) = new_photo(world, elsewhere.path(), 0);
    let before = points(&house, &release).await;

    let photo = Photo::new(&path, winning);
    let added = add_photos(&house, &release, vec![photo.clone()], true).await;
    let [id] = added.added[..] else {
        panic!("{added:?}")
    };
    assert_eq!(points(&house, &release).await, before + 1);
    let answer = query().await;
    assert_eq!(answer.references[0].id, id);
    assert!(answer.references[0].likeness > 0.999);
    let row = house
        .catalog
        .reference_images(&release, &[id])
        .await
        .unwrap()
        .remove(0);
    let copy = PathBuf::from(&row.path);
    assert!(copy.starts_with(house.photos()) && copy.is_file());

    // The same bytes again are a duplicate, wherever they are said to have been taken.
    let mut again = photo.clone();
    again.location = LatLng::new(-10.0, 10.0).unwrap();
    let twice = add_photos(&house, &release, vec![again.clone(), again], true).await;
    assert!(twice.added.is_empty());
    assert_eq!(twice.duplicates.len(), 2);
    assert!(
        twice
            .duplicates
            .iter()
            .all(|duplicate| duplicate.of == id && duplicate.apart_km > 1.0)
    );
    assert!(copy.is_file());

    let (store, catalog) = (house.store.as_ref(), house.catalog.as_ref());
    let unknown = Uuid::from_u128(7);
    let removed = remove(
        &release,
        &[id, unknown, id],
        Some("test"),
        &house.photos(),
        store,
        catalog,
    )
    .await
    .unwrap();
    assert_eq!((removed.removed, removed.unknown), (vec![id], vec![unknown]));
    assert_eq!(points(&house, &release).await, before);
    assert!(
        query()
            .await
            .references
            .iter()
            .all(|reference| reference.id != id)
    );
    assert!(!copy.exists() && path.exists(), "copies go, originals stay");
    let log = catalog.audit(&AuditFilter::default(), None, 10).await.unwrap();
    let actions: Vec<&str> = log.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "references.removed",
            "references.remove",
            "references.add",
            "release.activate"
        ]
    );
    assert!(
        log[..3]
            .iter()
            .all(|entry| entry.actor.as_deref() == Some("test"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_photos_are_told_and_leave_no_copy() {
    let world = World::shared();
    let house = House::new().await;
    let release = house.build(world, "bad").await;
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.jpg");
    fs_err::write(&broken, b"no image").unwrap();
    let (good, place) = new_photo(world, folder.path(), 1);
    let absent = folder.path().join("absent.jpg");
    let photos = [&broken, &absent, &good]
        .map(|path| Photo::new(path, place))
        .to_vec();
    let added = add_photos(&house, &release, photos, true).await;
    assert_eq!((added.added.len(), added.skipped.len()), (1, 2), "{added:?}");
    let copies = fs_err::read_dir(house.photos().join("bad")).unwrap().count();
    assert_eq!(copies, 1);

    let (store, catalog) = (house.store.as_ref(), house.catalog.as_ref());
    let all = catalog.list_reference_images(&release, None, 1000).await.unwrap();
    let all: Vec<Uuid> = all.iter().map(|image| image.id).collect();
    let error = remove(&release, &all, None, &house.photos(), store, catalog)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no reference image left"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_was_begun_is_finished_at_the_next_start() {
    let world = World::shared();
    let mut house = House::new().await;
    let release = house.build(world, "killed").await;
    house.activate(&release).await.unwrap();
    let before = points(&house, &release).await;
    let images = house
        .catalog
        .list_reference_images(&release, None, 4)
        .await
        .unwrap();
    let ids: Vec<Uuid> = images.iter().map(|image| image.id).collect();
    let collection = CollectionName::references(&release);
    for gone in [0, 1, 2] {
        // Killed after the intent was written, after some vectors went, and after all of them did.
        let intent = AuditEntry::new(
            "references.remove",
            "release killed",
            json!({ "ids": [ids[gone]] }),
        );
        house.catalog.record_audit(&intent).await.unwrap();
        if gone > 0 {
            house
                .store
                .delete(&collection, &[ids[gone].into()])
                .await
                .unwrap();
        }
        if gone > 1 {
            house.store.finish_load(&collection).await.unwrap();
        }
        house.reopen().await;
        reconcile(
            &house.photos(),
            house.store.as_ref(),
            house.catalog.as_ref(),
            &Checkpoints::default(),
        )
        .await
        .unwrap();
        assert_eq!(points(&house, &release).await, before - gone as u64 - 1);
        house.open(None).await.unwrap();
    }
    let left = house.catalog.reference_images(&release, &ids).await.unwrap();
    assert_eq!(left.iter().map(|image| image.id).collect::<Vec<_>>(), [ids[3]]);
    let (store, catalog) = (house.store.as_ref(), house.catalog.as_ref());
    let nothing = settle(&release, &house.photos(), store, catalog).await.unwrap();
    assert_eq!(nothing.deletions + nothing.vectors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_addition_loses_only_what_was_not_recorded() {
    let world = World::shared();
    let mut house = House::new().await;
    let release = house.build(world, "half").await;
    house.activate(&release).await.unwrap();
    let before = points(&house, &release).await;
    // Killed after the vector was written and before its record.
    let collection = CollectionName::references(&release);
    let mut image = house
        .catalog
        .list_reference_images(&release, None, 1)
        .await
        .unwrap()
        .remove(0);
    image.id = Uuid::from_u128(99);
    let dimension = house.catalog.release(&release).await.unwrap().embedding_dimension;
    let mut vector = vec![0.0; dimension];
    vector[0] = 1.0;
    let point = references::point(&image, &[], vector);
    house.store.upsert(&collection, vec![point]).await.unwrap();
    fs_err::create_dir_all(house.photos().join("half")).unwrap();
    fs_err::write(
        house.photos().join("half").join("00ff.jpg"),
        b"copy without a record",
    )
    .unwrap();
    house.reopen().await;
    assert!(
        house.open(None).await.is_err(),
        "an interrupted load must not answer"
    );
    let (store, catalog) = (house.store.as_ref(), house.catalog.as_ref());
    let settled = settle(&release, &house.photos(), store, catalog).await.unwrap();
    assert_eq!((settled.deletions, settled.vectors), (0, 1));
    assert_eq!(points(&house, &release).await, before);
    assert!(!house.photos().join("half").join("00ff.jpg").exists());
    house.open(None).await.unwrap();

    // Vectors that were lost are damage, and are not papered over.
    let lost = house
        .catalog
        .list_reference_images(&release, None, 1)
        .await
        .unwrap()[0]
        .id;
    house.store.delete(&collection, &[lost.into()]).await.unwrap();
    let error = settle(&release, &house.photos(), store, catalog)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotWhole { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_built_release_grows_and_only_one_change_at_a_time() {
    let world = World::shared();
    let house = House::new().await;
    let release = house.build(world, "one").await;
    let (store, catalog) = (house.store.as_ref(), house.catalog.as_ref());
    let hold = catalog.hold(&release).await.unwrap();
    let refused = remove(&release, &[Uuid::nil()], None, &house.photos(), store, catalog)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::Storage(storage::Error::Held { .. })),
        "{refused}"
    );
    drop(hold);
    let unknown = ReleaseId::new("absent").unwrap();
    let error = remove(&unknown, &[Uuid::nil()], None, &house.photos(), store, catalog)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Storage(storage::Error::NotFound { .. })),
        "{error}"
    );
}
