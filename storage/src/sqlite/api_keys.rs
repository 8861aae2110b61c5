//! API keys.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::row::{Columns, time_text};
use super::store::SqliteCatalog;
use crate::{ApiKey, AuditEntry, Error, Result};

impl SqliteCatalog {
    pub(super) async fn put_api_key(&self, key: &ApiKey, audit: Option<&AuditEntry>) -> Result<()> {
        key.check()?;
        let mut transaction = self.begin().await?;
        let added = sqlx::query(
            "INSERT INTO api_keys (id, name, sha256, scope, requests_per_minute, coarsen_km, created_at, last_used_at, revoked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        )
        .bind(key.id.to_string())
        .bind(&key.name)
        .bind(&key.sha256)
        .bind(key.scope.as_str())
        .bind(key.requests_per_minute)
        .bind(key.coarsen_km)
        .bind(time_text(key.created_at))
        .bind(key.last_used_at.map(time_text))
        .bind(key.revoked_at.map(time_text))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.error(error))?;
        if added.rows_affected() == 0 {
            return Err(Error::Conflict(format!("API key {} is there already", key.id)));
        }
        if let Some(entry) = audit {
            self.add_to_audit(&mut *transaction, entry).await?;
        }
        self.commit(transaction).await
    }

    pub(super) async fn all_api_keys(&self) -> Result<Vec<ApiKey>> {
        let rows = sqlx::query("SELECT * FROM api_keys ORDER BY id DESC")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        let keys: Result<_, _> = rows.iter().map(read_key).collect();
        keys.map_err(|error| self.error(error))
    }

    pub(super) async fn api_key_of(&self, sha256: &str) -> Result<Option<ApiKey>> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE sha256 = ?1")
            .bind(sha256)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        let key = row.as_ref().map(read_key).transpose();
        key.map_err(|error| self.error(error))
    }

    pub(super) async fn end_api_key(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        audit: Option<&AuditEntry>,
    ) -> Result<ApiKey> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query("SELECT * FROM api_keys WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        let Some(row) = row else {
            return Err(Error::not_found(format!("API key {id}")));
        };
        let mut key = read_key(&row).map_err(|error| self.error(error))?;
        if key.revoked_at.is_some() {
            return Ok(key);
        }
        key.revoked_at = Some(at);
        sqlx::query("UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1")
            .bind(id.to_string())
            .bind(time_text(at))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        if let Some(entry) = audit {
            self.add_to_audit(&mut *transaction, entry).await?;
        }
        self.commit(transaction).await?;
        Ok(key)
    }

    pub(super) async fn mark_api_key_used(&self, id: Uuid, at: DateTime<Utc>) -> Result<()> {
        sqlx::query("UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)")
            .bind(id.to_string())
            .bind(time_text(at))
            .execute(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(())
    }
}

fn read_key(row: &SqliteRow) -> Result<ApiKey, sqlx::Error> {
    let scope: &str = row.try_get("scope")?;
    Ok(ApiKey {
        id: row.uuid("id")?,
        name: row.try_get("name")?,
        sha256: row.try_get("sha256")?,
        scope: scope
            .parse()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        requests_per_minute: row.optional_number("requests_per_minute")?,
        coarsen_km: row.try_get("coarsen_km")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_time("last_used_at")?,
        revoked_at: row.optional_time("revoked_at")?,
    })
}
