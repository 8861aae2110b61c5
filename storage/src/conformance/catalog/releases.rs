//! Releases and their life.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};

use super::{CatalogPlace, id, new_release, release_at};
use crate::{Catalog, Error, Release, ReleaseCounts, ReleaseStatus};

async fn active_ids(catalog: &dyn Catalog) -> Vec<String> {
    let releases = catalog.releases().await.unwrap();
    let active: Vec<&Release> = releases
        .iter()
        .filter(|release| release.status == ReleaseStatus::Active)
        .collect();
    let one = catalog.active_release().await.unwrap();
    assert_eq!(active.first().copied(), one.as_ref());
    active.iter().map(|release| release.id.to_string()).collect()
}

/// What was created is there when the catalog is opened again, newest first.
pub async fn releases_are_remembered(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    assert!(catalog.releases().await.unwrap().is_empty());
    assert_eq!(catalog.active_release().await.unwrap(), None);
    let new = new_release("2026-11");
    let created = catalog.create_release(new.clone()).await.unwrap();
    assert_eq!(created.status, ReleaseStatus::Building);
    assert_eq!(created.checkpoint_id, new.checkpoint_id);
    assert_eq!(created.checkpoint_path, new.checkpoint_path);
    assert_eq!((created.embedding_dimension, created.levels), (64, 3));
    assert_eq!(
        (&created.dataset_digest, &created.store),
        (&new.dataset_digest, &new.store)
    );
    assert!((Utc::now() - created.created_at).abs() < TimeDelta::minutes(1));
    assert_eq!(
        (created.counts, created.ready_at, created.activated_at),
        (None, None, None)
    );
    catalog.create_release(new_release("2026-12")).await.unwrap();
    drop(catalog);

    let catalog = at.open().await.unwrap();
    assert_eq!(catalog.release(&created.id).await.unwrap(), created);
    let ids: Vec<String> = catalog
        .releases()
        .await
        .unwrap()
        .iter()
        .map(|release| release.id.to_string())
        .collect();
    assert_eq!(ids, ["2026-12", "2026-11"]);
    let ready = catalog
        .set_status(&created.id, ReleaseStatus::Ready, Some("verified"))
        .await
        .unwrap();
    assert_eq!(ready.counts, Some(ReleaseCounts::default()));
    assert_eq!(ready.message.as_deref(), Some("verified"));
    assert!(ready.ready_at.is_some());
}

/// The same release resumes while it is building or failed; another checkpoint or dataset under its id is a conflict.
pub async fn building_is_resumed_by_the_same_release_only(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let created = catalog.create_release(new_release("a")).await.unwrap();
    assert_eq!(catalog.create_release(new_release("a")).await.unwrap(), created);
    catalog
        .set_status(&created.id, ReleaseStatus::Failed, Some("no space"))
        .await
        .unwrap();
    let resumed = catalog.create_release(new_release("a")).await.unwrap();
    assert_eq!((resumed.status, resumed.message), (ReleaseStatus::Building, None));
    assert_eq!(resumed.created_at, created.created_at);

    let mut others = [(); 4].map(|()| new_release("a"));
    others[0].checkpoint_id = "other".into();
    others[1].dataset_digest = "other".into();
    others[2].embedding_dimension = 65;
    others[3].levels = 4;
    for other in others {
        let error = catalog.create_release(other).await.unwrap_err();
        assert!(
            error.is_conflict() && error.to_string().contains("release a"),
            "{error}"
        );
    }
    catalog
        .set_status(&created.id, ReleaseStatus::Ready, None)
        .await
        .unwrap();
    let ready = catalog.create_release(new_release("a")).await.unwrap();
    assert_eq!(ready.status, ReleaseStatus::Ready);
    let mut shapeless = new_release("b");
    shapeless.levels = 0;
    let error = catalog.create_release(shapeless).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(catalog.releases().await.unwrap().len(), 1);
}

/// Every pair of statuses: the legal steps work, the others are conflicts that change nothing.
pub async fn illegal_transitions_are_conflicts(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    for (from_index, from) in ReleaseStatus::ALL.into_iter().enumerate() {
        for (to_index, to) in ReleaseStatus::ALL.into_iter().enumerate() {
            let name = format!("r{from_index}-{to_index}");
            let before = release_at(&*catalog, &name, from).await;
            let changes = catalog.changes().await.unwrap();
            let result = catalog.set_status(&before.id, to, None).await;
            let after = catalog.release(&before.id).await.unwrap();
            if from.may_become(to) {
                assert_eq!(result.unwrap(), after, "{from} to {to}");
                assert_eq!(after.status, to);
            } else {
                let error = result.unwrap_err();
                assert!(error.is_conflict(), "{from} to {to}: {error}");
                assert_eq!(after, before, "{from} to {to}");
                assert_eq!(catalog.changes().await.unwrap(), changes);
            }
            assert!(active_ids(&*catalog).await.len() <= 1, "{from} to {to}");
        }
    }
}

/// Activation switches in one step, also back; a release that cannot be served stays where it is.
pub async fn activation_retires_the_active_release(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let first = release_at(&*catalog, "first", ReleaseStatus::Ready).await;
    let second = release_at(&*catalog, "second", ReleaseStatus::Ready).await;
    let building = release_at(&*catalog, "third", ReleaseStatus::Building).await;
    let failed = release_at(&*catalog, "fourth", ReleaseStatus::Failed).await;
    let activated = catalog.activate(&first.id).await.unwrap();
    assert_eq!(activated.status, ReleaseStatus::Active);
    assert!(activated.activated_at.is_some());
    assert_eq!(catalog.activate(&first.id).await.unwrap(), activated);

    catalog.activate(&second.id).await.unwrap();
    assert_eq!(active_ids(&*catalog).await, ["second"]);
    assert_eq!(
        catalog.release(&first.id).await.unwrap().status,
        ReleaseStatus::Retired
    );
    for broken in [building, failed] {
        let error = catalog.activate(&broken.id).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(active_ids(&*catalog).await, ["second"]);
    }
    catalog.activate(&first.id).await.unwrap();
    assert_eq!(active_ids(&*catalog).await, ["first"]);
    catalog
        .set_status(&first.id, ReleaseStatus::Failed, Some("found broken"))
        .await
        .unwrap();
    assert!(active_ids(&*catalog).await.is_empty());
    drop(catalog);
    assert_eq!(at.open().await.unwrap().active_release().await.unwrap(), None);
}

/// Twelve activations from four handles at once: one release is active in the end, the others are retired, and no reader
/// ever sees two.
pub async fn many_activations_at_once_leave_one_active(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    for index in 0..4 {
        release_at(&*catalog, &format!("r{index}"), ReleaseStatus::Ready).await;
    }
    let mut tasks = Vec::new();
    for handle in 0..4 {
        let catalog = at.open().await.unwrap();
        tasks.push(tokio::spawn(async move {
            for step in 0..3 {
                let release = id(&format!("r{}", (handle + step) % 4));
                catalog.activate(&release).await.unwrap();
                assert_eq!(active_ids_of_one_read(&*catalog).await, 1);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let releases = catalog.releases().await.unwrap();
    let count = |status| releases.iter().filter(|release| release.status == status).count();
    assert_eq!(
        (count(ReleaseStatus::Active), count(ReleaseStatus::Retired)),
        (1, 3)
    );
}

async fn active_ids_of_one_read(catalog: &dyn Catalog) -> usize {
    let releases = catalog.releases().await.unwrap();
    releases
        .iter()
        .filter(|release| release.status == ReleaseStatus::Active)
        .count()
}

/// A poller of another handle sees the number grow with every creation and switch, and not otherwise.
pub async fn changes_grow_with_every_switch(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let poller = at.open().await.unwrap();
    let mut last = poller.changes().await.unwrap();
    let release = new_release("a").id;
    for step in 0..4 {
        match step {
            0 => drop(catalog.create_release(new_release("a")).await.unwrap()),
            1 => drop(
                catalog
                    .set_status(&release, ReleaseStatus::Ready, None)
                    .await
                    .unwrap(),
            ),
            2 => drop(catalog.activate(&release).await.unwrap()),
            _ => drop(
                catalog
                    .set_status(&release, ReleaseStatus::Failed, None)
                    .await
                    .unwrap(),
            ),
        }
        let now = poller.changes().await.unwrap();
        assert!(now > last, "step {step}");
        last = now;
    }
    catalog.releases().await.unwrap();
    catalog
        .set_status(&release, ReleaseStatus::Failed, Some("again"))
        .await
        .unwrap();
    assert_eq!(poller.changes().await.unwrap(), last);
}

/// Every call names the release that is not there.
pub async fn missing_releases_are_not_found(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let missing = id("missing");
    let errors = [
        catalog.release(&missing).await.unwrap_err(),
        catalog.activate(&missing).await.unwrap_err(),
        catalog
            .set_status(&missing, ReleaseStatus::Ready, None)
            .await
            .unwrap_err(),
        catalog.counts(&missing).await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            error.is_not_found() && error.to_string().contains("missing"),
            "{error}"
        );
    }
}

/// A waiter learns of a change by another handle soon, of one before it waits at once, and of none when its time is over.
pub async fn changes_are_waited_for(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let waiter = at.open().await.unwrap();
    let seen = waiter.changes().await.unwrap();
    let started = Instant::now();
    let short = Duration::from_millis(300);
    assert_eq!(waiter.wait_for_change(seen, short).await.unwrap(), seen);
    assert!(started.elapsed() >= short, "it waited {:?}", started.elapsed());

    let long = Duration::from_secs(60);
    let mut seen = seen;
    for round in 0..5 {
        let release = new_release(&format!("r{round}"));
        let waiting = tokio::spawn({
            let waiter = waiter.clone();
            async move { waiter.wait_for_change(seen, long).await.unwrap() }
        });
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let started = Instant::now();
        catalog.create_release(release).await.unwrap();
        let found = waiting.await.unwrap();
        assert!(found > seen, "round {round}");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "round {round}: {:?}",
            started.elapsed()
        );
        seen = found;
    }
    catalog.create_release(new_release("before")).await.unwrap();
    let started = Instant::now();
    assert!(waiter.wait_for_change(seen, long).await.unwrap() > seen);
    assert!(started.elapsed() < Duration::from_secs(2));
}
