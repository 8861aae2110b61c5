//! Who may pass: keys, rates and origins, before a handler sees a request.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{self, ConnectInfo, Request};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{Extensions, HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::State;
use super::refusal::refuse;
use crate::caller::Caller;
use crate::request_error::{Code, RequestError};

/// Who sent a request, for handlers.
#[derive(Debug, Clone)]
pub(super) enum Admitted {
    /// Someone known, or anyone where no keys are asked for.
    Caller(Caller),
    /// Someone without a key where one is asked for: may learn just that.
    Nobody,
}

/// Where a request came from, where that is known.
pub(super) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|peer| peer.0.ip())
}

/// Lets known callers pass, at their rate.
pub(super) async fn admit(
    extract::State(state): extract::State<State>,
    mut request: Request,
    next: Next,
) -> Response {
    match check(&state, Credentials::of(&request)).await {
        Ok(caller) => {
            request.extensions_mut().insert(Admitted::Caller(caller));
            next.run(request).await
        }
        Err(error) => refuse(&state, &error),
    }
}

/// As [`admit`], and lets callers without a key pass as [`Admitted::Nobody`], for handlers that tell them that they need one.
pub(super) async fn admit_or_tell(
    extract::State(state): extract::State<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let keyless = !request.headers().contains_key(AUTHORIZATION);
    let admitted = if keyless && state.service.keys().required() {
        match state.service.rates().count_refusal(address(request.extensions())) {
            Ok(()) => Ok(Admitted::Nobody),
            Err(error) => Err(error),
        }
    } else {
        check(&state, Credentials::of(&request))
            .await
            .map(Admitted::Caller)
    };
    match admitted {
        Ok(admitted) => {
            request.extensions_mut().insert(admitted);
            next.run(request).await
        }
        Err(error) => refuse(&state, &error),
    }
}

/// What a request says of its sender. A request's body cannot be shared between threads, so that this is taken out of it first.
struct Credentials {
    authorization: Option<HeaderValue>,
    address: Option<IpAddr>,
}

impl Credentials {
    fn of(request: &Request) -> Self {
        Self {
            authorization: request.headers().get(AUTHORIZATION).cloned(),
            address: address(request.extensions()),
        }
    }
}

async fn check(state: &State, credentials: Credentials) -> Result<Caller, RequestError> {
    let service = &state.service;
    let address = credentials.address;
    let not_text = |_| RequestError::new(Code::Unauthenticated, "the Authorization header is not text");
    let authorization = credentials.authorization.as_ref().map(HeaderValue::to_str);
    let authorization = authorization.transpose().map_err(not_text)?;
    let caller = caller_of(state, authorization, address).await?;
    let usual = service.live().requests_per_minute;
    let within = service.rates().count(&caller, address, 1, usual);
    within.inspect_err(|_| service.metrics().rate_limited.increment(1))?;
    Ok(caller)
}

/// The caller by its authorization; guesses are slowed down.
pub(super) async fn caller_of(
    state: &State,
    authorization: Option<&str>,
    address: Option<IpAddr>,
) -> Result<Caller, RequestError> {
    let service = &state.service;
    match service.keys().caller(authorization).await {
        Err(error) if error.code == Code::Unauthenticated => {
            service.metrics().unauthenticated.increment(1);
            service.rates().count_refusal(address)?;
            Err(error)
        }
        other => other,
    }
}

/// A page of another site may not use the service through its visitor's browser, unless the settings name it.
pub(super) fn check_origin(state: &State, headers: &HeaderMap) -> Result<(), RequestError> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok();
    let origin_host = origin
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    if origin_host.is_some() && origin_host == host {
        return Ok(());
    }
    let live = state.service.live();
    if origin.is_some_and(|origin| live.cors_origins.iter().any(|allowed| allowed == origin)) {
        return Ok(());
    }
    Err(RequestError::new(
        Code::CrossOrigin,
        "pages of other sites may not use this service; open it at its own address, or name the site in its setting cors_origins",
    ))
}
