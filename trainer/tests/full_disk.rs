//! A disk that fills up while a run learns: the error says so, no state is lost, and the run ends as if there had been room.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use geosurge_trainer::config::SegmenterConfig;
use geosurge_trainer::{Error, RunFolder, TrainingOptions, train};

/// A file system in a file, unmounted in the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, mebibytes: u64) -> Option<Self> {
        let (image, path) = (folder.join("image"), folder.join("small"));
        fs_err::create_dir(&path).unwrap();
        let file = fs_err::File::create(&image).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let made = done(
            Command::new("mkfs.ext4")
                .args(["-q", "-F", "-m", "0"])
                .arg(&image),
        );
        (made && done(Command::new("mount").args(["-o", "loop"]).args([&image, &path]))).then_some(Self(path))
    }

    fn free_kibibytes(&self) -> usize {
        let output = Command::new("df")
            .args(["--output=avail", "-B1K"])
            .arg(&self.0)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that stays says so when the temporary folder cannot be removed.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_the_run_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), 24) else {
        println!("skipped: a small file system cannot be mounted here (it needs root and mkfs.ext4)");
        return;
    };
    let dataset = common::planet(&folder.path().join("planet"), 160);
    let mut config = common::config();
    config.segmenter = SegmenterConfig::None;
    config.log.every_steps = 1;
    config.states.every_steps = 1;
    config.states.keep = 3;
    common::run(&dataset, &config, folder.path(), "whole", false).unwrap();
    let weights = |run: &RunFolder| fs_err::read(run.checkpoint().join("model.safetensors")).unwrap();
    let expected = weights(&RunFolder::new(folder.path().join("whole")));
    let state = folder.path().join("whole/state");
    let kibibytes = fs_err::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len() / 1024)
        .max()
        .unwrap() as usize;

    let mut full = 0;
    // Room for no state, for one, for some: with the smallest, the first state already finds none.
    for (round, states) in [0.5, 1.5, 2.5, 3.5].into_iter().enumerate() {
        let run = RunFolder::new(disk.0.join(format!("run-{round}")));
        let options = |resume| TrainingOptions {
            resume,
            ..common::options(folder.path(), false)
        };
        let go = |resume| {
            let cancel = std::sync::atomic::AtomicBool::new(false);
            train(&dataset, &config, &run, &options(resume), &|_| (), &cancel)
        };
        let ballast = disk.0.join("ballast");
        let room = 40 + (states * kibibytes as f64) as usize;
        fs_err::write(&ballast, vec![1u8; (disk.free_kibibytes() - room) << 10]).unwrap();
        let ended = go(false);
        fs_err::remove_file(&ballast).unwrap();
        if let Err(error) = ended {
            assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
            let said = error.to_string();
            assert!(
                said.contains("no space is left") && said.contains("--resume"),
                "{said}"
            );
            full += 1;
            go(true).unwrap();
        }
        assert!(weights(&run) == expected, "round {round}: other weights");
        fs_err::remove_dir_all(run.root()).unwrap();
    }
    assert!(full >= 2, "the disk was full {full} times only");
    println!("the disk was full in {full} of 4 runs; all ended whole when there was room");
}
