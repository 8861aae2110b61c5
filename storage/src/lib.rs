//! Where vectors and records live.
//!
//! Two traits, each with an embedded backend that needs no service and one for a team:
//!
//! - [`VectorStore`]: collections of named vectors searched by inner product. [`EmbeddedVectorStore`] keeps each
//!   collection in a directory with Qdrant Edge; [`QdrantVectorStore`] keeps them on a Qdrant server.
//! - [`Catalog`]: releases, geocells, reference images, predictions, ground truth and the audit log. [`SqliteCatalog`] keeps
//!   them in one SQLite file, [`PostgresCatalog`] in a database that a team shares.
//!
//! [`analytics`] describes the catalog's views for people who ask in SQL.
//!
//! Every backend passes the suites in [`conformance`].

pub mod analytics;
pub mod catalog;
pub mod conformance;
pub mod embedded;
mod error;
mod migrations;
pub mod postgres;
pub mod qdrant;
pub mod sqlite;
pub mod vectors;

pub use catalog::{
    ApiKey, AuditEntry, AuditFilter, Candidate, Catalog, CredibleRegion, DeletedPredictions, GeocellRecord,
    GroundTruth, Hold, ImageReference, LevelCell, NewRelease, PlaceName, Prediction, PredictionFilter,
    PredictionSelection, ReferenceImage, Release, ReleaseCounts, ReleaseId, ReleaseStatus, Scope, Shadows,
};
pub use embedded::EmbeddedVectorStore;
pub use error::{Error, Result};
pub use migrations::{MigrationInfo, MigrationState};
pub use postgres::{PostgresCatalog, PostgresConfig, PostgresMigration};
pub use qdrant::{QdrantOptions, QdrantVectorStore};
pub use sqlite::SqliteCatalog;
pub use vectors::{
    CollectionInfo, CollectionName, CollectionSpec, CollectionState, Condition, FieldKind, Filter, Health,
    Hit, IndexedField, Payload, Point, PointId, ScrollPage, SearchRequest, StoredPoint, VectorIndex,
    VectorSpec, VectorStore,
};
