//! One open collection: its shard, its manifest, and the order in which they are written.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fs_err as fs;
use qdrant_edge as edge;
use rayon::prelude::*;

use super::atomic_file::sync_directory;
use super::graph;
use super::manifest::{Manifest, Phase};
use super::shard::Shard;
use super::translate;
use crate::vectors::{check_points, check_vector, successor};
use crate::{
    CollectionInfo, CollectionName, CollectionSpec, CollectionState, Error, Filter, Hit, Point, PointId,
    Result, ScrollPage, SearchRequest, StoredPoint, VectorIndex,
};

/// The shard's directory within a collection's.
const SHARD_DIR: &str = "shard";

/// Points written to the engine at once, which bounds its log's entries.
const WRITE_CHUNK: usize = 500;

/// Points read at once when a shard is rebuilt.
const REBUILD_PAGE: usize = 1000;

/// Free space below which nothing is written: the engine maps its files, and a full disk would end the process.
const SPACE_RESERVE: u64 = 64 << 20;

/// An open collection.
#[derive(Debug)]
pub(super) struct Collection {
    name: CollectionName,
    dir: PathBuf,
    /// Searches share it; everything that writes or flushes has it alone, as the engine demands.
    inner: RwLock<Option<Inner>>,
}

#[derive(Debug)]
struct Inner {
    shard: Shard,
    manifest: Manifest,
    /// The last load was interrupted.
    interrupted: bool,
}

impl Collection {
    /// Creates an empty collection in a new directory.
    pub(super) fn create(dir: &Path, spec: &CollectionSpec) -> Result<()> {
        fs::create_dir(dir).map_err(|error| Error::io(dir, error))?;
        require_space(dir, 0)?;
        drop(Shard::create(&dir.join(SHARD_DIR), spec)?);
        let mut manifest = Manifest::new(spec.clone());
        manifest.phase = Phase::Loading;
        manifest.write(dir)
    }

    /// Opens a collection's directory; `fresh` where this process has just created it.
    pub(super) fn open(name: CollectionName, dir: PathBuf, fresh: bool) -> Result<Self> {
        let manifest = Manifest::read(&dir)?;
        if manifest.phase == Phase::Optimizing {
            rebuild(&dir, &manifest.spec)?;
        }
        let shard = Shard::open(&dir.join(SHARD_DIR))?;
        let points = shard.count(None)?;
        let finished = manifest.phase == Phase::Complete && manifest.points == points;
        let interrupted = !finished && !fresh;
        if interrupted {
            tracing::warn!(
                collection = %name, points, expected = manifest.points, phase = ?manifest.phase,
                "collection is incomplete"
            );
        }
        let inner = RwLock::new(Some(Inner {
            shard,
            manifest,
            interrupted,
        }));
        Ok(Self { name, dir, inner })
    }

    /// True where a write failed half-way, so that the collection has to be opened again.
    pub(super) fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// Closes the collection; later calls on this handle find nothing.
    pub(super) fn close(&self) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        *inner = None;
    }

    pub(super) fn spec(&self) -> Result<CollectionSpec> {
        self.with(|inner| Ok(inner.manifest.spec.clone()))
    }

    pub(super) fn info(&self) -> Result<CollectionInfo> {
        self.with(|inner| {
            let state = match (inner.interrupted, inner.manifest.phase) {
                (true, _) => CollectionState::Incomplete,
                (false, Phase::Complete) => CollectionState::Complete,
                (false, _) => CollectionState::Loading,
            };
            let points = inner.shard.count(None)?;
            Ok(CollectionInfo {
                spec: inner.manifest.spec.clone(),
                points,
                state,
                searchable: !inner.interrupted,
            })
        })
    }

    pub(super) fn upsert(&self, points: Vec<Point>) -> Result<()> {
        self.with_mut(|inner| {
            check_points(&inner.manifest.spec, &points)?;
            if points.is_empty() {
                return Ok(());
            }
            let floats: usize = inner.manifest.spec.vectors.iter().map(|v| v.dimension).sum();
            // Once as vectors, once in the engine's log at five bytes a number.
            require_space(&self.dir, (points.len() * floats * 9) as u64)?;
            inner.begin_writing(&self.dir)?;
            inner.write(|shard| {
                let mut points = points.into_iter().peekable();
                while points.peek().is_some() {
                    shard.upsert(points.by_ref().take(WRITE_CHUNK).collect())?;
                }
                Ok(())
            })
        })
    }

    pub(super) fn delete(&self, ids: &[PointId]) -> Result<()> {
        self.with_mut(|inner| {
            if ids.is_empty() {
                return Ok(());
            }
            inner.begin_writing(&self.dir)?;
            inner.write(|shard| shard.update(translate::delete(ids)))
        })
    }

    pub(super) fn finish_load(&self) -> Result<u64> {
        self.with_mut(|inner| {
            if inner.manifest.phase == Phase::Complete && !inner.interrupted {
                return Ok(inner.manifest.points);
            }
            inner.shard.flush()?;
            let points = inner.shard.count(None)?;
            if graph::is_due(&inner.manifest.spec, points, inner.manifest.indexed) {
                inner.optimize(&self.dir, points)?;
            }
            inner.manifest.points = inner.shard.count(None)?;
            inner.manifest.phase = Phase::Complete;
            inner.manifest.write(&self.dir)?;
            inner.interrupted = false;
            Ok(inner.manifest.points)
        })
    }

    pub(super) fn count(&self, filter: Option<&Filter>) -> Result<u64> {
        let filter = filter.map(translate::filter).transpose()?;
        self.with(|inner| inner.shard.count(filter))
    }

    pub(super) fn get(&self, ids: &[PointId], with_vectors: bool) -> Result<Vec<StoredPoint>> {
        let ids: Vec<edge::PointId> = ids.iter().map(|id| (*id).into()).collect();
        let records = self.with(|inner| {
            inner
                .shard
                .run(|engine| engine.retrieve(&ids, None, Some(edge::WithVector::Bool(with_vectors))))
        })?;
        records.into_iter().map(translate::stored_point).collect()
    }

    pub(super) fn scroll(&self, after: Option<PointId>, limit: usize) -> Result<ScrollPage> {
        if limit == 0 {
            return Err(Error::Invalid("a page needs a limit of at least 1".into()));
        }
        let from = match after {
            None => None,
            Some(id) => match successor(id) {
                Some(next) => Some(next),
                None => {
                    return Ok(ScrollPage {
                        points: Vec::new(),
                        next: None,
                    });
                }
            },
        };
        let (points, next) = self.with(|inner| inner.shard.page(from, limit))?;
        let next = next.and(points.last().map(|point| point.id));
        Ok(ScrollPage { points, next })
    }

    pub(super) fn search_many(&self, requests: &[SearchRequest]) -> Result<Vec<Vec<Hit>>> {
        self.with(|inner| {
            if inner.interrupted {
                let points = inner.shard.count(None)?;
                return Err(Error::Incomplete {
                    collection: self.name.to_string(),
                    points,
                });
            }
            match requests {
                [one] => Ok(vec![inner.search(one)?]),
                many => many.par_iter().map(|request| inner.search(request)).collect(),
            }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Inner) -> Result<T>) -> Result<T> {
        let guard: RwLockReadGuard<'_, _> = self.inner.read().map_err(|_| self.broken())?;
        work(guard.as_ref().ok_or_else(|| self.gone())?)
    }

    fn with_mut<T>(&self, work: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        let mut guard: RwLockWriteGuard<'_, _> = self.inner.write().map_err(|_| self.broken())?;
        work(guard.as_mut().ok_or_else(|| self.gone())?)
    }

    fn broken(&self) -> Error {
        Error::Unavailable(format!("a write to collection {} failed half-way", self.name))
    }

    fn gone(&self) -> Error {
        Error::not_found(format!("collection {}", self.name))
    }
}

impl Inner {
    /// Notes on disk that the collection is being changed, before it is.
    fn begin_writing(&mut self, dir: &Path) -> Result<()> {
        if self.manifest.phase != Phase::Loading {
            self.manifest.phase = Phase::Loading;
            self.manifest.write(dir)?;
        }
        Ok(())
    }

    /// Changes the shard and flushes it. After a failure the collection counts as interrupted until a load is finished.
    fn write(&mut self, change: impl FnOnce(&Shard) -> Result<()>) -> Result<()> {
        let written = change(&self.shard).and_then(|()| self.shard.flush());
        self.interrupted |= written.is_err();
        written
    }

    /// Merges segments and builds graphs, over short codes where so many points pay for them.
    fn optimize(&mut self, dir: &Path, points: u64) -> Result<()> {
        let codes = graph::has_codes(&self.manifest.spec, points);
        if codes != self.shard.has_codes() {
            self.shard.reopen(&self.manifest.spec, codes)?;
        }
        self.manifest.phase = Phase::Optimizing;
        // What an interruption leaves is copied into a shard without graphs.
        self.manifest.indexed = 0;
        self.manifest.write(dir)?;
        self.shard.run(edge::EdgeShard::optimize)?;
        self.shard.flush()?;
        self.manifest.indexed = points;
        Ok(())
    }

    fn search(&self, request: &SearchRequest) -> Result<Vec<Hit>> {
        let vector =
            self.manifest.spec.vector(&request.vector).ok_or_else(|| {
                Error::Invalid(format!("the collection has no vector {:?}", request.vector))
            })?;
        check_vector("the query", &request.vector, vector.dimension, &request.query)?;
        let filter = request.filter.as_ref().map(translate::filter).transpose()?;
        if request.limit == 0 {
            return Ok(Vec::new());
        }
        let exact = request.exact || vector.index == VectorIndex::Flat;

        // One more than asked for shows whether points of equal score were cut off at the limit; if so, ask for all of them.
        let mut ask = request.limit.saturating_add(1);
        loop {
            let query = translate::query(request, filter.clone(), exact, ask);
            let found = self.shard.run(|engine| engine.query(query))?;
            let mut hits: Vec<Hit> = found.into_iter().map(translate::hit).collect();
            hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
            let all_seen = hits.len() < ask;
            let cut_in_a_tie = !all_seen && hits[request.limit - 1].score == hits[hits.len() - 1].score;
            if exact && cut_in_a_tie {
                ask = ask.saturating_mul(2);
                continue;
            }
            hits.truncate(request.limit);
            return Ok(hits);
        }
    }
}

fn require_space(dir: &Path, bytes: u64) -> Result<()> {
    let free = fs4::available_space(dir).map_err(|error| Error::io(dir, error))?;
    if free < SPACE_RESERVE + bytes {
        return Err(Error::DiskFull { path: dir.to_owned() });
    }
    Ok(())
}

/// Copies every point into a new shard, once each. An interrupted optimisation may have left points in two segments.
fn rebuild(dir: &Path, spec: &CollectionSpec) -> Result<()> {
    let current = dir.join(SHARD_DIR);
    let new = dir.join("shard.new");
    let old = dir.join("shard.old");
    for leftover in [&new, &old] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(|error| Error::io(leftover, error))?;
        }
    }
    {
        let source = Shard::open(&current)?;
        let target = Shard::create(&new, spec)?;
        let mut from = None;
        let mut copied: Option<PointId> = None;
        loop {
            let (points, next) = source.page(from, REBUILD_PAGE)?;
            let points: Vec<Point> = points
                .into_iter()
                .filter(|point| {
                    let is_new = copied.is_none_or(|last| point.id > last);
                    copied = copied.max(Some(point.id));
                    is_new
                })
                .map(|StoredPoint { id, vectors, payload }| Point { id, vectors, payload })
                .collect();
            target.upsert(points)?;
            match next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        target.flush()?;
    }
    let swap = || -> std::io::Result<()> {
        fs::rename(&current, &old)?;
        fs::rename(&new, &current)?;
        sync_directory(dir)?;
        fs::remove_dir_all(&old)
    };
    swap().map_err(|error| Error::io(&current, error))?;
    let mut manifest = Manifest::new(spec.clone());
    manifest.phase = Phase::Loading;
    manifest.write(dir)
}
