//! Look-ups that many fields of one request make, gathered into one store call each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use storage::{Catalog, GroundTruth, ReferenceImage, Release, ReleaseId};
use uuid::Uuid;

use crate::request_error::RequestError;

/// Names a reference image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ReferenceKey {
    pub(super) release: ReleaseId,
    pub(super) id: Uuid,
}

/// Reference images: one call a release.
pub(super) struct References(Arc<dyn Catalog>);

impl Loader<ReferenceKey> for References {
    type Value = Arc<ReferenceImage>;
    type Error = RequestError;

    async fn load(&self, keys: &[ReferenceKey]) -> Result<HashMap<ReferenceKey, Self::Value>, RequestError> {
        let mut wanted: BTreeMap<&ReleaseId, Vec<Uuid>> = BTreeMap::new();
        for key in keys {
            wanted.entry(&key.release).or_default().push(key.id);
        }
        let mut found = HashMap::with_capacity(keys.len());
        for (release, ids) in wanted {
            for image in self.0.reference_images(release, &ids).await? {
                found.insert(
                    ReferenceKey {
                        release: release.clone(),
                        id: image.id,
                    },
                    Arc::new(image),
                );
            }
        }
        Ok(found)
    }
}

/// Releases: one call for all; there are few.
pub(super) struct Releases(Arc<dyn Catalog>);

impl Loader<ReleaseId> for Releases {
    type Value = Release;
    type Error = RequestError;

    async fn load(&self, keys: &[ReleaseId]) -> Result<HashMap<ReleaseId, Release>, RequestError> {
        let releases = self.0.releases().await?;
        let wanted = releases.into_iter().filter(|release| keys.contains(&release.id));
        Ok(wanted.map(|release| (release.id.clone(), release)).collect())
    }
}

/// Ground truth by prediction: one call for all.
pub(super) struct GroundTruths(Arc<dyn Catalog>);

impl Loader<Uuid> for GroundTruths {
    type Value = GroundTruth;
    type Error = RequestError;

    async fn load(&self, keys: &[Uuid]) -> Result<HashMap<Uuid, GroundTruth>, RequestError> {
        let truths = self.0.ground_truths(keys).await?;
        Ok(truths
            .into_iter()
            .map(|truth| (truth.prediction, truth))
            .collect())
    }
}

/// The three loaders, kept by the schema.
pub(super) struct Loaders {
    references: DataLoader<References>,
    releases: DataLoader<Releases>,
    ground_truths: DataLoader<GroundTruths>,
}

impl Loaders {
    pub(super) fn new(catalog: &Arc<dyn Catalog>) -> Self {
        Self {
            references: DataLoader::new(References(catalog.clone()), tokio::spawn),
            releases: DataLoader::new(Releases(catalog.clone()), tokio::spawn),
            ground_truths: DataLoader::new(GroundTruths(catalog.clone()), tokio::spawn),
        }
    }
}

pub(super) fn references<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a DataLoader<References>> {
    Ok(&ctx.data::<Loaders>()?.references)
}

pub(super) fn releases<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a DataLoader<Releases>> {
    Ok(&ctx.data::<Loaders>()?.releases)
}

pub(super) fn ground_truths<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a DataLoader<GroundTruths>> {
    Ok(&ctx.data::<Loaders>()?.ground_truths)
}
