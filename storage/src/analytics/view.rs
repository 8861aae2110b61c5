//! What a view holds.

use serde::Serialize;

use super::row_views::ROW_VIEWS;
use super::summary_views::SUMMARY_VIEWS;
use crate::{Error, Result};

/// The kind of a column's values; every column may also be null where its description says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text, and ids.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A number of double precision.
    Real,
    /// Yes or no; 1 or 0 in SQLite.
    Boolean,
    /// A day in UTC: a date, or text like `2026-11-24` in SQLite.
    Day,
    /// A moment in UTC: a time with zone, or RFC 3339 text in SQLite.
    Time,
}

/// A column of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name, the same in both databases.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// What it says, with its unit.
    pub about: &'static str,
}

/// A view: `analytics_v1.NAME` in Postgres, `analytics_v1_NAME` in SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// Its name without the prefix.
    pub name: &'static str,
    /// What a row of it is.
    pub about: &'static str,
    /// The columns that its rows are shown in order of.
    #[serde(skip)]
    pub(crate) order: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// Whether Postgres keeps its rows beside it, as of the last refresh, under `NAME_cached`.
    pub cached: bool,
}

impl View {
    /// A column, if the view has it.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// All views, in the order in which they are documented.
pub fn views() -> impl Iterator<Item = &'static View> {
    ROW_VIEWS.iter().chain(SUMMARY_VIEWS)
}

/// A view by its name.
///
/// # Errors
/// [`Error::Invalid`] that names those there are.
pub fn find(name: &str) -> Result<&'static View> {
    views().find(|view| view.name == name).ok_or_else(|| {
        let names: Vec<&str> = views().map(|view| view.name).collect();
        Error::Invalid(format!(
            "there is no view {name:?}; choose one of: {}",
            names.join(", ")
        ))
    })
}

pub(super) const fn text(name: &'static str, about: &'static str) -> Column {
    column(name, Kind::Text, about)
}

pub(super) const fn integer(name: &'static str, about: &'static str) -> Column {
    column(name, Kind::Integer, about)
}

pub(super) const fn real(name: &'static str, about: &'static str) -> Column {
    column(name, Kind::Real, about)
}

pub(super) const fn boolean(name: &'static str, about: &'static str) -> Column {
    column(name, Kind::Boolean, about)
}

pub(super) const fn day(name: &'static str, about: &'static str) -> Column {
    column(name, Kind::Day, about)
}

pub(super) const fn time(name: &'static str, about: &'static str) -> Column {
    column(name, Kind::Time, about)
}

const fn column(name: &'static str, kind: Kind, about: &'static str) -> Column {
    Column { name, kind, about }
}
