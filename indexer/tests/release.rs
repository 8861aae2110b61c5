//! A release from a tiny planet and a small untrained model, through the embedded store and SQLite.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{House, World, build_options};
use geosurge_indexer::{BuildReport, Error, Progress, Stage, build_release, list, silent};
use retrieval::{ExactIndex, LocalizeOptions, Photo, to_geojson};
use storage::{CollectionName, Point, ReleaseCounts, ReleaseId, ReleaseStatus};

async fn build(world: &World, house: &House) -> geosurge_indexer::Result<BuildReport> {
    let never = AtomicBool::new(false);
    build_stopping(world, house, &silent, &never).await
}

async fn build_stopping(
    world: &World,
    house: &House,
    progress: &(dyn Fn(&Progress) + Sync),
    cancel: &AtomicBool,
) -> geosurge_indexer::Result<BuildReport> {
    let (store, catalog) = (Arc::clone(&house.store), Arc::clone(&house.catalog));
    build_release(
        &world.checkpoint,
        &world.dataset,
        store,
        catalog,
        &build_options(),
        progress,
        cancel,
    )
    .await
}

fn expected_counts(world: &World) -> ReleaseCounts {
    let geocells = world
        .hierarchy
        .levels()
        .iter()
        .map(|partition| partition.cells().len() as u64)
        .sum();
    ReleaseCounts {
        geocells,
        reference_images: world.dataset.len() as u64,
    }
}

/// The item of the issue: the store's answer equals exact inference in memory on every validation photo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_answers_as_exact_inference_on_every_held_out_photo() {
    let world = World::shared();
    let house = House::new().await;
    let report = build(world, &house).await.unwrap();
    assert_eq!(report.release.status, ReleaseStatus::Ready);
    assert_eq!(report.gallery.encoded, world.dataset.len());
    assert_eq!(
        house.catalog.counts(&report.release.id).await.unwrap(),
        expected_counts(world)
    );
    let verification = report.verification.unwrap();
    assert_eq!(verification.queries, world.dataset.len());
    assert_eq!(
        (verification.checksums, verification.photos),
        (world.dataset.len(), 4)
    );
    assert!(verification.largest_vector_error <= 1e-6 && verification.largest_score_error <= 1e-4);

    house.activate(&report.release.id).await.unwrap();
    let localizer = house.open(None).await.unwrap();
    let checkpoint = models::Checkpoint::open(&world.checkpoint).unwrap();
    let exact = ExactIndex::of_model(
        &retrieval::geographic_of(&checkpoint).unwrap(),
        checkpoint.hierarchy(),
    )
    .unwrap();
    let options = LocalizeOptions::default();
    let photos: Vec<Photo> = world.held_out.iter().cloned().map(Photo::from).collect();
    assert!(photos.len() >= 40);
    for batch in photos.chunks(20) {
        let encoded = localizer.encode(batch).unwrap();
        let predictions = localizer.answer(encoded.clone(), &options).await.unwrap();
        for (photo, found) in encoded.iter().zip(&predictions) {
            let wanted = exact
                .infer(&photo.embedding, checkpoint.calibration(), &options.inference)
                .unwrap();
            assert_eq!(found.candidates[0].token, wanted.candidates[0].token);
            assert_eq!(found.location, wanted.location);
            assert!((found.candidates[0].score - wanted.candidates[0].score).abs() < 1e-4);
            assert!((found.confidence - wanted.confidence).abs() < 1e-4);
            for (found, wanted) in found.levels.iter().zip(&wanted.levels) {
                assert_eq!(found.token, wanted.token);
            }
            let winning: Vec<_> = found
                .credible_region
                .cells
                .iter()
                .map(|cell| cell.token)
                .collect();
            assert!(!found.references.is_empty() && found.references.len() <= options.references);
            for reference in &found.references {
                assert!(winning.contains(&reference.token) || reference.token == found.candidates[0].token);
                assert!(reference.likeness <= 1.0 + 1e-5);
                assert!(std::path::Path::new(&reference.path).is_file());
            }
            assert!(
                found
                    .references
                    .windows(2)
                    .all(|pair| pair[0].likeness >= pair[1].likeness)
            );
            assert!(found.timings.total_ms > 0.0 && found.timings.search_ms > 0.0);
        }
        let json = serde_json::to_value(&predictions[0]).unwrap();
        for key in [
            "location",
            "confidence",
            "within",
            "candidates",
            "references",
            "release",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert!(json["location"]["latitude"].is_number() && json["location"]["longitude"].is_number());
        assert!(json["within"]["2500"].is_number());
        assert_eq!(to_geojson(&predictions[0])["type"], "FeatureCollection");
        let record = predictions[0].to_record("00".repeat(32), None, None);
        house.catalog.record_prediction(&record).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_are_the_nearest_of_the_winning_cells_by_brute_force() {
    let world = World::shared();
    let house = House::new().await;
    let id = build(world, &house).await.unwrap().release.id;
    let localizer = house.open(Some(&id)).await.unwrap();
    let encoded = localizer
        .encode(&[Photo::from(world.held_out[0].clone())])
        .unwrap();
    let prediction = localizer
        .answer(encoded.clone(), &LocalizeOptions::default())
        .await
        .unwrap()
        .remove(0);

    let collection = CollectionName::references(&id);
    let all = house
        .store
        .scroll(&collection, None, 10_000)
        .await
        .unwrap()
        .points;
    assert_eq!(all.len(), world.dataset.len());
    let cells: Vec<String> = prediction
        .credible_region
        .cells
        .iter()
        .take(16)
        .map(|cell| cell.token.token())
        .collect();
    let mut likeness: Vec<f32> = all
        .iter()
        .filter(|point| {
            point
                .payload
                .get("geocell")
                .is_some_and(|own| cells.iter().any(|cell| own == cell))
        })
        .map(|point| {
            point.vectors["visual"]
                .iter()
                .zip(&encoded[0].embedding)
                .map(|(a, b)| a * b)
                .sum()
        })
        .collect();
    likeness.sort_by(|a, b| b.total_cmp(a));
    likeness.truncate(8);
    assert_eq!(likeness.len(), prediction.references.len());
    for (wanted, found) in likeness.iter().zip(&prediction.references) {
        assert!((f64::from(*wanted) - found.likeness).abs() < 1e-5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_build_again_loads_nothing() {
    let world = World::shared();
    let house = House::new().await;
    let first = build(world, &house).await.unwrap();
    let second = build(world, &house).await.unwrap();
    assert!(!first.already_built && second.already_built);
    assert_eq!(first.release.id, second.release.id);
    assert_eq!(second.gallery.encoded + second.gallery.kept, 0);
    assert_eq!(list(house.catalog.as_ref()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_release_whose_store_was_lost_is_built_again() {
    let world = World::shared();
    let house = House::new().await;
    let id = build(world, &house).await.unwrap().release.id;
    house.activate(&id).await.unwrap();
    let aliases = house.store.aliases().await.unwrap();
    let aliases: Vec<CollectionName> = aliases.into_iter().map(|(alias, _)| alias).collect();
    house.store.remove_aliases(&aliases).await.unwrap();
    house
        .store
        .drop_collection(&CollectionName::references(&id))
        .await
        .unwrap();
    house
        .store
        .drop_collection(&CollectionName::level(&id, 1))
        .await
        .unwrap();
    assert!(house.open(None).await.is_err());
    let again = build(world, &house).await.unwrap();
    assert_eq!(
        (&again.release.id, again.release.status),
        (&id, ReleaseStatus::Ready)
    );
    assert_eq!(again.gallery.encoded, world.dataset.len());
    house.open(Some(&id)).await.unwrap();
}

/// Stopped at every stage, with store and catalog closed in between as a killed process leaves them, the next build ends
/// with the counts of an undisturbed one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_was_stopped_goes_on() {
    let world = World::shared();
    for stage in Stage::ALL {
        let mut house = House::new().await;
        let cancel = AtomicBool::new(false);
        let stop = |progress: &Progress| {
            if progress.stage == stage {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let stopped = build_stopping(world, &house, &stop, &cancel).await;
        // The last look at the flag is before the last batch of queries: a single batch is finished.
        if let Err(error) = stopped {
            assert!(matches!(error, Error::Cancelled { .. }), "{stage:?}: {error}");
            assert!(error.to_string().contains("repeat the command"));
            let release = &list(house.catalog.as_ref()).await.unwrap()[0];
            assert_eq!(release.status, ReleaseStatus::Building);
            assert!(
                house.open(Some(&release.id)).await.is_err(),
                "an unfinished release must not be served"
            );
            assert!(house.activate(&release.id).await.is_err());
        } else {
            panic!("{stage:?} was not stopped");
        }
        house.reopen().await;
        let report = build(world, &house).await.unwrap();
        assert_eq!(report.release.status, ReleaseStatus::Ready, "{stage:?}");
        assert_eq!(
            house.catalog.counts(&report.release.id).await.unwrap(),
            expected_counts(world)
        );
        assert_eq!(report.gallery.encoded + report.gallery.kept, world.dataset.len());
        if stage == Stage::Finish || stage == Stage::Verify {
            assert_eq!(report.gallery.encoded, 0, "{stage:?}: nothing is encoded twice");
        }
        if stage == Stage::References {
            assert!(report.gallery.kept > 0);
        }
        assert_eq!(list(house.catalog.as_ref()).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_vector_fails_the_verification_and_the_next_build_mends_it() {
    let world = World::shared();
    let house = House::new().await;
    let cancel = AtomicBool::new(false);
    let stop = |progress: &Progress| cancel.store(progress.stage == Stage::Finish, Ordering::Relaxed);
    build_stopping(world, &house, &stop, &cancel).await.unwrap_err();
    let release = list(house.catalog.as_ref()).await.unwrap().remove(0).id;

    let level = world.hierarchy.depth() - 1;
    let collection = CollectionName::level(&release, level);
    let cell = world.hierarchy.finest().cells()[0].id.as_u64();
    let mut stored = house
        .store
        .get(&collection, &[cell.into()], true)
        .await
        .unwrap()
        .remove(0);
    stored.vectors.get_mut("path").unwrap()[0] += 0.01;
    let damaged = Point {
        id: stored.id,
        vectors: stored.vectors,
        payload: stored.payload,
    };
    house.store.upsert(&collection, vec![damaged]).await.unwrap();
    house.store.finish_load(&collection).await.unwrap();

    let error = build(world, &house).await.unwrap_err();
    assert!(matches!(error, Error::Verification { .. }), "{error}");
    let failed = house.catalog.release(&release).await.unwrap();
    assert_eq!(failed.status, ReleaseStatus::Failed);
    assert!(failed.message.unwrap().contains("path of cell"));
    assert!(house.open(Some(&release)).await.is_err());

    let report = build(world, &house).await.unwrap();
    assert_eq!(
        (report.release.id, report.release.status),
        (release, ReleaseStatus::Ready)
    );
    assert_eq!(report.gallery.kept, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_photos_are_skipped_and_listed_or_stop_a_strict_build() {
    let world = World::with_bad_photos();
    let house = House::new().await;
    let report = build(&world, &house).await.unwrap();
    assert_eq!(report.gallery.skipped.len(), 3, "{:?}", report.gallery.skipped);
    assert_eq!(report.gallery.encoded, world.dataset.len() - 3);
    for name in ["absent.jpg", "truncated.jpg", "text.jpg"] {
        assert!(
            report
                .gallery
                .skipped
                .iter()
                .any(|skipped| skipped.file.ends_with(name)),
            "{name}"
        );
    }

    let house = House::new().await;
    let strict = geosurge_indexer::BuildOptions {
        strict: true,
        ..build_options()
    };
    let (store, catalog) = (Arc::clone(&house.store), Arc::clone(&house.catalog));
    let never = AtomicBool::new(false);
    let error = build_release(
        &world.checkpoint,
        &world.dataset,
        store,
        catalog,
        &strict,
        &silent,
        &never,
    )
    .await;
    assert!(matches!(error, Err(Error::BadPhoto { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_checkpoint_in_its_place_is_an_error_and_never_an_answer() {
    let world = World::fresh(7);
    let house = House::new().await;
    let id = build(&world, &house).await.unwrap().release.id;
    world.replace_checkpoint(8);
    let opened = house.open(Some(&id)).await.err().unwrap();
    assert!(
        matches!(opened, retrieval::Error::CheckpointMismatch { .. }),
        "{opened}"
    );
    assert!(opened.to_string().contains(id.as_str()));
    let activated = house.activate(&id).await.unwrap_err();
    assert!(
        matches!(
            activated,
            Error::Retrieval(retrieval::Error::CheckpointMismatch { .. })
        ),
        "{activated}"
    );
    assert!(house.catalog.active_release().await.unwrap().is_none());

    // The new checkpoint under the old name is a conflict; without a name it is a new release.
    let named = geosurge_indexer::BuildOptions {
        name: Some(id.clone()),
        ..build_options()
    };
    let (store, catalog) = (Arc::clone(&house.store), Arc::clone(&house.catalog));
    let never = AtomicBool::new(false);
    let clash = build_release(
        &world.checkpoint,
        &world.dataset,
        store,
        catalog,
        &named,
        &silent,
        &never,
    )
    .await;
    assert!(
        matches!(clash, Err(Error::Storage(storage::Error::Conflict(_)))),
        "{clash:?}"
    );
    let second = build(&world, &house).await.unwrap().release.id;
    assert_ne!(second, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_active_release_nothing_opens() {
    let house = House::new().await;
    assert!(matches!(
        house.open(None).await.err().unwrap(),
        retrieval::Error::NoActiveRelease
    ));
    let unknown = ReleaseId::new("unknown").unwrap();
    assert!(matches!(
        house.open(Some(&unknown)).await.err().unwrap(),
        retrieval::Error::Storage(_)
    ));
}
