//! Where vectors and records live.
//!
//! Two traits, each with an embedded backend that needs no service:
//!
//! - [`VectorStore`]: collections of named vectors searched by inner product. [`EmbeddedVectorStore`] keeps each
//!   collection in a directory with Qdrant Edge; [`QdrantVectorStore`] keeps them on a Qdrant server.
//! - [`Catalog`]: releases, geocells, reference images, predictions and ground truth. [`SqliteCatalog`] keeps them in one
//!   SQLite file.
//!
//! Every backend passes the suites in [`conformance`].

pub mod catalog;
pub mod conformance;
pub mod embedded;
mod error;
pub mod qdrant;
pub mod sqlite;
pub mod vectors;

pub use catalog::{
    Candidate, Catalog, CredibleRegion, GeocellRecord, GroundTruth, ImageReference, NewRelease, Prediction,
    PredictionFilter, ReferenceImage, Release, ReleaseCounts, ReleaseId, ReleaseStatus,
};
pub use embedded::EmbeddedVectorStore;
pub use error::{Error, Result};
pub use qdrant::{QdrantOptions, QdrantVectorStore};
pub use sqlite::SqliteCatalog;
pub use vectors::{
    CollectionInfo, CollectionName, CollectionSpec, CollectionState, Condition, FieldKind, Filter, Health,
    Hit, IndexedField, Payload, Point, PointId, ScrollPage, SearchRequest, StoredPoint, VectorIndex,
    VectorSpec, VectorStore,
};
