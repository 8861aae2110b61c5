//! Who may use the service: keys, of which only digests are kept.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// What a key permits; each scope permits what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Localise photos, look at releases, geocells and reference images.
    Reader,
    /// Recorded predictions, analytics, comparisons, ground truth.
    Analyst,
    /// Add and remove reference images.
    Contributor,
    /// Activate releases and roll back, read the audit log.
    Admin,
}

impl Scope {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Analyst, Self::Contributor, Self::Admin];

    /// The lower-case word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Analyst => "analyst",
            Self::Contributor => "contributor",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "{word:?} is no scope: choose reader, analyst, contributor or admin"
                ))
            })
    }
}

/// A key, without the key itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// A UUID of version 7.
    pub id: Uuid,
    /// Who has it, for people: 1 to 64 printable characters. Several keys may have one name.
    pub name: String,
    /// SHA-256 of the key's text, in lower-case hexadecimal.
    pub sha256: String,
    /// What it permits.
    pub scope: Scope,
    /// Requests a minute; `None` for the service's default.
    pub requests_per_minute: Option<u32>,
    /// Coordinates of answers are given to about so many kilometres; `None` for exact ones.
    pub coarsen_km: Option<f64>,
    /// When it was made, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is refused.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// A key of now that has not been used.
    pub fn new(name: impl Into<String>, sha256: impl Into<String>, scope: Scope) -> Self {
        Self {
            id: Uuid::now_v7(),
            name: name.into(),
            sha256: sha256.into(),
            scope,
            requests_per_minute: None,
            coarsen_km: None,
            created_at: Utc::now().trunc_subsecs(6),
            last_used_at: None,
            revoked_at: None,
        }
    }

    /// Checks name, digest, rate and distance.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field.
    pub fn check(&self) -> Result<()> {
        let length = self.name.chars().count();
        if !(1..=64).contains(&length) || self.name.chars().any(char::is_control) {
            return Err(Error::Invalid(
                "the name of a key must have 1 to 64 printable characters".to_owned(),
            ));
        }
        // Records name a client `key/label`: another key's label must not read like this key's name.
        if self.name.contains('/') {
            return Err(Error::Invalid(
                "the name of a key must not have a `/`, which separates it from its clients' labels"
                    .to_owned(),
            ));
        }
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if self.sha256.len() != 64 || !self.sha256.chars().all(hexadecimal) {
            return Err(Error::Invalid(
                "the digest of a key must be 64 hexadecimal digits".to_owned(),
            ));
        }
        if self.requests_per_minute == Some(0) {
            return Err(Error::Invalid(
                "a key with 0 requests a minute could do nothing: revoke it instead".to_owned(),
            ));
        }
        match self.coarsen_km {
            Some(km) if !(km.is_finite() && (0.001..=5000.0).contains(&km)) => Err(Error::Invalid(format!(
                "coordinates cannot be coarsened to {km} km: choose between 0.001 and 5000"
            ))),
            _ => Ok(()),
        }
    }
}
