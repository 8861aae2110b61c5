//! `Release`: a checkpoint indexed and ready to be served.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_graphql::{ComplexObject, Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use retrieval::Checkpoints;
use storage::ReleaseStatus as Stored;

use super::{loaders, service};
use crate::request_error::RequestError;

/// Where a release stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ReleaseStatus {
    /// Being indexed; a killed build resumes.
    Building,
    /// Indexed and verified, waiting to be activated.
    Ready,
    /// The one that answers.
    Active,
    /// Was active and may be again.
    Retired,
    /// Could not be built, or was found broken.
    Failed,
    /// Its geocells and reference images were deleted; its predictions stay.
    Pruned,
}

impl From<Stored> for ReleaseStatus {
    fn from(status: Stored) -> Self {
        match status {
            Stored::Building => Self::Building,
            Stored::Ready => Self::Ready,
            Stored::Active => Self::Active,
            Stored::Retired => Self::Retired,
            Stored::Failed => Self::Failed,
            Stored::Pruned => Self::Pruned,
        }
    }
}

/// A trained model with its index.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct Release {
    /// Its id.
    #[graphql(owned)]
    pub id: ID,
    /// Where it stands.
    pub status: ReleaseStatus,
    /// Content id of the checkpoint that it was built from.
    pub checkpoint_id: String,
    /// Digest of the dataset whose photos are its reference images.
    pub dataset_digest: String,
    /// Components of visual and geographic embeddings.
    pub embedding_dimension: usize,
    /// Geocells of all levels together; null until it is ready.
    pub geocells: Option<u64>,
    /// Reference images; null until it is ready.
    pub reference_images: Option<u64>,
    /// What happened to it last, for people.
    pub message: Option<String>,
    /// When its build began.
    pub created_at: DateTime<Utc>,
    /// When it became ready.
    pub ready_at: Option<DateTime<Utc>>,
    /// When it was last activated.
    pub activated_at: Option<DateTime<Utc>>,
    #[graphql(skip)]
    record: storage::ReleaseId,
    #[graphql(skip)]
    stored: Box<storage::Release>,
}

#[ComplexObject]
impl Release {
    /// Its levels, coarsest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn levels(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Level>> {
        let index = service(ctx)?.geocells(&self.record).await?;
        let level = |level: usize| Level {
            level,
            geocells: index.level(level).len(),
        };
        Ok((0..index.levels()).map(level).collect())
    }

    /// What training measured, by the checkpoint's provenance. Empty where the checkpoint cannot be read any more.
    #[graphql(complexity = "10 * child_complexity")]
    async fn metrics(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Metric>> {
        let checkpoints = &service(ctx)?.open_options().checkpoints;
        let known = ctx.data::<CheckpointMetrics>()?;
        Ok(known.of(checkpoints, &self.stored).await)
    }

    /// Accuracy of the recorded answers whose true places are known, at the five thresholds; empty without any.
    #[graphql(complexity = "10 * child_complexity")]
    async fn accuracy(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ReleaseAccuracy>> {
        let found = loaders::accuracy(ctx)?.load_one(self.record.clone()).await?;
        Ok(found.unwrap_or_default())
    }

    /// The segmenter that its maps come from; null where it is not recorded.
    async fn segmenter(&self) -> Option<String> {
        let recorded = self.stored.store.get(retrieval::SEGMENTER)?;
        recorded.as_str().map(str::to_owned)
    }

    /// Whether activateRelease would take it: built, and not deleted.
    async fn activatable(&self) -> bool {
        matches!(self.status, ReleaseStatus::Ready | ReleaseStatus::Retired)
    }
}

/// One measurement of the training.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct Metric {
    /// Its name.
    name: String,
    /// Its value.
    value: f64,
}

/// The accuracy of a release's recorded answers at one threshold.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ReleaseAccuracy {
    /// The field's name for the threshold: street, city, region, country, continent.
    pub(super) threshold: String,
    /// The threshold, in kilometres.
    pub(super) kilometres: f64,
    /// Answers whose true place is known.
    pub(super) answers: i64,
    /// Share of them within the threshold, 0 to 1.
    pub(super) accuracy: f64,
    /// Lower end of its 95 % interval.
    pub(super) low: f64,
    /// Upper end of its 95 % interval.
    pub(super) high: f64,
    /// Mean probability that was claimed for the threshold.
    pub(super) claimed: Option<f64>,
}

/// What checkpoints' provenances say, by content id: it never changes, and reading it checks the whole checkpoint.
#[derive(Default)]
pub(super) struct CheckpointMetrics(Mutex<HashMap<String, Vec<Metric>>>);

impl CheckpointMetrics {
    async fn of(&self, checkpoints: &Checkpoints, release: &storage::Release) -> Vec<Metric> {
        if let Some(known) = self.known().get(&release.checkpoint_id) {
            return known.clone();
        }
        let checkpoint = match checkpoints.of_release(release).await {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                tracing::warn!(%error, release = %release.id, "the checkpoint's measurements cannot be read");
                return Vec::new();
            }
        };
        let metric = |(name, value): (&String, &f64)| Metric {
            name: name.clone(),
            value: *value,
        };
        let metrics: Vec<Metric> = checkpoint.provenance().metrics.iter().map(metric).collect();
        self.known()
            .insert(release.checkpoint_id.clone(), metrics.clone());
        metrics
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Vec<Metric>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<storage::Release> for Release {
    fn from(release: storage::Release) -> Self {
        Self {
            id: ID(release.id.to_string()),
            status: release.status.into(),
            checkpoint_id: release.checkpoint_id.clone(),
            dataset_digest: release.dataset_digest.clone(),
            embedding_dimension: release.embedding_dimension,
            geocells: release.counts.map(|counts| counts.geocells),
            reference_images: release.counts.map(|counts| counts.reference_images),
            message: release.message.clone(),
            created_at: release.created_at,
            ready_at: release.ready_at,
            activated_at: release.activated_at,
            record: release.id.clone(),
            stored: Box::new(release),
        }
    }
}

/// One granularity of a release's hierarchy.
#[derive(Debug, Clone, Copy)]
pub struct Level {
    level: usize,
    geocells: usize,
}

/// One granularity of a release's hierarchy.
#[Object]
impl Level {
    /// 0 is the coarsest.
    async fn level(&self) -> usize {
        self.level
    }

    /// How many geocells it has.
    async fn geocells(&self) -> usize {
        self.geocells
    }
}

/// Checks the id of a release that a client sent.
pub(super) fn release_id(id: &str) -> Result<storage::ReleaseId, RequestError> {
    storage::ReleaseId::new(id).map_err(|error| RequestError::invalid(error.to_string()))
}
