//! Opening the file and bringing its schema up to date.

use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::error::{translate, translate_migration};
use crate::{Error, Result};

/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections a process keeps.
const CONNECTIONS: u32 = 8;

/// Opens or creates the file and applies the migrations that it lacks.
pub(super) async fn open(path: &Path) -> Result<SqlitePool> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(2 * BUSY_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(|error| translate(path, error))?;
    sqlx::migrate!("../migrations/sqlite")
        .run(&pool)
        .await
        .map_err(|error| translate_migration(path, error))?;
    Ok(pool)
}
