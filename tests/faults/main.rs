//! What happens when things break: the indexer is killed, the database is locked, the disk is full, two indexers run at once,
//! clocks disagree, servers are killed and come back. Nothing may be lost, nothing half active, and every error clear.
//!
//! `GEOSURGE_FAULTS` says at how many random moments the indexer is killed (default 8) and `GEOSURGE_FAULTS_SEED` which ones;
//! `cargo test --release --test faults -- --nocapture` tells what was met.
#![allow(clippy::unwrap_used, reason = "tests")]

mod changes;
#[path = "../../storage/tests/support/cluster.rs"]
mod cluster;
mod kills;
mod machine;
mod servers;
mod snapshot;
mod world;

use std::env;

/// How many random moments.
fn points() -> usize {
    let text = env::var("GEOSURGE_FAULTS").unwrap_or_else(|_| "8".to_owned());
    text.parse().expect("GEOSURGE_FAULTS is a number of kills")
}

/// Which ones.
fn seed() -> u64 {
    let text = env::var("GEOSURGE_FAULTS_SEED").unwrap_or_else(|_| "1".to_owned());
    text.parse().expect("GEOSURGE_FAULTS_SEED is a number")
}
