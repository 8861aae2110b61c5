//! Deleting predictions by age, client or release.

use sqlx::{QueryBuilder, Sqlite};

use super::row::{Columns, time_text};
use super::store::SqliteCatalog;
use super::write::Write;
use crate::{AuditEntry, DeletedPredictions, PredictionSelection, Result};

impl SqliteCatalog {
    pub(super) async fn remove_predictions(
        &self,
        which: &PredictionSelection,
        dry_run: bool,
        audit: Option<&AuditEntry>,
    ) -> Result<DeletedPredictions> {
        which.check()?;
        let mut transaction = self.begin().await?;
        sqlx::query(
            "CREATE TEMPORARY TABLE IF NOT EXISTS going (id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
        )
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.error(error))?;
        self.select_going(&mut transaction, which).await?;
        let deleted = self.count_going(&mut transaction).await?;
        // Candidates, levels and ground truth go along by their foreign keys.
        for statement in [
            "DELETE FROM predictions WHERE id IN (SELECT id FROM going)",
            "DELETE FROM going",
        ] {
            sqlx::query(statement)
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
        }
        if dry_run {
            transaction.rollback().await.map_err(|error| self.error(error))?;
            return Ok(deleted);
        }
        if let Some(entry) = audit {
            self.add_to_audit(&mut *transaction, &entry.with_result(&deleted)?)
                .await?;
        }
        self.commit(transaction).await?;
        tracing::info!(
            predictions = deleted.predictions,
            shadows = deleted.shadows,
            "predictions deleted"
        );
        Ok(deleted)
    }

    /// Fills the temporary table with the ids of what is selected and of its shadows.
    async fn select_going(&self, transaction: &mut Write, which: &PredictionSelection) -> Result<()> {
        let mut select =
            QueryBuilder::<Sqlite>::new("INSERT INTO going SELECT id FROM predictions WHERE TRUE");
        if let Some(before) = which.before {
            select.push(" AND created_at < ").push_bind(time_text(before));
        }
        if let Some(client) = &which.client {
            select.push(" AND client = ").push_bind(client);
        }
        if let Some(release) = &which.release {
            select.push(" AND release = ").push_bind(release.as_str());
        }
        select
            .build()
            .execute(&mut **transaction)
            .await
            .map_err(|error| self.error(error))?;
        sqlx::query(
            "INSERT OR IGNORE INTO going
             SELECT id FROM predictions WHERE shadow_of IN (SELECT id FROM going)",
        )
        .execute(&mut **transaction)
        .await
        .map_err(|error| self.error(error))?;
        Ok(())
    }

    async fn count_going(&self, transaction: &mut Write) -> Result<DeletedPredictions> {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE shadow_of IS NULL) AS predictions,
                    count(*) FILTER (WHERE shadow_of IS NOT NULL) AS shadows,
                    (SELECT count(*) FROM ground_truth WHERE prediction IN (SELECT id FROM going)) AS ground_truth
             FROM predictions WHERE id IN (SELECT id FROM going)",
        )
        .fetch_one(&mut **transaction)
        .await
        .map_err(|error| self.error(error))?;
        let read = || -> Result<DeletedPredictions, sqlx::Error> {
            Ok(DeletedPredictions {
                predictions: row.number("predictions")?,
                shadows: row.number("shadows")?,
                ground_truth: row.number("ground_truth")?,
                months_dropped: 0,
            })
        };
        read().map_err(|error| self.error(error))
    }
}
