//! Who did what that cannot be undone.

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use chrono::{DateTime, Utc};
use storage::{AuditFilter, Scope};
use uuid::Uuid;

use super::cursor::{DEFAULT_PAGE, Page, decode, encode, page, page_complexity, page_size};
use super::{caller, service};
use crate::request_error::RequestError;

const AUDIT: &str = "audit";

/// The audit log.
#[derive(Default)]
pub struct AuditQuery;

/// One line of the audit log, which can be added to and never changed.
#[derive(SimpleObject)]
pub struct AuditEntry {
    /// Its id, in order of time.
    id: ID,
    /// When it was done.
    at: DateTime<Utc>,
    /// Who did it, as far as is known.
    actor: Option<String>,
    /// What was done, such as references.remove.
    action: String,
    /// What it was done to, such as release 2026-11.
    subject: String,
    /// More about it.
    details: Json<serde_json::Value>,
}

impl From<storage::AuditEntry> for AuditEntry {
    fn from(entry: storage::AuditEntry) -> Self {
        Self {
            id: ID(entry.id.to_string()),
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            details: Json(entry.details),
        }
    }
}

/// The audit log.
#[Object]
impl AuditQuery {
    /// The audit log, newest first. Needs the scope ADMIN.
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Items of the page, 1 to 500.", default_with = "DEFAULT_PAGE")] first: i32,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Only what was done so, such as release.activate.")] action: Option<String>,
        #[graphql(desc = "Only what this one did.")] actor: Option<String>,
    ) -> async_graphql::Result<Page<AuditEntry>> {
        caller(ctx).require(Scope::Admin)?;
        let first = page_size(first)?;
        let after: Option<Uuid> = decode(AUDIT, after)?;
        let filter = AuditFilter {
            action,
            actor,
            ..AuditFilter::default()
        };
        let entries = service(ctx)?.catalog().audit(&filter, after, first + 1).await;
        let entries = entries.map_err(RequestError::from)?;
        let items = entries.into_iter().map(AuditEntry::from).collect();
        let cursor = |_, entry: &AuditEntry| encode(AUDIT, entry.id.as_str());
        Ok(page(items, first, after.is_some(), cursor))
    }
}
