//! A release: a checkpoint indexed and ready to be served.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The checked id of a release: 1 to 48 lower-case letters, digits and `-`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId(String);

impl ReleaseId {
    /// Checks an id.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty or long id, or one with other characters.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || id.len() > 48 || id.starts_with('-') || !id.chars().all(allowed) {
            return Err(Error::Invalid(format!(
                "{id:?} cannot name a release: use 1 to 48 lower-case letters, digits and '-'"
            )));
        }
        Ok(Self(id))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReleaseId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        Self::new(id)
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = Error;

    fn try_from(id: String) -> Result<Self> {
        Self::new(id)
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.0
    }
}

/// Where a release stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseStatus {
    /// Being indexed; a killed build resumes.
    Building,
    /// Indexed and verified.
    Ready,
    /// The one that is served.
    Active,
    /// Was active; may be again.
    Retired,
    /// Could not be built, or was found broken.
    Failed,
    /// Its geocells and reference images were deleted; its row stays for the predictions that it answered. Nothing follows.
    Pruned,
}

impl ReleaseStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Building,
        Self::Ready,
        Self::Active,
        Self::Retired,
        Self::Failed,
        Self::Pruned,
    ];

    /// The lower-case word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Failed => "failed",
            Self::Pruned => "pruned",
        }
    }

    /// Whether a release of this status may move to the next one. A failed build goes on through
    /// [`create_release`](crate::Catalog::create_release) only.
    pub fn may_become(self, next: Self) -> bool {
        use ReleaseStatus::{Active, Building, Failed, Pruned, Ready, Retired};
        self == next
            || match (self, next) {
                (Pruned, _) => false,
                (Building, Ready) | (Ready, Active) | (Active, Retired) | (Retired, Active) => true,
                (Ready | Retired | Failed, Pruned) | (_, Failed) => true,
                _ => false,
            }
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReleaseStatus {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| Error::Invalid(format!("{word:?} is no release status")))
    }
}

/// A release to be built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRelease {
    /// Its id.
    pub id: ReleaseId,
    /// The checkpoint's own id (a digest), so that encoder and index can never be mixed.
    pub checkpoint_id: String,
    /// The checkpoint's directory.
    pub checkpoint_path: String,
    /// Components of visual and geographic embeddings.
    pub embedding_dimension: usize,
    /// Number of levels of the hierarchy.
    pub levels: usize,
    /// Digest of the dataset whose photos are the gallery.
    pub dataset_digest: String,
    /// Settings of the vector store that the index was built with.
    pub store: serde_json::Value,
}

/// A release as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// Where it stands.
    pub status: ReleaseStatus,
    /// The checkpoint's own id.
    pub checkpoint_id: String,
    /// The checkpoint's directory.
    pub checkpoint_path: String,
    /// Components of visual and geographic embeddings.
    pub embedding_dimension: usize,
    /// Number of levels of the hierarchy.
    pub levels: usize,
    /// Digest of the dataset whose photos are the gallery.
    pub dataset_digest: String,
    /// Settings of the vector store.
    pub store: serde_json::Value,
    /// How much was indexed, as counted when it became ready; `None` before.
    pub counts: Option<ReleaseCounts>,
    /// What happened last, for people.
    pub message: Option<String>,
    /// When its build began.
    pub created_at: DateTime<Utc>,
    /// When it became ready.
    pub ready_at: Option<DateTime<Utc>>,
    /// When it was last activated.
    pub activated_at: Option<DateTime<Utc>>,
}

/// How much a release holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseCounts {
    /// Geocells of all levels.
    pub geocells: u64,
    /// Reference images.
    pub reference_images: u64,
}

/// The error of a release that could hold nothing.
pub(crate) fn check_shape(new: &NewRelease) -> Result<()> {
    if new.embedding_dimension == 0 || new.levels == 0 {
        return Err(Error::Invalid(format!(
            "release {} needs an embedding dimension and at least one level",
            new.id
        )));
    }
    Ok(())
}

/// The error of loading into a release whose contents were deleted.
pub(crate) fn check_loadable(release: &Release) -> Result<()> {
    if release.status == ReleaseStatus::Pruned {
        return Err(Error::Conflict(format!(
            "release {} was pruned and takes nothing more: build a new release",
            release.id
        )));
    }
    Ok(())
}

/// The error of a step that the life of a release does not have.
pub(crate) fn check_transition(release: &Release, next: ReleaseStatus) -> Result<()> {
    if release.status.may_become(next) {
        return Ok(());
    }
    let remedy = match release.status {
        ReleaseStatus::Building => "finish its build first",
        ReleaseStatus::Failed => "build it again",
        ReleaseStatus::Ready => "activate it first",
        ReleaseStatus::Active => "activate another release first",
        ReleaseStatus::Retired => "activate it, or build a new release",
        ReleaseStatus::Pruned => "what it held was deleted; build a new release",
    };
    Err(Error::Conflict(format!(
        "release {} is {} and cannot become {next}: {remedy}",
        release.id, release.status
    )))
}

/// The error of a build under the id of another, or of a pruned release.
pub(crate) fn check_same_build(existing: &Release, new: &NewRelease) -> Result<()> {
    let differences: Vec<&str> = [
        ("checkpoint", existing.checkpoint_id != new.checkpoint_id),
        ("dataset", existing.dataset_digest != new.dataset_digest),
        (
            "embedding dimension",
            existing.embedding_dimension != new.embedding_dimension,
        ),
        ("number of levels", existing.levels != new.levels),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect();
    if existing.status == ReleaseStatus::Pruned {
        return Err(Error::Conflict(format!(
            "release {} was pruned: choose another release id",
            existing.id
        )));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "release {} exists with another {}: choose another release id",
        existing.id,
        differences.join(" and another ")
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn ids_are_checked_everywhere() {
        for bad in ["", "-a", "A", "a_b", "a/b", "..", &"a".repeat(49)] {
            assert!(bad.parse::<ReleaseId>().is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<ReleaseId>("\"a b\"").is_err());
        assert_eq!(ReleaseId::new("2026-11-22").unwrap().to_string(), "2026-11-22");
    }

    #[test]
    fn the_life_of_a_release() {
        use ReleaseStatus::*;
        let legal: Vec<_> = ReleaseStatus::ALL
            .into_iter()
            .flat_map(|from| ReleaseStatus::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from != to && *to != Failed && from.may_become(*to))
            .collect();
        assert_eq!(
            legal,
            [
                (Building, Ready),
                (Ready, Active),
                (Ready, Pruned),
                (Active, Retired),
                (Retired, Active),
                (Retired, Pruned),
                (Failed, Pruned)
            ]
        );
        for status in ReleaseStatus::ALL {
            assert_eq!(status.as_str().parse::<ReleaseStatus>().unwrap(), status);
            assert_eq!(status.may_become(Failed), status != Pruned);
        }
    }
}
