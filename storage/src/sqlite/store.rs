//! The SQLite file as a [`Catalog`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use geocells::GeocellId;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, SqlitePool};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::error::translate;
use super::migrate::{migrate, state};
use super::open::{open, options};
use super::write::Write;
use crate::analytics::{AnalyticsQuery, Refreshed};
use crate::catalog::{EachRow, Hold};
use crate::{
    ApiKey, AuditEntry, AuditFilter, Catalog, DeletedPredictions, Error, GeocellRecord, GroundTruth,
    MigrationInfo, MigrationState, NewRelease, Prediction, PredictionFilter, PredictionSelection,
    ReferenceImage, Release, ReleaseCounts, ReleaseId, ReleaseStatus, Result,
};

/// A catalog in one SQLite file. Any number of processes may open it.
#[derive(Clone, Debug)]
pub struct SqliteCatalog {
    pub(super) path: PathBuf,
    pub(super) pool: SqlitePool,
    /// Whose turn it is to write, among the tasks of this process.
    writers: Arc<Mutex<()>>,
}

impl SqliteCatalog {
    /// Opens a file, which is created with the whole schema if need be.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be created or written, [`Error::Corrupt`] where it is no database,
    /// [`Error::Conflict`] where an older version wrote it ([`migrate`](Self::migrate) it first), a newer one, or another
    /// program.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let pool = open(&path).await?;
        Ok(Self {
            path,
            pool,
            writers: Arc::default(),
        })
    }

    /// Which migrations an existing file has and lacks.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for an older version, and [`Error::NotFound`] where there is no file.
    pub async fn migration_state(path: impl AsRef<Path>) -> Result<MigrationState> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(Error::not_found(format!("catalog {}", path.display())));
        }
        let connecting = SqliteConnection::connect_with(&options(path)).await;
        let mut connection = connecting.map_err(|error| translate(path, error))?;
        state(path, &mut connection).await
    }

    /// Brings a file up to date, or creates it, and tells what was applied. Each migration is a transaction; what was
    /// interrupted goes on the next time.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for an older version.
    pub async fn migrate(path: impl AsRef<Path>) -> Result<Vec<MigrationInfo>> {
        let path = path.as_ref();
        if path.exists() {
            return migrate(path).await;
        }
        Self::open(path).await?.close().await;
        Ok(Self::migration_state(path).await?.applied)
    }

    /// Closes all connections. A catalog that is only dropped closes them soon after.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that holds the write lock from its start, so that it never fails half-way for want of it.
    pub(super) async fn begin(&self) -> Result<Write> {
        let turn = self.writers.clone().lock_owned().await;
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await;
        Ok(Write::new(transaction.map_err(|error| self.error(error))?, turn))
    }

    pub(super) async fn commit(&self, transaction: Write) -> Result<()> {
        transaction.commit().await.map_err(|error| self.error(error))
    }

    pub(super) fn error(&self, error: sqlx::Error) -> Error {
        translate(&self.path, error)
    }
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn create_release(&self, release: NewRelease) -> Result<Release> {
        self.create_release_row(release).await
    }

    async fn set_status(
        &self,
        release: &ReleaseId,
        status: ReleaseStatus,
        message: Option<&str>,
    ) -> Result<Release> {
        self.change_status(release, status, message).await
    }

    async fn activate(&self, release: &ReleaseId) -> Result<Release> {
        self.activate_release(release).await
    }

    async fn delete_release_contents(
        &self,
        release: &ReleaseId,
        audit: Option<&AuditEntry>,
    ) -> Result<ReleaseCounts> {
        self.prune_release(release, audit).await
    }

    async fn active_release(&self) -> Result<Option<Release>> {
        self.find_active().await
    }

    async fn release(&self, release: &ReleaseId) -> Result<Release> {
        self.one_release(release).await
    }

    async fn releases(&self) -> Result<Vec<Release>> {
        self.all_releases().await
    }

    async fn changes(&self) -> Result<u64> {
        self.count_changes().await
    }

    async fn hold(&self, release: &ReleaseId) -> Result<Hold> {
        self.hold_release(release)
    }

    async fn insert_geocells(&self, release: &ReleaseId, geocells: &[GeocellRecord]) -> Result<()> {
        self.put_geocells(release, geocells).await
    }

    async fn insert_reference_images(&self, release: &ReleaseId, images: &[ReferenceImage]) -> Result<()> {
        self.put_reference_images(release, images).await
    }

    async fn counts(&self, release: &ReleaseId) -> Result<ReleaseCounts> {
        self.count_release(release).await
    }

    async fn geocell(
        &self,
        release: &ReleaseId,
        token: GeocellId,
        level: Option<usize>,
    ) -> Result<GeocellRecord> {
        self.one_geocell(release, token, level).await
    }

    async fn geocells(
        &self,
        release: &ReleaseId,
        level: usize,
        after: Option<usize>,
        limit: usize,
    ) -> Result<Vec<GeocellRecord>> {
        self.page_of_geocells(release, level, after, limit).await
    }

    async fn reference_images(&self, release: &ReleaseId, ids: &[Uuid]) -> Result<Vec<ReferenceImage>> {
        self.reference_images_by_id(release, ids).await
    }

    async fn list_reference_images(
        &self,
        release: &ReleaseId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        self.page_of_reference_images(release, after, limit).await
    }

    async fn reference_images_by_sha256(
        &self,
        release: &ReleaseId,
        sha256: &[String],
    ) -> Result<Vec<ReferenceImage>> {
        self.reference_images_of_files(release, sha256).await
    }

    async fn reference_images_in(
        &self,
        release: &ReleaseId,
        geocells: &[GeocellId],
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        self.page_of_reference_images_in(release, geocells, after, limit)
            .await
    }

    async fn delete_reference_images(
        &self,
        release: &ReleaseId,
        ids: &[Uuid],
        audit: Option<&AuditEntry>,
    ) -> Result<u64> {
        self.remove_reference_images(release, ids, audit).await
    }

    async fn record_audit(&self, entry: &AuditEntry) -> Result<()> {
        self.add_to_audit(&self.pool, entry).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        self.page_of_audit(filter, after, limit).await
    }

    async fn insert_api_key(&self, key: &ApiKey, audit: Option<&AuditEntry>) -> Result<()> {
        self.put_api_key(key, audit).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        self.all_api_keys().await
    }

    async fn api_key_by_sha256(&self, sha256: &str) -> Result<Option<ApiKey>> {
        self.api_key_of(sha256).await
    }

    async fn revoke_api_key(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        audit: Option<&AuditEntry>,
    ) -> Result<ApiKey> {
        self.end_api_key(id, at, audit).await
    }

    async fn touch_api_key(&self, id: Uuid, at: DateTime<Utc>) -> Result<()> {
        self.mark_api_key_used(id, at).await
    }

    async fn record_prediction(&self, prediction: &Prediction) -> Result<()> {
        self.insert_prediction(prediction).await
    }

    async fn prediction(&self, id: Uuid) -> Result<Prediction> {
        self.one_prediction(id).await
    }

    async fn predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Prediction>> {
        self.page_of_predictions(filter, after, limit).await
    }

    async fn record_ground_truth(&self, truth: &GroundTruth) -> Result<()> {
        self.put_ground_truth(truth).await
    }

    async fn ground_truth(&self, prediction: Uuid) -> Result<Option<GroundTruth>> {
        self.one_ground_truth(prediction).await
    }

    async fn ground_truths(&self, predictions: &[Uuid]) -> Result<Vec<GroundTruth>> {
        self.many_ground_truths(predictions).await
    }

    async fn delete_predictions(
        &self,
        which: &PredictionSelection,
        dry_run: bool,
        audit: Option<&AuditEntry>,
    ) -> Result<DeletedPredictions> {
        self.remove_predictions(which, dry_run, audit).await
    }

    async fn analytics(&self, query: &AnalyticsQuery, each: EachRow<'_>) -> Result<()> {
        self.read_view(query, each).await
    }

    async fn refresh_analytics(&self) -> Result<Vec<Refreshed>> {
        Ok(Vec::new())
    }
}
