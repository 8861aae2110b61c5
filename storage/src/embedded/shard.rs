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
        let engine = edge::EdgeShard::new(path, translate::config(spec))
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
        let opened = guard(path, || edge::EdgeShard::load(path, None))?;
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
