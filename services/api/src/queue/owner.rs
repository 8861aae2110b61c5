//! The owner of the encoder: which photos come next, and what is done with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use retrieval::{Crops, Detailed, Localizer, Question};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use super::{Job, Reply, Stage};
use crate::active::Active;
use crate::metrics::Metrics;
use crate::request_error::RequestError;
use crate::restrictions::Restrictions;

/// Every so many photos, one of a batch goes first although others wait.
const TURN: u32 = 4;
/// Batches that are searched while the next one is encoded.
const SEARCHED_AT_ONCE: usize = 2;

/// The task that owns the encoder.
pub(super) struct Owner {
    pub(super) interactive: mpsc::Receiver<Job>,
    pub(super) batch: mpsc::Receiver<Job>,
    pub(super) active: watch::Receiver<Active>,
    pub(super) most: usize,
    pub(super) wait: Duration,
    pub(super) places: Arc<Semaphore>,
    pub(super) capacity: usize,
    pub(super) pace: Arc<AtomicU64>,
    pub(super) restrictions: Arc<Restrictions>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) taken: u32,
}

impl Owner {
    pub(super) async fn run(mut self) {
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
    pub(super) async fn take(&mut self) -> Option<Vec<Job>> {
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
    pub(super) fn ready(&mut self) -> Option<Job> {
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
