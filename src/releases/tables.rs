//! Releases as tables.

use indexer::{PrunePlan, ReleaseDetails};
use storage::Release;

use crate::output;

pub fn list(releases: &[Release]) {
    if releases.is_empty() {
        output::line("there is no release yet; build one with: geosurge index CHECKPOINT DATASET --activate");
        return;
    }
    let mut table = output::table(
        ["release", "status", "levels", "geocells", "references", "ready"],
        &[2, 3, 4],
    );
    for release in releases {
        let counts = release.counts.unwrap_or_default();
        let ready = release.ready_at.map(|at| at.format("%Y-%m-%d %H:%M").to_string());
        table.add_row([
            release.id.to_string(),
            release.status.to_string(),
            release.levels.to_string(),
            counts.geocells.to_string(),
            counts.reference_images.to_string(),
            ready.or_else(|| release.message.clone()).unwrap_or_default(),
        ]);
    }
    output::line(table);
}

pub fn details(details: &ReleaseDetails) {
    let release = &details.release;
    let mut table = output::table(["", ""], &[]);
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        )
    };
    let checkpoint = match &details.checkpoint_problem {
        Some(problem) => format!(
            "{} at {}: {problem}",
            release.checkpoint_id, release.checkpoint_path
        ),
        None => format!("{} at {}", release.checkpoint_id, release.checkpoint_path),
    };
    for (name, value) in [
        ("release", release.id.to_string()),
        ("status", release.status.to_string()),
        ("message", release.message.clone().unwrap_or_default()),
        ("checkpoint", checkpoint),
        ("dataset", release.dataset_digest.clone()),
        (
            "embedding",
            format!(
                "{} numbers, {} levels",
                release.embedding_dimension, release.levels
            ),
        ),
        ("geocells", details.rows.geocells.to_string()),
        ("reference photographs", details.rows.reference_images.to_string()),
        ("created", time(Some(release.created_at))),
        ("ready", time(release.ready_at)),
        ("activated", time(release.activated_at)),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    output::line(table);
    let Some(collections) = &details.collections else {
        output::line("the vector store is in use by a running service, so its collections are not shown");
        return;
    };
    let mut table = output::table(["collection", "points", "state"], &[1]);
    for line in collections {
        table.add_row([
            line.name.clone(),
            line.points.map_or_else(String::new, |points| points.to_string()),
            line.state.map_or_else(
                || "missing".to_owned(),
                |state| format!("{state:?}").to_lowercase(),
            ),
        ]);
    }
    output::line(table);
}

pub fn pruning(plan: &PrunePlan, dry_run: bool) {
    let mut table = output::table(["release", "what becomes of it"], &[]);
    for victim in &plan.victims {
        let done = if dry_run { "would be pruned" } else { "pruned" };
        table.add_row([victim.id.to_string(), done.to_owned()]);
    }
    for (release, reason) in &plan.kept {
        table.add_row([release.to_string(), format!("stays: {reason}")]);
    }
    output::line(table);
    if plan.victims.is_empty() {
        output::line("nothing to prune");
    } else if dry_run {
        output::line("nothing was deleted");
    }
}
