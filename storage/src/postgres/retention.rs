//! Deleting predictions by age, client or release.

use chrono::TimeDelta;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row, query};

use super::attempt::{Failure, Repeat, attempt};
use super::months::{self, Month};
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
    pub(super) async fn remove_predictions(
        &self,
        which: &PredictionSelection,
        dry_run: bool,
        audit: Option<&AuditEntry>,
    ) -> Result<DeletedPredictions> {
        which.check()?;
        let deleted = attempt!(self, Repeat::IfUndone, {
            let mut transaction = self.begin_long().await?;
            let whole_months = months_before(&mut transaction, which).await?;
            select_going(&mut transaction, which).await?;
            let mut deleted = count_going(&mut transaction).await?;
            deleted.months_dropped = whole_months.len() as u64;
            if dry_run {
                transaction.rollback().await?;
                return Ok(deleted);
            }
            for month in &whole_months {
                drop_month(&mut transaction, month).await?;
            }
            // Candidates, levels and ground truth go along by their foreign keys; shadows are selected already.
            query("DELETE FROM predictions USING going WHERE predictions.id = going.id")
                .execute(&mut *transaction)
                .await?;
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

/// Fills a table of this connection's with the ids of what is selected and of its shadows.
async fn select_going(connection: &mut PgConnection, which: &PredictionSelection) -> Result<(), Failure> {
    query("CREATE TEMPORARY TABLE IF NOT EXISTS going (id uuid NOT NULL PRIMARY KEY) ON COMMIT DELETE ROWS")
        .execute(&mut *connection)
        .await?;
    let mut select = QueryBuilder::<Postgres>::new("INSERT INTO going SELECT id FROM predictions WHERE TRUE");
    if let Some(before) = which.before {
        select.push(" AND created_at < ").push_bind(before);
        select.push(" AND id < geosurge_id_from(").push_bind(before);
        select.push("::timestamptz + interval '1 hour 1 second')");
    }
    if let Some(client) = &which.client {
        select.push(" AND client = ").push_bind(client.clone());
    }
    if let Some(release) = &which.release {
        select
            .push(" AND release = ")
            .push_bind(release.as_str().to_owned());
    }
    select.build().execute(&mut *connection).await?;
    query(
        "INSERT INTO going SELECT shadows.id FROM predictions AS shadows JOIN going ON shadows.shadow_of = going.id
         ON CONFLICT DO NOTHING",
    )
    .execute(&mut *connection)
    .await?;
    query("ANALYZE going").execute(connection).await?;
    Ok(())
}

async fn count_going(connection: &mut PgConnection) -> Result<DeletedPredictions, Failure> {
    let row = query(
        "SELECT count(*) FILTER (WHERE shadow_of IS NULL) AS predictions,
                count(*) FILTER (WHERE shadow_of IS NOT NULL) AS shadows,
                count(ground_truth.prediction) AS ground_truth
         FROM going JOIN predictions USING (id) LEFT JOIN ground_truth ON ground_truth.prediction = going.id",
    )
    .fetch_one(connection)
    .await?;
    let count =
        |column: &str| -> Result<u64, sqlx::Error> { super::row::number(column, row.try_get(column)?) };
    Ok(DeletedPredictions {
        predictions: count("predictions")?,
        shadows: count("shadows")?,
        ground_truth: count("ground_truth")?,
        months_dropped: 0,
    })
}

/// Drops a month's tables, which is quick however many predictions it held, and gives its space back at once.
async fn drop_month(connection: &mut PgConnection, month: &Month) -> Result<(), Failure> {
    // The name comes from the database's own list and has digits and letters only.
    for table in TABLES {
        let name = format!("{table}{}", month.suffix);
        query(AssertSqlSafe(format!(
            "ALTER TABLE {table} DETACH PARTITION {name}"
        )))
        .execute(&mut *connection)
        .await?;
        query(AssertSqlSafe(format!("DROP TABLE {name}")))
            .execute(&mut *connection)
            .await?;
    }
    tracing::info!(month = %month.begins.format("%Y-%m"), "a month of predictions dropped");
    Ok(())
}
