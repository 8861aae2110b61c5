//! Releases, geocells, reference images, predictions, ground truth and the audit log.

mod api_key;
mod audit;
mod gallery;
mod hold;
mod place;
mod prediction;
mod release;
mod retention;

use std::ops::ControlFlow;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use geocells::GeocellId;
use tokio::time::Instant;
use uuid::Uuid;

pub use api_key::{ApiKey, Scope};
pub use audit::{AuditEntry, AuditFilter};
pub use gallery::{GeocellRecord, ReferenceImage};
pub use hold::Hold;
pub use place::PlaceName;
pub(crate) use prediction::leaf_of;
pub use prediction::{
    Candidate, CredibleRegion, GroundTruth, ImageReference, LevelCell, Prediction, PredictionFilter, Shadows,
};
pub use release::{NewRelease, Release, ReleaseCounts, ReleaseId, ReleaseStatus};
pub(crate) use release::{check_loadable, check_same_build, check_shape, check_transition};
pub use retention::{DeletedPredictions, PredictionSelection};

use crate::Result;
use crate::analytics::{AnalyticsQuery, Refreshed, Value};

/// How often a catalog without notifications is asked for changes.
const CHANGE_POLL: Duration = Duration::from_millis(500);

/// What the platform remembers besides vectors. Use it as `Arc<dyn Catalog>`.
///
/// At most one release is active at any time. Writes of a load (`insert_*`) can be repeated with the same result.
/// Where a method takes an audit entry, the entry is written in the same transaction as the change, with the outcome under
/// `result` in its details. Every method fails with [`Error::Unavailable`](crate::Error::Unavailable), [`Error::DiskFull`](crate::Error::DiskFull) or
/// [`Error::Corrupt`](crate::Error::Corrupt) where the store does; only other errors are listed.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Starts a release with status `building`. The same release again (same checkpoint, dataset and shape) resumes it while it
    /// is `building` or `failed`, and gives it back as it is afterwards.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) where the id belongs to another checkpoint or dataset, or to a release that
    /// was pruned.
    async fn create_release(&self, release: NewRelease) -> Result<Release>;

    /// Moves a release to a status, with a message for people. Legal: `building → ready`, `ready → active`,
    /// `active → retired`, `retired → active`, `ready`, `retired` and `failed` `→ pruned`, and anything but `pruned`
    /// `→ failed`; the same status again changes only the message. `→ active` is [`activate`](Self::activate) and `→ pruned` is
    /// [`delete_release_contents`](Self::delete_release_contents).
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) for another transition, [`Error::NotFound`](crate::Error::NotFound).
    async fn set_status(
        &self,
        release: &ReleaseId,
        status: ReleaseStatus,
        message: Option<&str>,
    ) -> Result<Release>;

    /// Makes a `ready` or `retired` release the active one and retires the previous one, in one transaction.
    /// The active release again changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) for a release that is `building`, `failed` or `pruned`,
    /// [`Error::NotFound`](crate::Error::NotFound).
    async fn activate(&self, release: &ReleaseId) -> Result<Release>;

    /// Deletes the geocells and reference images of a `ready`, `retired` or `failed` release and makes it `pruned`, in one
    /// transaction; its row and its predictions stay. Returns how much was deleted. A release that is `pruned` already gives
    /// zero and writes no audit entry, so that an interrupted pruning can be repeated: do this before the vectors are deleted, so
    /// that nobody can activate a release without vectors.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) for a release that is `building` or `active`,
    /// [`Error::NotFound`](crate::Error::NotFound).
    async fn delete_release_contents(
        &self,
        release: &ReleaseId,
        audit: Option<&AuditEntry>,
    ) -> Result<ReleaseCounts>;

    /// The active release, if there is one.
    ///
    /// # Errors
    /// None but the store's.
    async fn active_release(&self) -> Result<Option<Release>>;

    /// One release.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound).
    async fn release(&self, release: &ReleaseId) -> Result<Release>;

    /// All releases, newest first.
    ///
    /// # Errors
    /// None but the store's.
    async fn releases(&self) -> Result<Vec<Release>>;

    /// A number that grows whenever a release is created or changes status.
    ///
    /// # Errors
    /// None but the store's.
    async fn changes(&self) -> Result<u64>;

    /// Waits until [`changes`](Self::changes) is no longer `seen`, at most `timeout` long, and returns what it is then: `seen`
    /// where nothing changed. A change between the caller's reading of `seen` and this call is never missed.
    ///
    /// # Errors
    /// None but the store's; what is not available now may be at the next call.
    async fn wait_for_change(&self, seen: u64, timeout: Duration) -> Result<u64> {
        let deadline = Instant::now() + timeout;
        loop {
            let changes = self.changes().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if changes != seen || left.is_zero() {
                return Ok(changes);
            }
            tokio::time::sleep(left.min(CHANGE_POLL)).await;
        }
    }

    /// Takes the exclusive right to change a release, which need not exist yet: its build, additions and deletions of its
    /// reference images, its pruning. It does not wait.
    ///
    /// # Errors
    /// [`Error::Held`](crate::Error::Held) where someone else has it.
    async fn hold(&self, release: &ReleaseId) -> Result<Hold>;

    /// Inserts or replaces geocells of a release, all or none.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a release, [`Error::Conflict`](crate::Error::Conflict) for one
    /// that was pruned.
    async fn insert_geocells(&self, release: &ReleaseId, geocells: &[GeocellRecord]) -> Result<()>;

    /// Inserts or replaces reference images of a release, all or none.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a release, [`Error::Conflict`](crate::Error::Conflict) for one
    /// that was pruned.
    async fn insert_reference_images(&self, release: &ReleaseId, images: &[ReferenceImage]) -> Result<()>;

    /// How many geocells and reference images a release has.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a release.
    async fn counts(&self, release: &ReleaseId) -> Result<ReleaseCounts>;

    /// A geocell at a level, or with `None` at the finest level that has it (a small cell may belong to several).
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a geocell.
    async fn geocell(
        &self,
        release: &ReleaseId,
        token: GeocellId,
        level: Option<usize>,
    ) -> Result<GeocellRecord>;

    /// The next `limit` geocells of a level after an index (from the start with `None`), in order of index.
    ///
    /// # Errors
    /// None but the store's.
    async fn geocells(
        &self,
        release: &ReleaseId,
        level: usize,
        after: Option<usize>,
        limit: usize,
    ) -> Result<Vec<GeocellRecord>>;

    /// The reference images with these ids, in the order asked; ids that are not there are left out.
    ///
    /// # Errors
    /// None but the store's.
    async fn reference_images(&self, release: &ReleaseId, ids: &[Uuid]) -> Result<Vec<ReferenceImage>>;

    /// All reference images with one of these SHA-256 digests (in hexadecimal), in order of id: what a release has already of
    /// files that someone adds.
    ///
    /// # Errors
    /// None but the store's.
    async fn reference_images_by_sha256(
        &self,
        release: &ReleaseId,
        sha256: &[String],
    ) -> Result<Vec<ReferenceImage>>;

    /// The next `limit` reference images whose finest geocell is one of these, after an id (from the start with `None`), in
    /// order of id.
    ///
    /// # Errors
    /// None but the store's.
    async fn reference_images_in(
        &self,
        release: &ReleaseId,
        geocells: &[GeocellId],
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>>;

    /// The next `limit` reference images after an id (from the start with `None`), in order of id.
    ///
    /// # Errors
    /// None but the store's.
    async fn list_reference_images(
        &self,
        release: &ReleaseId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ReferenceImage>>;

    /// Deletes reference images and returns how many were there. Where none was, no audit entry is written.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a bad audit entry.
    async fn delete_reference_images(
        &self,
        release: &ReleaseId,
        ids: &[Uuid],
        audit: Option<&AuditEntry>,
    ) -> Result<u64>;

    /// Adds a line to the audit log.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) where the id exists, [`Error::Invalid`](crate::Error::Invalid) for a bad
    /// entry.
    async fn record_audit(&self, entry: &AuditEntry) -> Result<()>;

    /// The next `limit` audit entries after an id (from the newest with `None`), newest first.
    ///
    /// # Errors
    /// None but the store's.
    async fn audit(&self, filter: &AuditFilter, after: Option<Uuid>, limit: usize)
    -> Result<Vec<AuditEntry>>;

    /// Adds an API key.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) where the id or the digest is there, [`Error::Invalid`](crate::Error::Invalid)
    /// for a key without meaning.
    async fn insert_api_key(&self, key: &ApiKey, audit: Option<&AuditEntry>) -> Result<()>;

    /// All API keys, revoked ones too, newest first.
    ///
    /// # Errors
    /// None but the store's.
    async fn api_keys(&self) -> Result<Vec<ApiKey>>;

    /// The API key with this SHA-256 (in lower-case hexadecimal), also a revoked one.
    ///
    /// # Errors
    /// None but the store's.
    async fn api_key_by_sha256(&self, sha256: &str) -> Result<Option<ApiKey>>;

    /// Refuses an API key from now on. One that is revoked already stays as it is, without an audit entry.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound).
    async fn revoke_api_key(&self, id: Uuid, at: DateTime<Utc>, audit: Option<&AuditEntry>)
    -> Result<ApiKey>;

    /// Remembers that an API key was used; earlier times than the remembered one change nothing.
    ///
    /// # Errors
    /// None but the store's.
    async fn touch_api_key(&self, id: Uuid, at: DateTime<Utc>) -> Result<()>;

    /// Records a prediction with its candidates, all or nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) where the id exists, [`Error::NotFound`](crate::Error::NotFound) without
    /// such a release or without the prediction that it shadows, [`Error::Invalid`](crate::Error::Invalid) for numbers that are not finite.
    async fn record_prediction(&self, prediction: &Prediction) -> Result<()>;

    /// One prediction.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound).
    async fn prediction(&self, id: Uuid) -> Result<Prediction>;

    /// The next `limit` predictions after an id (from the newest with `None`), newest first.
    ///
    /// # Errors
    /// None but the store's.
    async fn predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Prediction>>;

    /// Records where a predicted photo was really taken; a later record replaces an earlier one.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a prediction.
    async fn record_ground_truth(&self, truth: &GroundTruth) -> Result<()>;

    /// Where a predicted photo was really taken, if someone said so.
    ///
    /// # Errors
    /// None but the store's.
    async fn ground_truth(&self, prediction: Uuid) -> Result<Option<GroundTruth>>;

    /// Where these predicted photos were really taken, in no order; those of which nobody said so are left out.
    ///
    /// # Errors
    /// None but the store's.
    async fn ground_truths(&self, predictions: &[Uuid]) -> Result<Vec<GroundTruth>>;

    /// Makes room for the months to come, where the store keeps predictions by month; returns how many months were made. Run it
    /// now and then, with retention.
    ///
    /// # Errors
    /// None but the store's.
    async fn make_months_ahead(&self) -> Result<u64> {
        Ok(0)
    }

    /// Deletes predictions with their candidates, ground truth and shadows, all or none, or with `dry_run` only counts them.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a selection that selects nothing in particular, or a bad audit entry.
    async fn delete_predictions(
        &self,
        which: &PredictionSelection,
        dry_run: bool,
        audit: Option<&AuditEntry>,
    ) -> Result<DeletedPredictions>;

    /// Gives `each` the rows of an analytics view, in the view's order, until it breaks off.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a filter that the view cannot take, and for kept rows where none are kept.
    async fn analytics(&self, query: &AnalyticsQuery, each: EachRow<'_>) -> Result<()>;

    /// Computes the rows that are kept of expensive views anew, while readers read the old ones. Empty where the database
    /// keeps none.
    ///
    /// # Errors
    /// None but the store's.
    async fn refresh_analytics(&self) -> Result<Vec<Refreshed>>;
}

/// What is done with each row of an analytics view: values in the order of its columns.
pub type EachRow<'a> = &'a mut (dyn FnMut(Vec<Value>) -> ControlFlow<()> + Send);
