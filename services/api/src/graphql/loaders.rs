//! Look-ups that many fields of one request make, gathered into one store call each.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use storage::analytics::{AnalyticsQuery, Value, View};
use storage::{Catalog, GroundTruth, ReferenceImage, Release, ReleaseId};
use uuid::Uuid;

use super::release::ReleaseAccuracy;
use crate::request_error::RequestError;

/// How long look-ups are gathered: fields of one list are reached some moments apart.
const GATHER: Duration = Duration::from_millis(4);

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

/// Accuracy by release, of recorded answers: one query of the view for all.
pub(super) struct Accuracies(Arc<dyn Catalog>);

impl Loader<ReleaseId> for Accuracies {
    type Value = Vec<ReleaseAccuracy>;
    type Error = RequestError;

    async fn load(
        &self,
        keys: &[ReleaseId],
    ) -> Result<HashMap<ReleaseId, Vec<ReleaseAccuracy>>, RequestError> {
        let view = storage::analytics::find("accuracy")?;
        let mut query = AnalyticsQuery::all(view);
        if let [only] = keys {
            query.release = Some(only.clone());
        }
        let mut found: HashMap<ReleaseId, Vec<ReleaseAccuracy>> = HashMap::new();
        let mut read = |row: Vec<Value>| {
            if let Some((release, accuracy)) = accuracy_of(view, &row)
                && keys.contains(&release)
            {
                found.entry(release).or_default().push(accuracy);
            }
            ControlFlow::Continue(())
        };
        self.0.analytics(&query, &mut read).await?;
        Ok(found)
    }
}

fn accuracy_of(view: &View, row: &[Value]) -> Option<(ReleaseId, ReleaseAccuracy)> {
    let value = |name: &str| {
        let position = view.columns.iter().position(|column| column.name == name)?;
        row.get(position)
    };
    let text = |name: &str| match value(name)? {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    let number = |name: &str| match value(name)? {
        Value::Real(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    };
    let accuracy = ReleaseAccuracy {
        threshold: text("threshold")?,
        kilometres: number("threshold_km")?,
        answers: number("answers")? as i64,
        accuracy: number("accuracy")?,
        low: number("accuracy_low")?,
        high: number("accuracy_high")?,
        claimed: number("claimed"),
    };
    Some((ReleaseId::new(text("release")?).ok()?, accuracy))
}

/// The loaders, kept by the schema.
pub(super) struct Loaders {
    references: DataLoader<References>,
    releases: DataLoader<Releases>,
    ground_truths: DataLoader<GroundTruths>,
    accuracies: DataLoader<Accuracies>,
}

impl Loaders {
    pub(super) fn new(catalog: &Arc<dyn Catalog>) -> Self {
        Self {
            references: DataLoader::new(References(catalog.clone()), tokio::spawn).delay(GATHER),
            releases: DataLoader::new(Releases(catalog.clone()), tokio::spawn).delay(GATHER),
            ground_truths: DataLoader::new(GroundTruths(catalog.clone()), tokio::spawn).delay(GATHER),
            accuracies: DataLoader::new(Accuracies(catalog.clone()), tokio::spawn).delay(GATHER),
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

pub(super) fn accuracy<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a DataLoader<Accuracies>> {
    Ok(&ctx.data::<Loaders>()?.accuracies)
}
