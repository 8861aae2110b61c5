//! From an uploaded photo to a recorded prediction.
//!
//! Photos are admitted up to a limit, decoded within a budget of pixels, and queued for one task that owns the encoder: it takes
//! whatever waits, up to a batch, answers it wholly by the release that is active at that moment, and replies to each. A photo
//! whose client has left is dropped from the queue unanswered.

use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datasets::DecodeLimits;
use retrieval::{LocalizeOptions, Localizer, Prediction};
use sha2::{Digest, Sha256};
use storage::Catalog;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::active::Active;
use crate::config::ServeConfig;
use crate::request_error::{Code, RequestError};
use crate::shadow::Shadow;

/// Pixels that one permit of the memory budget stands for.
const PIXELS_A_PERMIT: u64 = 1 << 10;

/// An upload.
pub(crate) struct Photo {
    /// Its file name, as the client gave it.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// Who asks; the service's own label when left out.
    pub(crate) client: Option<String>,
}

/// A prediction with its record.
pub(crate) struct Answered {
    pub(crate) prediction: Prediction,
    pub(crate) record: storage::Prediction,
}

/// A decoded photo waiting for the encoder.
struct Job {
    photo: Arc<retrieval::Photo>,
    queued: Instant,
    reply: oneshot::Sender<Result<Reply, RequestError>>,
    _memory: OwnedSemaphorePermit,
}

struct Reply {
    prediction: Prediction,
    queued_for: Duration,
}

/// The way to the encoder.
pub(crate) struct Queue {
    sender: mpsc::Sender<Job>,
    places: Arc<Semaphore>,
    capacity: usize,
    memory: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
}

impl Queue {
    /// Starts the task that owns the encoder.
    pub(crate) fn start(
        config: &ServeConfig,
        active: watch::Receiver<Active>,
        options: LocalizeOptions,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(config.queue);
        tasks.spawn(encode_batches(receiver, active, config.batch, options));
        let decoders = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            sender,
            places: Arc::new(Semaphore::new(config.queue)),
            capacity: config.queue,
            memory: Arc::new(Semaphore::new(permits(config.max_pixels_in_flight) as usize)),
            decoders: Arc::new(Semaphore::new(decoders)),
        }
    }

    /// Photos admitted and not yet answered.
    pub(crate) fn waiting(&self) -> usize {
        self.capacity - self.places.available_permits()
    }
}

/// Localises one photo and records the prediction.
pub(crate) async fn localize(
    queue: &Queue,
    catalog: &dyn Catalog,
    config: &ServeConfig,
    shadow: Option<&Shadow>,
    photo: Photo,
) -> Result<Answered, RequestError> {
    let begun = Instant::now();
    let _place = queue.places.clone().try_acquire_owned().map_err(|_| {
        let message = format!(
            "{} photos are waiting already; try again in a few seconds",
            queue.capacity
        );
        RequestError::new(Code::Overloaded, message)
    })?;
    let span = tracing::info_span!("localize", bytes = photo.bytes.len());
    async {
        let (decoded, sha256, memory) = decode(queue, config, &photo).await?;
        let (reply, answer) = oneshot::channel();
        let decoded = Arc::new(decoded);
        let job = Job {
            photo: decoded.clone(),
            queued: Instant::now(),
            reply,
            _memory: memory,
        };
        let gone = |_| {
            RequestError::new(
                Code::Unavailable,
                "the service is stopping; try again in a moment",
            )
        };
        queue.sender.send(job).await.map_err(|_| gone(()))?;
        let Reply {
            prediction,
            queued_for,
        } = answer.await.map_err(|_| gone(()))??;

        let client = photo.client.unwrap_or_else(|| config.client.clone());
        let file_name = Some(photo.name).filter(|name| !name.is_empty());
        let mut record = prediction.to_record(sha256, file_name, Some(client));
        record
            .timings
            .insert("queue".to_owned(), milliseconds(queued_for));
        record
            .timings
            .insert("total".to_owned(), milliseconds(begun.elapsed()));
        catalog.record_prediction(&record).await?;
        if let Some(shadow) = shadow {
            shadow.offer(&decoded, &record);
        }
        let timings = &prediction.timings;
        tracing::info!(
            prediction = %prediction.id,
            release = %prediction.release,
            decode_ms = timings.decode_ms,
            queue_ms = milliseconds(queued_for),
            preprocess_ms = timings.preprocess_ms,
            segment_ms = timings.segment_ms,
            encode_ms = timings.encode_ms,
            search_ms = timings.search_ms,
            references_ms = timings.references_ms,
            total_ms = milliseconds(begun.elapsed()),
            "photo answered"
        );
        Ok(Answered { prediction, record })
    }
    .instrument(span)
    .await
}

/// Decodes and hashes a photo once there is memory for its pixels.
async fn decode(
    queue: &Queue,
    config: &ServeConfig,
    photo: &Photo,
) -> Result<(retrieval::Photo, String, OwnedSemaphorePermit), RequestError> {
    let limits = DecodeLimits {
        max_pixels: config.max_pixels,
        max_bytes: config.max_upload_bytes as u64,
    };
    let wanted = permits(pixels(&photo.bytes).min(config.max_pixels));
    let closed = |_| {
        RequestError::new(
            Code::Unavailable,
            "the service is stopping; try again in a moment",
        )
    };
    let memory = queue
        .memory
        .clone()
        .acquire_many_owned(wanted)
        .await
        .map_err(closed)?;
    let turn = queue.decoders.clone().acquire_owned().await.map_err(closed)?;
    let (bytes, name) = (photo.bytes.clone(), photo.name.clone());
    let work = move || {
        let _turn = turn;
        let begun = Instant::now();
        let image = datasets::decode_bytes(&bytes, &name, &limits)?;
        let decode = begun.elapsed();
        Ok((
            retrieval::Photo { image, decode },
            format!("{:x}", Sha256::digest(&bytes)),
        ))
    };
    let decoded: Result<_, datasets::Error> = tokio::task::spawn_blocking(work)
        .await
        .map_err(RequestError::internal)?;
    let (photo, sha256) = decoded.map_err(|error| RequestError::from(&error))?;
    Ok((photo, sha256, memory))
}

/// The pixels that a photo's header announces; 0 when it has no readable one, which decoding then reports.
fn pixels(bytes: &[u8]) -> u64 {
    let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let size = reader.ok().and_then(|reader| reader.into_dimensions().ok());
    size.map_or(0, |(width, height)| u64::from(width) * u64::from(height))
}

fn permits(pixels: u64) -> u32 {
    u32::try_from(pixels.div_ceil(PIXELS_A_PERMIT).max(1)).unwrap_or(u32::MAX >> 3)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The task that owns the encoder.
async fn encode_batches(
    mut receiver: mpsc::Receiver<Job>,
    active: watch::Receiver<Active>,
    batch: usize,
    options: LocalizeOptions,
) {
    let mut jobs = Vec::with_capacity(batch);
    while receiver.recv_many(&mut jobs, batch).await > 0 {
        let localizer = active.borrow().localizer.clone();
        jobs.retain(|job| !job.reply.is_closed());
        let jobs = std::mem::replace(&mut jobs, Vec::with_capacity(batch));
        match localizer {
            Some(localizer) => answer_batch(&localizer, jobs, &options).await,
            None => {
                for job in jobs {
                    let refused = RequestError::from(retrieval::Error::NoActiveRelease);
                    // The client may have left meanwhile; then nobody is there to be told.
                    let _ = job.reply.send(Err(refused));
                }
            }
        }
    }
}

async fn answer_batch(localizer: &Arc<Localizer>, jobs: Vec<Job>, options: &LocalizeOptions) {
    if jobs.is_empty() {
        return;
    }
    let taken = Instant::now();
    let mut photos = Vec::with_capacity(jobs.len());
    let mut waiting = Vec::with_capacity(jobs.len());
    for Job {
        photo,
        queued,
        reply,
        _memory: memory,
    } in jobs
    {
        photos.push(photo);
        waiting.push((reply, taken.duration_since(queued), memory));
    }
    let photos = Arc::new(photos);
    let span = tracing::debug_span!("batch", photos = photos.len(), release = %localizer.release().id);
    let all = 0..photos.len();
    let answers = match answer(localizer, &photos, all.clone(), options)
        .instrument(span)
        .await
    {
        Ok(predictions) => predictions.into_iter().map(Ok).collect(),
        Err(error) if photos.len() == 1 => vec![Err(error)],
        // One photo must not take the others of its batch with it: each is tried alone.
        Err(error) => {
            tracing::warn!(%error, photos = photos.len(), "batch failed; its photos are answered one by one");
            let mut answers = Vec::with_capacity(photos.len());
            for index in all {
                let alone = answer(localizer, &photos, index..index + 1, options).await;
                answers.push(alone.and_then(|mut one| one.pop().ok_or(retrieval::Error::Interrupted)));
            }
            answers
        }
    };
    for ((reply, queued_for, _memory), answer) in waiting.into_iter().zip(answers) {
        let answer = answer
            .map(|prediction| Reply {
                prediction,
                queued_for,
            })
            .map_err(RequestError::from);
        // The client may have left meanwhile; then nobody is there to be told.
        let _ = reply.send(answer);
    }
}

/// Some of the photos to predictions; the encoder computes on a thread of its own.
async fn answer(
    localizer: &Arc<Localizer>,
    photos: &Arc<Vec<Arc<retrieval::Photo>>>,
    range: Range<usize>,
    options: &LocalizeOptions,
) -> retrieval::Result<Vec<Prediction>> {
    let (encoder, photos) = (localizer.clone(), photos.clone());
    let encode = move || encoder.encode(&photos[range]);
    let encoded = tokio::task::spawn_blocking(encode)
        .await
        .map_err(|_| retrieval::Error::Interrupted)??;
    localizer.answer(encoded, options).await
}
