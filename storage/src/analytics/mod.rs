//! Views for people who ask in SQL: which there are, and reading them (docs/analytics.md).
//!
//! The views themselves are SQL, in `migrations/postgres/0010_analytics_v1.sql` and `migrations/sqlite/0010_analytics_v1.sql`.
//! [`VIEWS`] describes them once; tests compare the descriptions with the databases and with the document.

mod query;
mod row_views;
mod summary_views;
mod value;
mod view;

pub use query::{AnalyticsQuery, Refreshed};
pub use value::Value;
pub use view::{Column, Kind, View, find, views};
