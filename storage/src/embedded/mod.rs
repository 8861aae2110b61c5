//! The embedded vector store: Qdrant Edge, a directory a collection, one process at a time.
//!
//! The engine keeps no catalogue of collections or aliases, replays no log and takes no lock; this module adds them:
//!
//! - `<root>/.lock` is held as long as the store is open;
//! - `<root>/<collection>/collection.json` says what the collection is for and whether its last load was finished.
//!   It is marked before the first write and after the last, so that an interrupted load is always noticed;
//! - `<root>/aliases.json` says which collection each alias names, and is replaced whole;
//! - every batch is flushed before `upsert` returns, so that an interrupted load goes on where it stopped.
//!
//! The engine is synchronous: every call runs on tokio's blocking threads.

mod aliases;
mod atomic_file;
mod collection;
mod graph;
mod lock;
mod manifest;
mod registry;
mod shard;
mod store;
mod translate;

pub use store::EmbeddedVectorStore;

/// Name and version of the engine, as health checks show it.
pub(crate) const ENGINE: &str = "qdrant-edge 0.7.2";
