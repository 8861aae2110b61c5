//! The HTTP side: routes, limits and headers.

mod graphql;
mod headers;
mod health;
mod pages;
mod thumbnails;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::trace::TraceLayer;

use crate::graphql::{Schema, schema};
use crate::service::Service;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct State {
    service: Service,
    schema: Schema,
}

/// All routes of the service.
pub fn router(service: Service) -> Router {
    let most = service.config().max_request_bytes;
    let policies = headers::Policies::new(service.config().tiles.as_ref());
    let state = State {
        schema: schema(&service),
        service,
    };
    let graphql = Router::new()
        .route("/graphql", post(graphql::answer))
        .layer(RequestBodyLimitLayer::new(most))
        .layer(middleware::map_response_with_state(
            state.clone(),
            graphql::explain_refusal,
        ));
    Router::new()
        .merge(graphql)
        .route("/", get(pages::index))
        .route("/icon.svg", get(pages::page_file))
        .route("/LICENSES.txt", get(pages::page_file))
        .route("/assets/{file}", get(pages::page_file))
        .route("/map.json", get(pages::map_settings))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/{file}", get(pages::graphiql_file))
        .route("/schema.graphql", get(pages::sdl))
        .route("/references/{release}/{id}/image", get(thumbnails::image))
        .route("/health", get(health::summary))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .layer(middleware::from_fn_with_state(policies, headers::secure))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}
