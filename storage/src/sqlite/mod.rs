//! The embedded catalog: one SQLite file, shared by any number of processes.
//!
//! The file is in WAL mode, so that readers never wait for a writer. Writers take their lock at the start of a transaction
//! (`BEGIN IMMEDIATE`); those of one process queue, those of several wait up to ten seconds for one another.

mod analytics;
mod api_keys;
mod audit;
mod error;
mod gallery;
mod hold;
mod migrate;
mod open;
mod predictions;
mod releases;
mod retention;
mod row;
mod store;
mod truths;
mod write;

pub use store::SqliteCatalog;
