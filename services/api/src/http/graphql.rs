//! `POST /graphql`: reads a request within limits, answers it within a time, and gives every error a code.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::http::{MultipartOptions, receive_batch_body};
use async_graphql::parser::types::{ExecutableDocument, Selection};
use async_graphql::{BatchRequest, ParseRequestError, Request, Response as Answer};
use axum::body::Body;
use axum::extract;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, http::Extensions};
use futures::{FutureExt, TryStreamExt};

use super::State;
use super::admission::{Admitted, address, check_origin};
use super::refusal::{code_of, json_response, refuse, status_of, with_hints};
use crate::caller::Caller;
use crate::graphql::PeerAddress;
use crate::request_error::{Code, RequestError};

/// Most bytes of a request that carries no photos.
const MAX_JSON_BYTES: usize = 1 << 20;
/// What callers without a key may ask where one is asked for.
const FOR_NOBODY: [&str; 3] = ["viewer", "service", "__typename"];

/// Answers one GraphQL request.
pub(super) async fn answer(
    extract::State(state): extract::State<State>,
    Extension(admitted): Extension<Admitted>,
    request: extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    match receive(&state, &parts.headers, &parts.extensions, admitted, body).await {
        Ok(response) => response,
        Err(error) => refuse(&state, &error),
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
        return refuse(&state, &too_large(&state));
    }
    response
}

const JSON: &[u8] = b"application/json";

async fn receive(
    state: &State,
    headers: &HeaderMap,
    extensions: &Extensions,
    admitted: Admitted,
    body: Body,
) -> Result<Response, RequestError> {
    check_origin(state, headers)?;
    let limit = state.service.config().timeout;
    let request = tokio::time::timeout(limit, read(state, headers, body)).await;
    let mut request = request.map_err(|_| too_slow(limit))??;
    let caller = match admitted {
        Admitted::Caller(caller) => caller,
        Admitted::Nobody => {
            // An unreadable query is told so by the execution.
            if let Ok(document) = request.parsed_query()
                && !is_for_nobody(document)
            {
                let message =
                    "this service asks for an API key; send the header `Authorization: Bearer gsk_…`";
                return Err(RequestError::new(Code::Unauthenticated, message));
            }
            Caller::keyless(storage::Scope::Reader)
        }
    };
    if let Some(address) = address(extensions) {
        request = request.data(PeerAddress(address));
    }
    let answer = execute(state, request.data(caller)).await?;
    let (code, retry_after) = refusal_of(&answer);
    let status = match code {
        Some(code) => status_of(code),
        None => StatusCode::OK,
    };
    let body = serde_json::to_vec(&answer).map_err(RequestError::internal)?;
    let response = json_response(status, body);
    Ok(match code {
        Some(code) => with_hints(response, code, retry_after),
        None => response,
    })
}

/// Answers a request within the service's time; every error gets a code.
pub(super) async fn execute(state: &State, mut request: Request) -> Result<Answer, RequestError> {
    let limit = state.service.config().timeout;
    if !state.service.live().introspection {
        request = request.disable_introspection();
    }
    let execution = AssertUnwindSafe(state.schema.execute(request)).catch_unwind();
    let mut answer = tokio::time::timeout(limit, execution)
        .await
        .map_err(|_| too_slow(limit))?
        .map_err(|_| RequestError::internal("a resolver panicked"))?;
    for error in &mut answer.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", Code::InvalidQuery.as_str());
        }
        if let Some(async_graphql::Value::String(code)) = extensions.get("code") {
            state.service.metrics().error(code);
        }
    }
    Ok(answer)
}

/// The code of an answer that is a refusal and nothing else, where HTTP has something to say about it: then clients that know
/// HTTP alone wait and try again.
fn refusal_of(answer: &Answer) -> (Option<Code>, Option<u64>) {
    if answer.data != async_graphql::Value::Null {
        return (None, None);
    }
    let extension = |name: &str| answer.errors.first()?.extensions.as_ref()?.get(name);
    let Some(async_graphql::Value::String(code)) = extension("code") else {
        return (None, None);
    };
    let retry_after = match extension("retryAfterSeconds") {
        Some(async_graphql::Value::Number(seconds)) => seconds.as_u64(),
        _ => None,
    };
    match code_of(code) {
        code @ (Code::Overloaded | Code::RateLimited) => (Some(code), retry_after),
        _ => (None, None),
    }
}

fn too_slow(limit: Duration) -> RequestError {
    let message = format!(
        "the request took longer than {} s; send fewer or smaller photos",
        limit.as_secs_f32()
    );
    RequestError::new(Code::Timeout, message)
}

/// Whether a document asks for nothing but what callers without a key may know.
fn is_for_nobody(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| {
        operation
            .node
            .selection_set
            .node
            .items
            .iter()
            .all(|item| match &item.node {
                Selection::Field(field) => FOR_NOBODY.contains(&field.node.name.node.as_str()),
                _ => false,
            })
    })
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
pub(super) fn is_length_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain
        .into_iter()
        .any(|cause| cause.to_string().contains("length limit exceeded"))
}

pub(super) fn too_large(state: &State) -> RequestError {
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
