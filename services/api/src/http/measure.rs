//! Counts and times every request by its route, and names it in the log.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{self, MatchedPath, Request};
use axum::http::header::UPGRADE;
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::{MakeRequestUuid, RequestId};
use tower_http::trace::{DefaultOnResponse, HttpMakeClassifier, TraceLayer};
use tracing::{Level, Span};

use super::State;
use crate::metrics::ROUTES;

/// Makes ids of requests that have none.
pub(super) type Ids = MakeRequestUuid;

/// Counts a request.
pub(super) async fn count(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let route = route_of(&request);
    let response = next.run(request).await;
    let metrics = state.service.metrics();
    metrics.request(route, response.status().as_u16(), begun.elapsed());
    response
}

/// The index of a request's route in [`ROUTES`].
fn route_of(request: &Request) -> usize {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let name = match path {
        "" => "other",
        "/graphql" if request.headers().contains_key(UPGRADE) => "websocket",
        "/graphql" => "graphql",
        "/localize" => "localize",
        path if path.starts_with("/references/") => "thumbnail",
        path if path.starts_with("/predictions/") => "prediction",
        path if path.starts_with("/health") || path == "/metrics" => "operations",
        _ => "page",
    };
    ROUTES
        .iter()
        .position(|known| *known == name)
        .unwrap_or(ROUTES.len() - 1)
}

/// A span for each request; what clients send in the address stays out of it.
pub(super) fn trace() -> TraceLayer<HttpMakeClassifier, fn(&axum::http::Request<Body>) -> Span> {
    let span: fn(&axum::http::Request<Body>) -> Span = |request| {
        let id = request.extensions().get::<RequestId>();
        let id = id
            .and_then(|id| id.header_value().to_str().ok())
            .unwrap_or_default();
        tracing::info_span!("request", method = %request.method(), path = request.uri().path(), id)
    };
    TraceLayer::new_for_http()
        .make_span_with(span)
        .on_response(DefaultOnResponse::new().level(Level::DEBUG))
}
