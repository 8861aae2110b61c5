//! Reading the analytics views, and computing the rows that are kept of expensive ones.

use std::time::Instant;

use chrono::{DateTime, NaiveDate, Utc};
use futures::TryStreamExt;
use geocells::LatLng;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{QueryBuilder, Row, query, query_scalar};
use uuid::Uuid;

use super::attempt::{Failure, Repeat, attempt};
use super::error::translate;
use super::row::location;
use super::store::PostgresCatalog;
use crate::analytics::{AnalyticsQuery, Column, Kind, Refreshed, Value, View, views};
use crate::catalog::{EachRow, leaf_of};
use crate::{Error, Result};

/// True places that get their leaf cell at once.
const LEAVES: i64 = 10_000;

impl PostgresCatalog {
    pub(super) async fn read_view(&self, wanted: &AnalyticsQuery, each: EachRow<'_>) -> Result<()> {
        wanted.check()?;
        let error = |error| translate(&self.name, error);
        if wanted.cached {
            self.require_kept(wanted.view).await?;
        }
        let mut transaction = attempt!(self, Repeat::Always, { self.begin_study().await })?;
        query("SET TRANSACTION READ ONLY")
            .execute(&mut *transaction)
            .await
            .map_err(error)?;
        let mut statement = select(wanted);
        let mut rows = statement.build().fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await.map_err(error)? {
            let values: Result<Vec<Value>, sqlx::Error> = wanted
                .view
                .columns
                .iter()
                .map(|column| value(&row, column))
                .collect();
            if each(values.map_err(error)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn refresh_views(&self) -> Result<Vec<Refreshed>> {
        self.fill_leaves().await?;
        let mut refreshed = Vec::new();
        for view in views().filter(|view| view.cached) {
            let one = attempt!(self, Repeat::Always, { self.refresh_view(view).await })?;
            tracing::info!(
                view = view.name,
                rows = one.rows,
                seconds = one.seconds,
                "view refreshed"
            );
            refreshed.push(one);
        }
        let missing: Option<String> = attempt!(self, Repeat::Always, {
            Ok(query_scalar("SELECT analytics_v1.grant_to_analysts()")
                .fetch_one(&self.pool)
                .await?)
        })?;
        if let Some(missing) = missing {
            tracing::warn!("{missing}");
        }
        Ok(refreshed)
    }

    /// A transaction whose statements may look through everything.
    async fn begin_study(&self) -> Result<sqlx::PgTransaction<'static>, Failure> {
        let mut transaction = self.begin_long().await?;
        query("SET LOCAL work_mem = '256MB'")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// The first time, readers wait; later they read the old rows meanwhile.
    async fn refresh_view(&self, view: &View) -> Result<Refreshed, Failure> {
        let started = Instant::now();
        let mut transaction = self.begin_study().await?;
        let how = match populated(&mut transaction, view).await? {
            true => "CONCURRENTLY ",
            false => "",
        };
        let mut refresh = QueryBuilder::<Postgres>::new("REFRESH MATERIALIZED VIEW ");
        refresh
            .push(how)
            .push("analytics_v1.")
            .push(view.name)
            .push("_cached");
        refresh.build().execute(&mut *transaction).await?;
        let mut count = QueryBuilder::<Postgres>::new("SELECT count(*) FROM analytics_v1.");
        count.push(view.name).push("_cached");
        let rows: i64 = count.build_query_scalar().fetch_one(&mut *transaction).await?;
        let refreshed = Refreshed {
            view: view.name.to_owned(),
            refreshed_at: Utc::now(),
            seconds: started.elapsed().as_secs_f64(),
            rows,
        };
        query(
            r#"INSERT INTO analytics_v1.refreshes ("view", refreshed_at, seconds, "rows") VALUES ($1, $2, $3, $4)
               ON CONFLICT ("view") DO UPDATE SET refreshed_at = excluded.refreshed_at, seconds = excluded.seconds,
                   "rows" = excluded."rows""#,
        )
        .bind(&refreshed.view)
        .bind(refreshed.refreshed_at)
        .bind(refreshed.seconds)
        .bind(refreshed.rows)
        .execute(&mut *transaction)
        .await?;
        self.commit(transaction).await?;
        Ok(refreshed)
    }

    async fn require_kept(&self, view: &View) -> Result<()> {
        let there = attempt!(self, Repeat::Always, {
            let mut connection = self.pool.acquire().await?;
            Ok(populated(&mut connection, view).await?)
        })?;
        match there {
            true => Ok(()),
            false => Err(Error::Conflict(format!(
                "no rows of the view {} were computed yet: run `geosurge analytics refresh`",
                view.name
            ))),
        }
    }

    /// Gives true places of an older version, or written by hand, their leaf cell.
    pub(super) async fn fill_leaves(&self) -> Result<()> {
        loop {
            let filled = attempt!(self, Repeat::Always, {
                let rows: Vec<(Uuid, f64, f64)> = sqlx::query_as(
                    "SELECT prediction, latitude, longitude FROM ground_truth WHERE leaf IS NULL LIMIT $1",
                )
                .bind(LEAVES)
                .fetch_all(&self.pool)
                .await?;
                let mut ids = Vec::with_capacity(rows.len());
                let mut leaves = Vec::with_capacity(rows.len());
                for (id, latitude, longitude) in rows {
                    let place: LatLng = location(latitude, longitude)?;
                    ids.push(id);
                    leaves.push(leaf_of(place));
                }
                query(
                    "UPDATE ground_truth AS g SET leaf = known.leaf
                     FROM unnest($1::uuid[], $2::text[]) AS known (prediction, leaf)
                     WHERE g.prediction = known.prediction",
                )
                .bind(&ids)
                .bind(&leaves)
                .execute(&self.pool)
                .await?;
                Ok(ids.len())
            })?;
            if filled == 0 {
                return Ok(());
            }
        }
    }
}

async fn populated(connection: &mut sqlx::PgConnection, view: &View) -> Result<bool, sqlx::Error> {
    query_scalar("SELECT ispopulated FROM pg_matviews WHERE schemaname = 'analytics_v1' AND matviewname = $1")
        .bind(format!("{}_cached", view.name))
        .fetch_one(connection)
        .await
}

/// The statement, with each column as the type of its kind.
fn select(wanted: &AnalyticsQuery) -> QueryBuilder<Postgres> {
    let view = wanted.view;
    let mut sql = QueryBuilder::<Postgres>::new("SELECT ");
    for (index, column) in view.columns.iter().enumerate() {
        if index > 0 {
            sql.push(", ");
        }
        let kind = match column.kind {
            Kind::Text => "text",
            Kind::Integer => "bigint",
            Kind::Real => "double precision",
            Kind::Boolean => "boolean",
            Kind::Day => "date",
            Kind::Time => "timestamptz",
        };
        sql.push(column.name).push("::").push(kind);
    }
    sql.push(" FROM analytics_v1.").push(view.name);
    if wanted.cached {
        sql.push("_cached");
    }
    sql.push(" AS v WHERE TRUE");
    if let Some(release) = &wanted.release {
        sql.push(" AND v.release = ")
            .push_bind(release.as_str().to_owned());
    }
    if let Some(since) = wanted.since {
        sql.push(" AND v.day >= ").push_bind(since);
        if view.column("prediction").is_some() {
            // Ids are in order of time, to an hour: so the months and the index are used that can hold such days.
            sql.push(" AND v.prediction >= geosurge_id_from(")
                .push_bind(since)
                .push("::timestamp AT TIME ZONE 'UTC' - interval '1 hour')");
        }
    }
    sql.push(" ORDER BY ");
    for (index, part) in view.order.split(", ").enumerate() {
        if index > 0 {
            sql.push(", ");
        }
        sql.push("v.").push(part);
    }
    if let Some(limit) = wanted.limit {
        sql.push(" LIMIT ").push_bind(limit as i64);
    }
    sql
}

fn value(row: &PgRow, column: &Column) -> Result<Value, sqlx::Error> {
    let name = column.name;
    Ok(match column.kind {
        Kind::Text => row.try_get::<Option<String>, _>(name)?.into(),
        Kind::Integer => row.try_get::<Option<i64>, _>(name)?.into(),
        Kind::Real => row.try_get::<Option<f64>, _>(name)?.into(),
        Kind::Boolean => row.try_get::<Option<bool>, _>(name)?.into(),
        Kind::Day => row.try_get::<Option<NaiveDate>, _>(name)?.into(),
        Kind::Time => row.try_get::<Option<DateTime<Utc>>, _>(name)?.into(),
    })
}
