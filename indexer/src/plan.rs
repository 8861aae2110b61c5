//! Which release a build makes or goes on with.

use chrono::{DateTime, Utc};
use storage::{Catalog, NewRelease, Release, ReleaseId, ReleaseStatus};

use crate::Result;

/// What a release is built from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub checkpoint_id: String,
    pub checkpoint_path: String,
    pub dataset_digest: String,
    pub embedding_dimension: usize,
    pub levels: usize,
    pub store: serde_json::Value,
}

/// Starts a release, or finds the one of the same checkpoint and dataset.
///
/// With a name: that release, which must be of the same source. Without: one of the same source that is built, else one
/// that is unfinished, else a new one named after the day and the checkpoint.
pub(crate) async fn begin(catalog: &dyn Catalog, name: Option<&ReleaseId>, source: &Source) -> Result<Begun> {
    let releases = catalog.releases().await?;
    let id = match (name, existing(&releases, source)) {
        (Some(id), _) | (None, Some(id)) => id.clone(),
        (None, None) => fresh_name(&releases, source, Utc::now())?,
    };
    let had_failed = releases
        .iter()
        .any(|release| release.id == id && release.status == ReleaseStatus::Failed);
    let release = NewRelease {
        id,
        checkpoint_id: source.checkpoint_id.clone(),
        checkpoint_path: source.checkpoint_path.clone(),
        embedding_dimension: source.embedding_dimension,
        levels: source.levels,
        dataset_digest: source.dataset_digest.clone(),
        store: source.store.clone(),
    };
    Ok(Begun {
        release: catalog.create_release(release).await?,
        had_failed,
    })
}

/// A release that a build makes or goes on with.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub release: Release,
    /// It failed before, so that nothing that it loaded is to be trusted.
    pub had_failed: bool,
}

/// Whether nothing is left to load.
pub(crate) fn is_built(release: &Release) -> bool {
    matches!(
        release.status,
        ReleaseStatus::Ready | ReleaseStatus::Active | ReleaseStatus::Retired
    )
}

fn existing<'a>(releases: &'a [Release], source: &Source) -> Option<&'a ReleaseId> {
    let same = |release: &&Release| {
        release.status != ReleaseStatus::Pruned
            && release.checkpoint_id == source.checkpoint_id
            && release.checkpoint_path == source.checkpoint_path
            && release.dataset_digest == source.dataset_digest
            && release.store == source.store
    };
    let preference = |release: &&Release| match release.status {
        ReleaseStatus::Active => 0,
        ReleaseStatus::Ready => 1,
        ReleaseStatus::Retired => 2,
        ReleaseStatus::Building => 3,
        ReleaseStatus::Failed => 4,
        ReleaseStatus::Pruned => 5,
    };
    releases
        .iter()
        .filter(same)
        .min_by_key(preference)
        .map(|release| &release.id)
}

/// `2026-11-22-1a2b3c4d`, with `-2`, `-3`, … where that name is taken.
fn fresh_name(releases: &[Release], source: &Source, now: DateTime<Utc>) -> Result<ReleaseId> {
    let short: String = source
        .checkpoint_id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    let base = format!("{}-{}", now.format("%Y-%m-%d"), short.to_lowercase());
    let taken = |name: &str| releases.iter().any(|release| release.id.as_str() == name);
    let mut name = base.clone();
    let mut number = 2;
    while taken(&name) {
        name = format!("{base}-{number}");
        number += 1;
    }
    Ok(ReleaseId::new(name)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn source() -> Source {
        Source {
            checkpoint_id: "1A2b3c4d5e".into(),
            checkpoint_path: "/models/a".into(),
            dataset_digest: "d".into(),
            embedding_dimension: 8,
            levels: 2,
            store: serde_json::Value::Null,
        }
    }

    fn release(name: &str, status: ReleaseStatus) -> Release {
        let source = source();
        Release {
            id: ReleaseId::new(name).unwrap(),
            status,
            checkpoint_id: source.checkpoint_id,
            checkpoint_path: source.checkpoint_path,
            embedding_dimension: 8,
            levels: 2,
            dataset_digest: source.dataset_digest,
            store: source.store,
            counts: None,
            message: None,
            created_at: Utc::now(),
            ready_at: None,
            activated_at: None,
        }
    }

    #[test]
    fn names_tell_day_and_checkpoint_and_never_collide() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let first = fresh_name(&[], &source(), now).unwrap();
        assert_eq!(first.as_str(), "2026-11-22-1a2b3c4d");
        let taken = [release(first.as_str(), ReleaseStatus::Ready)];
        assert_eq!(
            fresh_name(&taken, &source(), now).unwrap().as_str(),
            "2026-11-22-1a2b3c4d-2"
        );
    }

    #[test]
    fn the_same_source_is_built_once() {
        let failed = release("failed", ReleaseStatus::Failed);
        let ready = release("ready", ReleaseStatus::Ready);
        let other = Release {
            dataset_digest: "other".into(),
            ..release("other", ReleaseStatus::Active)
        };
        let releases = [failed, other, ready];
        assert_eq!(existing(&releases, &source()).unwrap().as_str(), "ready");
        assert_eq!(existing(&releases[..2], &source()).unwrap().as_str(), "failed");
        assert_eq!(existing(&releases[1..2], &source()), None);
    }
}
