//! Geocells of every level into the catalog and the store.

use std::sync::atomic::{AtomicBool, Ordering};

use geocells::{Geocell, Hierarchy};
use serde_json::{Value, json};
use storage::{
    Catalog, CollectionName, CollectionSpec, CollectionState, FieldKind, GeocellRecord, Point, ReleaseId,
    VectorSpec, VectorStore,
};

use crate::progress::{Progress, Report, Stage};
use crate::{Error, Result};

/// Cells written at once.
const BATCH: usize = 1000;

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
    let mut done = 0;
    for (level, partition) in hierarchy.levels().iter().enumerate() {
        let collection = CollectionName::level(target.release, level);
        let spec = spec(&vectors[level]);
        target.store.create_collection(&collection, &spec).await?;
        let info = target.store.collection(&collection).await?;
        let loaded = !target.reload
            && info.state == CollectionState::Complete
            && info.points == partition.cells().len() as u64;
        for start in (0..partition.cells().len()).step_by(BATCH) {
            target.go_on(Stage::Geocells)?;
            let rows = start..(start + BATCH).min(partition.cells().len());
            let records: Vec<GeocellRecord> = rows
                .clone()
                .map(|index| record(hierarchy, level, index))
                .collect();
            target.catalog.insert_geocells(target.release, &records).await?;
            if !loaded {
                let points = rows
                    .clone()
                    .map(|index| point(&records[index - start], &vectors[level]))
                    .collect();
                target.store.upsert(&collection, points).await?;
            }
            done += rows.len();
            target.tell(Stage::Geocells, done, total);
        }
        if !loaded {
            target.store.finish_load(&collection).await?;
        }
    }
    Ok(())
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
