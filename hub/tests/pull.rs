//! Fetching from a hub that breaks off, hangs, refuses, lies and runs out of what it has.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fake::{COMMIT, FakeHub, Mishap, NAME, sha256};
use geosurge_hub::{Error, HubSettings, ModelsFolder, PullProgress, Report, import, pull};

const WEIGHTS: &str = "model.safetensors";

fn weights(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
}

/// A hub with a model of 200 kB.
fn hub() -> FakeHub {
    FakeHub::start(&[
        ("config.json", b"{\"model_type\": \"clip\"}".to_vec()),
        ("preprocessor_config.json", b"{}".to_vec()),
        ("README.md", b"# A model".to_vec()),
        ("pytorch_model.bin", weights(10)),
        (WEIGHTS, weights(200_000)),
    ])
}

fn settings(hub: &FakeHub, cache: &Path) -> HubSettings {
    HubSettings {
        endpoint: hub.address.clone(),
        token: None,
        offline: false,
        cache: cache.to_owned(),
        stall: Duration::from_secs(5),
        attempts: 3,
        pause: Duration::from_millis(10),
    }
}

struct Place {
    _dir: tempfile::TempDir,
    models: ModelsFolder,
    settings: HubSettings,
}

impl Place {
    fn new(hub: &FakeHub) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            models: ModelsFolder::new(dir.path().join("models")),
            settings: settings(hub, &dir.path().join("cache")),
            _dir: dir,
        }
    }

    fn pull(&self) -> Result<Report, Error> {
        self.pull_at("main")
    }

    fn pull_at(&self, revision: &str) -> Result<Report, Error> {
        pull(
            &self.models,
            NAME,
            revision,
            &self.settings,
            &|_| (),
            &AtomicBool::new(false),
        )
    }

    /// Whether the model counts as whole; if so, its weights must be right.
    fn is_whole(&self) -> bool {
        match self.models.locate(NAME) {
            Ok(folder) => {
                assert_eq!(fs_err::read(folder.join(WEIGHTS)).unwrap(), weights(200_000));
                true
            }
            Err(Error::Absent { .. } | Error::Unfinished { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_model_arrives_with_its_record_and_is_not_fetched_twice() {
    let hub = hub();
    let place = Place::new(&hub);
    let seen = AtomicU64::new(0);
    let progress = |p: PullProgress<'_>| {
        assert!(p.done <= p.total);
        if p.file == WEIGHTS {
            assert_eq!(p.total, 200_000);
            seen.fetch_max(p.done, Ordering::Relaxed);
        }
    };
    let report = pull(
        &place.models,
        NAME,
        "main",
        &place.settings,
        &progress,
        &AtomicBool::new(false),
    )
    .unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 200_000);
    assert!(place.is_whole() && !report.was_here);
    let files: Vec<&str> = report.record.files.keys().map(String::as_str).collect();
    assert_eq!(files, ["config.json", WEIGHTS, "preprocessor_config.json"]);
    assert_eq!(report.record.files[WEIGHTS].sha256, sha256(&weights(200_000)));
    assert_eq!(report.record.commit.as_deref(), Some(COMMIT));
    assert_eq!(hub.transfers().len(), 3);
    assert!(place.pull().unwrap().was_here);
    assert!(place.pull_at(COMMIT).unwrap().was_here);
    assert_eq!(hub.transfers(), Vec::<String>::new());
    // Offline, what is here is here, by branch and by commit; another revision is not.
    let mut offline = place;
    offline.settings.offline = true;
    assert!(offline.pull().unwrap().was_here);
    assert!(offline.pull_at(COMMIT).unwrap().was_here);
    assert!(matches!(offline.pull_at("other"), Err(Error::Offline { .. })));
    // What was fetched and moved leaves nothing behind.
    let left: Vec<_> = walk(&offline.models.root().join(".downloads"));
    assert!(left.iter().all(|file| file.ends_with(".lock")), "{left:?}");
}

#[test]
fn a_transfer_that_is_cut_goes_on_where_it_was() {
    let hub = hub();
    let place = Place::new(&hub);
    // More cuts than attempts: each gets further.
    hub.mishaps(
        WEIGHTS,
        &[
            Mishap::Cut(40_000),
            Mishap::Cut(1),
            Mishap::Cut(60_000),
            Mishap::Cut(50_000),
        ],
    );
    place.pull().unwrap();
    assert!(place.is_whole());
    let asked: Vec<String> = hub
        .transfers()
        .into_iter()
        .filter(|asked| asked.starts_with(WEIGHTS))
        .collect();
    assert_eq!(asked.len(), 5, "{asked:?}");
    let starts: Vec<u64> = asked
        .iter()
        .map(|asked| {
            asked
                .split("bytes=")
                .nth(1)
                .unwrap()
                .trim_end_matches('-')
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(starts[0], 0);
    assert!(
        starts.windows(2).all(|pair| pair[0] <= pair[1]) && starts[4] >= 100_000,
        "{starts:?}"
    );
}

#[test]
fn a_command_that_failed_is_gone_on_with_by_the_next() {
    let hub = hub();
    let place = Place::new(&hub);
    hub.mishaps(
        WEIGHTS,
        &[
            Mishap::Cut(70_000),
            Mishap::Cut(0),
            Mishap::Cut(0),
            Mishap::Cut(0),
            Mishap::Cut(0),
        ],
    );
    let error = place.pull().unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(
        error.to_string().contains("run the same command later"),
        "{error}"
    );
    assert!(!place.is_whole());
    let said = place.models.locate(NAME).unwrap_err().to_string();
    assert!(said.contains("is not whole") && said.contains(NAME), "{said}");
    hub.mishaps(WEIGHTS, &[]);
    hub.transfers();
    place.pull().unwrap();
    assert!(place.is_whole());
    let asked = hub.transfers();
    assert_eq!(
        asked,
        [format!("{WEIGHTS} bytes=70000-")],
        "the small files are not fetched again"
    );
}

#[test]
fn a_process_that_ended_between_arrival_and_renaming_loses_nothing() {
    let hub = hub();
    let place = Place::new(&hub);
    let blobs = place.models.root().join(".downloads/models--owner--model/blobs");
    fs_err::create_dir_all(&blobs).unwrap();
    fs_err::write(
        blobs.join(format!("{}.part", sha256(&weights(200_000)))),
        weights(200_000),
    )
    .unwrap();
    place.pull().unwrap();
    assert!(place.is_whole());
    assert!(!hub.transfers().iter().any(|asked| asked.starts_with(WEIGHTS)));
}

#[test]
fn a_part_that_does_not_fit_is_fetched_anew() {
    let hub = hub();
    for part in [vec![7; 90_000], vec![7; 300_000]] {
        let place = Place::new(&hub);
        let blobs = place.models.root().join(".downloads/models--owner--model/blobs");
        fs_err::create_dir_all(&blobs).unwrap();
        fs_err::write(blobs.join(format!("{}.part", sha256(&weights(200_000)))), part).unwrap();
        place.pull().unwrap();
        assert!(place.is_whole());
    }
}

#[test]
fn a_hub_that_ignores_ranges_is_found_out() {
    let hub = hub();
    let place = Place::new(&hub);
    hub.mishaps(WEIGHTS, &[Mishap::Cut(50_000), Mishap::IgnoreRange]);
    place.pull().unwrap();
    assert!(place.is_whole());
}

#[test]
fn damage_is_fetched_again_once_and_then_refused() {
    let hub = hub();
    let place = Place::new(&hub);
    hub.mishaps(WEIGHTS, &[Mishap::Damage]);
    place.pull().unwrap();
    assert!(place.is_whole());

    let place = Place::new(&hub);
    hub.mishaps("config.json", &[Mishap::Damage, Mishap::Damage]);
    let said = place.pull().unwrap_err().to_string();
    assert!(
        said.contains("config.json") && said.contains("Git object id"),
        "{said}"
    );
    assert!(!place.is_whole());

    let place = Place::new(&hub);
    hub.mishaps(WEIGHTS, &[Mishap::Damage, Mishap::Damage]);
    let said = place.pull().unwrap_err().to_string();
    let expected = sha256(&weights(200_000));
    assert!(
        said.contains(WEIGHTS) && said.contains("SHA-256") && said.contains(&expected),
        "{said}"
    );
    assert!(!place.is_whole());
    // Nothing damaged is left to be gone on with.
    place.pull().unwrap();
    assert!(place.is_whole());
}

#[test]
fn a_hub_that_hangs_is_given_up_and_gone_on_with_later() {
    let hub = hub();
    let mut place = Place::new(&hub);
    place.settings.stall = Duration::from_millis(600);
    hub.mishaps(WEIGHTS, &[Mishap::Hang(30_000)]);
    let started = Instant::now();
    let error = place.pull().unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    assert!(error.to_string().contains(WEIGHTS), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert!(!place.is_whole());
}

#[test]
fn an_address_where_nobody_answers_is_given_up() {
    // A listener that accepts and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = hub();
    let mut place = Place::new(&hub);
    place.settings.endpoint = format!("http://{}", listener.local_addr().unwrap());
    place.settings.stall = Duration::from_millis(400);
    let error = place.pull().unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    // Nobody at all.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    place.settings.endpoint = format!("http://{closed}");
    place.settings.stall = Duration::from_secs(5);
    let error = place.pull().unwrap_err();
    assert!(matches!(error, Error::Unavailable { attempts: 3, .. }), "{error}");
}

#[test]
fn passing_failures_pass_and_lasting_ones_say_what_to_do() {
    let hub = hub();
    let place = Place::new(&hub);
    hub.statuses(&[503, 429]);
    place.pull().unwrap();
    assert!(place.is_whole());

    let place = Place::new(&hub);
    hub.statuses(&[500, 502, 503, 504]);
    let error = place.pull().unwrap_err();
    assert!(matches!(error, Error::Unavailable { attempts: 3, .. }), "{error}");
    assert!(error.to_string().contains("status 503"), "{error}");

    hub.statuses(&[403]);
    let said = place.pull().unwrap_err().to_string();
    assert!(
        said.contains("HF_TOKEN") && said.contains("403") && said.contains(NAME),
        "{said}"
    );

    hub.statuses(&[418]);
    let said = place.pull().unwrap_err().to_string();
    assert!(said.contains("HF_ENDPOINT") && said.contains("418"), "{said}");

    hub.statuses(&[]);
    hub.mishaps(WEIGHTS, &[Mishap::Status(404)]);
    let said = place.pull().unwrap_err().to_string();
    assert!(said.contains("404") && said.contains(WEIGHTS), "{said}");

    let said = place.pull_at("no-such-branch").unwrap_err().to_string();
    assert!(said.contains("no-such-branch") && said.contains("404"), "{said}");
    let run = |name: &str| {
        pull(
            &place.models,
            name,
            "main",
            &place.settings,
            &|_| (),
            &AtomicBool::new(false),
        )
        .unwrap_err()
        .to_string()
    };
    assert!(run("owner/other").contains("owner/other"));
    assert!(run("../../etc/passwd").contains("no model's name"));
    assert!(
        place
            .pull_at("../x")
            .unwrap_err()
            .to_string()
            .contains("--revision")
    );
}

#[test]
fn a_token_opens_what_is_gated_and_is_not_told() {
    let hub = hub();
    hub.wants_token("sesame");
    let mut place = Place::new(&hub);
    let error = place.pull().unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error}");
    place.settings.token = Some("wrong".to_owned());
    let said = place.pull().unwrap_err().to_string();
    assert!(!said.contains("wrong "), "{said}");
    place.settings.token = Some("sesame".to_owned());
    place.pull().unwrap();
    assert!(place.is_whole());
}

#[test]
fn shards_follow_their_index() {
    let hub = FakeHub::start(&[
        ("config.json", b"{}".to_vec()),
        (
            "model.safetensors.index.json",
            br#"{"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors"}}"#.to_vec(),
        ),
        ("model-1.safetensors", weights(1000)),
        ("model-2.safetensors", weights(2000)),
    ]);
    let place = Place::new(&hub);
    let report = place.pull().unwrap();
    assert_eq!(report.record.files["model-2.safetensors"].bytes, 2000);
    assert_eq!(report.record.files.len(), 4);
    hub.replace(
        "model.safetensors.index.json",
        br#"{"weight_map": {"a": "../evil.safetensors"}}"#.to_vec(),
    );
    let place = Place::new(&hub);
    let said = place.pull().unwrap_err().to_string();
    assert!(said.contains("elsewhere"), "{said}");
}

#[test]
fn a_pickle_is_fetched_where_there_is_nothing_else_and_a_model_without_weights_refused() {
    let hub = FakeHub::start(&[
        ("config.json", b"{}".to_vec()),
        ("pytorch_model.bin", weights(500)),
        ("tf_model.h5", weights(9)),
    ]);
    let report = Place::new(&hub).pull().unwrap();
    assert!(report.record.files.contains_key("pytorch_model.bin"));
    let hub = FakeHub::start(&[("config.json", b"{}".to_vec()), ("tf_model.h5", weights(9))]);
    let said = Place::new(&hub).pull().unwrap_err().to_string();
    assert!(said.contains("owner/model has none of"), "{said}");
}

#[test]
fn stopping_keeps_what_arrived() {
    let hub = hub();
    let place = Place::new(&hub);
    hub.mishaps(WEIGHTS, &[Mishap::Hang(80_000)]);
    let cancel = AtomicBool::new(false);
    let progress = |p: PullProgress<'_>| {
        if p.file == WEIGHTS && p.done >= 80_000 {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let error = pull(&place.models, NAME, "main", &place.settings, &progress, &cancel).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert!(!place.is_whole());
    let part = place.models.root().join(format!(
        ".downloads/models--owner--model/blobs/{}.part",
        sha256(&weights(200_000))
    ));
    assert_eq!(fs_err::metadata(part).unwrap().len(), 80_000);
}

#[test]
fn the_hubs_own_cache_is_used_and_not_believed_blindly() {
    let hub = hub();
    let mut place = Place::new(&hub);
    // As the hub's own tools leave it: blobs, and links to them by commit.
    let repo = place.settings.cache.join("models--owner--model");
    let snapshot = repo.join("snapshots").join(COMMIT);
    fs_err::create_dir_all(&snapshot).unwrap();
    fs_err::create_dir_all(repo.join("refs")).unwrap();
    fs_err::write(repo.join("refs/main"), COMMIT).unwrap();
    fs_err::write(snapshot.join("config.json"), "{\"model_type\": \"clip\"}").unwrap();
    fs_err::write(snapshot.join(WEIGHTS), weights(200_000)).unwrap();
    place.pull().unwrap();
    assert!(place.is_whole());
    assert_eq!(hub.transfers(), ["preprocessor_config.json bytes=0-"]);

    let mut damaged = Place::new(&hub);
    damaged.settings.cache.clone_from(&place.settings.cache);
    fs_err::write(snapshot.join(WEIGHTS), weights(100_000)).unwrap();
    damaged.pull().unwrap();
    assert!(damaged.is_whole());

    // Offline, a cache is all there is.
    fs_err::write(snapshot.join(WEIGHTS), weights(200_000)).unwrap();
    let cache = place.settings.cache.clone();
    place.models = ModelsFolder::new(place.models.root().with_file_name("others"));
    place.settings.offline = true;
    let report = place.pull().unwrap();
    assert!(place.is_whole());
    assert_eq!(report.record.commit.as_deref(), Some(COMMIT));
    place.models = ModelsFolder::new(place.models.root().with_file_name("third"));
    place.settings.cache = cache.join("nothing");
    let said = place.pull().unwrap_err().to_string();
    assert!(said.contains("HF_HUB_OFFLINE") && said.contains(NAME), "{said}");
    assert_eq!(hub.transfers().len(), 2, "offline, nothing is asked");
}

#[test]
fn a_carried_folder_is_imported_and_held_against_its_record() {
    let hub = hub();
    let place = Place::new(&hub);
    let carried = place.pull().unwrap().folder;
    let other = Place::new(&hub);
    let never = AtomicBool::new(false);
    let report = import(&other.models, NAME, &carried, &never).unwrap();
    assert!(other.is_whole());
    assert_eq!(report.record.commit.as_deref(), Some(COMMIT));
    let mut bytes = weights(200_000);
    bytes[3] ^= 1;
    fs_err::write(carried.join(WEIGHTS), bytes).unwrap();
    let other = Place::new(&hub);
    let error = import(&other.models, NAME, &carried, &never).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert!(!other.is_whole());
    let said = import(&other.models, NAME, place.models.root(), &never)
        .unwrap_err()
        .to_string();
    assert!(said.contains("config.json"), "{said}");
}

#[test]
fn two_processes_do_not_write_one_model() {
    let hub = hub();
    let place = Place::new(&hub);
    fs_err::create_dir_all(place.models.root().join(".downloads")).unwrap();
    let held = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(place.models.root().join(".downloads/owner--model.lock"))
        .unwrap();
    held.try_lock().unwrap();
    assert!(matches!(place.pull(), Err(Error::Busy { .. })));
    drop(held);
    place.pull().unwrap();
}

/// On a file system of 128 kB, where this process may mount one.
#[test]
fn a_full_disk_is_told_and_leaves_no_model() {
    let hub = hub();
    let mut place = Place::new(&hub);
    let mount = place.models.root().with_file_name("tiny");
    fs_err::create_dir_all(&mount).unwrap();
    let Some(_mounted) = Tiny::mount(&mount) else {
        eprintln!("SKIPPED: no tmpfs can be mounted here");
        return;
    };
    place.models = ModelsFolder::new(mount.join("models"));
    let error = place.pull().unwrap_err();
    assert!(
        matches!(error, Error::DiskFull { needed: 200_000, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("is full"), "{error}");
    assert!(!place.is_whole());
    // The same for a folder that is carried here.
    let source = mount.with_file_name("source");
    fs_err::create_dir_all(&source).unwrap();
    fs_err::write(source.join("config.json"), "{}").unwrap();
    fs_err::write(source.join(WEIGHTS), weights(200_000)).unwrap();
    let error = import(&place.models, NAME, &source, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(!place.is_whole());
}

/// A mounted tmpfs, unmounted when dropped.
struct Tiny(std::path::PathBuf);

impl Tiny {
    fn mount(folder: &Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).output();
    }
}

fn walk(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path.display().to_string());
        }
    }
    files
}
