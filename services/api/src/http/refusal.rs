//! Errors of whole requests as responses: the form of a GraphQL error, the status of HTTP.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::State;
use crate::request_error::{Code, RequestError};

/// The status that goes with a code.
pub(super) fn status_of(code: Code) -> StatusCode {
    match code {
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::CrossOrigin | Code::Forbidden => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Expired => StatusCode::GONE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Unavailable | Code::Overloaded | Code::NoActiveRelease => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::BadImage | Code::InvalidArgument | Code::InvalidQuery => StatusCode::BAD_REQUEST,
    }
}

/// The code that has this text.
pub(super) fn code_of(text: &str) -> Code {
    Code::ALL
        .into_iter()
        .find(|code| code.as_str() == text)
        .unwrap_or(Code::Internal)
}

/// An error of the whole request, in the form of a GraphQL response.
pub(super) fn refuse(state: &State, error: &RequestError) -> Response {
    state.service.metrics().error(error.code.as_str());
    let mut extensions = serde_json::Map::new();
    extensions.insert("code".to_owned(), error.code.as_str().into());
    if let Some(reason) = error.reason {
        extensions.insert("reason".to_owned(), reason.into());
    }
    if let Some(seconds) = error.retry_after {
        extensions.insert("retryAfterSeconds".to_owned(), seconds.into());
    }
    let body = json!({ "data": null, "errors": [{ "message": error.message, "extensions": extensions }] });
    let response = json_response(status_of(error.code), body.to_string().into_bytes());
    with_hints(response, error.code, error.retry_after)
}

/// The headers that say how a refused request may succeed.
pub(super) fn with_hints(mut response: Response, code: Code, retry_after: Option<u64>) -> Response {
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if code == Code::Unauthenticated {
        let scheme = HeaderValue::from_static("Bearer realm=\"geosurge\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    response
}

/// JSON as a response.
pub(super) fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let kind = [(CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, kind, Bytes::from(body)).into_response()
}

/// An error as text, for what browsers show or load as pictures.
pub(super) fn plain_refusal(state: &State, error: &RequestError) -> Response {
    state.service.metrics().error(error.code.as_str());
    let kind = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    let response = (status_of(error.code), kind, format!("{}\n", error.message)).into_response();
    with_hints(response, error.code, error.retry_after)
}
