//! `POST /graphql`: reads a request within limits, answers it within a time, and gives every error a code.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::http::{MultipartOptions, receive_batch_body};
use async_graphql::{BatchRequest, ParseRequestError, Request};
use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{FutureExt, TryStreamExt};
use serde_json::json;

use super::State;
use crate::request_error::{Code, RequestError};

/// Most bytes of a request that carries no photos.
const MAX_JSON_BYTES: usize = 1 << 20;

/// Answers one GraphQL request.
pub(super) async fn answer(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match execute(&state, &headers, body).await {
        Ok(response) => response,
        Err(error) => refuse(&error),
    }
}

/// Gives the body limit's refusal the same form as every other error.
pub(super) async fn explain_refusal(
    extract::State(state): extract::State<State>,
    response: Response,
) -> Response {
    let explained = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(JSON));
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE && !explained {
        return refuse(&too_large(&state));
    }
    response
}

const JSON: &[u8] = b"application/json";

async fn execute(state: &State, headers: &HeaderMap, body: Body) -> Result<Response, RequestError> {
    check_origin(headers)?;
    let request = read(state, headers, body).await?;
    let limit = state.service.config().timeout;
    let execution = AssertUnwindSafe(state.schema.execute(request)).catch_unwind();
    let mut response = tokio::time::timeout(limit, execution)
        .await
        .map_err(|_| {
            let message = format!(
                "the request took longer than {} s; send fewer or smaller photos",
                limit.as_secs_f32()
            );
            RequestError::new(Code::Timeout, message)
        })?
        .map_err(|_| RequestError::internal("a resolver panicked"))?;
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", Code::InvalidQuery.as_str());
        }
    }
    let body = serde_json::to_vec(&response).map_err(RequestError::internal)?;
    Ok(json_response(StatusCode::OK, body))
}

/// A page of another site may not use the service through its visitor's browser.
fn check_origin(headers: &HeaderMap) -> Result<(), RequestError> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin_host = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    if origin_host.is_some() && origin_host == host {
        return Ok(());
    }
    Err(RequestError::new(
        Code::CrossOrigin,
        "pages of other sites may not use this service; open it at its own address",
    ))
}

async fn read(state: &State, headers: &HeaderMap, body: Body) -> Result<Request, RequestError> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let request = match essence.as_str() {
        "application/json" | "application/graphql-response+json" => {
            let body = axum::body::to_bytes(body, MAX_JSON_BYTES)
                .await
                .map_err(|error| {
                    if is_length_limit(&error) {
                        too_large(state)
                    } else {
                        unreadable(&error)
                    }
                })?;
            parse(state, kind, Body::from(body)).await?
        }
        "multipart/form-data" => parse(state, kind, body).await?,
        _ => {
            let message = "send application/json, or multipart/form-data by the GraphQL multipart request specification";
            return Err(RequestError::new(Code::UnsupportedMediaType, message));
        }
    };
    match request {
        BatchRequest::Single(request) => Ok(request),
        BatchRequest::Batch(_) => Err(RequestError::new(
            Code::InvalidQuery,
            "send one query a request; a list of queries is not answered",
        )),
    }
}

async fn parse(state: &State, kind: String, body: Body) -> Result<BatchRequest, RequestError> {
    let config = state.service.config();
    let limits = MultipartOptions::default()
        .max_file_size(config.max_upload_bytes)
        .max_num_files(config.max_photos);
    // The parser drops the cause of a body that cannot be read, so that the limit is noticed on the way.
    let exceeded = AtomicBool::new(false);
    let read_error = |error: axum::Error| {
        exceeded.fetch_or(is_length_limit(&error), Ordering::Relaxed);
        std::io::Error::other(error)
    };
    let reader = body.into_data_stream().map_err(read_error).into_async_read();
    // The parser trusts the content types of the parts and panics on a nested multipart.
    let parsed = AssertUnwindSafe(receive_batch_body(Some(kind), reader, limits))
        .catch_unwind()
        .await;
    parsed
        .map_err(|_| {
            RequestError::new(
                Code::InvalidQuery,
                "the multipart body has a part of an impossible content type",
            )
        })?
        .map_err(|error| match error {
            ParseRequestError::PayloadTooLarge => too_large(state),
            _ if exceeded.load(Ordering::Relaxed) => too_large(state),
            error => unreadable(&error),
        })
}

fn unreadable(error: &dyn std::error::Error) -> RequestError {
    RequestError::new(Code::InvalidQuery, format!("the request cannot be read: {error}"))
}

/// Whether a body ended at a limit.
fn is_length_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain
        .into_iter()
        .any(|cause| cause.to_string().contains("length limit exceeded"))
}

fn too_large(state: &State) -> RequestError {
    let config = state.service.config();
    let message = format!(
        "the request is too large: at most {} photos of at most {} each, {} together, and {} without photos",
        config.max_photos,
        size(config.max_upload_bytes),
        size(config.max_request_bytes),
        size(MAX_JSON_BYTES)
    );
    RequestError::new(Code::TooLarge, message)
}

fn size(bytes: usize) -> String {
    const MEBIBYTE: usize = 1 << 20;
    const KIBIBYTE: usize = 1 << 10;
    if bytes >= MEBIBYTE {
        return format!("{:.1} MiB", bytes as f64 / MEBIBYTE as f64).replace(".0 ", " ");
    }
    format!("{:.1} KiB", bytes as f64 / KIBIBYTE as f64).replace(".0 ", " ")
}

/// An error of the whole request, in the form of a GraphQL response.
fn refuse(error: &RequestError) -> Response {
    let status = match error.code {
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::CrossOrigin => StatusCode::FORBIDDEN,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Unavailable | Code::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({ "data": null, "errors": [{ "message": error.message, "extensions": { "code": error.code.as_str() } }] });
    json_response(status, body.to_string().into_bytes())
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json; charset=utf-8")],
        Bytes::from(body),
    )
        .into_response()
}
