//! The way to the encoder: a bounded queue that one task owns.
//!
//! Photos are admitted up to a limit and refused beyond it, with the seconds after which there should be room. The owner takes whatever
//! waits, up to a batch; while more photos are known to be on their way (they are being decoded) it waits a moment for them. Photos of
//! people who look at their screens come before photos of large batches, which still get their turn. A photo whose client has left is
//! dropped unanswered. A batch is encoded and answered wholly by the release that was active when it was taken.

mod owner;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use retrieval::{Detailed, LocalizeOptions, Localizer, ReferenceScope};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::Span;

use crate::active::Active;
use crate::area::Area;
use crate::config::ServeConfig;
use crate::metrics::Metrics;
use crate::request_error::{Code, RequestError};
use owner::Owner;

/// Longest wait that is advised.
const LONGEST_WAIT: u64 = 60;

/// Whose photos come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Someone waits for this one photo.
    Interactive,
    /// One of many.
    Batch,
}

/// What is asked about a photo.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) options: LocalizeOptions,
    pub(crate) area: Option<Arc<Area>>,
    pub(crate) scope: Option<ReferenceScope>,
}

impl Wanted {
    /// The defaults.
    pub(crate) fn usual() -> Self {
        Self {
            options: LocalizeOptions::default(),
            area: None,
            scope: None,
        }
    }
}

/// What became of a photo.
pub(crate) struct Reply {
    pub(crate) detailed: Detailed,
    /// The release that answered, opened.
    pub(crate) localizer: Arc<Localizer>,
    pub(crate) queued_for: Duration,
}

/// A decoded photo waiting for the encoder.
struct Job {
    photo: Arc<retrieval::Photo>,
    wanted: Wanted,
    queued: Instant,
    queued_for: Duration,
    reply: oneshot::Sender<Result<Reply, RequestError>>,
    /// Of the request, so that its trace has the stages that a batch shares.
    span: Span,
    in_queue: Option<Span>,
    _memory: OwnedSemaphorePermit,
}

impl Job {
    /// A stage in the trace of the photo's request; it ends when the span is dropped.
    fn stage(&self, photos: usize, stage: Stage) -> Span {
        match stage {
            Stage::Encode => tracing::info_span!(parent: &self.span, "encode", photos),
            Stage::Search => tracing::info_span!(parent: &self.span, "search", photos),
        }
    }
}

/// What a batch goes through.
#[derive(Clone, Copy)]
enum Stage {
    Encode,
    Search,
}

/// A place in the queue; it is free again when this is dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The way to the encoder.
pub(crate) struct Queue {
    interactive: mpsc::Sender<Job>,
    batch: mpsc::Sender<Job>,
    places: Arc<Semaphore>,
    capacity: usize,
    /// Microseconds that the encoder takes for a photo, lately.
    pace: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl Queue {
    /// Starts the task that owns the encoder.
    pub(crate) fn start(
        config: &ServeConfig,
        active: watch::Receiver<Active>,
        metrics: Arc<Metrics>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (queue, owner) = Self::new(config, active, metrics);
        tasks.spawn(owner.run());
        queue
    }

    /// The queue, and its owner who does nothing yet.
    fn new(config: &ServeConfig, active: watch::Receiver<Active>, metrics: Arc<Metrics>) -> (Self, Owner) {
        let (interactive, of_people) = mpsc::channel(config.queue);
        let (batch, of_batches) = mpsc::channel(config.queue);
        let places = Arc::new(Semaphore::new(config.queue));
        let pace = Arc::new(AtomicU64::new(0));
        metrics.queue_capacity.set(config.queue as f64);
        let owner = Owner {
            interactive: of_people,
            batch: of_batches,
            active,
            most: config.batch,
            wait: config.batch_wait,
            places: places.clone(),
            capacity: config.queue,
            pace: pace.clone(),
            restrictions: Arc::default(),
            metrics: metrics.clone(),
            taken: 0,
        };
        let queue = Self {
            interactive,
            batch,
            places,
            capacity: config.queue,
            pace,
            metrics,
        };
        (queue, owner)
    }

    /// Photos admitted and not yet answered.
    pub(crate) fn waiting(&self) -> usize {
        self.capacity - self.places.available_permits()
    }

    /// A place in the queue.
    ///
    /// # Errors
    /// `OVERLOADED` with the seconds to wait when there is none.
    pub(crate) fn admit(&self) -> Result<Place, RequestError> {
        let Ok(permit) = self.places.clone().try_acquire_owned() else {
            self.metrics.refused.increment(1);
            let seconds = self.advised_wait();
            let message = format!(
                "{} photos are waiting already; try again in {seconds} s",
                self.capacity
            );
            return Err(RequestError::new(Code::Overloaded, message).after(seconds));
        };
        Ok(Place { _permit: permit })
    }

    /// Seconds until the photos that wait now should be answered.
    fn advised_wait(&self) -> u64 {
        let a_photo = Duration::from_micros(self.pace.load(Ordering::Relaxed));
        let all = a_photo * u32::try_from(self.capacity).unwrap_or(u32::MAX);
        all.as_secs().saturating_add(1).min(LONGEST_WAIT)
    }

    /// Answers one photo that has a place.
    ///
    /// # Errors
    /// Those of the encoder and the stores; `UNAVAILABLE` when the service stops.
    pub(crate) async fn answer(
        &self,
        photo: Arc<retrieval::Photo>,
        wanted: Wanted,
        priority: Priority,
        memory: OwnedSemaphorePermit,
    ) -> Result<Reply, RequestError> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            photo,
            wanted,
            queued: Instant::now(),
            queued_for: Duration::ZERO,
            reply,
            in_queue: Some(tracing::info_span!("queue")),
            span: Span::current(),
            _memory: memory,
        };
        let gone = || {
            RequestError::new(
                Code::Unavailable,
                "the service is stopping; try again in a moment",
            )
        };
        let sender = match priority {
            Priority::Interactive => &self.interactive,
            Priority::Batch => &self.batch,
        };
        sender.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
