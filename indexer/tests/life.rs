//! A release's life after its build: aliases, rollback, pruning, and what a kill between two steps leaves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{House, World, build_options};
use geosurge_indexer::{
    Error, Progress, Stage, build_release, estimate, follow_aliases, plan_prune, prune, reconcile, rollback,
    show,
};
use retrieval::Checkpoints;
use serde_json::json;
use storage::{AuditEntry, CollectionName, ReleaseCounts, ReleaseId, ReleaseStatus};

async fn alias_of_references(house: &House) -> Option<String> {
    let aliases = house.store.aliases().await.unwrap();
    let references = CollectionName::active_references();
    let found = aliases.into_iter().find(|(alias, _)| *alias == references);
    found.map(|(_, collection)| collection.to_string())
}

async fn settle_everything(house: &House) {
    reconcile(
        &house.photos(),
        house.store.as_ref(),
        house.catalog.as_ref(),
        &Checkpoints::default(),
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_follow_the_active_release_and_an_interrupted_activation_is_completed() {
    let world = World::shared();
    let mut house = House::new().await;
    let (first, second) = (
        house.build(world, "first").await,
        house.build(world, "second").await,
    );
    assert_eq!(alias_of_references(&house).await, None);
    house.activate(&first).await.unwrap();
    let aliases = house.store.aliases().await.unwrap();
    assert_eq!(aliases.len(), world.hierarchy.depth() + 1);
    assert_eq!(
        alias_of_references(&house).await.unwrap(),
        "geosurge_first_references"
    );

    // Killed between the catalog's transaction and the aliases.
    house.catalog.activate(&second).await.unwrap();
    house.reopen().await;
    assert_eq!(
        alias_of_references(&house).await.unwrap(),
        "geosurge_first_references"
    );
    settle_everything(&house).await;
    assert_eq!(
        alias_of_references(&house).await.unwrap(),
        "geosurge_second_references"
    );
    assert_eq!(house.open(None).await.unwrap().release().id, second);
    assert!(
        !follow_aliases(house.store.as_ref(), house.catalog.as_ref())
            .await
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_goes_back_one_step_and_passes_over_what_is_broken() {
    let world = World::shared();
    let house = House::new().await;
    let none = Checkpoints::default();
    let (store, catalog) = (house.store.as_ref(), house.catalog.as_ref());
    let nothing = rollback(Some(store), catalog, &none).await.unwrap_err();
    assert!(matches!(nothing, Error::NothingToRollBack { .. }), "{nothing}");
    let [a, b, c] = ["a", "b", "c"];
    let (a, b, c) = (
        house.build(world, a).await,
        house.build(world, b).await,
        house.build(world, c).await,
    );
    for release in [&a, &b, &c] {
        house.activate(release).await.unwrap();
    }
    let back = rollback(Some(store), catalog, &none).await.unwrap();
    assert_eq!((&back.release.id, back.from.as_ref()), (&b, Some(&c)));
    assert_eq!(
        alias_of_references(&house).await.unwrap(),
        "geosurge_b_references"
    );
    // Again: to and fro between the last two.
    assert_eq!(rollback(Some(store), catalog, &none).await.unwrap().release.id, c);

    store
        .drop_collection(&CollectionName::level(&b, 0))
        .await
        .unwrap();
    let back = rollback(Some(store), catalog, &none).await.unwrap();
    assert_eq!(back.release.id, a);
    assert_eq!(back.passed_over[0].0, b);
    assert!(
        back.passed_over[0].1.contains("geosurge_b_level_0"),
        "{:?}",
        back.passed_over
    );
    let broken = house.activate(&b).await.unwrap_err();
    assert!(matches!(broken, Error::NotWhole { .. }), "{broken}");
}

/// Times of activation are what each machine's clock said; the order of a rollback must not depend on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_does_not_depend_on_clocks() {
    let world = World::shared();
    let house = House::new().await;
    for name in ["late", "middle", "last"] {
        let release = house.build(world, name).await;
        house.activate(&release).await.unwrap();
    }
    // As if `late` had been activated by a machine whose clock is a day ahead.
    let path = house.catalog_file();
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    sqlx::query("UPDATE releases SET activated_at = '2999-01-01T00:00:00.000000Z' WHERE id = 'late'")
        .execute(&pool)
        .await
        .unwrap();
    let none = Checkpoints::default();
    let back = rollback(Some(house.store.as_ref()), house.catalog.as_ref(), &none)
        .await
        .unwrap();
    assert_eq!(back.release.id.as_str(), "middle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_spares_the_active_release_and_the_way_back() {
    let world = World::shared();
    let mut house = House::new().await;
    let mut ids: Vec<ReleaseId> = Vec::new();
    for name in ["r1", "r2", "r3", "r4"] {
        let id = house.build(world, name).await;
        house.activate(&id).await.unwrap();
        ids.push(id);
    }
    let candidate = house.build(world, "candidate").await;
    let none = Checkpoints::default();
    let (store, catalog) = (house.store.as_ref(), house.catalog.as_ref());
    let plan = plan_prune(1, store, catalog, &none).await.unwrap();
    let victims: Vec<&str> = plan.victims.iter().map(|release| release.id.as_str()).collect();
    assert_eq!(victims, ["r1", "r2"]);
    let kept: Vec<&str> = plan.kept.iter().map(|(release, _)| release.as_str()).collect();
    assert_eq!(kept, ["candidate", "r4", "r3"]);

    fs_err::create_dir_all(house.photos().join("r1")).unwrap();
    let before = store.list_collections().await.unwrap().len();
    let pruned = prune(&plan, &house.photos(), store, catalog, &none)
        .await
        .unwrap();
    let levels = world.hierarchy.depth();
    assert_eq!(pruned.len(), 2);
    for one in &pruned {
        assert_eq!(one.collections, levels + 1);
        assert_eq!(one.rows.reference_images, world.dataset.len() as u64);
        assert_eq!(
            catalog.counts(&one.release).await.unwrap(),
            ReleaseCounts::default()
        );
        assert_eq!(
            catalog.release(&one.release).await.unwrap().status,
            ReleaseStatus::Pruned
        );
    }
    assert!(!house.photos().join("r1").exists());
    assert_eq!(
        store.list_collections().await.unwrap().len(),
        before - 2 * (levels + 1)
    );
    assert!(matches!(
        house.activate(&ids[0]).await,
        Err(Error::NotReady { .. })
    ));
    assert_eq!(
        rollback(Some(store), catalog, &none).await.unwrap().release.id,
        ids[2]
    );
    let details = show(&ids[0], Some(store), catalog, &none).await.unwrap();
    assert!(
        details
            .collections
            .unwrap()
            .iter()
            .all(|line| line.points.is_none())
    );

    // Killed after the catalog forgot the candidate and before its vectors went.
    let audit = AuditEntry::new("release.prune", "release candidate", json!({}));
    catalog
        .delete_release_contents(&candidate, Some(&audit))
        .await
        .unwrap();
    let left = |collections: Vec<CollectionName>| collections.iter().any(|c| c.belongs_to(&candidate));
    assert!(left(store.list_collections().await.unwrap()));
    house.reopen().await;
    settle_everything(&house).await;
    assert!(!left(house.store.list_collections().await.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_builds_of_one_release_do_not_meet() {
    let world = World::shared();
    let house = House::new().await;
    let release = ReleaseId::new("shared").unwrap();
    let build = |cancel: &'static AtomicBool| {
        let options = geosurge_indexer::BuildOptions {
            name: Some(release.clone()),
            ..build_options()
        };
        let (store, catalog) = (Arc::clone(&house.store), Arc::clone(&house.catalog));
        async move {
            let silent = |_: &Progress| ();
            build_release(
                &world.checkpoint,
                &world.dataset,
                store,
                catalog,
                &options,
                &silent,
                cancel,
            )
            .await
        }
    };
    static NEVER: AtomicBool = AtomicBool::new(false);
    let (one, two) = futures::join!(build(&NEVER), build(&NEVER));
    let (won, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!(won.unwrap().release.status, ReleaseStatus::Ready);
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, Error::Storage(storage::Error::Held { .. })),
        "{refused}"
    );
    assert!(refused.to_string().contains("release shared"), "{refused}");
    assert!(build(&NEVER).await.unwrap().already_built);
    assert!(!NEVER.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_estimate_adds_up_and_writes_nothing() {
    let world = World::shared();
    let estimate = estimate(&world.checkpoint, &world.dataset, &build_options())
        .await
        .unwrap();
    assert_eq!(estimate.photos, world.dataset.len());
    assert_eq!(estimate.levels.len(), world.hierarchy.depth());
    let cells: usize = estimate.levels.iter().map(|level| level.geocells).sum();
    let numbers = (estimate.photos + 2 * cells) * estimate.dimension;
    assert_eq!(estimate.vector_bytes, 4 * numbers as u64);
    assert!(estimate.disk_bytes > estimate.vector_bytes);
    assert!(estimate.photos_a_second.unwrap() > 0.0 && estimate.unreadable.is_empty());

    // The estimate of the disk holds for what a build really takes, within a factor of two.
    let house = House::new().await;
    house.build(world, "measured").await;
    let real = house.bytes_on_disk();
    let ratio = estimate.disk_bytes as f64 / real as f64;
    println!("estimated {} bytes, took {real}", estimate.disk_bytes);
    assert!((0.5..2.0).contains(&ratio), "{ratio}");
    assert_eq!(Stage::ALL.len(), 4);
}
