//! The SQLite file as a [`Catalog`].

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use geocells::GeocellId;
use sqlx::{SqlitePool, SqliteTransaction};
use uuid::Uuid;

use super::error::translate;
use super::open::open;
use crate::{
    Catalog, Error, GeocellRecord, GroundTruth, NewRelease, Prediction, PredictionFilter, ReferenceImage,
    Release, ReleaseCounts, ReleaseId, ReleaseStatus, Result,
};

/// A catalog in one SQLite file. Any number of processes may open it.
#[derive(Clone, Debug)]
pub struct SqliteCatalog {
    pub(super) path: PathBuf,
    pub(super) pool: SqlitePool,
}

impl SqliteCatalog {
    /// Opens a file, which is created if need be, and applies the migrations that it lacks.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be created or written, [`Error::Corrupt`] where it is no catalog,
    /// [`Error::Conflict`] where a newer version wrote it.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let pool = open(&path).await?;
        Ok(Self { path, pool })
    }

    /// Closes all connections. A catalog that is only dropped closes them soon after.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that holds the write lock from its start, so that it never fails half-way for want of it.
    pub(super) async fn begin(&self) -> Result<SqliteTransaction<'static>> {
        self.pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|error| self.error(error))
    }

    pub(super) async fn commit(&self, transaction: SqliteTransaction<'_>) -> Result<()> {
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

    async fn delete_reference_images(&self, release: &ReleaseId, ids: &[Uuid]) -> Result<u64> {
        self.remove_reference_images(release, ids).await
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
}
