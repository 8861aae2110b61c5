//! `GET /graphql` as a WebSocket: subscriptions by the protocol graphql-transport-ws.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_graphql::http::{WebSocket as GraphqlSocket, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Executor, Request, Response as Answer, ServerError};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{self};
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::State;
use super::admission::{address, caller_of, check_origin};
use super::refusal::refuse;
use crate::caller::Caller;
use crate::graphql::PeerAddress;
use crate::request_error::{Code, RequestError};

const PROTOCOL: &str = "graphql-transport-ws";
/// Most bytes of a message.
const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// Operations that run at once on one socket.
const MOST_OPERATIONS: usize = 32;
/// How long a socket may take to introduce itself.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How often a quiet socket is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Codes of closing by the protocol.
const FORBIDDEN: u16 = 4403;
const NO_INTRODUCTION: u16 = 4408;
/// The service goes away.
const GOING_AWAY: u16 = 1001;

/// Opens a WebSocket.
pub(super) async fn open(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Err(error) = check_origin(&state, &headers) {
        return refuse(&state, &error);
    }
    let Ok(upgrade) = upgrade else {
        let message = "send queries by POST; GET takes WebSockets of the protocol graphql-transport-ws";
        return refuse(&state, &RequestError::new(Code::InvalidQuery, message));
    };
    let Ok(permit) = state.service.websockets().clone().try_acquire_owned() else {
        let message = "too many WebSockets are open; try again later";
        return refuse(&state, &RequestError::new(Code::Overloaded, message).after(10));
    };
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    if upgrade.selected_protocol().is_none() {
        let message = "the WebSocket must ask for the protocol graphql-transport-ws";
        return refuse(&state, &RequestError::new(Code::InvalidQuery, message));
    }
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (header, address) = (header.map(str::to_owned), address(&extensions));
    upgrade.on_upgrade(move |socket| serve(state, socket, header, address, permit))
}

async fn serve(
    state: State,
    socket: WebSocket,
    header: Option<String>,
    address: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
) {
    let metrics = state.service.metrics().clone();
    metrics.websockets.increment(1.0);
    let caller = Arc::new(OnceLock::new());
    let executor = Limited {
        state: state.clone(),
        caller: caller.clone(),
        address,
        running: Arc::default(),
    };
    let (mut sink, source) = socket.split();
    let messages = source
        .take_while(|message| {
            std::future::ready(matches!(message, Ok(message) if !matches!(message, Message::Close(_))))
        })
        .filter_map(|message| {
            std::future::ready(match message {
                Ok(Message::Text(text)) => Some(Bytes::from(text)),
                Ok(Message::Binary(bytes)) => Some(bytes),
                _ => None,
            })
        });
    let mut stopping = state.service.stopping();
    let introduced = caller.clone();
    let introduce = move |payload: serde_json::Value| async move {
        let by_payload = payload
            .get("Authorization")
            .or_else(|| payload.get("authorization"));
        let by_payload = by_payload.and_then(|value| value.as_str()).map(str::to_owned);
        let caller = caller_of(&state, by_payload.or(header).as_deref(), address).await?;
        let mut data = Data::default();
        if let Some(address) = address {
            data.insert(PeerAddress(address));
        }
        data.insert(caller.clone());
        let _ = introduced.set(caller);
        Ok(data)
    };
    let mut outgoing = std::pin::pin!(
        GraphqlSocket::new(executor, messages, WebSocketProtocols::GraphQLWS).on_connection_init(introduce)
    );
    let mut pings = tokio::time::interval(PING_EVERY);
    let late = tokio::time::sleep(INTRODUCTION);
    let mut late = std::pin::pin!(late);
    let close = |code: u16, reason: String| {
        Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }))
    };
    loop {
        let message = tokio::select! {
            message = outgoing.next() => match message {
                Some(WsMessage::Text(text)) => Message::Text(text.into()),
                // The library has one code for everything that is wrong before the introduction.
                Some(WsMessage::Close(_, reason)) if caller.get().is_none() => close(FORBIDDEN, reason),
                Some(WsMessage::Close(code, reason)) => close(code, reason),
                None => break,
            },
            () = &mut late, if caller.get().is_none() => {
                close(NO_INTRODUCTION, "connection_init did not come".to_owned())
            }
            () = async { let _ = stopping.wait_for(|stop| *stop).await; } => close(GOING_AWAY, "the service is stopping".to_owned()),
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        let last = matches!(message, Message::Close(_));
        if sink.send(message).await.is_err() || last {
            break;
        }
    }
    metrics.websockets.decrement(1.0);
}

/// The schema for one socket: counts what it runs, within the caller's rate.
#[derive(Clone)]
struct Limited {
    state: State,
    caller: Arc<OnceLock<Caller>>,
    address: Option<IpAddr>,
    running: Arc<AtomicUsize>,
}

impl Limited {
    fn admit(&self) -> Result<Running, RequestError> {
        let service = &self.state.service;
        if let Some(caller) = self.caller.get() {
            let usual = service.live().requests_per_minute;
            let within = service.rates().count(caller, self.address, 1, usual);
            within.inspect_err(|_| service.metrics().rate_limited.increment(1))?;
        }
        if self.running.fetch_add(1, Ordering::Relaxed) >= MOST_OPERATIONS {
            self.running.fetch_sub(1, Ordering::Relaxed);
            let message = format!("more than {MOST_OPERATIONS} operations at once on one WebSocket");
            return Err(RequestError::new(Code::TooLarge, message));
        }
        service.metrics().subscriptions.increment(1.0);
        Ok(Running(self.clone()))
    }
}

/// An operation that runs.
struct Running(Limited);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.state.service.metrics().subscriptions.decrement(1.0);
    }
}

fn refused(error: RequestError) -> Answer {
    let error: async_graphql::Error = error.into();
    Answer::from_errors(vec![ServerError {
        message: error.message,
        source: None,
        locations: Vec::new(),
        path: Vec::new(),
        extensions: error.extensions,
    }])
}

impl Executor for Limited {
    async fn execute(&self, request: Request) -> Answer {
        self.state.schema.execute(request).await
    }

    fn execute_stream(
        &self,
        request: Request,
        session_data: Option<Arc<Data>>,
    ) -> BoxStream<'static, Answer> {
        let running = match self.admit() {
            Ok(running) => running,
            Err(error) => return stream::once(std::future::ready(refused(error))).boxed(),
        };
        let request = match self.state.service.live().introspection {
            true => request,
            false => request.disable_introspection(),
        };
        let answers = self
            .state
            .schema
            .execute_stream_with_session_data(request, session_data.unwrap_or_default());
        answers
            .map(move |answer| {
                let _running = &running;
                with_codes(answer)
            })
            .boxed()
    }
}

/// Every error has a code.
fn with_codes(mut answer: Answer) -> Answer {
    for error in &mut answer.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", Code::InvalidQuery.as_str());
        }
    }
    answer
}
