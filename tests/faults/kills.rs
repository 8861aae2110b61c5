//! The indexer is killed at random moments, goes on, and ends with what an undisturbed build ends with.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::snapshot::Snapshot;
use crate::world::{World, kill_after, succeed};
use crate::{points, seed};

/// Kills of one build at most.
const MOST_KILLS: usize = 3;

#[test]
fn a_killed_build_ends_like_an_undisturbed_one() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = folder.path().join("undisturbed");
    fs_err::create_dir(&undisturbed).unwrap();
    let started = Instant::now();
    succeed(&mut world.index(&undisturbed, "r"));
    let whole = started.elapsed();
    let expected = Snapshot::take(&undisturbed, "r", &world.queries);
    assert_eq!(expected.status, "ready");

    let mut random = StdRng::seed_from_u64(seed());
    let mut killed_while: BTreeMap<String, usize> = BTreeMap::new();
    let (mut kills, mut builds, mut largest) = (0, 0, 0.0_f32);
    while kills < points() {
        builds += 1;
        let data = folder.path().join(format!("build-{builds}"));
        fs_err::create_dir(&data).unwrap();
        let wanted = random.random_range(1..=MOST_KILLS).min(points() - kills);
        for _ in 0..wanted {
            // Any moment from the first instruction to the last; what is left of a resumed build is shorter.
            let moment = whole.mul_f64(random.random_range(0.0..1.0));
            let said = data.join("said");
            if kill_after(&mut world.index(&data, "r"), &said, moment) {
                *killed_while.entry(stage(&said)).or_default() += 1;
                kills += 1;
            }
        }
        let report = succeed(&mut world.index(&data, "r"));
        assert!(
            report.contains("release r ") && report.contains("ready"),
            "{report}"
        );
        let found = Snapshot::take(&data, "r", &world.queries);
        largest = largest.max(expected.assert_same(&found, &format!("build {builds}, kill {kills}")));
        fs_err::remove_dir_all(&data).unwrap();
    }
    println!(
        "seed {}: {kills} kills of {builds} builds; each ended with the same points, rows and answers as an undisturbed build \
         ({:.2} s); largest difference of a vector {largest:e}",
        seed(),
        whole.as_secs_f64()
    );
    for (stage, count) in killed_while {
        println!("  killed {stage}: {count}");
    }
}

/// The last thing that a killed indexer said it was doing.
fn stage(said: &Path) -> String {
    let text = fs_err::read_to_string(said).unwrap_or_default();
    let stages = [
        "loading geocells",
        "encoding reference images",
        "finishing the index",
        "verifying the release",
    ];
    let last = stages
        .iter()
        .filter_map(|stage| Some((text.rfind(stage)?, *stage)))
        .max();
    last.map_or_else(
        || "before the first stage".to_owned(),
        |(_, stage)| format!("while {stage}"),
    )
}

/// Waits until a running command has said something.
pub fn wait_for(said: &Path, words: &str, longest: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < longest {
        if fs_err::read_to_string(said).is_ok_and(|text| text.contains(words)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}
