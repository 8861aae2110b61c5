//! The schema of the database: what it has, and bringing it up to date.

use chrono::Utc;
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{Row, query, query_scalar};

use super::attempt::{Repeat, attempt};
use super::config::PostgresConfig;
use super::error::{translate, translate_migration};
use super::months;
use super::store::PostgresCatalog;
use crate::migrations::AppliedMigration;
use crate::{MigrationInfo, MigrationState, Result};

/// The steps of the schema, compiled in.
static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresMigration {
    /// Migrations that were applied now.
    pub applied: Vec<MigrationInfo>,
    /// Months of predictions that were made ahead.
    pub months_made: u64,
    /// Predictions that no month takes, in the default partition: their times are far off.
    pub strays: u64,
}

/// What the database has, without changing it.
pub(super) async fn state(store: &str, connection: &mut PgConnection) -> Result<MigrationState> {
    let migrated: bool = query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| translate(store, error))?;
    let rows = match migrated {
        false => Vec::new(),
        true => query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(|error| translate(store, error))?,
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
        .map_err(|error| translate(store, error))?;
    MigrationState::of(store, &MIGRATOR, &applied)
}

impl PostgresCatalog {
    /// Which migrations a database has and lacks.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) for a database of a newer version, and those of connecting.
    pub async fn migration_state(config: &PostgresConfig) -> Result<MigrationState> {
        let pool = config.connect().await?;
        let name = config.name();
        let mut connection = pool.acquire().await.map_err(|error| translate(&name, error))?;
        let found = state(&name, &mut connection).await;
        drop(connection);
        pool.close().await;
        found
    }

    /// Brings a database up to date, each migration in a transaction, and makes the months of predictions ahead. Of several
    /// processes that do this at once, one works and the others wait.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) for a database of a newer version, and those of connecting.
    pub async fn migrate(config: &PostgresConfig) -> Result<PostgresMigration> {
        let pool = config.connect().await?;
        let name = config.name();
        let catalog = Self::over(config, pool.clone());
        let mut connection = pool.acquire().await.map_err(|error| translate(&name, error))?;
        let before = state(&name, &mut connection).await?;
        // Changing a large table takes its time, and so does waiting for another process that migrates.
        for setting in ["SET statement_timeout = 0", "SET lock_timeout = '60s'"] {
            query(setting)
                .execute(&mut *connection)
                .await
                .map_err(|error| translate(&name, error))?;
        }
        MIGRATOR
            .run_direct(None, &mut *connection, false)
            .await
            .map_err(|error| translate_migration(&name, error))?;
        connection
            .close()
            .await
            .map_err(|error| translate(&name, error))?;
        catalog.fill_leaves().await?;
        let months_made = catalog.make_months().await?;
        let strays = attempt!(catalog, Repeat::Always, {
            let mut connection = pool.acquire().await?;
            months::strays(&mut connection).await
        })?;
        catalog.close().await;
        if strays > 0 {
            tracing::warn!(strays, "predictions lie outside the months that are kept");
        }
        Ok(PostgresMigration {
            applied: before.pending,
            months_made,
            strays: strays.unsigned_abs(),
        })
    }

    pub(super) async fn make_months(&self) -> Result<u64> {
        attempt!(self, Repeat::Always, {
            let mut connection = self.pool.acquire().await?;
            months::make_ahead(&mut connection, Utc::now()).await
        })
    }
}
