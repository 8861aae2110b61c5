//! Collections of named vectors, searched by inner product.

mod check;
mod collection;
mod filter;
mod point;
mod search;

use async_trait::async_trait;

pub(crate) use check::{check_points, check_vector, successor};
pub(crate) use collection::check_distinct;
pub use collection::{
    CollectionInfo, CollectionName, CollectionSpec, CollectionState, FieldKind, Health, IndexedField,
    VectorIndex, VectorSpec,
};
pub use filter::{Condition, Filter};
pub use point::{Payload, Point, PointId, ScrollPage, StoredPoint};
pub use search::{Hit, SearchRequest};

use crate::Result;

/// Collections of points with named vectors and a JSON payload. Use it as `Arc<dyn VectorStore>`.
///
/// Every write can be repeated with the same result. After the last write of a load call [`finish_load`](Self::finish_load);
/// a load that was interrupted before it leaves the collection [`CollectionState::Incomplete`], which answers everything but
/// searches, so that a loader can find what is missing.
///
/// An **alias** is a second name of a collection, by which it is searched and read, so that a reader can follow the active
/// release without knowing which one it is. What changes a collection names the collection itself.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Creates a collection; the same specification again changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) where the collection exists with another specification or an alias has its
    /// name, [`Error::Invalid`](crate::Error::Invalid) for an impossible specification.
    async fn create_collection(&self, name: &CollectionName, spec: &CollectionSpec) -> Result<()>;

    /// Inserts or replaces points by id, all or none of the batch.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where a vector is missing, unknown, of the wrong dimension or not finite,
    /// [`Error::Conflict`](crate::Error::Conflict) for an alias.
    async fn upsert(&self, name: &CollectionName, points: Vec<Point>) -> Result<()>;

    /// The nearest points by inner product, best first; equal scores in order of id, also at the limit of exact searches.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a query of the wrong dimension or with a value that is not finite,
    /// [`Error::Incomplete`](crate::Error::Incomplete) for a collection whose load was interrupted.
    async fn search(&self, name: &CollectionName, request: SearchRequest) -> Result<Vec<Hit>>;

    /// Many searches of one collection, answers in order.
    ///
    /// # Errors
    /// As [`search`](Self::search); one bad request fails the batch.
    async fn search_many(
        &self,
        name: &CollectionName,
        requests: Vec<SearchRequest>,
    ) -> Result<Vec<Vec<Hit>>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.search(name, request).await?);
        }
        Ok(answers)
    }

    /// The points with these ids, in the order asked; ids that are not there are left out.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a collection.
    async fn get(
        &self,
        name: &CollectionName,
        ids: &[PointId],
        with_vectors: bool,
    ) -> Result<Vec<StoredPoint>>;

    /// How many points match, exactly.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a collection.
    async fn count(&self, name: &CollectionName, filter: Option<Filter>) -> Result<u64>;

    /// The next `limit` points after an id (from the start with `None`), in order of id, with payloads and vectors.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a collection.
    async fn scroll(&self, name: &CollectionName, after: Option<PointId>, limit: usize)
    -> Result<ScrollPage>;

    /// Deletes points; ids that are not there are no error.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a collection,
    /// [`Error::Conflict`](crate::Error::Conflict) for an alias.
    async fn delete(&self, name: &CollectionName, ids: &[PointId]) -> Result<()>;

    /// Deletes a collection with its points; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) for an alias and for a collection that an alias names, and those of the disk
    /// or the network.
    async fn drop_collection(&self, name: &CollectionName) -> Result<()>;

    /// The names of all collections, sorted; aliases are not among them.
    ///
    /// # Errors
    /// Only those of the disk or the network.
    async fn list_collections(&self) -> Result<Vec<CollectionName>>;

    /// Specification, point count and state of a collection.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a collection.
    async fn collection(&self, name: &CollectionName) -> Result<CollectionInfo>;

    /// Ends a load: builds the indexes, makes everything durable, marks the collection complete and returns its point count.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) without such a collection,
    /// [`Error::Conflict`](crate::Error::Conflict) for an alias, and those of the disk or the network.
    async fn finish_load(&self, name: &CollectionName) -> Result<u64>;

    /// Points aliases (first of each pair) at collections (second), replacing their earlier targets: all at once, or none.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) where a collection is missing,
    /// [`Error::Conflict`](crate::Error::Conflict) where a collection has the alias's name,
    /// [`Error::Invalid`](crate::Error::Invalid) where an alias is given twice.
    async fn set_aliases(&self, aliases: &[(CollectionName, CollectionName)]) -> Result<()>;

    /// Every alias with its collection, sorted by alias.
    ///
    /// # Errors
    /// Only those of the disk or the network.
    async fn aliases(&self) -> Result<Vec<(CollectionName, CollectionName)>>;

    /// Removes aliases, all at once; ones that are not there are no error, and collections stay as they are.
    ///
    /// # Errors
    /// Only those of the disk or the network.
    async fn remove_aliases(&self, aliases: &[CollectionName]) -> Result<()>;

    /// Whether the store can be used now.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable), [`Error::Io`](crate::Error::Io) or
    /// [`Error::DiskFull`](crate::Error::DiskFull) where it cannot.
    async fn health(&self) -> Result<Health>;
}
