//! `ReferenceImage`: a photo with a known place.

use async_graphql::{ComplexObject, Context, ID, SimpleObject};
use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
use storage::ReleaseId;
use uuid::Uuid;

use super::geocell::Geocell;
use super::node::GlobalId;
use super::scalars::{Location, Place};
use super::service;

/// A photo with a known place.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct ReferenceImage {
    /// Its id, with the release it belongs to.
    #[graphql(owned)]
    pub id: ID,
    /// The release it belongs to.
    pub release_id: ID,
    /// Where it was taken.
    pub location: Location,
    /// When it was taken, where known.
    pub captured_at: Option<DateTime<Utc>>,
    /// Who gave it, where known.
    pub uploader: Option<String>,
    /// Path on this service of a JPEG of at most 512 pixels a side; fewer with ?size=64 to 512.
    pub thumbnail_url: String,
    #[graphql(skip)]
    at: LatLng,
    #[graphql(skip)]
    release: ReleaseId,
    #[graphql(skip)]
    finest: Option<GeocellId>,
    #[graphql(skip)]
    key: Uuid,
}

#[ComplexObject]
impl ReferenceImage {
    /// What people call the place; null at sea.
    async fn place(&self) -> Option<Place> {
        Place::of(self.at)
    }

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
            id: GlobalId::reference(release, image.id),
            release_id: ID(release.to_string()),
            location: image.location.into(),
            captured_at: image.captured_at,
            uploader: image.uploader.clone(),
            at: image.location,
            thumbnail_url: format!("/references/{release}/{}/image", image.id),
            release: release.clone(),
            finest: image.geocell,
            key: image.id,
        }
    }

    pub(super) fn key(&self) -> Uuid {
        self.key
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
