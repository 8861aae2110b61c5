//! `ReferenceImage`: a photo with a known place.

use async_graphql::{ComplexObject, Context, ID, SimpleObject};
use chrono::{DateTime, Utc};
use geocells::GeocellId;
use storage::ReleaseId;

use super::geocell::Geocell;
use super::scalars::Location;
use super::service;

/// A photo with a known place.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct ReferenceImage {
    /// Its id.
    pub id: ID,
    /// The release it belongs to.
    pub release_id: ID,
    /// Where it was taken.
    pub location: Location,
    /// When it was taken, where known.
    pub captured_at: Option<DateTime<Utc>>,
    /// Path on this service of a JPEG of at most 512 pixels a side.
    pub thumbnail_url: String,
    #[graphql(skip)]
    release: ReleaseId,
    #[graphql(skip)]
    finest: Option<GeocellId>,
}

#[ComplexObject]
impl ReferenceImage {
    /// The finest geocell that contains it; null outside the partition.
    async fn geocell(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Geocell>> {
        let Some(token) = self.finest else { return Ok(None) };
        let index = service(ctx)?.geocells(&self.release).await?;
        let level = index.levels().checked_sub(1);
        Ok(index
            .find(token, level)
            .map(|record| Geocell::new(&self.release, &index, record)))
    }
}

impl ReferenceImage {
    pub(super) fn new(release: &ReleaseId, image: &storage::ReferenceImage) -> Self {
        Self {
            id: ID(image.id.to_string()),
            release_id: ID(release.to_string()),
            location: image.location.into(),
            captured_at: image.captured_at,
            thumbnail_url: format!("/references/{release}/{}/image", image.id),
            release: release.clone(),
            finest: image.geocell,
        }
    }
}

/// A place and a distance round it.
#[derive(Debug, Clone, Copy, PartialEq, async_graphql::InputObject)]
pub struct Near {
    /// Degrees north of the equator, -90 to 90.
    pub latitude: f64,
    /// Degrees east of Greenwich, -180 to 180.
    pub longitude: f64,
    /// Great-circle distance in kilometres.
    pub kilometres: f64,
}
