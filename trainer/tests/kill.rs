//! A run whose process is killed (SIGKILL) at any step goes on as if nothing had happened: the same losses, the same weights, bit for bit.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use datasets::Dataset;
use geosurge_trainer::config::SegmenterConfig;
use geosurge_trainer::{RunFolder, TrainingConfig};
use rand::Rng;

/// Where the child of this test finds its work.
const FOLDER: &str = "GEOSURGE_TEST_KILL_FOLDER";
const NAME: &str = "GEOSURGE_TEST_KILL_RUN";

fn config() -> TrainingConfig {
    let mut config = common::config();
    config.segmenter = SegmenterConfig::None;
    config.budget.epochs = 3;
    config.augmentation.shift = 2;
    config.optimizer.ema_decay = 0.9;
    config.micro_batch = 12;
    config.log.every_steps = 1;
    config.states.every_steps = 3;
    config.log.html = false;
    config
}

/// The child: trains in the folder that its environment names. Run as a test of its own, it has nothing to do.
#[test]
fn child() {
    let (Ok(folder), Ok(name)) = (std::env::var(FOLDER), std::env::var(NAME)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let dataset = Dataset::open(folder.join("planet")).unwrap();
    let resume = RunFolder::new(folder.join(&name)).is_started();
    common::run(&dataset, &config(), &folder, &name, resume).unwrap();
}

fn start(folder: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads", "1"])
        .env(FOLDER, folder)
        .env(NAME, name)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn steps(run: &RunFolder) -> usize {
    let text = fs_err::read_to_string(run.metrics()).unwrap_or_default();
    text.lines()
        .filter(|line| line.contains("\"kind\":\"step\""))
        .count()
}

/// Kills the child once so many steps are written, or a moment later; whether it was still at work.
fn kill_at(child: &mut Child, run: &RunFolder, step: usize, later: Duration) -> bool {
    let began = Instant::now();
    while steps(run) < step && child.try_wait().unwrap().is_none() {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "step {step} never came"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(later);
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

/// Step, loss, gradient and score of every line, as written.
fn curve(run: &RunFolder) -> Vec<String> {
    let text = fs_err::read_to_string(run.metrics()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["kind"] != "stage")
        .map(|l| {
            format!(
                "{} {} {} {}",
                l["step"], l["loss"], l["gradient_norm"], l["score"]
            )
        })
        .collect()
}

fn weights(run: &RunFolder) -> Vec<u8> {
    fs_err::read(run.checkpoint().join("model.safetensors")).unwrap()
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    common::planet(&folder.join("planet"), 240);
    let whole = RunFolder::new(folder.join("whole"));
    assert!(start(folder, "whole").wait().unwrap().success());
    let (expected, total) = (curve(&whole), steps(&whole));
    assert!(total >= 15, "{total} steps");

    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seed = u64::from(now.subsec_nanos());
    let mut rng = geosurge_trainer::sampling::generator(seed, "kills", 0);
    let mut killed = 0;
    for round in 0..4 {
        let name = format!("killed-{round}");
        let run = RunFolder::new(folder.join(&name));
        // Several kills in one run, the later ones while it goes on.
        let mut at = Vec::new();
        let mut after = 0;
        while after + 1 < total && at.len() < 2 {
            after = rng.random_range(after + 1..total);
            at.push(after);
            let later = Duration::from_millis(rng.random_range(0..30));
            killed += usize::from(kill_at(&mut start(folder, &name), &run, after, later));
        }
        assert!(
            start(folder, &name).wait().unwrap().success(),
            "{name}, killed at {at:?}"
        );
        assert_eq!(curve(&run), expected, "{name}, killed at {at:?}");
        assert!(
            weights(&run) == weights(&whole),
            "{name}, killed at {at:?}: other weights"
        );
        let left: Vec<String> = fs_err::read_dir(run.state())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("step-"))
            .collect();
        assert!(left.len() <= config().states.keep, "{left:?}");
    }
    assert!(killed >= 4, "only {killed} kills met a run at work");
}
