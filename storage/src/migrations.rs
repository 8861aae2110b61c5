//! Which migrations a catalog has, and which it lacks.

use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;

use crate::{Error, Result};

/// One step of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationInfo {
    /// Its number.
    pub version: i64,
    /// What it brings.
    pub description: String,
}

/// How far a catalog's schema is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationState {
    /// What it has, in order.
    pub applied: Vec<MigrationInfo>,
    /// What it lacks, in order.
    pub pending: Vec<MigrationInfo>,
}

/// A migration as the catalog remembers it.
pub(crate) struct AppliedMigration {
    pub(crate) version: i64,
    pub(crate) checksum: Vec<u8>,
    pub(crate) success: bool,
}

impl MigrationState {
    /// Compares what is applied with what this program knows. `store` names the catalog in errors.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a catalog of a newer version, for a migration that is not this program's, and for one that
    /// was left half-way.
    pub(crate) fn of(store: &str, migrator: &Migrator, applied: &[AppliedMigration]) -> Result<Self> {
        for migration in applied {
            let version = migration.version;
            let known = migrator.iter().find(|known| known.version == version);
            let Some(known) = known else {
                return Err(Error::Conflict(format!(
                    "{store} was written by a newer version (migration {version}): update geosurge or choose another catalog"
                )));
            };
            if !migration.success {
                return Err(Error::Conflict(format!(
                    "migration {version} of {store} was left half-way: restore the catalog from a backup and migrate again"
                )));
            }
            if known.checksum.as_ref() != migration.checksum.as_slice() {
                return Err(Error::Conflict(format!(
                    "migration {version} of {store} differs from this program's: use the version of geosurge that wrote it"
                )));
            }
        }
        let mut state = Self::default();
        for known in migrator.iter() {
            let info = MigrationInfo {
                version: known.version,
                description: known.description.to_string(),
            };
            match applied.iter().any(|migration| migration.version == known.version) {
                true => state.applied.push(info),
                false => state.pending.push(info),
            }
        }
        Ok(state)
    }

    /// Refuses a catalog that lacks migrations.
    ///
    /// # Errors
    /// [`Error::Conflict`] that says how to bring it up to date.
    pub(crate) fn require_current(&self, store: &str) -> Result<()> {
        let (Some(first), pending) = (self.pending.first(), self.pending.len()) else {
            return Ok(());
        };
        let lacks = match self.applied.last() {
            None => "has no schema yet".to_owned(),
            Some(last) => format!(
                "has the schema of an older version (migration {}; {pending} pending, the next is {})",
                last.version, first.version
            ),
        };
        Err(Error::Conflict(format!(
            "{store} {lacks}: run `geosurge migrate`"
        )))
    }
}
