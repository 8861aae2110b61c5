//! The embedded store as a [`VectorStore`].

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::ENGINE;
use super::registry::Registry;
use crate::{
    CollectionInfo, CollectionName, CollectionSpec, Error, Filter, Health, Hit, Point, PointId, Result,
    ScrollPage, SearchRequest, StoredPoint, VectorStore,
};

/// Vectors in a directory of this machine, without a service. One process at a time may open it.
#[derive(Clone, Debug)]
pub struct EmbeddedVectorStore {
    registry: Arc<Registry>,
}

impl EmbeddedVectorStore {
    /// Opens a directory, which is created if need be. Collections are opened when they are first used.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process has it open, [`Error::Io`] where it cannot be created or written.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        let registry = blocking(move || Registry::open(&dir)).await?;
        Ok(Self {
            registry: Arc::new(registry),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Registry) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let registry = Arc::clone(&self.registry);
        blocking(move || work(&registry)).await
    }
}

/// Runs synchronous work on tokio's blocking threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::Unavailable(format!("the vector engine stopped: {error}"))))
}

#[async_trait]
impl VectorStore for EmbeddedVectorStore {
    async fn create_collection(&self, name: &CollectionName, spec: &CollectionSpec) -> Result<()> {
        let (name, spec) = (name.clone(), spec.clone());
        self.run(move |registry| registry.create(&name, &spec)).await
    }

    async fn upsert(&self, name: &CollectionName, points: Vec<Point>) -> Result<()> {
        let name = name.clone();
        self.run(move |registry| registry.writable(&name)?.upsert(points))
            .await
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
        let name = name.clone();
        self.run(move |registry| registry.collection(&name)?.search_many(&requests))
            .await
    }

    async fn get(
        &self,
        name: &CollectionName,
        ids: &[PointId],
        with_vectors: bool,
    ) -> Result<Vec<StoredPoint>> {
        let (name, ids) = (name.clone(), ids.to_vec());
        self.run(move |registry| registry.collection(&name)?.get(&ids, with_vectors))
            .await
    }

    async fn count(&self, name: &CollectionName, filter: Option<Filter>) -> Result<u64> {
        let name = name.clone();
        self.run(move |registry| registry.collection(&name)?.count(filter.as_ref()))
            .await
    }

    async fn scroll(
        &self,
        name: &CollectionName,
        after: Option<PointId>,
        limit: usize,
    ) -> Result<ScrollPage> {
        let name = name.clone();
        self.run(move |registry| registry.collection(&name)?.scroll(after, limit))
            .await
    }

    async fn delete(&self, name: &CollectionName, ids: &[PointId]) -> Result<()> {
        let (name, ids) = (name.clone(), ids.to_vec());
        self.run(move |registry| registry.writable(&name)?.delete(&ids))
            .await
    }

    async fn drop_collection(&self, name: &CollectionName) -> Result<()> {
        let name = name.clone();
        self.run(move |registry| registry.drop_collection(&name)).await
    }

    async fn list_collections(&self) -> Result<Vec<CollectionName>> {
        self.run(Registry::list).await
    }

    async fn collection(&self, name: &CollectionName) -> Result<CollectionInfo> {
        let name = name.clone();
        self.run(move |registry| registry.collection(&name)?.info()).await
    }

    async fn finish_load(&self, name: &CollectionName) -> Result<u64> {
        let name = name.clone();
        self.run(move |registry| registry.writable(&name)?.finish_load())
            .await
    }

    async fn set_aliases(&self, aliases: &[(CollectionName, CollectionName)]) -> Result<()> {
        let aliases = aliases.to_vec();
        self.run(move |registry| registry.set_aliases(&aliases)).await
    }

    async fn aliases(&self) -> Result<Vec<(CollectionName, CollectionName)>> {
        self.run(|registry| Ok(registry.aliases())).await
    }

    async fn remove_aliases(&self, aliases: &[CollectionName]) -> Result<()> {
        let aliases = aliases.to_vec();
        self.run(move |registry| registry.remove_aliases(&aliases)).await
    }

    async fn health(&self) -> Result<Health> {
        let collections = self.run(Registry::list).await?.len();
        Ok(Health {
            engine: ENGINE.to_owned(),
            collections,
        })
    }
}
