//! The audit log.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteExecutor};
use uuid::Uuid;

use super::row::{Columns, json_text, time_text};
use super::store::SqliteCatalog;
use crate::{AuditEntry, AuditFilter, Error, Result};

impl SqliteCatalog {
    /// Adds an entry with the pool, or within a transaction.
    pub(super) async fn add_to_audit(
        &self,
        executor: impl SqliteExecutor<'_>,
        entry: &AuditEntry,
    ) -> Result<()> {
        entry.check()?;
        let added = sqlx::query(
            "INSERT INTO audit_log (id, at, actor, action, subject, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(entry.id.to_string())
        .bind(time_text(entry.at))
        .bind(&entry.actor)
        .bind(&entry.action)
        .bind(&entry.subject)
        .bind(json_text(&entry.details)?)
        .execute(executor)
        .await
        .map_err(|error| self.error(error))?;
        match added.rows_affected() {
            0 => Err(Error::Conflict(format!(
                "audit entry {} is recorded already",
                entry.id
            ))),
            _ => Ok(()),
        }
    }

    pub(super) async fn page_of_audit(
        &self,
        filter: &AuditFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM audit_log WHERE TRUE");
        if let Some(after) = after {
            query.push(" AND id < ").push_bind(after.to_string());
        }
        for (column, value) in [
            (" AND actor = ", &filter.actor),
            (" AND action = ", &filter.action),
            (" AND subject = ", &filter.subject),
        ] {
            if let Some(value) = value {
                query.push(column).push_bind(value);
            }
        }
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(time_text(since));
        }
        if let Some(until) = filter.until {
            query.push(" AND at <= ").push_bind(time_text(until));
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
        let rows = query
            .build()
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        let entries: Result<_, _> = rows.iter().map(read_entry).collect();
        entries.map_err(|error| self.error(error))
    }
}

fn read_entry(row: &SqliteRow) -> Result<AuditEntry, sqlx::Error> {
    Ok(AuditEntry {
        id: row.uuid("id")?,
        at: row.time("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        details: row.json("details")?,
    })
}
