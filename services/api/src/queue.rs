//! The way to the encoder: a bounded queue that one task owns.
//!
//! Photos are admitted up to a limit and refused beyond it, with the seconds after which there should be room. The owner takes whatever
//! waits, up to a batch; while more photos are known to be on their way (they are being decoded) it waits a moment for them. Photos of
//! people who look at their screens come before photos of large batches, which still get their turn. A photo whose client has left is
//! dropped unanswered. A batch is encoded and answered wholly by the release that was active when it was taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use retrieval::{Crops, Detailed, LocalizeOptions, Localizer, Question, ReferenceScope};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use crate::active::Active;
use crate::area::Area;
use crate::config::ServeConfig;
use crate::metrics::Metrics;
use crate::request_error::{Code, RequestError};
use crate::restrictions::Restrictions;

/// Every so many photos, one of a batch goes first although others wait.
const TURN: u32 = 4;
/// Batches that are searched while the next one is encoded.
const SEARCHED_AT_ONCE: usize = 2;
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
        tasks.spawn(owner.run());
        Self {
            interactive,
            batch,
            places,
            capacity: config.queue,
            pace,
            metrics,
        }
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

/// The task that owns the encoder.
struct Owner {
    interactive: mpsc::Receiver<Job>,
    batch: mpsc::Receiver<Job>,
    active: watch::Receiver<Active>,
    most: usize,
    wait: Duration,
    places: Arc<Semaphore>,
    capacity: usize,
    pace: Arc<AtomicU64>,
    restrictions: Arc<Restrictions>,
    metrics: Arc<Metrics>,
    taken: u32,
}

impl Owner {
    async fn run(mut self) {
        let searches = Arc::new(Semaphore::new(SEARCHED_AT_ONCE));
        let mut searching = JoinSet::new();
        while let Some(mut jobs) = self.take().await {
            for job in &mut jobs {
                job.queued_for = job.queued.elapsed();
                job.in_queue = None;
            }
            while searching.try_join_next().is_some() {}
            let (left, jobs): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.reply.is_closed());
            self.metrics.cancelled.increment(left.len() as u64);
            if jobs.is_empty() {
                continue;
            }
            let Some(localizer) = self.active.borrow().localizer.clone() else {
                for job in jobs {
                    // The client may have left meanwhile; then nobody is there to be told.
                    let _ = job.reply.send(Err(retrieval::Error::NoActiveRelease.into()));
                }
                continue;
            };
            self.metrics.batches.record(jobs.len() as f64);
            let span = tracing::info_span!("batch", photos = jobs.len(), release = %localizer.release().id);
            let encoded = self.encode(&localizer, jobs).instrument(span.clone()).await;
            // Closed is never: the semaphore lives as long as this task.
            let Ok(turn) = searches.clone().acquire_owned().await else {
                return;
            };
            let restrictions = self.restrictions.clone();
            let search = async move {
                let _turn = turn;
                answer(&localizer, &restrictions, encoded).await;
            };
            searching.spawn(search.instrument(span));
        }
        while searching.join_next().await.is_some() {}
    }

    /// The next batch; none when the service ends.
    async fn take(&mut self) -> Option<Vec<Job>> {
        let mut jobs = vec![self.next().await?];
        let full_at = tokio::time::Instant::now() + self.wait;
        while jobs.len() < self.most {
            if let Some(job) = self.ready() {
                jobs.push(job);
                continue;
            }
            // Nobody else is on the way: waiting would gain nothing.
            if self.capacity - self.places.available_permits() <= jobs.len() {
                break;
            }
            match tokio::time::timeout_at(full_at, self.next()).await {
                Ok(Some(job)) => jobs.push(job),
                Ok(None) | Err(_) => break,
            }
        }
        self.metrics
            .waiting
            .set((self.capacity - self.places.available_permits()) as f64);
        Some(jobs)
    }

    /// The next photo, waiting for it; none when the service ends.
    async fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.ready() {
            return Some(job);
        }
        self.taken = self.taken.wrapping_add(1);
        tokio::select! {
            biased;
            Some(job) = self.interactive.recv() => Some(job),
            Some(job) = self.batch.recv() => Some(job),
            else => None,
        }
    }

    /// The next photo of those that wait.
    fn ready(&mut self) -> Option<Job> {
        let turn_of_batches = self.taken % TURN == TURN - 1;
        let found = if turn_of_batches {
            self.batch.try_recv().or_else(|_| self.interactive.try_recv())
        } else {
            self.interactive.try_recv().or_else(|_| self.batch.try_recv())
        };
        let job = found.ok()?;
        self.taken = self.taken.wrapping_add(1);
        Some(job)
    }

    /// Encodes a batch; photos that want other crops are encoded apart. Those that failed are told so and left out.
    async fn encode(&self, localizer: &Arc<Localizer>, jobs: Vec<Job>) -> Vec<(Job, Question)> {
        let begun = Instant::now();
        let photos = jobs.len();
        let _spans: Vec<Span> = jobs.iter().map(|job| job.stage(photos, Stage::Encode)).collect();
        let mut encoded = Vec::with_capacity(photos);
        let (one, ten): (Vec<Job>, Vec<Job>) = jobs
            .into_iter()
            .partition(|job| job.wanted.options.crops == Crops::One);
        for (jobs, crops) in [(one, Crops::One), (ten, Crops::Ten)] {
            let photos: Vec<_> = jobs.iter().map(|job| job.photo.clone()).collect();
            match encode(localizer, photos, crops).await {
                Ok(all) => encoded.extend(jobs.into_iter().zip(all)),
                Err(error) if jobs.len() == 1 => refuse(jobs, error),
                Err(error) => {
                    tracing::warn!(%error, photos = jobs.len(), "batch failed; its photos are encoded one by one");
                    for job in jobs {
                        match encode(localizer, vec![job.photo.clone()], crops).await {
                            Ok(one) => encoded.extend(one.into_iter().next().map(|photo| (job, photo))),
                            Err(error) => refuse(vec![job], error),
                        }
                    }
                }
            }
        }
        let lately = self.pace.load(Ordering::Relaxed);
        let now = begun.elapsed().as_micros() as u64 / photos.max(1) as u64;
        let pace = if lately == 0 { now } else { (3 * lately + now) / 4 };
        self.pace.store(pace, Ordering::Relaxed);
        encoded
            .into_iter()
            .map(|(job, photo)| {
                let question = Question {
                    photo,
                    options: job.wanted.options,
                    restriction: None,
                    scope: job.wanted.scope.clone(),
                };
                (job, question)
            })
            .collect()
    }
}

async fn encode(
    localizer: &Arc<Localizer>,
    photos: Vec<Arc<retrieval::Photo>>,
    crops: Crops,
) -> retrieval::Result<Vec<retrieval::EncodedPhoto>> {
    if photos.is_empty() {
        return Ok(Vec::new());
    }
    let encoder = localizer.clone();
    tokio::task::spawn_blocking(move || encoder.encode_crops(&photos, crops))
        .await
        .map_err(|_| retrieval::Error::Interrupted)?
}

fn refuse(jobs: Vec<Job>, error: retrieval::Error) {
    let error = RequestError::from(error);
    for job in jobs {
        // The client may have left meanwhile; then nobody is there to be told.
        let _ = job.reply.send(Err(error.clone()));
    }
}

/// Searches for a batch that was encoded, and replies to each of its photos.
async fn answer(localizer: &Arc<Localizer>, restrictions: &Restrictions, encoded: Vec<(Job, Question)>) {
    let mut jobs = Vec::with_capacity(encoded.len());
    let mut questions = Vec::with_capacity(encoded.len());
    for (job, mut question) in encoded {
        if let Some(area) = &job.wanted.area {
            match restrictions.of(localizer, area).await {
                Ok(restriction) => question.restriction = Some(restriction),
                Err(error) => {
                    refuse(vec![job], error);
                    continue;
                }
            }
        }
        jobs.push(job);
        questions.push(question);
    }
    let _spans: Vec<Span> = jobs
        .iter()
        .map(|job| job.stage(jobs.len(), Stage::Search))
        .collect();
    match localizer.answer_each(questions.clone()).await {
        Ok(answers) => {
            for (job, detailed) in jobs.into_iter().zip(answers) {
                reply(localizer, job, Ok(detailed));
            }
        }
        Err(error) if jobs.len() <= 1 => refuse(jobs, error),
        // One photo must not take the others of its batch with it: each is tried alone.
        Err(error) => {
            tracing::warn!(%error, photos = jobs.len(), "batch failed; its photos are answered one by one");
            for (job, question) in jobs.into_iter().zip(questions) {
                let alone = localizer.answer_each(vec![question]).await;
                let alone = alone.and_then(|mut one| one.pop().ok_or(retrieval::Error::Interrupted));
                reply(localizer, job, alone);
            }
        }
    }
}

fn reply(localizer: &Arc<Localizer>, job: Job, answer: retrieval::Result<Detailed>) {
    let answer = answer
        .map(|detailed| Reply {
            detailed,
            localizer: localizer.clone(),
            queued_for: job.queued_for,
        })
        .map_err(RequestError::from);
    // The client may have left meanwhile; then nobody is there to be told.
    let _ = job.reply.send(answer);
}
