//! From an uploaded photo to a recorded prediction: admitted by the queue, decoded within a budget of pixels, answered, recorded.

use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datasets::DecodeLimits;
use retrieval::Prediction;
use sha2::{Digest, Sha256};
use storage::Catalog;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::active::Active;
use crate::config::ServeConfig;
use crate::details::Details;
use crate::metrics::Metrics;
use crate::queue::{Priority, Queue, Reply, Wanted};
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
    /// What is asked about it.
    pub(crate) wanted: Wanted,
    /// Whether someone waits for it alone.
    pub(crate) priority: Priority,
}

/// A prediction with its record.
pub(crate) struct Answered {
    pub(crate) prediction: Prediction,
    pub(crate) record: storage::Prediction,
    pub(crate) details: Arc<Details>,
}

/// What it takes to answer uploads.
pub(crate) struct Uploads {
    queue: Queue,
    memory: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
}

impl Uploads {
    /// Starts the task that owns the encoder.
    pub(crate) fn start(
        config: &ServeConfig,
        active: watch::Receiver<Active>,
        metrics: Arc<Metrics>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let decoders = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            queue: Queue::start(config, active, metrics, tasks),
            memory: Arc::new(Semaphore::new(permits(config.max_pixels_in_flight) as usize)),
            decoders: Arc::new(Semaphore::new(decoders)),
        }
    }

    /// Photos admitted and not yet answered.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}

/// Answers one photo without recording anything.
pub(crate) async fn embed(
    uploads: &Uploads,
    config: &ServeConfig,
    photo: Photo,
) -> Result<Reply, RequestError> {
    let _place = uploads.queue.admit()?;
    let (decoded, _, memory) = decode(uploads, config, &photo).await?;
    uploads
        .queue
        .answer(Arc::new(decoded), photo.wanted, photo.priority, memory)
        .await
}

/// Localises one photo and records the prediction.
pub(crate) async fn localize(
    uploads: &Uploads,
    catalog: &dyn Catalog,
    config: &ServeConfig,
    shadow: Option<&Shadow>,
    metrics: &Metrics,
    photo: Photo,
) -> Result<Answered, RequestError> {
    let begun = Instant::now();
    let _place = uploads.queue.admit()?;
    let span = tracing::info_span!("localize", bytes = photo.bytes.len());
    async {
        let restricted = photo.wanted.area.is_some();
        let (decoded, sha256, memory) = decode(uploads, config, &photo).await?;
        let decoded = Arc::new(decoded);
        let answer = uploads
            .queue
            .answer(decoded.clone(), photo.wanted, photo.priority, memory);
        let Reply {
            detailed,
            localizer,
            queued_for,
        } = answer.await?;

        let client = photo.client.unwrap_or_else(|| config.client.clone());
        let file_name = Some(photo.name).filter(|name| !name.is_empty());
        let prediction = detailed.prediction.clone();
        let mut record = prediction.to_record(sha256, file_name, Some(client));
        record
            .timings
            .insert("queue".to_owned(), milliseconds(queued_for));
        record
            .timings
            .insert("total".to_owned(), milliseconds(begun.elapsed()));
        catalog
            .record_prediction(&record)
            .instrument(tracing::info_span!("record"))
            .await?;
        if let Some(shadow) = shadow
            && !restricted
        {
            shadow.offer(&decoded, &record);
        }
        metrics.answered.increment(1);
        metrics
            .cannot_tell
            .increment(u64::from(record.cannot_tell.is_some()));
        for (stage, took) in &record.timings {
            metrics.stage(stage, *took);
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
        let size = decoded.image.dimensions();
        let details = Details::new(detailed, localizer.searcher().model(), size, restricted);
        Ok(Answered {
            prediction,
            record,
            details: Arc::new(details),
        })
    }
    .instrument(span)
    .await
}

/// Decodes and hashes a photo once there is memory for its pixels.
async fn decode(
    uploads: &Uploads,
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
    let memory = uploads
        .memory
        .clone()
        .acquire_many_owned(wanted)
        .await
        .map_err(closed)?;
    let turn = uploads.decoders.clone().acquire_owned().await.map_err(closed)?;
    let (bytes, name) = (photo.bytes.clone(), photo.name.clone());
    let span = tracing::info_span!("decode");
    let work = move || {
        let _turn = turn;
        let _entered = span.enter();
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
