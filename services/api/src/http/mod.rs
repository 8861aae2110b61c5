//! The HTTP side: routes, limits and headers.

mod admission;
mod graphql;
mod headers;
mod health;
mod measure;
mod pages;
mod predictions;
mod refusal;
mod rest;
mod thumbnails;
mod websocket;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, Method, request};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;

use crate::graphql::{Schema, schema};
use crate::request_error::RequestError;
use crate::service::Service;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct State {
    service: Service,
    schema: Schema,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long browsers may remember which origins are allowed.
const PREFLIGHT: Duration = Duration::from_secs(600);

/// All routes of the service.
pub fn router(service: Service) -> Router {
    let state = State {
        schema: schema(&service),
        service,
    };
    let panicked = state.clone();
    let policies = headers::Policies::new(state.service.config().tiles.as_ref());
    // The last layer sees a request first.
    routes(&state)
        .layer(middleware::from_fn_with_state(policies, headers::secure))
        .layer(cors(&state))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(move |panic| {
            answer_panic(&panicked, panic)
        }))
        .layer(middleware::from_fn_with_state(state.clone(), measure::count))
        .layer(measure::trace())
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, measure::Ids::default()))
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION, COOKIE]))
        .with_state(state)
}

fn routes(state: &State) -> Router<State> {
    let most = state.service.config().max_request_bytes;
    let uploads = Router::new()
        .route("/graphql", post(graphql::answer))
        .route_layer(middleware::from_fn_with_state(
            state.clone(),
            admission::admit_or_tell,
        ))
        .merge(
            Router::new()
                .route("/localize", post(rest::localize))
                .route_layer(middleware::from_fn_with_state(state.clone(), admission::admit)),
        )
        .layer(RequestBodyLimitLayer::new(most))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(middleware::map_response_with_state(
            state.clone(),
            graphql::explain_refusal,
        ));
    let guarded = Router::new()
        .route("/references/{release}/{id}/image", get(thumbnails::image))
        .route(
            "/predictions/{id}/segmentation.png",
            get(predictions::segmentation),
        )
        .route("/predictions/{id}/scores/{level}", get(predictions::scores))
        .route("/metrics", get(health::metrics))
        .route_layer(middleware::from_fn_with_state(state.clone(), admission::admit));
    Router::new()
        .merge(uploads)
        .merge(guarded)
        // WebSockets introduce themselves after they were opened.
        .route("/graphql", get(websocket::open))
        .merge(pages())
        .route("/health", get(health::summary))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
}

/// Pages and their files, which hold no secrets.
fn pages() -> Router<State> {
    Router::new()
        .route("/", get(pages::index))
        .route("/icon.svg", get(pages::page_file))
        .route("/LICENSES.txt", get(pages::page_file))
        .route("/assets/{file}", get(pages::page_file))
        .route("/map.json", get(pages::map_settings))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/{file}", get(pages::graphiql_file))
        .route("/schema.graphql", get(pages::sdl))
}

/// Pages of the origins that the settings name, as they are at the moment, may use the service.
fn cors(state: &State) -> CorsLayer {
    let service = state.service.clone();
    let allowed = move |origin: &HeaderValue, _: &request::Parts| {
        let live = service.live();
        live.cors_origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER, REQUEST_ID])
        .max_age(PREFLIGHT)
}

/// A panic of a handler as an error like any other; its text goes to the log alone.
fn answer_panic(state: &State, panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without text");
    refusal::refuse(state, &RequestError::internal(text))
}
