//! Geocells of every level into the catalog and the store.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::{StreamExt, TryStreamExt};
use geocells::{Geocell, Hierarchy, Partition};
use serde_json::{Value, json};
use storage::{
    Catalog, CollectionName, CollectionSpec, CollectionState, FieldKind, GeocellRecord, Point, PointId,
    ReleaseId, VectorSpec, VectorStore,
};

use crate::progress::{Progress, Report, Stage};
use crate::{Error, Result};

/// Cells written together.
const BATCH: usize = 1000;

/// Writes under way at once. An embedded store takes them one after the other; a server does not make each wait for the last.
pub(crate) const WRITES_AT_ONCE: usize = 4;

/// One level's vectors as rows, in the order of the partition's cells.
#[derive(Debug, Clone)]
pub(crate) struct LevelVectors {
    pub embedding: Vec<Vec<f32>>,
    pub path: Vec<Vec<f32>>,
}

/// Where to and for what.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub release: &'a ReleaseId,
    pub store: &'a dyn VectorStore,
    pub catalog: &'a dyn Catalog,
    /// What is there already is not to be trusted.
    pub reload: bool,
    pub progress: Report<'a>,
    pub cancel: &'a AtomicBool,
}

impl Target<'_> {
    pub(crate) fn go_on(&self, stage: Stage) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                release: self.release.clone(),
                stage: stage.phrase(),
            });
        }
        Ok(())
    }

    pub(crate) fn tell(&self, stage: Stage, done: usize, total: usize) {
        (self.progress)(&Progress { stage, done, total });
    }
}

/// Loads all levels. A level whose collection is complete and whose counts agree is left as it is; loading one again changes
/// nothing, for a cell's point id is its S2 id.
pub(crate) async fn load(target: Target<'_>, hierarchy: &Hierarchy, vectors: &[LevelVectors]) -> Result<()> {
    let total: usize = hierarchy
        .levels()
        .iter()
        .map(|partition| partition.cells().len())
        .sum();
    let done = AtomicUsize::new(0);
    for (level, partition) in hierarchy.levels().iter().enumerate() {
        let collection = CollectionName::level(target.release, level);
        let spec = spec(&vectors[level]);
        target.store.create_collection(&collection, &spec).await?;
        let info = target.store.collection(&collection).await?;
        let cells = partition.cells().len();
        let loaded = !target.reload && info.state == CollectionState::Complete && info.points == cells as u64;
        if info.points > cells as u64 {
            // Cells of another checkpoint cannot be here, but what is not known must not answer.
            remove_unknown(target, &collection, partition).await?;
        }
        let (collection, done) = (&collection, &done);
        let write = |start: usize| async move {
            target.go_on(Stage::Geocells)?;
            let rows = start..(start + BATCH).min(cells);
            let written = rows.len();
            let records: Vec<GeocellRecord> = rows.map(|index| record(hierarchy, level, index)).collect();
            target.catalog.insert_geocells(target.release, &records).await?;
            if !loaded {
                let points = records.iter().map(|record| point(record, &vectors[level]));
                target.store.upsert(collection, points.collect()).await?;
            }
            let so_far = done.fetch_add(written, Ordering::Relaxed) + written;
            target.tell(Stage::Geocells, so_far, total);
            Ok::<(), Error>(())
        };
        futures::stream::iter((0..cells).step_by(BATCH))
            .map(write)
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect::<()>()
            .await?;
        if !loaded {
            target.store.finish_load(collection).await?;
        }
    }
    Ok(())
}

/// Deletes points that are no cells of the partition.
async fn remove_unknown(
    target: Target<'_>,
    collection: &CollectionName,
    partition: &Partition,
) -> Result<()> {
    let known: HashSet<u64> = partition.cells().iter().map(|cell| cell.id.as_u64()).collect();
    let mut after = None;
    loop {
        let page = target.store.scroll(collection, after, BATCH).await?;
        let strangers: Vec<PointId> = page
            .points
            .iter()
            .map(|point| point.id)
            .filter(|id| !matches!(id, PointId::Number(id) if known.contains(id)))
            .collect();
        if !strangers.is_empty() {
            target.store.delete(collection, &strangers).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn spec(vectors: &LevelVectors) -> CollectionSpec {
    let dimension = |rows: &[Vec<f32>]| rows.first().map_or(0, Vec::len);
    CollectionSpec::new([
        VectorSpec::flat(retrieval::EMBEDDING, dimension(&vectors.embedding)),
        VectorSpec::flat(retrieval::PATH, dimension(&vectors.path)),
    ])
    .with_index("token", FieldKind::Keyword)
}

fn record(hierarchy: &Hierarchy, level: usize, index: usize) -> GeocellRecord {
    let cells = |level: usize| hierarchy.levels()[level].cells();
    let cell: &Geocell = &cells(level)[index];
    let parent = cell.parent.map(|parent| cells(level - 1)[parent].id);
    GeocellRecord {
        level,
        index,
        token: cell.id,
        parent,
        photos: cell.photos,
        location: cell.location,
    }
}

fn point(record: &GeocellRecord, vectors: &LevelVectors) -> Point {
    let rows = [
        (retrieval::EMBEDDING, vectors.embedding[record.index].clone()),
        (retrieval::PATH, vectors.path[record.index].clone()),
    ];
    Point::new(record.token.as_u64(), rows)
        .with("token", record.token.token())
        .with(
            "parent",
            record.parent.map_or(Value::Null, |parent| parent.token().into()),
        )
        .with("photos", record.photos)
        .with(
            "location",
            json!({"lat": record.location.latitude(), "lon": record.location.longitude()}),
        )
        .with("level", record.level as u64)
        .with("index", record.index as u64)
}
