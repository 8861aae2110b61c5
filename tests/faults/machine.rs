//! The machine's own faults: a locked database, a full disk, a second indexer, clocks that disagree.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::kills::wait_for;
use crate::points;
use crate::snapshot::{Snapshot, block};
use crate::world::{World, geosurge, kill_after, run, start, succeed};

/// From this many kills on, the slow faults are met too.
const LONG: usize = 50;

fn undisturbed(world: &World, folder: &Path) -> Snapshot {
    let data = folder.join("undisturbed");
    fs_err::create_dir(&data).unwrap();
    succeed(&mut world.index(&data, "r"));
    Snapshot::take(&data, "r", &world.queries)
}

/// Another program keeps the catalog's write lock while the indexer writes.
#[test]
fn a_locked_database_is_waited_for_and_then_told() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(world, folder.path());
    let moments: &[u64] = if points() >= LONG { &[2, 40] } else { &[2] };
    for &seconds in moments {
        let data = folder.path().join(format!("locked-{seconds}"));
        fs_err::create_dir(&data).unwrap();
        let said = data.join("said");
        let mut child = start(&mut world.index(&data, "r"), &said);
        assert!(wait_for(&said, "building release", Duration::from_secs(60)));
        lock(&data.join("catalog.sqlite"), Duration::from_secs(seconds));
        let ended = child.wait().unwrap();
        let text = fs_err::read_to_string(&said).unwrap();
        println!(
            "database locked for {seconds} s: the indexer {}",
            if ended.success() { "waited" } else { "gave up" }
        );
        if !ended.success() {
            assert!(
                text.contains("is in use by another writer") && !text.contains("panicked"),
                "{text}"
            );
            succeed(&mut world.index(&data, "r"));
        }
        expected.assert_same(&Snapshot::take(&data, "r", &world.queries), "locked database");
    }
}

fn lock(catalog: &Path, long: Duration) {
    block(async {
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", catalog.display()))
            .await
            .unwrap();
        let transaction = pool.begin_with("BEGIN IMMEDIATE").await;
        // The indexer may hold it for a moment; then there is nothing to wait for.
        if let Ok(transaction) = transaction {
            tokio::time::sleep(long).await;
            transaction.rollback().await.unwrap();
        }
    });
}

/// A small file system of its own, filled up. The engine keeps 64 MiB free, below which it refuses to write.
#[test]
fn a_full_disk_is_named_and_nothing_is_lost() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = SmallDisk::mount(folder.path(), 320) else {
        println!("skipped: a small file system cannot be mounted here (it needs root and mkfs.ext4)");
        return;
    };
    let expected = undisturbed(world, folder.path());
    let rooms = [60, 65, 66, 67, 68];
    let mut full = 0;
    for room in rooms {
        let data = small.path.join("data");
        fs_err::create_dir(&data).unwrap();
        let ballast = small.path.join("ballast");
        fs_err::write(&ballast, vec![1_u8; (small.free_mebibytes() - room) << 20]).unwrap();
        let ended = run(&mut world.index(&data, "r"));
        if !ended.success {
            let text = ended.stderr;
            assert!(
                text.contains("no space is left") && text.contains("free some space"),
                "{text}"
            );
            assert!(!text.contains("panicked"), "{text}");
            full += 1;
        }
        fs_err::remove_file(&ballast).unwrap();
        succeed(&mut world.index(&data, "r"));
        expected.assert_same(&Snapshot::take(&data, "r", &world.queries), "full disk");
        fs_err::remove_dir_all(&data).unwrap();
    }
    assert!(full > 0, "the disk was never full");
    println!(
        "disk full: {full} of {} builds were stopped by it; all ended whole when there was room",
        rooms.len()
    );
}

/// A file system in a file that is unmounted in the end.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path, mebibytes: u64) -> Option<Self> {
        let (image, path) = (folder.join("image"), folder.join("small"));
        fs_err::create_dir(&path).unwrap();
        fs_err::File::create(&image)
            .unwrap()
            .set_len(mebibytes << 20)
            .unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let made = done(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        (made && done(Command::new("mount").args(["-o", "loop"]).args([&image, &path])))
            .then_some(Self { path })
    }

    fn free_mebibytes(&self) -> usize {
        let output = Command::new("df")
            .args(["--output=avail", "-B1M"])
            .arg(&self.path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that stays says so when the temporary folder cannot be removed.
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

/// Two indexers of the same release at once: one is refused and says why.
#[test]
fn two_indexers_at_once_build_one_whole_release() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(world, folder.path());
    let mut refused = 0;
    for round in 0..4 {
        let data = folder.path().join(format!("two-{round}"));
        fs_err::create_dir(&data).unwrap();
        let said = [data.join("one"), data.join("two")];
        let mut one = start(&mut world.index(&data, "r"), &said[0]);
        std::thread::sleep(Duration::from_millis(70 * round));
        let mut two = start(&mut world.index(&data, "r"), &said[1]);
        let ended = [one.wait().unwrap(), two.wait().unwrap()];
        assert!(ended.iter().any(|status| status.success()));
        for (status, said) in ended.iter().zip(&said) {
            if !status.success() {
                let text = fs_err::read_to_string(said).unwrap();
                assert!(
                    text.contains("is in use by") || text.contains("is being changed by"),
                    "{text}"
                );
                refused += 1;
            }
        }
        expected.assert_same(&Snapshot::take(&data, "r", &world.queries), "two indexers");
    }
    assert!(refused > 0, "the two never met");
    println!("two indexers at once: {refused} of 4 seconds were refused by name; every release was whole");
}

/// A build that one machine began a day ahead and another one finishes a day behind; then activations under both clocks.
#[test]
fn clocks_that_disagree_change_nothing() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let Some(clock) = build_clock(folder.path()) else {
        println!("skipped: no C compiler for a clock that is wrong");
        return;
    };
    let expected = undisturbed(world, folder.path());
    let data = folder.path().join("skewed");
    fs_err::create_dir(&data).unwrap();
    let skewed = |mut command: Command, seconds: i64| {
        command
            .env("LD_PRELOAD", &clock)
            .env("CLOCK_SKEW_SECONDS", seconds.to_string());
        command
    };
    let day = 86_400;
    kill_after(
        &mut skewed(world.index(&data, "r"), day),
        &data.join("said"),
        Duration::from_millis(700),
    );
    succeed(&mut skewed(world.index(&data, "r"), -day));
    expected.assert_same(&Snapshot::take(&data, "r", &world.queries), "clocks");

    for release in ["s", "t"] {
        succeed(&mut world.index(&data, release));
    }
    let command = |args: &[&str], seconds: i64| {
        let mut command = geosurge(&data);
        command.args(args);
        skewed(command, seconds)
    };
    succeed(&mut command(&["releases", "activate", "r"], day));
    succeed(&mut command(&["releases", "activate", "s"], -day));
    succeed(&mut command(&["releases", "activate", "t"], 0));
    let rolled_back = succeed(&mut command(&["releases", "rollback"], 0));
    assert!(
        rolled_back.contains("release s answers instead of t"),
        "{rolled_back}"
    );
    println!("clocks a day ahead and a day behind: the build is the same, and a rollback goes back one step");
}

/// A library that moves the clock of the programs it is loaded into.
fn build_clock(folder: &Path) -> Option<PathBuf> {
    let source = folder.join("clock.c");
    let code = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <time.h>
        int clock_gettime(clockid_t id, struct timespec *time) {
            static int (*real)(clockid_t, struct timespec *);
            if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
            int failed = real(id, time);
            const char *skew = getenv("CLOCK_SKEW_SECONDS");
            if (!failed && skew && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) time->tv_sec += atol(skew);
            return failed;
        }
    "#;
    fs_err::write(&source, code).unwrap();
    let library = folder.join("clock.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status();
    built.is_ok_and(|status| status.success()).then_some(library)
}
