//! What clients are told as it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use async_graphql::{Context, ID, Result, SimpleObject, Subscription as SubscriptionObject};
use futures::{Stream, stream};
use storage::{ReleaseCounts, ReleaseId, ReleaseStatus};

use super::mutation::{batch_name, owner};
use super::release::{Release, release_id};
use super::{caller, service};
use crate::request_error::RequestError;
use crate::service::Service;

/// How often a build is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What clients are told as it happens.
pub struct Subscription;

/// How far a batch is.
#[derive(Debug, Clone, SimpleObject)]
pub struct BatchProgress {
    /// Its name.
    batch: ID,
    /// Photos of the batch; 0 before it was sent.
    total: usize,
    /// Photos answered so far.
    answered: usize,
    /// Photos refused so far.
    refused: usize,
    /// Position of the photo that was done last, from 0.
    latest: Option<usize>,
    /// Whether it ended.
    finished: bool,
}

/// How far the build of a release is.
#[derive(Debug, Clone, SimpleObject)]
pub struct BuildProgress {
    /// The release.
    release: Release,
    /// Geocells that the catalog has of it.
    geocells: u64,
    /// Reference images that the catalog has of it.
    reference_images: u64,
    /// Whether the build ended, well or not: see the release's status.
    finished: bool,
}

/// The releases after a change.
#[derive(Debug, Clone, SimpleObject)]
pub struct ReleaseChange {
    /// The active release; null where there is none.
    active: Option<Release>,
    /// The release that was active before this change; null at first.
    previous_active: Option<ID>,
    /// The release that this service answers with at the moment: for some moments after a switch still the one before.
    answering: Option<ID>,
    /// All releases, newest first.
    releases: Vec<Release>,
}

/// What clients are told as it happens.
#[SubscriptionObject]
impl Subscription {
    /// How far a batch is: its present state, then every change until it ends. It need not have been sent yet. Names of batches are the
    /// caller's own; a name that is used again shows the new batch.
    async fn batch_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name that localizeBatch has in its argument batch.")] batch: ID,
    ) -> Result<impl Stream<Item = BatchProgress>> {
        let name = batch_name(&batch)?;
        let receiver = service(ctx)?.batches().watch(owner(caller(ctx)), &name);
        Ok(stream::unfold(Some((receiver, true)), move |state| {
            let batch = batch.clone();
            async move {
                let (mut receiver, first) = state?;
                if !first {
                    receiver.changed().await.ok()?;
                }
                let now = receiver.borrow_and_update().clone();
                let progress = BatchProgress {
                    batch,
                    total: now.total,
                    answered: now.answered,
                    refused: now.refused,
                    latest: now.latest,
                    finished: now.finished,
                };
                let next = (!now.finished).then_some((receiver, false));
                Some((progress, next))
            }
        }))
    }

    /// How far builds are, whichever process does them: every second while something changes. Of one release until it is built; without
    /// one, of all that are being built.
    async fn build_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The release; all that are being built when left out.")] release: Option<ID>,
    ) -> Result<impl Stream<Item = Result<BuildProgress>>> {
        let wanted = release.map(|id| release_id(&id)).transpose()?;
        let builds = Builds {
            service: service(ctx)?.clone(),
            wanted,
            told: BTreeMap::new(),
            waiting: Vec::new(),
            ended: false,
        };
        Ok(stream::unfold(builds, |mut builds| async move {
            let progress = builds.next().await?;
            Some((progress.map_err(Into::into), builds))
        }))
    }

    /// The releases: as they are now, then at every change of a release's status.
    async fn release_changes(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<ReleaseChange>>> {
        let changes = Changes {
            service: service(ctx)?.clone(),
            seen: None,
            active: None,
        };
        Ok(stream::unfold(Some(changes), |changes| async move {
            let mut changes = changes?;
            match changes.next().await {
                Ok(change) => Some((Ok(change), Some(changes))),
                Err(error) => Some((Err(error.into()), None)),
            }
        }))
    }
}

/// Looks at builds.
struct Builds {
    service: Service,
    wanted: Option<ReleaseId>,
    told: BTreeMap<ReleaseId, (ReleaseStatus, ReleaseCounts)>,
    waiting: Vec<BuildProgress>,
    ended: bool,
}

impl Builds {
    async fn next(&mut self) -> Option<std::result::Result<BuildProgress, RequestError>> {
        loop {
            if let Some(progress) = self.waiting.pop() {
                return Some(Ok(progress));
            }
            if self.ended {
                return None;
            }
            if !self.told.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            match self.look().await {
                Ok(()) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
            if self.waiting.is_empty() && self.told.is_empty() && !self.ended {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    async fn look(&mut self) -> std::result::Result<(), RequestError> {
        let catalog = self.service.catalog();
        let releases = match &self.wanted {
            Some(release) => vec![catalog.release(release).await?],
            None => catalog.releases().await?,
        };
        for release in releases {
            let building = release.status == ReleaseStatus::Building;
            let told = self.told.get(&release.id).copied();
            let was_building = told.is_some_and(|(status, _)| status == ReleaseStatus::Building);
            if !building && !was_building && self.wanted.is_none() {
                continue;
            }
            let counts = catalog.counts(&release.id).await?;
            if told != Some((release.status, counts)) {
                self.told.insert(release.id.clone(), (release.status, counts));
                self.waiting.push(BuildProgress {
                    release: release.into(),
                    geocells: counts.geocells,
                    reference_images: counts.reference_images,
                    finished: !building,
                });
            }
            if !building && self.wanted.is_some() {
                self.ended = true;
            }
        }
        Ok(())
    }
}

/// Follows the catalog's releases.
struct Changes {
    service: Service,
    seen: Option<u64>,
    active: Option<ReleaseId>,
}

impl Changes {
    async fn next(&mut self) -> std::result::Result<ReleaseChange, RequestError> {
        let catalog = self.service.catalog().clone();
        let first = self.seen.is_none();
        let seen = match self.seen {
            None => catalog.changes().await?,
            Some(mut seen) => loop {
                let now = catalog.wait_for_change(seen, Duration::from_secs(30)).await?;
                if now != seen {
                    seen = now;
                    break seen;
                }
            },
        };
        self.seen = Some(seen);
        let releases = catalog.releases().await?;
        let active = releases
            .iter()
            .find(|release| release.status == ReleaseStatus::Active)
            .cloned();
        let before = std::mem::replace(
            &mut self.active,
            active.as_ref().map(|release| release.id.clone()),
        );
        let answering = self.service.localizer();
        Ok(ReleaseChange {
            active: active.map(Release::from),
            previous_active: before.filter(|_| !first).map(|release| ID(release.to_string())),
            answering: answering.map(|localizer| ID(localizer.release().id.to_string())),
            releases: releases.into_iter().map(Release::from).collect(),
        })
    }
}
