//! The database as a [`Catalog`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Months, Utc};
use geocells::GeocellId;
use sqlx::postgres::PgPool;
use sqlx::{PgTransaction, query, query_scalar};
use uuid::Uuid;

use super::attempt::{Failure, Repeat, attempt};
use super::config::PostgresConfig;
use super::error::translate;
use super::listen::Listener;
use super::migrate::state;
use crate::analytics::{AnalyticsQuery, Refreshed};
use crate::catalog::EachRow;
use crate::{
    ApiKey, AuditEntry, AuditFilter, Catalog, DeletedPredictions, GeocellRecord, GroundTruth, Hold,
    NewRelease, Prediction, PredictionFilter, PredictionSelection, ReferenceImage, Release, ReleaseCounts,
    ReleaseId, ReleaseStatus, Result,
};

/// A catalog in a Postgres database, which any number of processes share.
#[derive(Clone)]
pub struct PostgresCatalog {
    /// The database in words.
    pub(super) name: String,
    pub(super) pool: PgPool,
    pub(super) listener: Arc<Listener>,
}

impl PostgresCatalog {
    /// Connects to a database that is migrated.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) for a database that lacks migrations, or of a newer version;
    /// [`Error::Denied`](crate::Error::Denied) for a wrong password; [`Error::Unavailable`](crate::Error::Unavailable) where
    /// nothing answers.
    pub async fn open(config: &PostgresConfig) -> Result<Self> {
        let catalog = Self::over(config, config.connect().await?);
        let mut connection = catalog
            .pool
            .acquire()
            .await
            .map_err(|error| translate(&catalog.name, error))?;
        state(&catalog.name, &mut connection)
            .await?
            .require_current(&catalog.name)?;
        drop(connection);
        catalog.warn_of_missing_months().await?;
        Ok(catalog)
    }

    /// The catalog of a pool.
    pub(super) fn over(config: &PostgresConfig, pool: PgPool) -> Self {
        Self {
            name: config.name(),
            pool,
            listener: Arc::default(),
        }
    }

    /// Closes all connections. A catalog that is only dropped closes them soon after.
    pub async fn close(&self) {
        self.listener.stop();
        self.pool.close().await;
    }

    /// A transaction of which the statements may take an hour.
    pub(super) async fn begin_long(&self) -> Result<PgTransaction<'static>, Failure> {
        let mut transaction = self.pool.begin().await?;
        query("SET LOCAL statement_timeout = '1h'")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    pub(super) async fn commit(&self, transaction: PgTransaction<'_>) -> Result<(), Failure> {
        transaction.commit().await.map_err(Failure::Commit)
    }

    async fn warn_of_missing_months(&self) -> Result<()> {
        let Some(next) = Utc::now().checked_add_months(Months::new(1)) else {
            return Ok(());
        };
        let there: bool = attempt!(self, Repeat::Always, {
            Ok(query_scalar("SELECT to_regclass($1) IS NOT NULL")
                .bind(next.format("predictions_y%Ym%m").to_string())
                .fetch_one(&self.pool)
                .await?)
        })?;
        if !there {
            tracing::warn!(
                month = %next.format("%Y-%m"),
                "no partition for next month's predictions: run `geosurge migrate` or `geosurge retention run`"
            );
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresCatalog")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Catalog for PostgresCatalog {
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

    async fn hold(&self, release: &ReleaseId) -> Result<Hold> {
        self.hold_release(release).await
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

    async fn wait_for_change(&self, seen: u64, timeout: Duration) -> Result<u64> {
        self.wait_for_other_changes(seen, timeout).await
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
        self.insert_audit(entry).await
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

    async fn make_months_ahead(&self) -> Result<u64> {
        self.make_months().await
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
        self.refresh_views().await
    }
}
