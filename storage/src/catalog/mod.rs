//! Releases, geocells, reference images, predictions and ground truth.

mod gallery;
mod prediction;
mod release;

use async_trait::async_trait;
use geocells::GeocellId;
use uuid::Uuid;

pub use gallery::{GeocellRecord, ReferenceImage};
pub use prediction::{Candidate, CredibleRegion, GroundTruth, ImageReference, Prediction, PredictionFilter};
pub use release::{NewRelease, Release, ReleaseCounts, ReleaseId, ReleaseStatus};

use crate::Result;

/// What the platform remembers besides vectors. Use it as `Arc<dyn Catalog>`.
///
/// At most one release is active at any time. Writes of a load (`insert_*`) can be repeated with the same result.
/// Every method fails with [`Error::Unavailable`](crate::Error::Unavailable), [`Error::DiskFull`](crate::Error::DiskFull) or
/// [`Error::Corrupt`](crate::Error::Corrupt) where the store does; only other errors are listed.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Starts a release with status `building`. The same release again (same checkpoint, dataset and shape) resumes it while it
    /// is `building` or `failed`, and gives it back as it is afterwards.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) where the id belongs to another checkpoint or dataset.
    async fn create_release(&self, release: NewRelease) -> Result<Release>;

    /// Moves a release to a status, with a message for people. Legal: `building → ready`, `ready → active`,
    /// `active → retired`, `retired → active`, and anything `→ failed`; the same status again changes only the message.
    /// `→ active` is [`activate`](Self::activate).
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
    /// [`Error::Conflict`](crate::Error::Conflict) for a release that is `building` or `failed`,
    /// [`Error::NotFound`](crate::Error::NotFound).
    async fn activate(&self, release: &ReleaseId) -> Result<Release>;

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

    /// A number that grows whenever a release is created or changes status: poll it to learn of a switch.
    ///
    /// # Errors
    /// None but the store's.
    async fn changes(&self) -> Result<u64>;

    /// Inserts or replaces geocells of a release, all or none.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a release.
    async fn insert_geocells(&self, release: &ReleaseId, geocells: &[GeocellRecord]) -> Result<()>;

    /// Inserts or replaces reference images of a release, all or none.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a release.
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

    /// Deletes reference images and returns how many were there.
    ///
    /// # Errors
    /// None but the store's.
    async fn delete_reference_images(&self, release: &ReleaseId, ids: &[Uuid]) -> Result<u64>;

    /// Records a prediction with its candidates, all or nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) where the id exists, [`Error::NotFound`](crate::Error::NotFound) without
    /// such a release, [`Error::Invalid`](crate::Error::Invalid) for numbers that are not finite.
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
}
