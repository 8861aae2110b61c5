//! Running the `geosurge` command in tests.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

/// The command, away from the settings of whoever runs the tests.
pub fn geosurge(data_dir: &Path) -> Command {
    let mut command = Command::cargo_bin("geosurge").unwrap();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GEOSURGE_")) {
        command.env_remove(name);
    }
    command.current_dir(data_dir).arg("--data-dir").arg(data_dir);
    command
}

/// Runs it and expects success; the output comes back as text.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", describe(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs it and expects an error; what it said on standard error comes back.
pub fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", describe(&output));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// The last line of an output as JSON.
pub fn last_json(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e} in {text}"))
}

/// Every line of an output as JSON.
pub fn lines_of(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}")))
        .collect()
}

fn describe(output: &Output) -> String {
    format!(
        "{}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Renders `dir/planet`: `photos` of `side` pixels in `cities`.
pub fn render(dir: &Path, photos: u32, side: u32, cities: u32) {
    let [photos, side, cities] = [photos, side, cities].map(|number| number.to_string());
    succeed(
        geosurge(dir)
            .args(["planet", "--json", "--out", "planet", "--photos", &photos])
            .args(["--size", &side, "--cities", &cities]),
    );
}

/// Trains `dir/run` on `dir/planet` with a configuration; what the command told.
pub fn train(dir: &Path, config: &Path) -> Value {
    let mut command = geosurge(dir);
    command.args([
        "train",
        "--json",
        "--dataset",
        "planet",
        "--out",
        "run",
        "--config",
    ]);
    last_json(&succeed(command.arg(config)))
}

/// Builds the release `first` of `dir/run` with the photos of `dir/planet` and activates it; what the command told.
pub fn index(dir: &Path) -> Value {
    let name_and_state = ["--name", "first", "--activate", "--json"];
    last_json(&succeed(
        geosurge(dir)
            .args(["index", "run/checkpoint", "planet"])
            .args(name_and_state),
    ))
}

/// The photo of `dir/planet` whose name sorts first.
pub fn first_photo(dir: &Path) -> PathBuf {
    let photos = fs_err::read_dir(dir.join("planet/images")).unwrap();
    photos.map(|entry| entry.unwrap().path()).min().unwrap()
}

/// The configuration of a model that learns in seconds.
pub fn tiny_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny.toml")
}

/// Real data beside the checkout, where there are any; tests that need them say so and end.
pub fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GEOSURGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}
