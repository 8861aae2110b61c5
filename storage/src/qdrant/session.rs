//! One opened store: the server, its identity among loaders, and what it knows of collections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qdrant_client::qdrant::alias_operations::Action;
use qdrant_client::qdrant::{
    AliasOperations, ChangeAliases, CollectionInfo as ServerInfo, CollectionStatus, CountPoints,
    UpdateCollection,
};
use uuid::Uuid;

use super::known::{FOR_WRITES, Known};
use super::layout::{self, Graph};
use super::marker::Marker;
use super::options::Layout;
use super::server::{Kind, Points, Server};
use super::translate;
use crate::{CollectionName, CollectionSpec, Error, Filter, Result};

/// Pauses between looks at a server that builds graphs.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long a server that has just been told to build graphs may take to begin.
const BEGIN_BUILDING: Duration = Duration::from_secs(30);

/// What all handles of an opened store share.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) server: Server,
    pub(super) layout: Layout,
    pub(super) prefix: String,
    /// This store among the loaders of collections.
    pub(super) me: Uuid,
    pub(super) known: Known,
}

impl Session {
    /// A collection's name on the server.
    pub(super) fn stored(&self, name: &CollectionName) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Our name of a collection or alias of the server; `None` for those of others.
    pub(super) fn ours(&self, stored: &str) -> Option<CollectionName> {
        CollectionName::new(stored.strip_prefix(&self.prefix)?).ok()
    }

    pub(super) async fn info(&self, name: &CollectionName) -> Result<(ServerInfo, Arc<Marker>)> {
        let (stored, written) = (self.stored(name), self.known.written(name));
        let Some(info) = self.server.info(&stored).await? else {
            self.known.forget(name);
            return Err(Error::not_found(format!("collection {name}")));
        };
        let marker = Marker::read(&stored, &info)?;
        let marker = self.known.remember_read(name, marker, written);
        Ok((info, marker))
    }

    /// A collection's marker, read less than `age` ago.
    pub(super) async fn marker(&self, name: &CollectionName, age: Duration) -> Result<Arc<Marker>> {
        match self.known.marker(name, age) {
            Some(marker) => Ok(marker),
            None => Ok(self.info(name).await?.1),
        }
    }

    /// Every alias with its collection, by our names.
    pub(super) async fn aliases(&self) -> Result<Vec<(CollectionName, CollectionName)>> {
        let aliases = self.server.aliases().await?;
        let ours = |(alias, target): (String, String)| Some((self.ours(&alias)?, self.ours(&target)?));
        let mut pairs: Vec<_> = aliases.into_iter().filter_map(ours).collect();
        pairs.sort();
        Ok(pairs)
    }

    /// What is changed is named itself.
    pub(super) async fn refuse_alias(&self, name: &CollectionName) -> Result<()> {
        match self.aliases().await?.iter().find(|(alias, _)| alias == name) {
            Some((_, target)) => Err(Error::is_alias(name, target)),
            None => Ok(()),
        }
    }

    /// The marker of a collection that is to be changed.
    pub(super) async fn writable(&self, name: &CollectionName) -> Result<Arc<Marker>> {
        let marker = self.marker(name, FOR_WRITES).await?;
        if !self.known.is_collection(name) {
            self.refuse_alias(name).await?;
            self.known.note_collection(name);
        }
        Ok(marker)
    }

    /// Notes on the server that this store changes the collection, before it does.
    pub(super) async fn begin_writing(&self, name: &CollectionName, marker: &Marker) -> Result<()> {
        if marker.loader == Some(self.me) {
            return Ok(());
        }
        self.write_marker(name, marker.loaded_by(self.me)).await
    }

    pub(super) async fn write_marker(&self, name: &CollectionName, marker: Marker) -> Result<()> {
        let request = UpdateCollection {
            collection_name: self.stored(name),
            metadata: marker.metadata()?,
            ..UpdateCollection::default()
        };
        self.server
            .update(&request)
            .await
            .map_err(|error| missing(error, name))?;
        self.known.remember_written(name, marker);
        Ok(())
    }

    pub(super) async fn count(&self, name: &CollectionName, filter: Option<&Filter>) -> Result<u64> {
        let request = CountPoints {
            collection_name: self.stored(name),
            filter: filter.map(translate::filter).transpose()?,
            exact: Some(true),
            timeout: Some(self.server.timeout_seconds()),
            ..CountPoints::default()
        };
        let call = |mut points: Points| {
            let request = request.clone();
            async move { points.count(request).await }
        };
        let reply = self.server.points(Kind::Read, &what(name), call).await?;
        Ok(reply.result.map_or(0, |result| result.count))
    }

    /// Creates what of the specification's indexes is missing, e.g. after an interrupted creation.
    pub(super) async fn index_fields(
        &self,
        name: &CollectionName,
        info: Option<&ServerInfo>,
        spec: &CollectionSpec,
    ) -> Result<()> {
        for index in &spec.indexed {
            let there = info
                .and_then(|info| info.payload_schema.get(&index.field))
                .is_some_and(|stored| layout::is_index_of(index.kind, stored.data_type()));
            if !there {
                let request = layout::field_index(&self.stored(name), index);
                self.server.index_field(&request).await?;
            }
        }
        Ok(())
    }

    /// Checks that an existing collection is alike.
    pub(super) async fn same(&self, name: &CollectionName, spec: &CollectionSpec) -> Result<()> {
        let (info, marker) = self.info(name).await?;
        if !marker.spec.is_equivalent(spec) {
            return Err(Error::Conflict(format!(
                "collection {name} exists with other vectors or indexes: drop it first, or use another name"
            )));
        }
        self.index_fields(name, Some(&info), spec).await
    }

    /// Builds graphs and codes for so many points, if there shall be any, and waits for them.
    pub(super) async fn build(
        &self,
        name: &CollectionName,
        marker: &Marker,
        points: u64,
    ) -> Result<Option<Graph>> {
        let graph = Graph::choose(&marker.spec, points, self.layout.quantization);
        let rebuilt = match graph {
            Some(graph) if marker.graph != Some(graph) => {
                let request = layout::build(&self.stored(name), &marker.spec, graph);
                self.server.update(&request).await?;
                true
            }
            _ => false,
        };
        if let Some(graph) = graph {
            self.wait_until_built(name, &marker.spec, graph, rebuilt).await?;
        }
        Ok(graph)
    }

    /// Waits until the server has nothing left to build. After a change of what it builds, two looks in a row must say so, and a
    /// collection that is large enough must have a graph: the server begins a moment after it has answered.
    pub(super) async fn wait_until_built(
        &self,
        name: &CollectionName,
        spec: &CollectionSpec,
        graph: Graph,
        rebuilt: bool,
    ) -> Result<()> {
        let started = Instant::now();
        let dimension = spec.vectors.iter().map(|vector| vector.dimension as u64).max();
        let mut quiet = 0;
        loop {
            let (info, _) = self.info(name).await?;
            match info.status() {
                CollectionStatus::Red => {
                    let reason = info
                        .optimizer_status
                        .map(|status| status.error)
                        .unwrap_or_default();
                    return Err(Error::Unavailable(format!(
                        "the Qdrant server cannot index collection {name}: {reason}; see its log and its disk"
                    )));
                }
                CollectionStatus::Green => quiet += 1,
                CollectionStatus::Grey => {
                    // A server that was restarted leaves its indexes as they are until it is told something.
                    self.server
                        .update(&layout::build(&self.stored(name), spec, graph))
                        .await?;
                    quiet = 0;
                }
                _ => quiet = 0,
            }
            let kilobytes = info.points_count() * dimension.unwrap_or(0) * 4 / 1000;
            let due = kilobytes / info.segments_count.max(1) > 2 * layout::GRAPH_FROM_KB;
            let begun = !due || info.indexed_vectors_count() > 0 || started.elapsed() > BEGIN_BUILDING;
            if quiet > u32::from(rebuilt) && begun {
                tracing::info!(%name, seconds = started.elapsed().as_secs_f64(), indexed = info.indexed_vectors_count(),
                    segments = info.segments_count, "collection is indexed");
                return Ok(());
            }
            tracing::debug!(%name, status = ?info.status(), indexed = info.indexed_vectors_count(), "indexing");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Runs a change; after a failure the collection counts as interrupted until a load is finished.
    pub(super) async fn changing<F>(&self, name: &CollectionName, change: F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let changed = change.await.map_err(|error| missing(error, name));
        if changed.is_err() {
            self.known.note_broken(name, true);
        }
        changed
    }

    /// Changes aliases in one call, which every other request sees whole or not at all.
    pub(super) async fn change_aliases(&self, actions: impl IntoIterator<Item = Action>) -> Result<()> {
        let operation = |action| AliasOperations { action: Some(action) };
        let request = ChangeAliases {
            actions: actions.into_iter().map(operation).collect(),
            timeout: None,
        };
        let changed = self.server.change_aliases(&request).await;
        self.known.doubt();
        changed
    }
}

/// The thing asked for, as errors name it.
pub(super) fn what(name: &CollectionName) -> String {
    format!("collection {name}")
}

/// Errors name collections without the prefix.
pub(super) fn missing(error: Error, name: &CollectionName) -> Error {
    match error {
        Error::NotFound { .. } => Error::not_found(what(name)),
        other => other,
    }
}
