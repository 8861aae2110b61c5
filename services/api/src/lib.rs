//! The service: GraphQL over HTTP, the map, GraphiQL, health.
//!
//! - [`ServeConfig`]: address and limits.
//! - [`Service`]: the active release, the way to its encoder, and the record; [`Service::start`] opens it.
//! - [`serve`], [`Server`]: listening and stopping. [`router`]: the routes alone, for tests.
//! - [`Tiles`]: raster tiles over the map's own base map.
//! - [`sdl`]: the GraphQL schema; `schema.graphql` beside this crate is checked against it.
//! - [`Code`]: the stable codes of errors.
//! - [`new_key`]: makes API keys, of which catalogs keep digests alone.

mod active;
mod area;
mod batches;
mod caller;
mod config;
mod details;
mod diffs;
mod error;
mod gallery;
mod gallery_index;
mod geocell_index;
mod graphql;
mod http;
mod keys;
mod localize;
mod metrics;
mod overlay;
mod queue;
mod rates;
mod references;
mod request_error;
mod restrictions;
mod server;
mod service;
mod shadow;
mod tiles;

pub use config::{LiveConfig, ServeConfig};
pub use error::{Error, Result};
pub use graphql::{Mutation, Query, Schema, Subscription, sdl};
pub use http::router;
pub use keys::new_key;
pub use request_error::{Code, RequestError};
pub use server::{Server, serve};
pub use service::Service;
pub use shadow::ShadowConfig;
pub use tiles::Tiles;
