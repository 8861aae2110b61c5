//! Shadow traffic: a share of the queries is also answered by a candidate release, off the request's path.
//!
//! The candidate's answers are recorded beside those that were given and never returned, so that an operator compares before
//! switching. Which queries are chosen follows from the prediction's id alone. When the candidate cannot keep up, queries are
//! dropped and counted; no client ever waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retrieval::{LocalizeOptions, Localizer, OpenOptions, Photo};
use serde::Serialize;
use sha2::{Digest, Sha256};
use storage::{Catalog, Prediction, ReleaseId, VectorStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Result;
use crate::config::ServeConfig;

/// Pixels that one permit of the memory budget stands for.
const PIXELS_A_PERMIT: u64 = 1 << 10;

/// Which release shadows the active one, and how much.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowConfig {
    /// The candidate; it must have been built.
    pub release: ReleaseId,
    /// Share of the queries that it answers too, above 0 and at most 1.
    pub share: f64,
    /// Queries waiting for it at most; more are dropped and counted.
    pub queue: usize,
}

/// What became of the chosen queries.
#[derive(Debug, Default)]
struct Counts {
    recorded: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// The candidate's state, for health and dashboards.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShadowState {
    release: ReleaseId,
    share: f64,
    recorded: u64,
    dropped: u64,
    failed: u64,
}

struct Job {
    photo: Arc<Photo>,
    given: Prediction,
    _memory: OwnedSemaphorePermit,
}

/// The way to the candidate.
pub(crate) struct Shadow {
    config: ShadowConfig,
    sender: mpsc::Sender<Job>,
    /// Bounds the pixels that wait, apart from the budget of the queries themselves.
    memory: Arc<Semaphore>,
    counts: Arc<Counts>,
}

impl Shadow {
    /// Opens the candidate and starts the task that answers with it.
    pub(crate) async fn start(
        config: &ServeConfig,
        shadow: ShadowConfig,
        store: Arc<dyn VectorStore>,
        catalog: Arc<dyn Catalog>,
        open: &OpenOptions,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self> {
        let localizer = Localizer::open(Some(&shadow.release), store, catalog.clone(), open).await?;
        let (sender, receiver) = mpsc::channel(shadow.queue);
        let counts = Arc::new(Counts::default());
        tasks.spawn(answer_all(receiver, Arc::new(localizer), catalog, counts.clone()));
        tracing::info!(release = %shadow.release, share = shadow.share, "candidate release answers in the shadow");
        let permits = permits(config.max_pixels_in_flight);
        Ok(Self {
            config: shadow,
            sender,
            memory: Arc::new(Semaphore::new(permits as usize)),
            counts,
        })
    }

    /// Hands a query that was answered to the candidate, if it is chosen and there is room. Never waits.
    pub(crate) fn offer(&self, photo: &Arc<Photo>, given: &Prediction) {
        // Once the candidate has become the active release there is nothing to compare.
        if given.release == self.config.release || !is_chosen(given.id, self.config.share) {
            return;
        }
        let (width, height) = photo.image.dimensions();
        let wanted = permits(u64::from(width) * u64::from(height));
        let room = self.memory.clone().try_acquire_many_owned(wanted).ok();
        let sent = room.is_some_and(|memory| {
            let job = Job {
                photo: photo.clone(),
                given: given.clone(),
                _memory: memory,
            };
            self.sender.try_send(job).is_ok()
        });
        if !sent {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of the chosen queries so far.
    pub(crate) fn state(&self) -> ShadowState {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ShadowState {
            release: self.config.release.clone(),
            share: self.config.share,
            recorded: read(&self.counts.recorded),
            dropped: read(&self.counts.dropped),
            failed: read(&self.counts.failed),
        }
    }
}

/// Whether a prediction is among the share: always the same answer for the same id.
fn is_chosen(id: Uuid, share: f64) -> bool {
    let digest = Sha256::digest(id.as_bytes());
    let first: [u8; 8] = digest[..8].try_into().unwrap_or_default();
    (u64::from_be_bytes(first) as f64) < share * u64::MAX as f64
}

fn permits(pixels: u64) -> u32 {
    u32::try_from(pixels.div_ceil(PIXELS_A_PERMIT).max(1)).unwrap_or(u32::MAX >> 3)
}

/// The task that answers with the candidate, one query after the other.
async fn answer_all(
    mut receiver: mpsc::Receiver<Job>,
    localizer: Arc<Localizer>,
    catalog: Arc<dyn Catalog>,
    counts: Arc<Counts>,
) {
    while let Some(job) = receiver.recv().await {
        match answer(&localizer, catalog.as_ref(), job).await {
            Ok(()) => counts.recorded.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, release = %localizer.release().id, "candidate release could not answer");
                counts.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

async fn answer(localizer: &Arc<Localizer>, catalog: &dyn Catalog, job: Job) -> retrieval::Result<()> {
    let Job {
        photo,
        given,
        _memory,
    } = job;
    let encoder = localizer.clone();
    let encoded = tokio::task::spawn_blocking(move || encoder.encode(&[photo]))
        .await
        .map_err(|_| retrieval::Error::Interrupted)??;
    for prediction in localizer.answer(encoded, &LocalizeOptions::default()).await? {
        let sha256 = given.photo_sha256.clone();
        let mut record = prediction.to_record(sha256, given.file_name.clone(), given.client.clone());
        record.shadow_of = Some(given.id);
        catalog.record_prediction(&record).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_and_the_choice_never_changes() {
        let ids: Vec<Uuid> = (0..20_000_u128).map(|n| Uuid::from_u128(n * 7919)).collect();
        for share in [0.1, 0.5, 1.0] {
            let chosen = ids.iter().filter(|id| is_chosen(**id, share)).count() as f64;
            assert!(
                (chosen / ids.len() as f64 - share).abs() < 0.01,
                "{share}: {chosen}"
            );
        }
        // Whoever is in a small share is in a larger one.
        assert!(ids.iter().all(|id| !is_chosen(*id, 0.1) || is_chosen(*id, 0.2)));
    }
}
