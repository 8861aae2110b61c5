//! Releases and their life.
//!
//! Whoever changes a release first locks the row of `release_changes`: writers take turns, so that the next one sees what the
//! one before did. Readers never wait.

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{query, query_as, query_scalar};

use super::attempt::{Repeat, attempt};
use super::row::{number, stored, undecodable};
use super::store::PostgresCatalog;
use crate::catalog::{check_same_build, check_shape, check_transition};
use crate::{AuditEntry, Error, NewRelease, Release, ReleaseCounts, ReleaseId, ReleaseStatus, Result};

/// A row of `releases`.
struct ReleaseRow {
    id: String,
    status: String,
    checkpoint_id: String,
    checkpoint_path: String,
    embedding_dimension: i64,
    levels: i64,
    dataset_digest: String,
    store: serde_json::Value,
    geocells: Option<i64>,
    reference_images: Option<i64>,
    message: Option<String>,
    created_at: DateTime<Utc>,
    ready_at: Option<DateTime<Utc>>,
    activated_at: Option<DateTime<Utc>>,
}

impl PostgresCatalog {
    pub(super) async fn create_release_row(&self, new: NewRelease) -> Result<Release> {
        check_shape(&new)?;
        attempt!(self, Repeat::Always, {
            let mut transaction = self.pool.begin().await?;
            take_turn(&mut transaction).await?;
            match find(&mut transaction, &new.id).await? {
                None => insert(&mut transaction, &new).await?,
                Some(existing) => {
                    check_same_build(&existing, &new)?;
                    if matches!(existing.status, ReleaseStatus::Building | ReleaseStatus::Failed) {
                        resume(&mut transaction, &new).await?;
                    }
                }
            }
            let release = get(&mut transaction, &new.id).await?;
            self.commit(transaction).await?;
            Ok(release)
        })
    }

    pub(super) async fn change_status(
        &self,
        id: &ReleaseId,
        status: ReleaseStatus,
        message: Option<&str>,
    ) -> Result<Release> {
        let release = attempt!(self, Repeat::Always, {
            let mut transaction = self.pool.begin().await?;
            take_turn(&mut transaction).await?;
            let release = get(&mut transaction, id).await?;
            check_transition(&release, status)?;
            match status {
                _ if release.status == status => {}
                ReleaseStatus::Ready => count_what_was_built(&mut transaction, id).await?,
                ReleaseStatus::Active => make_active(&mut transaction, id).await?,
                ReleaseStatus::Pruned => drop(empty(&mut transaction, id).await?),
                ReleaseStatus::Building | ReleaseStatus::Retired | ReleaseStatus::Failed => {}
            }
            query!(
                "UPDATE releases SET status = $2, message = $3 WHERE id = $1",
                id.as_str(),
                status.as_str(),
                message
            )
            .execute(&mut *transaction)
            .await?;
            let release = get(&mut transaction, id).await?;
            self.commit(transaction).await?;
            Ok(release)
        })?;
        tracing::info!(release = %id, %status, "release changed status");
        Ok(release)
    }

    pub(super) async fn activate_release(&self, id: &ReleaseId) -> Result<Release> {
        let release = attempt!(self, Repeat::Always, {
            let mut transaction = self.pool.begin().await?;
            take_turn(&mut transaction).await?;
            let release = get(&mut transaction, id).await?;
            if release.status == ReleaseStatus::Active {
                return Ok(release);
            }
            check_transition(&release, ReleaseStatus::Active)?;
            make_active(&mut transaction, id).await?;
            let release = get(&mut transaction, id).await?;
            self.commit(transaction).await?;
            Ok(release)
        })?;
        tracing::info!(release = %id, "release activated");
        Ok(release)
    }

    pub(super) async fn prune_release(
        &self,
        id: &ReleaseId,
        audit: Option<&AuditEntry>,
    ) -> Result<ReleaseCounts> {
        let deleted = attempt!(self, Repeat::IfUndone, {
            let mut transaction = self.begin_long().await?;
            take_turn(&mut transaction).await?;
            let release = get(&mut transaction, id).await?;
            check_transition(&release, ReleaseStatus::Pruned)?;
            if release.status == ReleaseStatus::Pruned {
                return Ok(ReleaseCounts::default());
            }
            let deleted = empty(&mut transaction, id).await?;
            query!("UPDATE releases SET status = 'pruned' WHERE id = $1", id.as_str())
                .execute(&mut *transaction)
                .await?;
            if let Some(entry) = audit {
                self.add_to_audit(&mut *transaction, &entry.with_result(&deleted)?)
                    .await?;
            }
            self.commit(transaction).await?;
            Ok(deleted)
        })?;
        tracing::info!(
            release = %id,
            geocells = deleted.geocells,
            reference_images = deleted.reference_images,
            "release pruned"
        );
        Ok(deleted)
    }

    pub(super) async fn find_active(&self) -> Result<Option<Release>> {
        attempt!(self, Repeat::Always, {
            let row = query_as!(ReleaseRow, "SELECT * FROM releases WHERE status = 'active'")
                .fetch_optional(&self.pool)
                .await?;
            Ok(row.map(Release::try_from).transpose()?)
        })
    }

    pub(super) async fn one_release(&self, id: &ReleaseId) -> Result<Release> {
        attempt!(self, Repeat::Always, {
            let mut connection = self.pool.acquire().await?;
            get(&mut connection, id).await
        })
    }

    pub(super) async fn all_releases(&self) -> Result<Vec<Release>> {
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                ReleaseRow,
                "SELECT * FROM releases ORDER BY created_at DESC, id DESC"
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(rows
                .into_iter()
                .map(Release::try_from)
                .collect::<Result<_, sqlx::Error>>()?)
        })
    }

    pub(super) async fn count_changes(&self) -> Result<u64> {
        attempt!(self, Repeat::Always, {
            let changes = query_scalar!("SELECT changes FROM release_changes")
                .fetch_one(&self.pool)
                .await?;
            Ok(number("changes", changes)?)
        })
    }

    pub(super) async fn count_release(&self, id: &ReleaseId) -> Result<ReleaseCounts> {
        attempt!(self, Repeat::Always, {
            let row = query!(
                r#"SELECT (SELECT count(*) FROM geocells WHERE release = releases.id) AS "geocells!",
                          (SELECT count(*) FROM reference_images WHERE release = releases.id) AS "reference_images!"
                   FROM releases WHERE id = $1"#,
                id.as_str()
            )
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| missing(id))?;
            Ok(ReleaseCounts {
                geocells: number("geocells", row.geocells)?,
                reference_images: number("reference_images", row.reference_images)?,
            })
        })
    }
}

pub(super) type Attempt<T> = Result<T, super::attempt::Failure>;

/// Waits until no other transaction changes a release.
async fn take_turn(connection: &mut PgConnection) -> Attempt<()> {
    query!("SELECT changes FROM release_changes FOR UPDATE")
        .fetch_one(connection)
        .await?;
    Ok(())
}

pub(super) async fn get(connection: &mut PgConnection, id: &ReleaseId) -> Attempt<Release> {
    Ok(find(connection, id).await?.ok_or_else(|| missing(id))?)
}

async fn find(connection: &mut PgConnection, id: &ReleaseId) -> Attempt<Option<Release>> {
    let row = query_as!(ReleaseRow, "SELECT * FROM releases WHERE id = $1", id.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Release::try_from).transpose()?)
}

async fn insert(connection: &mut PgConnection, new: &NewRelease) -> Attempt<()> {
    query!(
        "INSERT INTO releases (id, status, checkpoint_id, checkpoint_path, embedding_dimension, levels,
                               dataset_digest, store, created_at)
         VALUES ($1, 'building', $2, $3, $4, $5, $6, $7, $8)",
        new.id.as_str(),
        new.checkpoint_id,
        new.checkpoint_path,
        stored(new.embedding_dimension)?,
        stored(new.levels)?,
        new.dataset_digest,
        new.store,
        Utc::now().trunc_subsecs(6)
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn resume(connection: &mut PgConnection, new: &NewRelease) -> Attempt<()> {
    query!(
        "UPDATE releases SET status = 'building', message = NULL, checkpoint_path = $2, store = $3,
                geocells = NULL, reference_images = NULL, ready_at = NULL
         WHERE id = $1",
        new.id.as_str(),
        new.checkpoint_path,
        new.store
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn count_what_was_built(connection: &mut PgConnection, id: &ReleaseId) -> Attempt<()> {
    query!(
        "UPDATE releases SET ready_at = $2,
                geocells = (SELECT count(*) FROM geocells WHERE release = $1),
                reference_images = (SELECT count(*) FROM reference_images WHERE release = $1)
         WHERE id = $1",
        id.as_str(),
        Utc::now().trunc_subsecs(6)
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn make_active(connection: &mut PgConnection, id: &ReleaseId) -> Attempt<()> {
    query!("UPDATE releases SET status = 'retired' WHERE status = 'active'")
        .execute(&mut *connection)
        .await?;
    query!(
        "UPDATE releases SET status = 'active', activated_at = $2 WHERE id = $1",
        id.as_str(),
        Utc::now().trunc_subsecs(6)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes what a release holds.
async fn empty(connection: &mut PgConnection, id: &ReleaseId) -> Attempt<ReleaseCounts> {
    // Waits for loads of this release that have not ended; later ones find it pruned.
    query!("SELECT id FROM releases WHERE id = $1 FOR UPDATE", id.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let geocells = query!("DELETE FROM geocells WHERE release = $1", id.as_str())
        .execute(&mut *connection)
        .await?;
    let images = query!("DELETE FROM reference_images WHERE release = $1", id.as_str())
        .execute(connection)
        .await?;
    Ok(ReleaseCounts {
        geocells: geocells.rows_affected(),
        reference_images: images.rows_affected(),
    })
}

/// The error of a release that is not there.
pub(super) fn missing(id: &ReleaseId) -> Error {
    Error::not_found(format!("release {id}"))
}

impl TryFrom<ReleaseRow> for Release {
    type Error = sqlx::Error;

    fn try_from(row: ReleaseRow) -> Result<Self, sqlx::Error> {
        let counts = match (row.geocells, row.reference_images) {
            (Some(geocells), Some(images)) => Some(ReleaseCounts {
                geocells: number("geocells", geocells)?,
                reference_images: number("reference_images", images)?,
            }),
            _ => None,
        };
        Ok(Release {
            id: ReleaseId::new(row.id).map_err(|error| undecodable("id", error.to_string()))?,
            status: row
                .status
                .parse()
                .map_err(|error: Error| undecodable("status", error.to_string()))?,
            checkpoint_id: row.checkpoint_id,
            checkpoint_path: row.checkpoint_path,
            embedding_dimension: number("embedding_dimension", row.embedding_dimension)?,
            levels: number("levels", row.levels)?,
            dataset_digest: row.dataset_digest,
            store: row.store,
            counts,
            message: row.message,
            created_at: row.created_at,
            ready_at: row.ready_at,
            activated_at: row.activated_at,
        })
    }
}
