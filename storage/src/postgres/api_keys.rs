//! API keys.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::attempt::{Failure, Repeat, attempt};
use super::error::{Violation, violation};
use super::store::PostgresCatalog;
use crate::{ApiKey, AuditEntry, Error, Result};

/// A row of `api_keys`.
struct KeyRow {
    id: Uuid,
    name: String,
    sha256: String,
    scope: String,
    requests_per_minute: Option<i32>,
    coarsen_km: Option<f64>,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl PostgresCatalog {
    pub(super) async fn put_api_key(&self, key: &ApiKey, audit: Option<&AuditEntry>) -> Result<()> {
        key.check()?;
        let per_minute = key.requests_per_minute.map(i32::try_from).transpose();
        let per_minute =
            per_minute.map_err(|_| Error::Invalid("requests_per_minute is above 2^31".to_owned()))?;
        attempt!(self, Repeat::IfUndone, {
            let mut transaction = self.pool.begin().await?;
            let added = query!(
                "INSERT INTO api_keys (id, name, sha256, scope, requests_per_minute, coarsen_km, created_at, last_used_at,
                     revoked_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                key.id,
                key.name,
                key.sha256,
                key.scope.as_str(),
                per_minute,
                key.coarsen_km,
                key.created_at,
                key.last_used_at,
                key.revoked_at,
            )
            .execute(&mut *transaction)
            .await;
            match added {
                Ok(_) => {}
                Err(error) if violation(&error) == Some(Violation::Unique) => {
                    return Err(Failure::Ours(Error::Conflict(format!(
                        "API key {} is there already",
                        key.id
                    ))));
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(entry) = audit {
                self.add_to_audit(&mut *transaction, entry).await?;
            }
            self.commit(transaction).await
        })
    }

    pub(super) async fn all_api_keys(&self) -> Result<Vec<ApiKey>> {
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                KeyRow,
                "SELECT id, name, sha256, scope, requests_per_minute, coarsen_km, created_at, last_used_at, revoked_at
                 FROM api_keys ORDER BY id DESC"
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(rows
                .into_iter()
                .map(ApiKey::try_from)
                .collect::<Result<_, Error>>()?)
        })
    }

    pub(super) async fn api_key_of(&self, sha256: &str) -> Result<Option<ApiKey>> {
        attempt!(self, Repeat::Always, {
            let row = query_as!(
                KeyRow,
                "SELECT id, name, sha256, scope, requests_per_minute, coarsen_km, created_at, last_used_at, revoked_at
                 FROM api_keys WHERE sha256 = $1",
                sha256
            )
            .fetch_optional(&self.pool)
            .await?;
            Ok(row.map(ApiKey::try_from).transpose()?)
        })
    }

    pub(super) async fn end_api_key(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        audit: Option<&AuditEntry>,
    ) -> Result<ApiKey> {
        attempt!(self, Repeat::IfUndone, {
            let mut transaction = self.pool.begin().await?;
            let row = query_as!(
                KeyRow,
                "SELECT id, name, sha256, scope, requests_per_minute, coarsen_km, created_at, last_used_at, revoked_at
                 FROM api_keys WHERE id = $1 FOR UPDATE",
                id
            )
            .fetch_optional(&mut *transaction)
            .await?;
            let Some(row) = row else {
                return Err(Failure::Ours(Error::not_found(format!("API key {id}"))));
            };
            let mut key = ApiKey::try_from(row)?;
            if key.revoked_at.is_some() {
                return Ok(key);
            }
            key.revoked_at = Some(at);
            query!("UPDATE api_keys SET revoked_at = $2 WHERE id = $1", id, at)
                .execute(&mut *transaction)
                .await?;
            if let Some(entry) = audit {
                self.add_to_audit(&mut *transaction, entry).await?;
            }
            self.commit(transaction).await?;
            Ok(key)
        })
    }

    pub(super) async fn mark_api_key_used(&self, id: Uuid, at: DateTime<Utc>) -> Result<()> {
        attempt!(self, Repeat::Always, {
            query!(
                "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
                id,
                at
            )
            .execute(&self.pool)
            .await?;
            Ok(())
        })
    }
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = Error;

    fn try_from(row: KeyRow) -> Result<Self> {
        let per_minute = row.requests_per_minute.map(u32::try_from).transpose();
        Ok(ApiKey {
            id: row.id,
            name: row.name,
            sha256: row.sha256,
            scope: row.scope.parse()?,
            requests_per_minute: per_minute
                .map_err(|_| Error::Invalid("requests_per_minute is negative".to_owned()))?,
            coarsen_km: row.coarsen_km,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        })
    }
}
