//! The last stage: encoded reference images into the store and the catalog.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use storage::{CollectionName, Point, ReferenceImage};
use tokio::sync::mpsc;

use crate::Result;
use crate::levels::{Target, WRITES_AT_ONCE};

/// Work that a kill may cost, where encoding is slow.
const LONGEST: Duration = Duration::from_secs(10);

/// Encoded reference images: points and records in the same order.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) points: Vec<Point>,
    pub(super) records: Vec<ReferenceImage>,
}

/// Writes what the encoder hands over until it ends, and returns the seconds that writes took.
///
/// Every write is made durable, which costs the same for one image as for many, so about `together` are written at once. The vector
/// goes first: a record whose vector is missing would be found by nobody, a vector without its record by the next build.
pub(super) async fn write_all(
    target: Target<'_>,
    together: usize,
    mut encoded: mpsc::Receiver<Loaded>,
) -> Result<f64> {
    let collection = CollectionName::references(target.release);
    let write = |loaded: Loaded| {
        let collection = &collection;
        async move {
            let started = Instant::now();
            target.store.upsert(collection, loaded.points).await?;
            let records = &loaded.records;
            target
                .catalog
                .insert_reference_images(target.release, records)
                .await?;
            Ok::<f64, crate::Error>(started.elapsed().as_secs_f64())
        }
    };
    let mut seconds = 0.0;
    let mut writes = FuturesUnordered::new();
    let mut pending = Loaded::default();
    let mut since = Instant::now();
    loop {
        tokio::select! {
            Some(written) = writes.next() => seconds += written?,
            received = encoded.recv(), if writes.len() < WRITES_AT_ONCE => {
                let Some(loaded) = received else { break };
                if pending.points.is_empty() {
                    since = Instant::now();
                }
                pending.points.extend(loaded.points);
                pending.records.extend(loaded.records);
                let due = pending.points.len() >= together || since.elapsed() >= LONGEST;
                if due && !pending.points.is_empty() {
                    writes.push(write(std::mem::take(&mut pending)));
                }
            }
        }
    }
    if !pending.points.is_empty() {
        writes.push(write(pending));
    }
    while let Some(written) = writes.next().await {
        seconds += written?;
    }
    Ok(seconds)
}
