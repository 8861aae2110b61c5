//! The server as a [`VectorStore`].

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use qdrant_client::qdrant::alias_operations::Action;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::{
    CreateAlias, DeleteAlias, DeletePoints, GetPoints, PointsIdsList, PointsSelector, ScrollPoints,
    UpsertPoints,
};
use uuid::Uuid;

use super::known::{FOR_SEARCHES, FOR_WRITES, Known};
use super::marker::Marker;
use super::options::QdrantOptions;
use super::search::{self, Target};
use super::server::{Kind, Points, Server};
use super::session::{Session, missing, what};
use super::{batches, layout, payload, translate};
use crate::vectors::{check_distinct, check_points, successor};
use crate::{
    CollectionInfo, CollectionName, CollectionSpec, Error, Filter, Health, Hit, Point, PointId, Result,
    ScrollPage, SearchRequest, StoredPoint, VectorStore,
};

/// Collections on a Qdrant server, which several processes may use at once; [the module](super) tells how loads are kept apart.
#[derive(Clone, Debug)]
pub struct QdrantVectorStore {
    session: Arc<Session>,
}

impl QdrantVectorStore {
    /// Connects to a server, and checks its version and that it takes the key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for impossible options and a certificate that is not trusted, [`Error::Unavailable`] where the server
    /// does not answer, [`Error::Denied`] where it does not take the key, [`Error::Incompatible`] where it is too old.
    pub async fn connect(options: &QdrantOptions) -> Result<Self> {
        let server = Server::new(options)?;
        let version = server.version().await?;
        let store = Self {
            session: Arc::new(Session {
                server,
                layout: options.layout.clone(),
                prefix: options.prefix.clone(),
                me: Uuid::new_v4(),
                known: Known::default(),
            }),
        };
        // The version is told to everyone, the collections only to those with the key.
        let collections = store.list_collections().await?.len();
        tracing::info!(url = options.url, version, collections, "connected to Qdrant");
        Ok(store)
    }
}

#[async_trait]
impl VectorStore for QdrantVectorStore {
    async fn create_collection(&self, name: &CollectionName, spec: &CollectionSpec) -> Result<()> {
        spec.check()?;
        let session = &self.session;
        session.refuse_alias(name).await?;
        match session.same(name, spec).await {
            Err(error) if error.is_not_found() => {}
            checked => return checked,
        }
        let marker = Marker::new(spec.clone(), session.me);
        let mut request = layout::create(&session.stored(name), spec, &session.layout);
        request.metadata = marker.metadata()?;
        match session.server.create(&request).await {
            // Another process was faster, or the answer of our own first attempt was lost.
            Err(error) if error.is_conflict() => return session.same(name, spec).await,
            created => created?,
        }
        session.known.forget(name);
        session.known.remember_written(name, marker);
        session.known.note_collection(name);
        session.index_fields(name, None, spec).await
    }

    async fn upsert(&self, name: &CollectionName, points: Vec<Point>) -> Result<()> {
        let session = &self.session;
        let spec_of = session.writable(name).await?;
        check_points(&spec_of.spec, &points)?;
        if points.is_empty() {
            return Ok(());
        }
        let points = batches::keep_last(points);
        for point in &points {
            payload::check(&point.payload)?;
        }
        let writes = session.known.writes(name);
        let _shared = writes.read().await;
        let marker = session.marker(name, FOR_WRITES).await?;
        session.begin_writing(name, &marker).await?;
        let stored = session.stored(name);
        let upsert = async {
            for piece in batches::split(&points) {
                let call = |mut client: Points| {
                    let request = UpsertPoints {
                        collection_name: stored.clone(),
                        wait: Some(true),
                        points: piece.iter().map(translate::point).collect(),
                        timeout: Some(session.server.timeout_seconds()),
                        ..UpsertPoints::default()
                    };
                    async move { client.upsert(request).await }
                };
                session.server.change(&what(name), call).await?;
            }
            Ok(())
        };
        session.changing(name, upsert).await
    }

    async fn search(&self, name: &CollectionName, request: SearchRequest) -> Result<Vec<Hit>> {
        let mut answers = self.search_many(name, vec![request]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    async fn search_many(
        &self,
        name: &CollectionName,
        requests: Vec<SearchRequest>,
    ) -> Result<Vec<Vec<Hit>>> {
        let session = &self.session;
        let mut marker = session.marker(name, FOR_SEARCHES).await?;
        // An alias may have moved, and a load may have been finished, since the marker was read.
        let is_current = |marker: &Marker| {
            marker.is_searchable(session.me, session.known.is_broken(name))
                && search::check(&marker.spec, &requests).is_ok()
        };
        if !is_current(&marker) {
            marker = session.info(name).await?.1;
        }
        if !marker.is_searchable(session.me, session.known.is_broken(name)) {
            return Err(Error::Incomplete {
                collection: name.to_string(),
                points: session.count(name, None).await?,
            });
        }
        search::check(&marker.spec, &requests)?;
        let target = Target {
            collection: &session.stored(name),
            spec: &marker.spec,
            graph: marker.graph,
        };
        search::run(&session.server, &target, &requests)
            .await
            .map_err(|error| {
                session.known.doubt();
                missing(error, name)
            })
    }

    async fn get(
        &self,
        name: &CollectionName,
        ids: &[PointId],
        with_vectors: bool,
    ) -> Result<Vec<StoredPoint>> {
        let session = &self.session;
        if ids.is_empty() {
            return session.marker(name, FOR_SEARCHES).await.map(|_| Vec::new());
        }
        let mut read = Vec::with_capacity(ids.len());
        for ids in ids.chunks(batches::IDS) {
            let request = GetPoints {
                collection_name: session.stored(name),
                ids: ids.iter().copied().map(translate::id).collect(),
                with_payload: Some(translate::with_payload(true)),
                with_vectors: Some(translate::with_vectors(with_vectors)),
                timeout: Some(session.server.timeout_seconds()),
                ..GetPoints::default()
            };
            let call = |mut points: Points| {
                let request = request.clone();
                async move { points.get(request).await }
            };
            let reply = session.server.points(Kind::Read, &what(name), call).await?;
            let mut found = HashMap::with_capacity(reply.result.len());
            for point in reply.result {
                let point = translate::stored_point(point)?;
                found.insert(point.id, point);
            }
            read.extend(ids.iter().filter_map(|id| found.get(id).cloned()));
        }
        Ok(read)
    }

    async fn count(&self, name: &CollectionName, filter: Option<Filter>) -> Result<u64> {
        self.session.count(name, filter.as_ref()).await
    }

    async fn scroll(
        &self,
        name: &CollectionName,
        after: Option<PointId>,
        limit: usize,
    ) -> Result<ScrollPage> {
        if limit == 0 {
            return Err(Error::Invalid("a page needs a limit of at least 1".into()));
        }
        let session = &self.session;
        let from = after.map(successor);
        if from == Some(None) {
            session.marker(name, FOR_SEARCHES).await?;
            return Ok(ScrollPage {
                points: Vec::new(),
                next: None,
            });
        }
        let request = ScrollPoints {
            collection_name: session.stored(name),
            offset: from.flatten().map(translate::id),
            limit: Some(u32::try_from(limit).unwrap_or(u32::MAX)),
            with_payload: Some(translate::with_payload(true)),
            with_vectors: Some(translate::with_vectors(true)),
            timeout: Some(session.server.timeout_seconds()),
            ..ScrollPoints::default()
        };
        let call = |mut points: Points| {
            let request = request.clone();
            async move { points.scroll(request).await }
        };
        let reply = session.server.points(Kind::Read, &what(name), call).await?;
        let points: Vec<StoredPoint> = reply
            .result
            .into_iter()
            .map(translate::stored_point)
            .collect::<Result<_>>()?;
        let next = reply.next_page_offset.and(points.last().map(|point| point.id));
        Ok(ScrollPage { points, next })
    }

    async fn delete(&self, name: &CollectionName, ids: &[PointId]) -> Result<()> {
        let session = &self.session;
        session.writable(name).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let writes = session.known.writes(name);
        let _shared = writes.read().await;
        let marker = session.marker(name, FOR_WRITES).await?;
        session.begin_writing(name, &marker).await?;
        let delete = async {
            for ids in ids.chunks(batches::IDS) {
                let ids = ids.iter().copied().map(translate::id).collect();
                let request = DeletePoints {
                    collection_name: session.stored(name),
                    wait: Some(true),
                    points: Some(PointsSelector {
                        points_selector_one_of: Some(PointsSelectorOneOf::Points(PointsIdsList { ids })),
                    }),
                    timeout: Some(session.server.timeout_seconds()),
                    ..DeletePoints::default()
                };
                let call = |mut points: Points| {
                    let request = request.clone();
                    async move { points.delete(request).await }
                };
                session.server.change(&what(name), call).await?;
            }
            Ok(())
        };
        session.changing(name, delete).await
    }

    async fn drop_collection(&self, name: &CollectionName) -> Result<()> {
        let session = &self.session;
        let aliases = session.aliases().await?;
        if let Some((_, target)) = aliases.iter().find(|(alias, _)| alias == name) {
            return Err(Error::is_alias(name, target));
        }
        if let Some((alias, _)) = aliases.iter().find(|(_, target)| target == name) {
            return Err(Error::aliased(name, alias));
        }
        session.known.forget(name);
        session.server.delete(&session.stored(name)).await
    }

    async fn list_collections(&self) -> Result<Vec<CollectionName>> {
        let stored = self.session.server.collections().await?;
        let mut names: Vec<CollectionName> =
            stored.iter().filter_map(|name| self.session.ours(name)).collect();
        names.sort();
        Ok(names)
    }

    async fn collection(&self, name: &CollectionName) -> Result<CollectionInfo> {
        let session = &self.session;
        let (_, marker) = session.info(name).await?;
        let points = session.count(name, None).await?;
        let broken = session.known.is_broken(name);
        Ok(CollectionInfo {
            spec: marker.spec.clone(),
            points,
            state: marker.state(session.me, points, broken),
            searchable: marker.is_searchable(session.me, broken),
        })
    }

    async fn finish_load(&self, name: &CollectionName) -> Result<u64> {
        let session = &self.session;
        let (_, marker) = session.info(name).await?;
        session.refuse_alias(name).await?;
        let points = session.count(name, None).await?;
        let complete = marker.loader.is_none() && marker.finished == Some(points);
        if complete && !session.known.is_broken(name) {
            return Ok(points);
        }
        let graph = session.build(name, &marker, points).await?;
        let writes = session.known.writes(name);
        let _alone = writes.write().await;
        let points = session.count(name, None).await?;
        session.write_marker(name, marker.finished(points, graph)).await?;
        session.known.note_broken(name, false);
        Ok(points)
    }

    async fn set_aliases(&self, aliases: &[(CollectionName, CollectionName)]) -> Result<()> {
        check_distinct(aliases)?;
        if aliases.is_empty() {
            return Ok(());
        }
        let session = &self.session;
        // The server checks alias by alias and would keep those before a bad one.
        let collections = self.list_collections().await?;
        for (alias, target) in aliases {
            if collections.binary_search(alias).is_ok() {
                return Err(Error::taken_by_collection(alias));
            }
            if collections.binary_search(target).is_err() {
                return Err(Error::not_found(what(target)));
            }
        }
        let create = |(alias, target): &(CollectionName, CollectionName)| {
            Action::CreateAlias(CreateAlias {
                collection_name: session.stored(target),
                alias_name: session.stored(alias),
            })
        };
        session.change_aliases(aliases.iter().map(create)).await
    }

    async fn aliases(&self) -> Result<Vec<(CollectionName, CollectionName)>> {
        self.session.aliases().await
    }

    async fn remove_aliases(&self, aliases: &[CollectionName]) -> Result<()> {
        let session = &self.session;
        let there = session.aliases().await?;
        let gone: Vec<Action> = there
            .iter()
            .filter(|(alias, _)| aliases.contains(alias))
            .map(|(alias, _)| {
                Action::DeleteAlias(DeleteAlias {
                    alias_name: session.stored(alias),
                })
            })
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        session.change_aliases(gone).await
    }

    async fn health(&self) -> Result<Health> {
        let version = self.session.server.version().await?;
        let collections = self.list_collections().await?.len();
        Ok(Health {
            engine: format!("qdrant {version}"),
            collections,
        })
    }
}
