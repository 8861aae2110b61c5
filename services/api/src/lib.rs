//! The service: GraphQL over HTTP, the map, GraphiQL, health.
//!
//! - [`ServeConfig`]: address and limits.
//! - [`Service`]: the active release, the way to its encoder, and the record; [`Service::start`] opens it.
//! - [`serve`], [`Server`]: listening and stopping. [`router`]: the routes alone, for tests.
//! - [`Tiles`]: raster tiles over the map's own base map.
//! - [`sdl`]: the GraphQL schema; `schema.graphql` beside this crate is checked against it.
//! - [`Code`]: the stable codes of errors.

mod active;
mod config;
mod error;
mod gallery;
mod geocell_index;
mod graphql;
mod http;
mod localize;
mod references;
mod request_error;
mod server;
mod service;
mod shadow;
mod tiles;

pub use config::ServeConfig;
pub use error::{Error, Result};
pub use graphql::{Mutation, Query, Schema, sdl};
pub use http::router;
pub use request_error::{Code, RequestError};
pub use server::{Server, serve};
pub use service::Service;
pub use shadow::ShadowConfig;
pub use tiles::Tiles;
