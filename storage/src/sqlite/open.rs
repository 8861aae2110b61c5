//! Opening the file.

use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::error::translate;
use super::migrate::{migrate, state};
use crate::{Error, Result};

/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections a process keeps.
const CONNECTIONS: u32 = 8;

/// How every connection is opened. Deleted rows are overwritten: what was deleted for privacy's sake is not left in the file.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY_TIMEOUT)
}

/// Opens or creates the file. A new one gets the whole schema; an old one has to be migrated first.
pub(super) async fn open(path: &Path) -> Result<SqlitePool> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
    }
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(2 * BUSY_TIMEOUT)
        .connect_with(options(path))
        .await
        .map_err(|error| translate(path, error))?;
    let mut connection = pool.acquire().await.map_err(|error| translate(path, error))?;
    let found = state(path, &mut connection).await?;
    drop(connection);
    if found.applied.is_empty() {
        migrate(path).await?;
    } else {
        found.require_current(&path.display().to_string())?;
    }
    Ok(pool)
}
