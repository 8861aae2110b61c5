//! Whether the service lives, is ready, and how it does.

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::State;

/// Alive: the process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Ready: a release is open and both stores answer; 503 with the reason otherwise.
pub(super) async fn ready(extract::State(state): extract::State<State>) -> (StatusCode, Json<Value>) {
    match not_ready(&state).await {
        None => (StatusCode::OK, Json(json!({ "status": "ready" }))),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "not-ready", "reason": reason })),
        ),
    }
}

/// A summary for people and dashboards.
pub(super) async fn summary(extract::State(state): extract::State<State>) -> Json<Value> {
    let service = &state.service;
    let reason = not_ready(&state).await;
    let release = service.localizer().map(|localizer| {
        let release = localizer.release();
        json!({
            "id": release.id,
            "checkpoint": release.checkpoint_id,
            "geocells": release.counts.map(|counts| counts.geocells),
            "referenceImages": release.counts.map(|counts| counts.reference_images),
        })
    });
    Json(json!({
        "status": if reason.is_none() { "ready" } else { "not-ready" },
        "reason": reason,
        "version": env!("CARGO_PKG_VERSION"),
        "release": release,
        "vectorStore": service.store().health().await.ok().map(|health| health.engine),
        "shadow": service.shadow(),
        "photosWaiting": service.waiting(),
        "queue": service.config().queue,
        "uptimeSeconds": service.uptime().as_secs(),
    }))
}

async fn not_ready(state: &State) -> Option<String> {
    let service = &state.service;
    if service.is_stopping() {
        return Some("the service is stopping".to_owned());
    }
    let (store, catalog) = tokio::join!(service.store().health(), service.catalog().changes());
    let metrics = service.metrics();
    metrics.vector_store_up.set(f64::from(u8::from(store.is_ok())));
    metrics.catalog_up.set(f64::from(u8::from(catalog.is_ok())));
    if let Err(error) = store {
        tracing::warn!(%error, "vector store unhealthy");
        return Some("the vector store does not answer; the service's log says why".to_owned());
    }
    if let Err(error) = catalog {
        tracing::warn!(%error, "catalog unhealthy");
        return Some("the catalog does not answer; the service's log says why".to_owned());
    }
    if service.localizer().is_none() {
        let reason = match service.problem() {
            Some(_) => "the active release cannot be opened; the service's log says why",
            None => "no release is active; build one with `geosurge index CHECKPOINT DATASET --activate`",
        };
        return Some(reason.to_owned());
    }
    None
}

/// All series for Prometheus; the stores are asked, so that their gauges tell how they are now.
pub(super) async fn metrics(extract::State(state): extract::State<State>) -> Response {
    let reason = not_ready(&state).await;
    let service = &state.service;
    service.metrics().release_ready.set(f64::from(u8::from(
        service.localizer().is_some() && reason.is_none(),
    )));
    service.metrics().waiting.set(service.waiting() as f64);
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, service.metrics().render(service.uptime())).into_response()
}
