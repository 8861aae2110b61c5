//! The GraphQL schema.

mod cursor;
mod gallery;
mod geocell;
mod loaders;
mod mutation;
mod prediction;
mod query;
mod reference;
mod release;
mod scalars;

use async_graphql::{Context, EmptySubscription, MergedObject};

use crate::config::ServeConfig;
use crate::service::Service;

pub use query::Query;

use gallery::GalleryMutation;
use mutation::PhotoMutation;

/// Everything that can be changed.
#[derive(MergedObject, Default)]
pub struct Mutation(PhotoMutation, GalleryMutation);

/// The service's schema.
pub type Schema = async_graphql::Schema<Query, Mutation, EmptySubscription>;

/// The schema with a service's data and limits.
pub(crate) fn schema(service: &Service) -> Schema {
    limited(service.config())
        .data(loaders::Loaders::new(service.catalog()))
        .data(service.clone())
        .finish()
}

/// The schema in GraphQL's schema definition language; needs no service.
pub fn sdl() -> String {
    limited(&ServeConfig::default()).finish().sdl()
}

fn limited(config: &ServeConfig) -> async_graphql::SchemaBuilder<Query, Mutation, EmptySubscription> {
    async_graphql::Schema::build(Query, Mutation::default(), EmptySubscription)
        .limit_depth(config.max_depth)
        .limit_complexity(config.max_complexity)
        .limit_directives(10)
}

fn service<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a Service> {
    ctx.data::<Service>()
}
