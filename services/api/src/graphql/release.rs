//! `Release`: a checkpoint indexed and ready to be served.

use async_graphql::{ComplexObject, Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use storage::ReleaseStatus as Stored;

use super::service;
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
}

impl From<storage::Release> for Release {
    fn from(release: storage::Release) -> Self {
        Self {
            id: ID(release.id.to_string()),
            status: release.status.into(),
            checkpoint_id: release.checkpoint_id,
            dataset_digest: release.dataset_digest,
            embedding_dimension: release.embedding_dimension,
            geocells: release.counts.map(|counts| counts.geocells),
            reference_images: release.counts.map(|counts| counts.reference_images),
            message: release.message,
            created_at: release.created_at,
            ready_at: release.ready_at,
            activated_at: release.activated_at,
            record: release.id,
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
