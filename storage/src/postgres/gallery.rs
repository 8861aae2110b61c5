//! Reading geocells and reference images, and deleting reference images.

use chrono::{DateTime, Utc};
use geocells::GeocellId;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::attempt::{Repeat, attempt};
use super::row::{geocell, location, number, stored};
use super::store::PostgresCatalog;
use crate::{AuditEntry, Error, GeocellRecord, ReferenceImage, ReleaseId, Result};

/// A row of `geocells`.
struct GeocellRow {
    level: i64,
    position: i64,
    token: String,
    parent_token: Option<String>,
    photos: i64,
    latitude: f64,
    longitude: f64,
}

/// A row of `reference_images`.
struct ImageRow {
    id: Uuid,
    path: String,
    latitude: f64,
    longitude: f64,
    token: Option<String>,
    sha256: String,
    captured_at: Option<DateTime<Utc>>,
    uploader: Option<String>,
}

impl PostgresCatalog {
    pub(super) async fn one_geocell(
        &self,
        release: &ReleaseId,
        token: GeocellId,
        level: Option<usize>,
    ) -> Result<GeocellRecord> {
        let at_level = level.map(stored).transpose()?;
        attempt!(self, Repeat::Always, {
            let row = query_as!(
                GeocellRow,
                "SELECT level, position, token, parent_token, photos, latitude, longitude FROM geocells
                 WHERE release = $1 AND token = $2 AND ($3::bigint IS NULL OR level = $3)
                 ORDER BY level DESC LIMIT 1",
                release.as_str(),
                token.token(),
                at_level
            )
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| {
                let place = level.map_or(String::new(), |level| format!(" at level {level}"));
                Error::not_found(format!("geocell {token}{place} of release {release}"))
            })?;
            Ok(GeocellRecord::try_from(row)?)
        })
    }

    pub(super) async fn page_of_geocells(
        &self,
        release: &ReleaseId,
        level: usize,
        after: Option<usize>,
        limit: usize,
    ) -> Result<Vec<GeocellRecord>> {
        let after = after.map_or(Ok(-1), stored)?;
        let (level, limit) = (stored(level)?, stored(limit)?);
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                GeocellRow,
                "SELECT level, position, token, parent_token, photos, latitude, longitude FROM geocells
                 WHERE release = $1 AND level = $2 AND position > $3 ORDER BY position LIMIT $4",
                release.as_str(),
                level,
                after,
                limit
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(rows
                .into_iter()
                .map(GeocellRecord::try_from)
                .collect::<Result<_, sqlx::Error>>()?)
        })
    }

    pub(super) async fn reference_images_by_id(
        &self,
        release: &ReleaseId,
        ids: &[Uuid],
    ) -> Result<Vec<ReferenceImage>> {
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                ImageRow,
                "SELECT images.id, path, latitude, longitude, token, sha256, captured_at, uploader
                 FROM unnest($2::uuid[]) WITH ORDINALITY AS asked (id, place)
                 JOIN reference_images AS images ON images.release = $1 AND images.id = asked.id
                 ORDER BY asked.place",
                release.as_str(),
                ids
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(read(rows)?)
        })
    }

    pub(super) async fn reference_images_of_files(
        &self,
        release: &ReleaseId,
        sha256: &[String],
    ) -> Result<Vec<ReferenceImage>> {
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                ImageRow,
                "SELECT id, path, latitude, longitude, token, sha256, captured_at, uploader
                 FROM reference_images WHERE release = $1 AND sha256 = ANY($2) ORDER BY id",
                release.as_str(),
                sha256
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(read(rows)?)
        })
    }

    pub(super) async fn page_of_reference_images(
        &self,
        release: &ReleaseId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        let limit = stored(limit)?;
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                ImageRow,
                "SELECT id, path, latitude, longitude, token, sha256, captured_at, uploader
                 FROM reference_images WHERE release = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
                release.as_str(),
                after,
                limit
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(read(rows)?)
        })
    }

    pub(super) async fn page_of_reference_images_in(
        &self,
        release: &ReleaseId,
        geocells: &[GeocellId],
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        let tokens: Vec<String> = geocells.iter().map(|geocell| geocell.token()).collect();
        let limit = stored(limit)?;
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                ImageRow,
                "SELECT id, path, latitude, longitude, token, sha256, captured_at, uploader
                 FROM reference_images
                 WHERE release = $1 AND token = ANY($2) AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4",
                release.as_str(),
                &tokens,
                after,
                limit
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(read(rows)?)
        })
    }

    pub(super) async fn remove_reference_images(
        &self,
        release: &ReleaseId,
        ids: &[Uuid],
        audit: Option<&AuditEntry>,
    ) -> Result<u64> {
        attempt!(self, Repeat::IfUndone, {
            let mut transaction = self.begin_long().await?;
            let deleted = query!(
                "DELETE FROM reference_images WHERE release = $1 AND id = ANY($2)",
                release.as_str(),
                ids
            )
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if let Some(entry) = audit.filter(|_| deleted > 0) {
                let result = serde_json::json!({ "reference_images": deleted });
                self.add_to_audit(&mut *transaction, &entry.with_result(&result)?)
                    .await?;
            }
            self.commit(transaction).await?;
            Ok(deleted)
        })
    }
}

fn read(rows: Vec<ImageRow>) -> Result<Vec<ReferenceImage>, sqlx::Error> {
    rows.into_iter().map(ReferenceImage::try_from).collect()
}

impl TryFrom<GeocellRow> for GeocellRecord {
    type Error = sqlx::Error;

    fn try_from(row: GeocellRow) -> Result<Self, sqlx::Error> {
        Ok(GeocellRecord {
            level: number("level", row.level)?,
            index: number("position", row.position)?,
            token: geocell(&row.token)?,
            parent: row.parent_token.as_deref().map(geocell).transpose()?,
            photos: number("photos", row.photos)?,
            location: location(row.latitude, row.longitude)?,
        })
    }
}

impl TryFrom<ImageRow> for ReferenceImage {
    type Error = sqlx::Error;

    fn try_from(row: ImageRow) -> Result<Self, sqlx::Error> {
        Ok(ReferenceImage {
            id: row.id,
            path: row.path,
            location: location(row.latitude, row.longitude)?,
            geocell: row.token.as_deref().map(geocell).transpose()?,
            sha256: row.sha256,
            captured_at: row.captured_at,
            uploader: row.uploader,
        })
    }
}
