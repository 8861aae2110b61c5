//! Which rows of a view are wanted.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::{Column, View};
use crate::{Error, ReleaseId, Result};

/// Rows of one view.
#[derive(Clone, Debug)]
pub struct AnalyticsQuery {
    /// The view.
    pub view: &'static View,
    /// Only rows of this release.
    pub release: Option<ReleaseId>,
    /// Only rows of this day and later ones.
    pub since: Option<NaiveDate>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// The rows as of the last refresh, where the database keeps them: quick, and possibly old.
    pub cached: bool,
}

/// A view whose rows were computed and kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refreshed {
    /// The view.
    pub view: String,
    /// When it was done.
    pub refreshed_at: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// Rows that are kept now.
    pub rows: i64,
}

impl AnalyticsQuery {
    /// All rows of a view.
    pub fn all(view: &'static View) -> Self {
        Self {
            view,
            release: None,
            since: None,
            limit: None,
            cached: false,
        }
    }

    /// Checks that the view has what is asked for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a filter on a column that the view lacks.
    pub(crate) fn check(&self) -> Result<()> {
        if self.release.is_some() {
            self.require("release")?;
        }
        if self.since.is_some() {
            self.require("day")?;
        }
        if self.cached && !self.view.cached {
            return Err(Error::Invalid(format!(
                "no rows of the view {} are kept: ask it without the cache",
                self.view.name
            )));
        }
        Ok(())
    }

    fn require(&self, name: &str) -> Result<&'static Column> {
        self.view.column(name).ok_or_else(|| {
            let having: Vec<&str> = super::views()
                .filter(|view| view.column(name).is_some())
                .map(|view| view.name)
                .collect();
            Error::Invalid(format!(
                "the view {} has no column {name} to choose rows by (those that have: {})",
                self.view.name,
                having.join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::find;

    #[test]
    fn a_filter_needs_its_column() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 24);
        let query = |view: &str| AnalyticsQuery {
            since: day,
            ..AnalyticsQuery::all(find(view).unwrap())
        };
        query("accuracy_by_day").check().unwrap();
        let error = query("accuracy").check().unwrap_err().to_string();
        assert!(error.contains("accuracy_by_day"), "{error}");
        let error = find("acuracy").unwrap_err().to_string();
        assert!(
            error.contains("acuracy") && error.contains("accuracy_by_day"),
            "{error}"
        );
    }

    #[test]
    fn only_kept_rows_can_be_asked_for_as_kept() {
        let query = |view: &str| AnalyticsQuery {
            cached: true,
            ..AnalyticsQuery::all(find(view).unwrap())
        };
        query("latency").check().unwrap();
        assert!(query("releases").check().is_err());
    }
}
