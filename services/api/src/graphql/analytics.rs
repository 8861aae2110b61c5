//! The catalog's views for analysts, as clients read them.

use std::ops::ControlFlow;

use async_graphql::{Context, Enum, ID, Json, Object, SimpleObject};
use chrono::NaiveDate;
use storage::analytics::{self, Kind, View};
use storage::{Catalog, Scope};

use super::release::release_id;
use super::{caller, service};
use crate::request_error::{Code, RequestError};

/// Most rows of one request.
const MOST_ROWS: i32 = 10_000;

/// The views for analysts.
#[derive(Default)]
pub struct AnalyticsQuery;

/// A view for analysts (docs/analytics.md).
#[derive(Clone, SimpleObject)]
pub struct AnalyticsView {
    /// Its name.
    name: &'static str,
    /// What a row of it is.
    about: &'static str,
    /// Its columns, in order.
    columns: Vec<AnalyticsColumn>,
    /// Whether its rows can be chosen by release.
    takes_release: bool,
    /// Whether its rows can be chosen by day.
    takes_since: bool,
    /// Whether its rows may be kept as of the last refresh.
    cached: bool,
}

/// A column of a view.
#[derive(Clone, SimpleObject)]
pub struct AnalyticsColumn {
    /// Its name.
    name: &'static str,
    /// The kind of its values.
    kind: ColumnKind,
    /// What it says, with its unit.
    about: &'static str,
}

/// The kind of a column's values; any may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ColumnKind {
    /// Text, and ids.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// Yes or no; 1 or 0 where the catalog is a file.
    Boolean,
    /// A day in UTC, such as 2026-11-24.
    Day,
    /// A moment, by RFC 3339.
    Time,
}

impl From<Kind> for ColumnKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Integer => Self::Integer,
            Kind::Real => Self::Real,
            Kind::Boolean => Self::Boolean,
            Kind::Day => Self::Day,
            Kind::Time => Self::Time,
        }
    }
}

impl From<&'static View> for AnalyticsView {
    fn from(view: &'static View) -> Self {
        let column = |column: &'static analytics::Column| AnalyticsColumn {
            name: column.name,
            kind: column.kind.into(),
            about: column.about,
        };
        Self {
            name: view.name,
            about: view.about,
            columns: view.columns.iter().map(column).collect(),
            takes_release: view.column("release").is_some(),
            takes_since: view.column("day").is_some(),
            cached: view.cached,
        }
    }
}

/// Rows of a view.
#[derive(SimpleObject)]
pub struct AnalyticsTable {
    /// The view.
    view: AnalyticsView,
    /// One array a row, with the values in the order of the view's columns.
    rows: Vec<Json<Vec<analytics::Value>>>,
    /// Whether there are more rows than were asked for.
    truncated: bool,
}

/// The views for analysts.
#[Object]
impl AnalyticsQuery {
    /// The views there are.
    async fn analytics_views(&self) -> Vec<AnalyticsView> {
        analytics::views().map(AnalyticsView::from).collect()
    }

    /// Rows of a view, such as accuracy_by_day, calibration or latency. Needs the scope ANALYST.
    #[graphql(complexity = "500 + child_complexity")]
    async fn analytics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of the view, as analyticsViews gives it.")] view: String,
        #[graphql(desc = "Only rows of this release.")] release: Option<ID>,
        #[graphql(desc = "Only rows of this day and later ones, such as 2026-11-01.")] since: Option<
            NaiveDate,
        >,
        #[graphql(desc = "Rows told, 1 to 10,000.", default = 1000)] first: i32,
        #[graphql(desc = "The rows as of the last refresh, where they are kept.", default)] cached: bool,
    ) -> async_graphql::Result<AnalyticsTable> {
        let caller = caller(ctx);
        caller.require(Scope::Analyst)?;
        if caller.is_coarse() {
            let message = "the views hold exact places, which this API key does not permit to see";
            return Err(RequestError::new(Code::Forbidden, message).into());
        }
        let first = match usize::try_from(first) {
            Ok(count) if (1..=MOST_ROWS).contains(&first) => count,
            _ => {
                let message = format!("first is {first}, but must lie between 1 and {MOST_ROWS}");
                return Err(RequestError::invalid(message).into());
            }
        };
        let refuse = |error: storage::Error| match error {
            storage::Error::Invalid(message) => RequestError::invalid(message),
            error => error.into(),
        };
        let view = analytics::find(&view).map_err(refuse)?;
        let query = analytics::AnalyticsQuery {
            release: release.map(|id| release_id(&id)).transpose()?,
            since,
            limit: Some(first + 1),
            cached,
            ..analytics::AnalyticsQuery::all(view)
        };
        let mut rows = Vec::new();
        let mut read = |row| {
            rows.push(Json(row));
            ControlFlow::Continue(())
        };
        let catalog: &dyn Catalog = service(ctx)?.catalog().as_ref();
        catalog.analytics(&query, &mut read).await.map_err(refuse)?;
        let truncated = rows.len() > first;
        rows.truncate(first);
        Ok(AnalyticsTable {
            view: view.into(),
            rows,
            truncated,
        })
    }
}
