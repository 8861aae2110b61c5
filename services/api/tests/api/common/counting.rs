//! A catalog that counts its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use geocells::GeocellId;
use storage::analytics::{AnalyticsQuery, Refreshed};
use storage::catalog::EachRow;
use storage::{
    ApiKey, AuditEntry, AuditFilter, Catalog, DeletedPredictions, GeocellRecord, GroundTruth, Hold,
    NewRelease, Prediction, PredictionFilter, PredictionSelection, ReferenceImage, Release, ReleaseCounts,
    ReleaseId, ReleaseStatus, Result,
};
use uuid::Uuid;

/// Passes every call on and counts it by its name.
pub struct Counting {
    inner: Arc<dyn Catalog>,
    calls: Mutex<BTreeMap<&'static str, usize>>,
}

impl Counting {
    pub fn new(inner: Arc<dyn Catalog>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            calls: Mutex::default(),
        })
    }

    /// The calls since this was asked last. Those that background tasks make are left out.
    pub fn take(&self) -> BTreeMap<&'static str, usize> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.retain(|name, _| !["changes", "wait_for_change"].contains(name));
        calls
    }

    fn called(&self, name: &'static str) {
        *self.calls.lock().unwrap().entry(name).or_default() += 1;
    }
}

#[async_trait]
impl Catalog for Counting {
    async fn create_release(&self, release: NewRelease) -> Result<Release> {
        self.called("create_release");
        self.inner.create_release(release).await
    }

    async fn set_status(
        &self,
        release: &ReleaseId,
        status: ReleaseStatus,
        message: Option<&str>,
    ) -> Result<Release> {
        self.called("set_status");
        self.inner.set_status(release, status, message).await
    }

    async fn activate(&self, release: &ReleaseId) -> Result<Release> {
        self.called("activate");
        self.inner.activate(release).await
    }

    async fn delete_release_contents(
        &self,
        release: &ReleaseId,
        audit: Option<&AuditEntry>,
    ) -> Result<ReleaseCounts> {
        self.called("delete_release_contents");
        self.inner.delete_release_contents(release, audit).await
    }

    async fn active_release(&self) -> Result<Option<Release>> {
        self.called("active_release");
        self.inner.active_release().await
    }

    async fn release(&self, release: &ReleaseId) -> Result<Release> {
        self.called("release");
        self.inner.release(release).await
    }

    async fn releases(&self) -> Result<Vec<Release>> {
        self.called("releases");
        self.inner.releases().await
    }

    async fn changes(&self) -> Result<u64> {
        self.called("changes");
        self.inner.changes().await
    }

    async fn wait_for_change(&self, seen: u64, timeout: Duration) -> Result<u64> {
        self.called("wait_for_change");
        self.inner.wait_for_change(seen, timeout).await
    }

    async fn hold(&self, release: &ReleaseId) -> Result<Hold> {
        self.called("hold");
        self.inner.hold(release).await
    }

    async fn insert_geocells(&self, release: &ReleaseId, geocells: &[GeocellRecord]) -> Result<()> {
        self.called("insert_geocells");
        self.inner.insert_geocells(release, geocells).await
    }

    async fn insert_reference_images(&self, release: &ReleaseId, images: &[ReferenceImage]) -> Result<()> {
        self.called("insert_reference_images");
        self.inner.insert_reference_images(release, images).await
    }

    async fn counts(&self, release: &ReleaseId) -> Result<ReleaseCounts> {
        self.called("counts");
        self.inner.counts(release).await
    }

    async fn geocell(
        &self,
        release: &ReleaseId,
        token: GeocellId,
        level: Option<usize>,
    ) -> Result<GeocellRecord> {
        self.called("geocell");
        self.inner.geocell(release, token, level).await
    }

    async fn geocells(
        &self,
        release: &ReleaseId,
        level: usize,
        after: Option<usize>,
        limit: usize,
    ) -> Result<Vec<GeocellRecord>> {
        self.called("geocells");
        self.inner.geocells(release, level, after, limit).await
    }

    async fn reference_images(&self, release: &ReleaseId, ids: &[Uuid]) -> Result<Vec<ReferenceImage>> {
        self.called("reference_images");
        self.inner.reference_images(release, ids).await
    }

    async fn reference_images_by_sha256(
        &self,
        release: &ReleaseId,
        sha256: &[String],
    ) -> Result<Vec<ReferenceImage>> {
        self.called("reference_images_by_sha256");
        self.inner.reference_images_by_sha256(release, sha256).await
    }

    async fn reference_images_in(
        &self,
        release: &ReleaseId,
        geocells: &[GeocellId],
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        self.called("reference_images_in");
        self.inner
            .reference_images_in(release, geocells, after, limit)
            .await
    }

    async fn list_reference_images(
        &self,
        release: &ReleaseId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>> {
        self.called("list_reference_images");
        self.inner.list_reference_images(release, after, limit).await
    }

    async fn delete_reference_images(
        &self,
        release: &ReleaseId,
        ids: &[Uuid],
        audit: Option<&AuditEntry>,
    ) -> Result<u64> {
        self.called("delete_reference_images");
        self.inner.delete_reference_images(release, ids, audit).await
    }

    async fn record_audit(&self, entry: &AuditEntry) -> Result<()> {
        self.called("record_audit");
        self.inner.record_audit(entry).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        self.called("audit");
        self.inner.audit(filter, after, limit).await
    }

    async fn insert_api_key(&self, key: &ApiKey, audit: Option<&AuditEntry>) -> Result<()> {
        self.called("insert_api_key");
        self.inner.insert_api_key(key, audit).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        self.called("api_keys");
        self.inner.api_keys().await
    }

    async fn api_key_by_sha256(&self, sha256: &str) -> Result<Option<ApiKey>> {
        self.called("api_key_by_sha256");
        self.inner.api_key_by_sha256(sha256).await
    }

    async fn revoke_api_key(
        &self,
        id: Uuid,
        at: DateTime<Utc>,
        audit: Option<&AuditEntry>,
    ) -> Result<ApiKey> {
        self.called("revoke_api_key");
        self.inner.revoke_api_key(id, at, audit).await
    }

    async fn touch_api_key(&self, id: Uuid, at: DateTime<Utc>) -> Result<()> {
        self.called("touch_api_key");
        self.inner.touch_api_key(id, at).await
    }

    async fn record_prediction(&self, prediction: &Prediction) -> Result<()> {
        self.called("record_prediction");
        self.inner.record_prediction(prediction).await
    }

    async fn prediction(&self, id: Uuid) -> Result<Prediction> {
        self.called("prediction");
        self.inner.prediction(id).await
    }

    async fn predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Prediction>> {
        self.called("predictions");
        self.inner.predictions(filter, after, limit).await
    }

    async fn record_ground_truth(&self, truth: &GroundTruth) -> Result<()> {
        self.called("record_ground_truth");
        self.inner.record_ground_truth(truth).await
    }

    async fn ground_truth(&self, prediction: Uuid) -> Result<Option<GroundTruth>> {
        self.called("ground_truth");
        self.inner.ground_truth(prediction).await
    }

    async fn ground_truths(&self, predictions: &[Uuid]) -> Result<Vec<GroundTruth>> {
        self.called("ground_truths");
        self.inner.ground_truths(predictions).await
    }

    async fn make_months_ahead(&self) -> Result<u64> {
        self.called("make_months_ahead");
        self.inner.make_months_ahead().await
    }

    async fn delete_predictions(
        &self,
        which: &PredictionSelection,
        dry_run: bool,
        audit: Option<&AuditEntry>,
    ) -> Result<DeletedPredictions> {
        self.called("delete_predictions");
        self.inner.delete_predictions(which, dry_run, audit).await
    }

    async fn analytics(&self, query: &AnalyticsQuery, each: EachRow<'_>) -> Result<()> {
        self.called("analytics");
        self.inner.analytics(query, each).await
    }

    async fn refresh_analytics(&self) -> Result<Vec<Refreshed>> {
        self.called("refresh_analytics");
        self.inner.refresh_analytics().await
    }
}
