//! Deleting predictions by age, client or release.

use chrono::TimeDelta;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row, query};

use super::attempt::{Failure, Repeat, attempt};
use super::months::{self, Month};
use super::row::number;
use super::store::PostgresCatalog;
use crate::{AuditEntry, DeletedPredictions, PredictionSelection, Result};

/// The four tables that are kept by months, those first that refer to the others.
const TABLES: [&str; 4] = [
    "ground_truth",
    "prediction_levels",
    "prediction_candidates",
    "predictions",
];

impl PostgresCatalog {
    /// Everything happens on one view of the data, so that what is counted is what goes.
    pub(super) async fn remove_predictions(
        &self,
        which: &PredictionSelection,
        dry_run: bool,
        audit: Option<&AuditEntry>,
    ) -> Result<DeletedPredictions> {
        which.check()?;
        let deleted = attempt!(self, Repeat::IfUndone, {
            let mut transaction = self.pool.begin().await?;
            for setting in [
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET LOCAL statement_timeout = '1h'",
            ] {
                query(setting).execute(&mut *transaction).await?;
            }
            let whole_months = months_before(&mut transaction, which).await?;
            let mut deleted = count(&mut transaction, which).await?;
            deleted.months_dropped = whole_months.len() as u64;
            if dry_run {
                transaction.rollback().await?;
                return Ok(deleted);
            }
            for month in &whole_months {
                drop_month(&mut transaction, month).await?;
            }
            // Candidates, levels and ground truth go along by their foreign keys, shadows by a trigger.
            let mut delete = QueryBuilder::<Postgres>::new("DELETE FROM predictions AS chosen WHERE ");
            push_selection(&mut delete, which);
            delete.build().execute(&mut *transaction).await?;
            if let Some(entry) = audit {
                self.add_to_audit(&mut *transaction, &entry.with_result(&deleted)?)
                    .await?;
            }
            self.commit(transaction).await?;
            Ok(deleted)
        })?;
        if !dry_run {
            tracing::info!(
                predictions = deleted.predictions,
                shadows = deleted.shadows,
                months = deleted.months_dropped,
                "predictions deleted"
            );
        }
        Ok(deleted)
    }
}

/// The condition on a row `chosen` of `predictions`.
fn push_selection(select: &mut QueryBuilder<Postgres>, which: &PredictionSelection) {
    select.push("TRUE");
    if let Some(before) = which.before {
        select.push(" AND chosen.created_at < ").push_bind(before);
        // So that later months are not looked at.
        select
            .push(" AND chosen.id < geosurge_id_from(")
            .push_bind(before);
        select.push("::timestamptz + interval '1 hour 1 second')");
    }
    if let Some(client) = &which.client {
        select.push(" AND chosen.client = ").push_bind(client.clone());
    }
    if let Some(release) = &which.release {
        select
            .push(" AND chosen.release = ")
            .push_bind(release.as_str().to_owned());
    }
}

/// Counts what is selected and its shadows.
async fn count(
    connection: &mut PgConnection,
    which: &PredictionSelection,
) -> Result<DeletedPredictions, Failure> {
    let mut select = QueryBuilder::<Postgres>::new(
        "WITH going AS (SELECT id, shadow_of FROM predictions AS chosen WHERE ",
    );
    push_selection(&mut select, which);
    select.push(
        " UNION SELECT shadows.id, shadows.shadow_of FROM predictions AS shadows
             JOIN predictions AS chosen ON chosen.id = shadows.shadow_of WHERE shadows.shadow_of IS NOT NULL AND ",
    );
    push_selection(&mut select, which);
    select.push(
        ") SELECT count(*) FILTER (WHERE shadow_of IS NULL) AS predictions,
                  count(*) FILTER (WHERE shadow_of IS NOT NULL) AS shadows,
                  count(ground_truth.prediction) AS ground_truth
           FROM going LEFT JOIN ground_truth ON ground_truth.prediction = going.id",
    );
    let row = select.build().fetch_one(connection).await?;
    let counted = |column: &str| -> Result<u64, sqlx::Error> { number(column, row.try_get(column)?) };
    Ok(DeletedPredictions {
        predictions: counted("predictions")?,
        shadows: counted("shadows")?,
        ground_truth: counted("ground_truth")?,
        months_dropped: 0,
    })
}

/// The months that hold nothing but what is selected: all of their predictions are older, by the bounds of their partition.
async fn months_before(
    connection: &mut PgConnection,
    which: &PredictionSelection,
) -> Result<Vec<Month>, Failure> {
    let Some(before) = which
        .before
        .filter(|_| which.client.is_none() && which.release.is_none())
    else {
        return Ok(Vec::new());
    };
    let mut months = months::all(connection).await?;
    months.retain(|month| month.ends + TimeDelta::hours(1) <= before);
    Ok(months)
}

/// Drops a month's tables, which is quick however many predictions it held, and gives its space back at once. Shadows of them
/// in other months go as well.
async fn drop_month(connection: &mut PgConnection, month: &Month) -> Result<(), Failure> {
    query(
        "DELETE FROM predictions WHERE shadow_of >= geosurge_id_from($1) AND shadow_of < geosurge_id_from($2)
             AND NOT (id >= geosurge_id_from($1) AND id < geosurge_id_from($2))",
    )
    .bind(month.begins)
    .bind(month.ends)
    .execute(&mut *connection)
    .await?;
    // The name comes from the database's own list and has digits and letters only.
    for table in TABLES {
        let name = format!("{table}{}", month.suffix);
        for statement in [
            format!("ALTER TABLE {table} DETACH PARTITION {name}"),
            format!("DROP TABLE {name}"),
        ] {
            query(AssertSqlSafe(statement)).execute(&mut *connection).await?;
        }
    }
    tracing::info!(month = %month.begins.format("%Y-%m"), "a month of predictions dropped");
    Ok(())
}
