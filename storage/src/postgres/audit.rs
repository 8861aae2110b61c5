//! The audit log.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor, Postgres, QueryBuilder, query};
use uuid::Uuid;

use super::attempt::{Failure, Repeat, attempt};
use super::error::{Violation, violation};
use super::row::stored;
use super::store::PostgresCatalog;
use crate::{AuditEntry, AuditFilter, Error, Result};

/// A row of `audit_log`.
#[derive(FromRow)]
struct AuditRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor: Option<String>,
    action: String,
    subject: String,
    details: serde_json::Value,
}

impl PostgresCatalog {
    pub(super) async fn insert_audit(&self, entry: &AuditEntry) -> Result<()> {
        attempt!(self, Repeat::IfUndone, {
            self.add_to_audit(&self.pool, entry).await
        })
    }

    /// Adds an entry with the pool, or within a transaction.
    pub(super) async fn add_to_audit(
        &self,
        executor: impl PgExecutor<'_>,
        entry: &AuditEntry,
    ) -> Result<(), Failure> {
        entry.check()?;
        let added = query!(
            "INSERT INTO audit_log (id, at, actor, action, subject, details) VALUES ($1, $2, $3, $4, $5, $6)",
            entry.id,
            entry.at,
            entry.actor,
            entry.action,
            entry.subject,
            entry.details
        )
        .execute(executor)
        .await;
        match added {
            Ok(_) => Ok(()),
            Err(error) if violation(&error) == Some(Violation::Unique) => Err(Failure::Ours(
                Error::Conflict(format!("audit entry {} is recorded already", entry.id)),
            )),
            Err(error) => Err(Failure::Commit(error)),
        }
    }

    pub(super) async fn page_of_audit(
        &self,
        filter: &AuditFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let limit = stored(limit)?;
        attempt!(self, Repeat::Always, {
            let mut select = QueryBuilder::<Postgres>::new("SELECT * FROM audit_log WHERE TRUE");
            if let Some(after) = after {
                select.push(" AND id < ").push_bind(after);
            }
            for (column, value) in [
                (" AND actor = ", &filter.actor),
                (" AND action = ", &filter.action),
                (" AND subject = ", &filter.subject),
            ] {
                if let Some(value) = value {
                    select.push(column).push_bind(value.clone());
                }
            }
            if let Some(since) = filter.since {
                select.push(" AND at >= ").push_bind(since);
            }
            if let Some(until) = filter.until {
                select.push(" AND at <= ").push_bind(until);
            }
            select.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
            let rows: Vec<AuditRow> = select.build_query_as().fetch_all(&self.pool).await?;
            Ok(rows.into_iter().map(AuditEntry::from).collect())
        })
    }
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        AuditEntry {
            id: row.id,
            at: row.at,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            details: row.details,
        }
    }
}
