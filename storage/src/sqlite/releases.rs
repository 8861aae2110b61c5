//! Releases and their life.

use chrono::Utc;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::row::{Columns, json_text, time_text, undecodable};
use super::store::SqliteCatalog;
use super::write::Write;
use crate::catalog::{check_loadable, check_same_build, check_shape, check_transition};
use crate::{AuditEntry, Error, NewRelease, Release, ReleaseCounts, ReleaseId, ReleaseStatus, Result};

impl SqliteCatalog {
    pub(super) async fn create_release_row(&self, new: NewRelease) -> Result<Release> {
        check_shape(&new)?;
        let mut transaction = self.begin().await?;
        let release = match self.find(&mut transaction, &new.id).await? {
            None => {
                self.insert(&mut transaction, &new).await?;
                self.get(&mut transaction, &new.id).await?
            }
            Some(existing) => {
                check_same_build(&existing, &new)?;
                match existing.status {
                    ReleaseStatus::Building | ReleaseStatus::Failed => {
                        self.resume(&mut transaction, &new).await?;
                        self.get(&mut transaction, &new.id).await?
                    }
                    ReleaseStatus::Ready
                    | ReleaseStatus::Active
                    | ReleaseStatus::Retired
                    | ReleaseStatus::Pruned => existing,
                }
            }
        };
        self.commit(transaction).await?;
        Ok(release)
    }

    pub(super) async fn change_status(
        &self,
        id: &ReleaseId,
        status: ReleaseStatus,
        message: Option<&str>,
    ) -> Result<Release> {
        let mut transaction = self.begin().await?;
        let release = self.get(&mut transaction, id).await?;
        check_transition(&release, status)?;
        if status == ReleaseStatus::Ready && release.status != status {
            self.count_what_was_built(&mut transaction, id).await?;
        }
        if status == ReleaseStatus::Active && release.status != status {
            self.make_active(&mut transaction, id).await?;
        }
        if status == ReleaseStatus::Pruned {
            self.empty_release(&mut transaction, id).await?;
        }
        sqlx::query("UPDATE releases SET status = ?2, message = ?3 WHERE id = ?1")
            .bind(id.as_str())
            .bind(status.as_str())
            .bind(message)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        let release = self.get(&mut transaction, id).await?;
        self.commit(transaction).await?;
        tracing::info!(release = %id, %status, "release changed status");
        Ok(release)
    }

    pub(super) async fn activate_release(&self, id: &ReleaseId) -> Result<Release> {
        let mut transaction = self.begin().await?;
        let release = self.get(&mut transaction, id).await?;
        if release.status == ReleaseStatus::Active {
            return Ok(release);
        }
        check_transition(&release, ReleaseStatus::Active)?;
        self.make_active(&mut transaction, id).await?;
        let release = self.get(&mut transaction, id).await?;
        self.commit(transaction).await?;
        tracing::info!(release = %id, "release activated");
        Ok(release)
    }

    pub(super) async fn prune_release(
        &self,
        id: &ReleaseId,
        audit: Option<&AuditEntry>,
    ) -> Result<ReleaseCounts> {
        let mut transaction = self.begin().await?;
        let release = self.get(&mut transaction, id).await?;
        check_transition(&release, ReleaseStatus::Pruned)?;
        if release.status == ReleaseStatus::Pruned {
            return Ok(ReleaseCounts::default());
        }
        let deleted = self.empty_release(&mut transaction, id).await?;
        sqlx::query("UPDATE releases SET status = 'pruned' WHERE id = ?1")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        if let Some(entry) = audit {
            self.add_to_audit(&mut *transaction, &entry.with_result(&deleted)?)
                .await?;
        }
        self.commit(transaction).await?;
        tracing::info!(
            release = %id,
            geocells = deleted.geocells,
            reference_images = deleted.reference_images,
            "release pruned"
        );
        Ok(deleted)
    }

    async fn empty_release(&self, transaction: &mut Write, id: &ReleaseId) -> Result<ReleaseCounts> {
        let mut deleted = [0; 2];
        for (deleted, statement) in deleted.iter_mut().zip([
            "DELETE FROM geocells WHERE release = ?1",
            "DELETE FROM reference_images WHERE release = ?1",
        ]) {
            *deleted = sqlx::query(statement)
                .bind(id.as_str())
                .execute(&mut **transaction)
                .await
                .map_err(|error| self.error(error))?
                .rows_affected();
        }
        Ok(ReleaseCounts {
            geocells: deleted[0],
            reference_images: deleted[1],
        })
    }

    pub(super) async fn find_active(&self) -> Result<Option<Release>> {
        let row = sqlx::query("SELECT * FROM releases WHERE status = 'active'")
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        row.map(|row| read(&row))
            .transpose()
            .map_err(|error| self.error(error))
    }

    pub(super) async fn one_release(&self, id: &ReleaseId) -> Result<Release> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        self.get(&mut connection, id).await
    }

    pub(super) async fn all_releases(&self) -> Result<Vec<Release>> {
        let rows = sqlx::query("SELECT * FROM releases ORDER BY created_at DESC, id DESC")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        rows.iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(error))
    }

    pub(super) async fn count_changes(&self) -> Result<u64> {
        let row = sqlx::query("SELECT changes FROM release_changes WHERE only = 1")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        row.number("changes").map_err(|error| self.error(error))
    }

    pub(super) async fn count_release(&self, id: &ReleaseId) -> Result<ReleaseCounts> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM geocells WHERE release = releases.id) AS geocells,
                    (SELECT count(*) FROM reference_images WHERE release = releases.id) AS reference_images
             FROM releases WHERE id = ?1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.error(error))?
        .ok_or_else(|| missing(id))?;
        let counts = || -> Result<ReleaseCounts, sqlx::Error> {
            Ok(ReleaseCounts {
                geocells: row.number("geocells")?,
                reference_images: row.number("reference_images")?,
            })
        };
        counts().map_err(|error| self.error(error))
    }

    /// Fails where there is no such release.
    pub(super) async fn require_release(
        &self,
        connection: &mut SqliteConnection,
        id: &ReleaseId,
    ) -> Result<()> {
        self.get(connection, id).await.map(drop)
    }

    /// Fails where there is no such release, or where it was pruned.
    pub(super) async fn require_loadable(
        &self,
        connection: &mut SqliteConnection,
        id: &ReleaseId,
    ) -> Result<()> {
        check_loadable(&self.get(connection, id).await?)
    }

    async fn get(&self, connection: &mut SqliteConnection, id: &ReleaseId) -> Result<Release> {
        self.find(connection, id).await?.ok_or_else(|| missing(id))
    }

    async fn find(&self, connection: &mut SqliteConnection, id: &ReleaseId) -> Result<Option<Release>> {
        let row = sqlx::query("SELECT * FROM releases WHERE id = ?1")
            .bind(id.as_str())
            .fetch_optional(connection)
            .await
            .map_err(|error| self.error(error))?;
        row.map(|row| read(&row))
            .transpose()
            .map_err(|error| self.error(error))
    }

    async fn insert(&self, transaction: &mut Write, new: &NewRelease) -> Result<()> {
        sqlx::query(
            "INSERT INTO releases (id, status, checkpoint_id, checkpoint_path, embedding_dimension, levels,
                                   dataset_digest, store, created_at)
             VALUES (?1, 'building', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(new.id.as_str())
        .bind(&new.checkpoint_id)
        .bind(&new.checkpoint_path)
        .bind(new.embedding_dimension as i64)
        .bind(new.levels as i64)
        .bind(&new.dataset_digest)
        .bind(json_text(&new.store)?)
        .bind(time_text(Utc::now()))
        .execute(&mut **transaction)
        .await
        .map_err(|error| self.error(error))?;
        Ok(())
    }

    async fn resume(&self, transaction: &mut Write, new: &NewRelease) -> Result<()> {
        sqlx::query(
            "UPDATE releases SET status = 'building', message = NULL, checkpoint_path = ?2, store = ?3,
                    geocells = NULL, reference_images = NULL, ready_at = NULL
             WHERE id = ?1",
        )
        .bind(new.id.as_str())
        .bind(&new.checkpoint_path)
        .bind(json_text(&new.store)?)
        .execute(&mut **transaction)
        .await
        .map_err(|error| self.error(error))?;
        Ok(())
    }

    async fn count_what_was_built(&self, transaction: &mut Write, id: &ReleaseId) -> Result<()> {
        sqlx::query(
            "UPDATE releases SET ready_at = ?2,
                    geocells = (SELECT count(*) FROM geocells WHERE release = ?1),
                    reference_images = (SELECT count(*) FROM reference_images WHERE release = ?1)
             WHERE id = ?1",
        )
        .bind(id.as_str())
        .bind(time_text(Utc::now()))
        .execute(&mut **transaction)
        .await
        .map_err(|error| self.error(error))?;
        Ok(())
    }

    async fn make_active(&self, transaction: &mut Write, id: &ReleaseId) -> Result<()> {
        sqlx::query("UPDATE releases SET status = 'retired' WHERE status = 'active'")
            .execute(&mut **transaction)
            .await
            .map_err(|error| self.error(error))?;
        sqlx::query("UPDATE releases SET status = 'active', activated_at = ?2 WHERE id = ?1")
            .bind(id.as_str())
            .bind(time_text(Utc::now()))
            .execute(&mut **transaction)
            .await
            .map_err(|error| self.error(error))?;
        Ok(())
    }
}

fn missing(id: &ReleaseId) -> Error {
    Error::not_found(format!("release {id}"))
}

fn read(row: &SqliteRow) -> Result<Release, sqlx::Error> {
    let id: String = row.try_get("id")?;
    let status: &str = row.try_get("status")?;
    let geocells: Option<u64> = row.optional_number("geocells")?;
    let reference_images: Option<u64> = row.optional_number("reference_images")?;
    Ok(Release {
        id: ReleaseId::new(id).map_err(|error| undecodable("id", error.to_string()))?,
        status: status
            .parse()
            .map_err(|error: Error| undecodable("status", error.to_string()))?,
        checkpoint_id: row.try_get("checkpoint_id")?,
        checkpoint_path: row.try_get("checkpoint_path")?,
        embedding_dimension: row.number("embedding_dimension")?,
        levels: row.number("levels")?,
        dataset_digest: row.try_get("dataset_digest")?,
        store: row.json("store")?,
        counts: geocells
            .zip(reference_images)
            .map(|(geocells, reference_images)| ReleaseCounts {
                geocells,
                reference_images,
            }),
        message: row.try_get("message")?,
        created_at: row.time("created_at")?,
        ready_at: row.optional_time("ready_at")?,
        activated_at: row.optional_time("activated_at")?,
    })
}
