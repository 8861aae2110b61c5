//! Tells the program which source revision it is built from: `GEOSURGE_REVISION` where the builder sets it (an image is built without
//! the repository), else what git says.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GEOSURGE_REVISION");
    let given = std::env::var("GEOSURGE_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty());
    if given.is_none() {
        // Git appends to this file at every commit and checkout.
        if let Some(log) =
            git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).is_file())
        {
            println!("cargo::rerun-if-changed={log}");
        }
    }
    if let Some(revision) = given.or_else(|| git(&["rev-parse", "HEAD"])) {
        println!("cargo::rustc-env=GEOSURGE_REVISION={revision}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}
