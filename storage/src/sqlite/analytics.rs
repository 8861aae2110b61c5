//! Reading the analytics views.

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

use super::row::Columns;
use super::store::SqliteCatalog;
use crate::analytics::{AnalyticsQuery, Column, Kind, Value};
use crate::catalog::{EachRow, leaf_of};
use crate::{Error, Result};

impl SqliteCatalog {
    pub(super) async fn read_view(&self, query: &AnalyticsQuery, each: EachRow<'_>) -> Result<()> {
        query.check()?;
        if query.cached {
            return Err(Error::Invalid(
                "a catalog in SQLite keeps no computed rows: ask the view without the cache".to_owned(),
            ));
        }
        let view = query.view;
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM analytics_v1_");
        sql.push(view.name).push(" WHERE TRUE");
        if let Some(release) = &query.release {
            sql.push(" AND release = ").push_bind(release.as_str());
        }
        if let Some(since) = query.since {
            sql.push(" AND day >= ").push_bind(since.to_string());
        }
        sql.push(" ORDER BY ").push(view.order);
        if let Some(limit) = query.limit {
            sql.push(" LIMIT ").push_bind(limit as i64);
        }
        let mut rows = sql.build().fetch(&self.pool);
        while let Some(row) = rows.try_next().await.map_err(|error| self.error(error))? {
            let values: Result<Vec<Value>, sqlx::Error> =
                view.columns.iter().map(|column| value(&row, column)).collect();
            if each(values.map_err(|error| self.error(error))?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// SQLite computes with the types it likes: a mean may be a whole number, a truth value is one.
fn value(row: &SqliteRow, column: &Column) -> Result<Value, sqlx::Error> {
    let name = column.name;
    Ok(match column.kind {
        Kind::Text => row.try_get::<Option<String>, _>(name)?.into(),
        Kind::Integer => row.try_get_unchecked::<Option<i64>, _>(name)?.into(),
        Kind::Real => row.try_get_unchecked::<Option<f64>, _>(name)?.into(),
        Kind::Boolean => row
            .try_get_unchecked::<Option<i64>, _>(name)?
            .map(|number| number != 0)
            .into(),
        Kind::Day => row.optional_day(name)?.into(),
        Kind::Time => row.optional_time(name)?.into(),
    })
}

/// Gives true places of an older version their leaf cell.
pub(super) async fn fill_leaves(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let rows = sqlx::query("SELECT prediction, latitude, longitude FROM ground_truth WHERE leaf IS NULL")
        .fetch_all(&mut *connection)
        .await?;
    for row in rows {
        let prediction: String = row.try_get("prediction")?;
        sqlx::query("UPDATE ground_truth SET leaf = ?2 WHERE prediction = ?1")
            .bind(prediction)
            .bind(leaf_of(row.location()?))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
