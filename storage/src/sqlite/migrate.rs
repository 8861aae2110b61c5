//! The schema of the file: what it has, and bringing it up to date.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::analytics::fill_leaves;
use super::error::translate;
use super::open::options;
use crate::migrations::AppliedMigration;
use crate::{Error, MigrationInfo, MigrationState, Result};

/// The steps of the schema, compiled in.
static MIGRATOR: Migrator = sqlx::migrate!("../migrations/sqlite");

/// How often another process's migration of the same file is waited for.
const ATTEMPTS: u32 = 5;

/// What the file has. One without tables has nothing.
pub(super) async fn state(path: &Path, connection: &mut SqliteConnection) -> Result<MigrationState> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|error| translate(path, error))?;
    let migrated = tables.iter().any(|table| table == "_sqlx_migrations");
    if !migrated && !tables.is_empty() {
        return Err(Error::Conflict(format!(
            "{} is a database of another program: choose another data directory",
            path.display()
        )));
    }
    let rows = match migrated {
        false => Vec::new(),
        true => sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(|error| translate(path, error))?,
    };
    let applied: Vec<AppliedMigration> = rows
        .iter()
        .map(|row| {
            Ok(AppliedMigration {
                version: row.try_get("version")?,
                checksum: row.try_get("checksum")?,
                success: row.try_get("success")?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(|error| translate(path, error))?;
    MigrationState::of(&path.display().to_string(), &MIGRATOR, &applied)
}

/// Applies what the file lacks, each step in a transaction, and tells what was applied.
///
/// Foreign keys are off meanwhile: a table that needs another CHECK is copied, and dropping the old one must not take the rows
/// along that refer to it. What comes out is checked.
pub(super) async fn migrate(path: &Path) -> Result<Vec<MigrationInfo>> {
    let mut connection = SqliteConnection::connect_with(&options(path).foreign_keys(false))
        .await
        .map_err(|error| translate(path, error))?;
    let before = state(path, &mut connection).await?;
    for attempt in 1.. {
        let Err(error) = MIGRATOR.run_direct(None, &mut connection, false).await else {
            break;
        };
        // Another process may have been faster; what it did is not done again.
        if attempt == ATTEMPTS
            || !matches!(
                error,
                MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)
            )
        {
            return Err(translate_migration(path, error));
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    fill_leaves(&mut connection)
        .await
        .map_err(|error| translate(path, error))?;
    let broken = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .map_err(|error| translate(path, error))?;
    if !broken.is_empty() {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            reason: format!("{} rows refer to rows that are not there", broken.len()),
        });
    }
    connection.close().await.map_err(|error| translate(path, error))?;
    Ok(before.pending)
}

/// Migrations fail for their own reasons.
fn translate_migration(path: &Path, error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => translate(path, error),
        other => Error::Corrupt {
            path: path.to_owned(),
            reason: other.to_string(),
        },
    }
}
