//! Activations, additions and deletions are killed; the next start completes or undoes them.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use storage::{CollectionName, CollectionState, ReleaseId};

use crate::snapshot::{Snapshot, block, open};
use crate::world::{World, geosurge, kill_after, succeed};
use crate::{points, seed};

#[test]
fn a_killed_activation_is_completed_or_undone() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for release in ["a", "b"] {
        succeed(&mut world.index(data, release));
    }
    let activate = |release: &str| {
        let mut command = geosurge(data);
        command.args(["releases", "activate", release]);
        command
    };
    let started = Instant::now();
    succeed(&mut activate("a"));
    let whole = started.elapsed();
    let mut random = StdRng::seed_from_u64(seed());
    let (mut before, mut after) = (0, 0);
    for round in 0..points() {
        let (from, to) = if round % 2 == 0 { ("a", "b") } else { ("b", "a") };
        succeed(&mut activate(from));
        let moment = whole.mul_f64(random.random_range(0.0..1.0));
        kill_after(&mut activate(to), &data.join("said"), moment);
        // Any command that opens the stores is a next start.
        succeed(geosurge(data).args(["releases", "show", from]));
        let (active, alias) = block(async {
            let (store, catalog) = open(data).await;
            let active = catalog.active_release().await.unwrap().unwrap().id;
            let aliases = store.aliases().await.unwrap();
            let references = CollectionName::active_references();
            let alias = aliases
                .into_iter()
                .find(|(alias, _)| *alias == references)
                .unwrap();
            (active, alias.1)
        });
        assert_eq!(alias, CollectionName::references(&active));
        if active.as_str() == from {
            before += 1
        } else {
            after += 1
        }
    }
    println!(
        "seed {}: {before} killed activations left the old release active, {after} the new one",
        seed()
    );
}

#[test]
fn killed_changes_of_a_gallery_are_settled() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    succeed(world.index(data, "r").arg("--activate"));
    let before = Snapshot::take(data, "r", &world.queries);
    let id = ReleaseId::new("r").unwrap();
    let places = folder.path().join("places.csv");
    let mut csv = "path,latitude,longitude\n".to_owned();
    for (photo, image) in world.queries.iter().zip(before.images()) {
        csv += &format!(
            "{},{},{}\n",
            photo.display(),
            image.location.latitude(),
            image.location.longitude()
        );
    }
    fs_err::write(&places, csv).unwrap();
    let add = || {
        let mut command = geosurge(data);
        command
            .args(["references", "add", "--json", "--device", "cpu", "--copy"])
            .arg(&places);
        command
    };
    let started = Instant::now();
    let added: serde_json::Value = serde_json::from_str(succeed(&mut add()).lines().last().unwrap()).unwrap();
    let whole = started.elapsed();
    let ids: Vec<String> = serde_json::from_value(added["added"].clone()).unwrap();
    assert_eq!(ids.len(), world.queries.len(), "{added}");
    let remove = || {
        let mut command = geosurge(data);
        command.args(["references", "remove", "--json"]).args(&ids);
        command
    };
    let full = before.images().len() as u64 + ids.len() as u64;
    let mut random = StdRng::seed_from_u64(seed());
    let (mut finished, mut not_begun, mut interrupted) = (0, 0, 0);
    for round in 0..points() {
        let moment = whole.mul_f64(random.random_range(0.2..1.0));
        let said = data.join("said");
        let command = if round % 2 == 0 { &mut remove() } else { &mut add() };
        interrupted += usize::from(kill_after(command, &said, moment));
        succeed(geosurge(data).args(["releases", "show", "r"]));
        let (points, rows) = block(async {
            let (store, catalog) = open(data).await;
            let info = store.collection(&CollectionName::references(&id)).await.unwrap();
            assert_eq!(info.state, CollectionState::Complete);
            (info.points, catalog.counts(&id).await.unwrap().reference_images)
        });
        assert_eq!(points, rows, "round {round}: vectors and rows differ");
        let base = before.images().len() as u64;
        assert!((base..=full).contains(&rows), "round {round}: {rows}");
        if round % 2 == 0 {
            // A deletion is whole or was not begun.
            assert!(
                rows == base || rows == full,
                "round {round}: {rows} of {base} or {full}"
            );
            if rows == base {
                finished += 1
            } else {
                not_begun += 1
            }
            succeed(&mut add());
        } else {
            succeed(&mut add());
        }
        let all = block(async { open(data).await.1.counts(&id).await.unwrap().reference_images });
        assert_eq!(all, full, "round {round}");
        let copies = fs_err::read_dir(data.join("references/r")).unwrap().count();
        assert_eq!(
            copies,
            ids.len(),
            "round {round}: copies without a record, or records without a copy"
        );
    }
    succeed(&mut remove());
    let after = Snapshot::take(data, "r", &world.queries);
    before.assert_same(&after, "after all additions and deletions");
    println!(
        "seed {}: {interrupted} killed changes; of the deletions {finished} were finished and {not_begun} not begun; none half done",
        seed()
    );
    assert!(whole > Duration::ZERO);
}
