//! The engine's shard, with its failures turned into errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fs_err as fs;
use qdrant_edge as edge;

use super::translate;
use crate::{CollectionSpec, Error, Point, PointId, Result, StoredPoint};

/// A shard on disk. The engine panics where a flush fails, also when dropped; here every such panic becomes an error.
#[derive(Debug)]
pub(super) struct Shard {
    path: PathBuf,
    engine: Option<edge::EdgeShard>,
}

impl Shard {
    /// Creates an empty shard in a new directory and indexes its fields.
    pub(super) fn create(path: &Path, spec: &CollectionSpec) -> Result<Self> {
        fs::create_dir(path).map_err(|error| Error::io(path, error))?;
        let engine = edge::EdgeShard::new(path, translate::config(spec, false))
            .map_err(|error| engine_error(path, &error.to_string()))?;
        let shard = Self {
            path: path.to_owned(),
            engine: Some(engine),
        };
        for index in &spec.indexed {
            shard.update(translate::field_index(&index.field, index.kind)?)?;
        }
        shard.flush()?;
        Ok(shard)
    }

    /// Opens a shard that was created here.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::load(path, None)
    }

    /// Opens the shard anew so that the next optimisation gives its points short codes, or takes them away.
    pub(super) fn reopen(&mut self, spec: &CollectionSpec, codes: bool) -> Result<()> {
        self.flush()?;
        let engine = self.engine.take();
        guard(&self.path, || drop(engine))?;
        *self = Self::load(&self.path, Some(translate::config(spec, codes)))?;
        Ok(())
    }

    /// Whether points get short codes when the shard is optimised.
    pub(super) fn has_codes(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| {
            let config = engine.config();
            let mut vectors = config.vectors.values();
            vectors.any(|vector| vector.quantization_config.is_some())
        })
    }

    fn load(path: &Path, config: Option<edge::EdgeConfig>) -> Result<Self> {
        let opened = guard(path, || edge::EdgeShard::load(path, config))?;
        let engine = opened.map_err(|error| match engine_error(path, &error.to_string()) {
            Error::Unavailable(reason) => Error::Corrupt {
                path: path.to_owned(),
                reason,
            },
            other => other,
        })?;
        Ok(Self {
            path: path.to_owned(),
            engine: Some(engine),
        })
    }

    /// Runs one operation of the engine.
    pub(super) fn run<T>(
        &self,
        operation: impl FnOnce(&edge::EdgeShard) -> edge::OperationResult<T>,
    ) -> Result<T> {
        let Some(engine) = &self.engine else {
            return Err(Error::Unavailable(format!("{} is closed", self.path.display())));
        };
        guard(&self.path, || operation(engine))?.map_err(|error| engine_error(&self.path, &error.to_string()))
    }

    /// Applies a change; durable after [`flush`](Self::flush).
    pub(super) fn update(&self, operation: edge::UpdateOperation) -> Result<()> {
        self.run(|engine| engine.update(operation))
    }

    /// Inserts or replaces points that were checked before.
    pub(super) fn upsert(&self, points: Vec<Point>) -> Result<()> {
        self.update(translate::upsert(points))
    }

    /// Writes everything to disk. No other operation may be running.
    pub(super) fn flush(&self) -> Result<()> {
        self.run(|engine| {
            engine.flush();
            Ok(())
        })
    }

    /// Points that match, exactly.
    pub(super) fn count(&self, filter: Option<edge::Filter>) -> Result<u64> {
        self.run(|engine| engine.count(edge::CountRequest { filter, exact: true }))
            .map(|count| count as u64)
    }

    /// A page of points from an id on (itself included), and the id after it.
    pub(super) fn page(
        &self,
        from: Option<PointId>,
        limit: usize,
    ) -> Result<(Vec<StoredPoint>, Option<PointId>)> {
        let (records, next) = self.run(|engine| {
            engine.scroll(edge::ScrollRequest {
                offset: from.map(Into::into),
                limit: Some(limit),
                filter: None,
                with_payload: Some(edge::WithPayloadInterface::Bool(true)),
                with_vector: edge::WithVector::Bool(true),
                order_by: None,
            })
        })?;
        let points = records
            .into_iter()
            .map(translate::stored_point)
            .collect::<Result<_>>()?;
        Ok((points, next.map(Into::into)))
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        let engine = self.engine.take();
        if let Err(error) = guard(&self.path, || drop(engine)) {
            tracing::error!(path = %self.path.display(), %error, "vector collection not flushed");
        }
    }
}

/// Turns a panic of the engine into an error.
fn guard<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| engine_error(path, &panic_message(panic.as_ref())))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the vector engine stopped".to_owned())
}

/// The engine tells what happened in words only.
fn engine_error(path: &Path, message: &str) -> Error {
    if message.contains("No space left on device") || message.contains("StorageFull") {
        return Error::DiskFull {
            path: path.to_owned(),
        };
    }
    let message = message.lines().next().unwrap_or_default();
    Error::Unavailable(format!("{}: {message}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::conformance::like_embeddings;
    use crate::{SearchRequest, VectorSpec};

    /// Enough for a graph, which the engine builds from 10 MB of vectors on.
    const POINTS: usize = 24_000;
    const DIMENSION: usize = 128;

    fn nearest(shard: &Shard, query: &[f32], exact: bool) -> Vec<PointId> {
        let request = SearchRequest::new("v", query.to_vec(), 10);
        let found = shard
            .run(|engine| engine.query(translate::query(&request, None, exact, 10)))
            .unwrap();
        found.into_iter().map(|point| point.id.into()).collect()
    }

    #[test]
    fn short_codes_find_what_the_vectors_find_and_leave_exact_searches_exact() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let spec = CollectionSpec::new([VectorSpec::graph("v", DIMENSION)]);
        let mut rows = like_embeddings(POINTS + 40, DIMENSION);
        let queries = rows.split_off(POINTS);
        let mut shard = Shard::create(&path, &spec).unwrap();
        for (first, chunk) in rows.chunks(500).enumerate() {
            let points = chunk
                .iter()
                .enumerate()
                .map(|(at, row)| Point::new((first * 500 + at) as u64, [("v", row.clone())]));
            shard.upsert(points.collect()).unwrap();
        }
        assert!(!shard.has_codes());
        let before: Vec<_> = queries.iter().map(|query| nearest(&shard, query, true)).collect();

        shard.reopen(&spec, true).unwrap();
        assert!(shard.has_codes());
        assert!(shard.run(edge::EdgeShard::optimize).unwrap());
        shard.flush().unwrap();
        drop(shard);
        let shard = Shard::open(&path).unwrap();
        assert!(shard.has_codes());
        assert_eq!(shard.count(None).unwrap(), POINTS as u64);
        let mut found = 0;
        for (query, wanted) in queries.iter().zip(&before) {
            assert_eq!(&nearest(&shard, query, true), wanted);
            let answers = nearest(&shard, query, false);
            found += wanted.iter().filter(|id| answers.contains(id)).count();
        }
        let recall = found as f64 / (10 * queries.len()) as f64;
        assert!(recall >= 0.95, "recall {recall}");
    }
}
