//! The GraphQL schema.

mod analytics;
mod audit;
mod cursor;
mod diff;
mod gallery;
mod geocell;
mod life;
mod loaders;
mod maps;
mod mutation;
mod node;
mod options;
mod prediction;
mod query;
mod reference;
mod release;
mod scalars;
mod segmentation;
mod similar;
mod subscription;
mod viewer;

use std::net::IpAddr;

use async_graphql::{Context, MergedObject};
use storage::Scope;

use crate::caller::Caller;
use crate::config::ServeConfig;
use crate::service::Service;

pub(crate) use prediction::{expired, require_own};
pub use subscription::Subscription;

use analytics::AnalyticsQuery;
use audit::AuditQuery;
use diff::DiffQuery;
use gallery::GalleryMutation;
use life::ReleaseMutation;
use maps::MapQuery;
use mutation::PhotoMutation;
use node::NodeQuery;
use query::CatalogQuery;
use similar::{SimilarMutation, SimilarQuery};
use viewer::ViewerQuery;

/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    NodeQuery,
    ViewerQuery,
    CatalogQuery,
    MapQuery,
    SimilarQuery,
    DiffQuery,
    AnalyticsQuery,
    AuditQuery,
);

/// Everything that can be changed.
#[derive(MergedObject, Default)]
pub struct Mutation(PhotoMutation, SimilarMutation, GalleryMutation, ReleaseMutation);

/// The service's schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Where a request came from.
pub(crate) struct PeerAddress(pub(crate) IpAddr);

/// The schema with a service's data and limits.
pub(crate) fn schema(service: &Service) -> Schema {
    limited(service.config())
        .data(loaders::Loaders::new(service.catalog()))
        .data(release::CheckpointMetrics::default())
        .data(service.clone())
        .finish()
}

/// The schema in GraphQL's schema definition language; needs no service.
pub fn sdl() -> String {
    limited(&ServeConfig::default()).finish().sdl()
}

fn limited(config: &ServeConfig) -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription)
        .limit_depth(config.max_depth)
        .limit_complexity(config.max_complexity)
        .limit_directives(10)
}

fn service<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a Service> {
    ctx.data::<Service>()
}

/// Who asks; without anyone known, someone who may do the least.
fn caller<'a>(ctx: &Context<'a>) -> &'a Caller {
    static NOBODY: Caller = Caller::keyless(Scope::Reader);
    ctx.data_opt::<Caller>().unwrap_or(&NOBODY)
}
