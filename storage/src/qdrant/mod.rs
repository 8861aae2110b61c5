//! The server vector store: Qdrant over gRPC, shared by any number of processes.
//!
//! The messages are `qdrant-client`'s; connection, retries and errors are ours, so that a custom certificate authority can be
//! trusted, several aliases move in one call, and every failure names the server and the remedy
//! (docs/decisions/0030-qdrant-over-its-generated-client.md).
//!
//! # Whether a load was finished
//!
//! The embedded store keeps a manifest beside each collection. Here the same facts are the collection's own **metadata** on the
//! server ([`marker`]): specification, who is loading it, and how many points it had when a load was last finished. The server
//! writes metadata to its disk before it answers, replicates it as it does the rest of the configuration, and drops it with the
//! collection. Each opened store has an identity of its own; it enters it before its first write and clears it in `finish_load`.
//!
//! A server does not tell whether another loader is still alive, so no reader has to know:
//!
//! - a collection whose first load is not finished is searched by its loader alone. To everyone else it is
//!   [`CollectionState::Incomplete`](crate::CollectionState), whether the loader died or is at work, and it stays so to whoever
//!   takes the load over until it is finished;
//! - a collection that was complete once and is being changed stays searchable for all: reference images are added and removed
//!   while services answer. Its state is `Loading` to the store that changes it and `Incomplete` to others;
//! - without a loader it is `Complete` if it holds as many points as were counted when its load was finished.
//!
//! Two stores that load one collection at once are not kept apart here (the catalog does that): the first `finish_load` ends the
//! load of both, and the next write of the other begins one anew, within a second.

mod batches;
mod channel;
mod fault;
mod known;
mod layout;
mod marker;
mod options;
mod payload;
mod search;
mod server;
mod session;
mod store;
mod translate;

pub use options::{ApiKey, Layout, QdrantOptions, Quantization};
pub use store::QdrantVectorStore;
