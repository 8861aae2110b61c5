//! Geocells and reference images.

use geocells::GeocellId;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::row::{Columns, json_text, time_text};
use super::store::SqliteCatalog;
use crate::{AuditEntry, Error, GeocellRecord, ReferenceImage, ReleaseId, Result};

/// Rows of one INSERT; SQLite binds at most 32,766 values.
const ROWS_AN_INSERT: usize = 500;

/// Reference images by their ids, in the order asked. CROSS JOIN keeps the order of the tables: the planner knows nothing of how few
/// ids are asked for, and would read the whole release.
const BY_ID: &str = "SELECT reference_images.* FROM json_each(?2) AS asked
     CROSS JOIN reference_images ON reference_images.release = ?1 AND reference_images.id = asked.value
     ORDER BY asked.key";

impl SqliteCatalog {
    pub(super) async fn put_geocells(&self, release: &ReleaseId, geocells: &[GeocellRecord]) -> Result<()> {
        let mut transaction = self.begin().await?;
        self.require_loadable(&mut transaction, release).await?;
        for chunk in geocells.chunks(ROWS_AN_INSERT) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT OR REPLACE INTO geocells
                 (release, level, position, token, parent_token, photos, latitude, longitude) ",
            );
            insert.push_values(chunk, |mut row, geocell| {
                row.push_bind(release.as_str())
                    .push_bind(geocell.level as i64)
                    .push_bind(geocell.index as i64)
                    .push_bind(geocell.token.token())
                    .push_bind(geocell.parent.map(GeocellId::token))
                    .push_bind(geocell.photos as i64)
                    .push_bind(geocell.location.latitude())
                    .push_bind(geocell.location.longitude());
            });
            insert
                .build()
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
        }
        self.commit(transaction).await
    }

    pub(super) async fn put_reference_images(
        &self,
        release: &ReleaseId,
        images: &[ReferenceImage],
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        self.require_loadable(&mut transaction, release).await?;
        for chunk in images.chunks(ROWS_AN_INSERT) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT OR REPLACE INTO reference_images
                 (release, id, path, latitude, longitude, token, sha256, captured_at, uploader) ",
            );
            insert.push_values(chunk, |mut row, image| {
                row.push_bind(release.as_str())
                    .push_bind(image.id.to_string())
                    .push_bind(&image.path)
                    .push_bind(image.location.latitude())
                    .push_bind(image.location.longitude())
                    .push_bind(image.geocell.map(GeocellId::token))
                    .push_bind(&image.sha256)
                    .push_bind(image.captured_at.map(time_text))
                    .push_bind(&image.uploader);
            });
            insert
                .build()
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
        }
        self.commit(transaction).await
    }

    pub(super) async fn one_geocell(
        &self,
        release: &ReleaseId,
        token: GeocellId,
        level: Option<usize>,
    ) -> Result<GeocellRecord> {
        let row = sqlx::query(
            "SELECT * FROM geocells
             WHERE release = ?1 AND token = ?2 AND (?3 IS NULL OR level = ?3)
             ORDER BY level DESC LIMIT 1",
        )
        .bind(release.as_str())
        .bind(token.token())
        .bind(level.map(|level| level as i64))
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.error(error))?
        .ok_or_else(|| {
            let place = level.map_or(String::new(), |level| format!(" at level {level}"));
            Error::not_found(format!("geocell {token}{place} of release {release}"))
        })?;
        read_geocell(&row).map_err(|error| self.error(error))
    }

    pub(super) async fn page_of_geocells(
        &self,
        release: &ReleaseId,
        level: usize,
        after: Option<usize>,
        limit: usize,
    ) -> Result<Vec<GeocellRecord>> {
        let rows = sqlx::query(
            "SELECT * FROM geocells WHERE release = ?1 AND level = ?2 AND position > ?3
             ORDER BY position LIMIT ?4",
        )
        .bind(release.as_str())
        .bind(level as i64)
        .bind(after.map_or(-1, |index| index as i64))
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        rows.iter()
            .map(read_geocell)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(error))
    }

    pub(super) async fn reference_images_by_id(
        &self,
        release: &ReleaseId,
        ids: &[Uuid],
    ) -> Result<Vec<ReferenceImage>> {
        let rows = sqlx::query(BY_ID)
            .bind(release.as_str())
            .bind(json_text(&ids)?)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        self.read_images(&rows)
    }

    pub(super) async fn page_of_reference_images(
        &self,
        release: &ReleaseId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        let rows =
            sqlx::query("SELECT * FROM reference_images WHERE release = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
                .bind(release.as_str())
                .bind(after.map_or(String::new(), |id| id.to_string()))
                .bind(limit as i64)
                .fetch_all(&self.pool)
                .await
                .map_err(|error| self.error(error))?;
        self.read_images(&rows)
    }

    pub(super) async fn reference_images_of_files(
        &self,
        release: &ReleaseId,
        sha256: &[String],
    ) -> Result<Vec<ReferenceImage>> {
        let rows = sqlx::query(
            "SELECT * FROM reference_images
             WHERE release = ?1 AND sha256 IN (SELECT value FROM json_each(?2)) ORDER BY id",
        )
        .bind(release.as_str())
        .bind(json_text(&sha256)?)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        self.read_images(&rows)
    }

    pub(super) async fn page_of_reference_images_in(
        &self,
        release: &ReleaseId,
        geocells: &[GeocellId],
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        let tokens: Vec<String> = geocells.iter().map(|geocell| geocell.token()).collect();
        let rows = sqlx::query(
            "SELECT * FROM reference_images
             WHERE release = ?1 AND token IN (SELECT value FROM json_each(?2)) AND id > ?3 ORDER BY id LIMIT ?4",
        )
        .bind(release.as_str())
        .bind(json_text(&tokens)?)
        .bind(after.map_or(String::new(), |id| id.to_string()))
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        self.read_images(&rows)
    }

    pub(super) async fn remove_reference_images(
        &self,
        release: &ReleaseId,
        ids: &[Uuid],
        audit: Option<&AuditEntry>,
    ) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "DELETE FROM reference_images
             WHERE release = ?1 AND id IN (SELECT value FROM json_each(?2))",
        )
        .bind(release.as_str())
        .bind(json_text(&ids)?)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.error(error))?;
        let deleted = done.rows_affected();
        if let Some(entry) = audit.filter(|_| deleted > 0) {
            let result = serde_json::json!({ "reference_images": deleted });
            self.add_to_audit(&mut *transaction, &entry.with_result(&result)?)
                .await?;
        }
        self.commit(transaction).await?;
        Ok(deleted)
    }

    fn read_images(&self, rows: &[SqliteRow]) -> Result<Vec<ReferenceImage>> {
        rows.iter()
            .map(read_image)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(error))
    }
}

fn read_geocell(row: &SqliteRow) -> Result<GeocellRecord, sqlx::Error> {
    Ok(GeocellRecord {
        level: row.number("level")?,
        index: row.number("position")?,
        token: row.geocell("token")?,
        parent: row.optional_geocell("parent_token")?,
        photos: row.number("photos")?,
        location: row.location()?,
    })
}

fn read_image(row: &SqliteRow) -> Result<ReferenceImage, sqlx::Error> {
    Ok(ReferenceImage {
        id: row.uuid("id")?,
        path: row.try_get("path")?,
        location: row.location()?,
        geocell: row.optional_geocell("token")?,
        sha256: row.try_get("sha256")?,
        captured_at: row.optional_time("captured_at")?,
        uploader: row.try_get("uploader")?,
    })
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;

    #[tokio::test]
    async fn images_are_looked_up_by_their_ids() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = SqliteCatalog::open(dir.path().join("catalog.sqlite"))
            .await
            .unwrap();
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {BY_ID}")))
            .bind("r")
            .bind("[]")
            .fetch_all(&catalog.pool)
            .await
            .unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        assert!(
            steps.iter().any(|step| step.contains("(release=? AND id=?)")),
            "{steps:?}"
        );
    }
}
