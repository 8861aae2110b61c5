//! A small Qdrant in this process, which speaks its gRPC: what the tests of the server backend run against where no server is at
//! hand, and where a server has to fail on demand.
//!
//! It keeps points in memory, searches exactly, and returns equal scores in an order of its own. It has no graphs and no codes.
#![allow(dead_code, reason = "each test binary uses its own part")]

mod filter;
mod state;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State as Of};
use axum::response::{IntoResponse, Response};
use geosurge_storage::QdrantOptions;
use prost::Message;
use qdrant_client::qdrant::{HealthCheckReply, HealthCheckRequest};
use state::State;
use tonic::server::Grpc;
use tonic::service::Routes;
use tonic::transport::Identity;
use tonic::transport::server::{Server, ServerTlsConfig, TcpIncoming};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

/// The fake, listening until its runtime ends.
#[derive(Clone)]
pub struct Fake {
    pub url: String,
    state: Arc<Mutex<State>>,
    faults: Arc<Mutex<Faults>>,
}

/// What it does wrong on demand.
struct Faults {
    version: String,
    key: Option<String>,
    /// Part of a path, what its next call is answered with, and whether the call is carried out nevertheless.
    next: VecDeque<(&'static str, Status, bool)>,
    /// Paths of all calls.
    calls: Vec<String>,
}

impl Fake {
    pub async fn start() -> Self {
        Self::serve("http", "127.0.0.1", Server::builder()).await
    }

    /// The fake behind TLS, as `localhost`.
    pub async fn start_tls(certificate_pem: &str, key_pem: &str) -> Self {
        let identity = Identity::from_pem(certificate_pem, key_pem);
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap();
        Self::serve("https", "localhost", server).await
    }

    async fn serve(scheme: &str, host: &str, mut server: Server) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let faults = Faults {
            version: "1.19.0".into(),
            key: None,
            next: VecDeque::new(),
            calls: Vec::new(),
        };
        let fake = Self {
            url: format!("{scheme}://{host}:{}", listener.local_addr().unwrap().port()),
            state: Arc::default(),
            faults: Arc::new(Mutex::new(faults)),
        };
        let router = axum::Router::new().fallback(call).with_state(fake.clone());
        let serving = server
            .add_routes(Routes::from(router))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        fake
    }

    /// Options of a store on the fake.
    pub fn options(&self) -> QdrantOptions {
        let mut options = QdrantOptions::new(&self.url);
        options.retry_reads = Duration::from_secs(1);
        options.retry_writes = Duration::from_secs(10);
        options
    }

    pub fn set_version(&self, version: &str) {
        self.faults.lock().unwrap().version = version.into();
    }

    pub fn set_key(&self, key: &str) {
        self.faults.lock().unwrap().key = Some(key.into());
    }

    /// Answers the next call whose path contains `path` with a failure, in the order given.
    pub fn fail(&self, path: &'static str, code: Code, message: &str) {
        self.faults
            .lock()
            .unwrap()
            .next
            .push_back((path, Status::new(code, message), false));
    }

    /// Carries the next such call out and loses its answer.
    pub fn lose_answer(&self, path: &'static str) {
        let lost = Status::new(Code::Unavailable, "connection lost");
        self.faults.lock().unwrap().next.push_back((path, lost, true));
    }

    /// How many calls had a path that contains `path`.
    pub fn calls(&self, path: &str) -> usize {
        let faults = self.faults.lock().unwrap();
        faults.calls.iter().filter(|call| call.contains(path)).count()
    }

    /// Takes points away behind everyone's back, as a restored old snapshot does.
    pub fn lose_points(&self, collection: &str, count: usize) {
        self.state.lock().unwrap().lose_points(collection, count);
    }

    /// The failure of a call, and whether it is carried out nevertheless.
    fn admit(&self, path: &str, key: Option<&str>) -> Option<(Status, bool)> {
        let mut faults = self.faults.lock().unwrap();
        faults.calls.push(path.to_owned());
        if !path.ends_with("HealthCheck") && faults.key.is_some() && faults.key.as_deref() != key {
            return Some((Status::unauthenticated("Must provide an API key"), false));
        }
        let at = faults.next.iter().position(|(part, ..)| path.contains(part))?;
        let (_, status, carried_out) = faults.next.remove(at)?;
        Some((status, carried_out))
    }

    async fn unary<Q, A>(
        &self,
        request: Request,
        answer: impl Fn(&mut State, Q) -> Result<A, Status>,
    ) -> Response
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        let service = tower::service_fn(|request: tonic::Request<Q>| {
            let answer = answer(&mut self.state.lock().unwrap(), request.into_inner());
            async move { answer.map(tonic::Response::new) }
        });
        Grpc::new(ProstCodec::<A, Q>::default())
            .apply_max_message_size_config(Some(usize::MAX), None)
            .unary(service, request)
            .await
            .into_response()
    }
}

fn refusal(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().into_response()
}

async fn call(Of(fake): Of<Fake>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let key = request.headers().get("api-key").and_then(|key| key.to_str().ok());
    match fake.admit(&path, key) {
        Some((status, false)) => refusal(status),
        Some((status, true)) => {
            answer(&fake, &path, request).await;
            refusal(status)
        }
        None => answer(&fake, &path, request).await,
    }
}

async fn answer(fake: &Fake, path: &str, request: Request) -> Response {
    let version = fake.faults.lock().unwrap().version.clone();
    match path {
        "/qdrant.Qdrant/HealthCheck" => {
            fake.unary(request, |_, _: HealthCheckRequest| {
                Ok(HealthCheckReply {
                    title: "fake".into(),
                    version: version.clone(),
                    commit: None,
                })
            })
            .await
        }
        "/qdrant.Collections/List" => fake.unary(request, State::list).await,
        "/qdrant.Collections/ListAliases" => fake.unary(request, State::list_aliases).await,
        "/qdrant.Collections/UpdateAliases" => fake.unary(request, State::update_aliases).await,
        "/qdrant.Collections/Get" => fake.unary(request, State::info).await,
        "/qdrant.Collections/Create" => fake.unary(request, State::create).await,
        "/qdrant.Collections/Update" => fake.unary(request, State::update).await,
        "/qdrant.Collections/Delete" => fake.unary(request, State::drop).await,
        "/qdrant.Points/CreateFieldIndex" => fake.unary(request, State::index_field).await,
        "/qdrant.Points/Upsert" => fake.unary(request, State::upsert).await,
        "/qdrant.Points/Delete" => fake.unary(request, State::delete).await,
        "/qdrant.Points/Get" => fake.unary(request, State::get).await,
        "/qdrant.Points/Count" => fake.unary(request, State::count).await,
        "/qdrant.Points/Scroll" => fake.unary(request, State::scroll).await,
        "/qdrant.Points/Query" => fake.unary(request, State::query).await,
        "/qdrant.Points/QueryBatch" => fake.unary(request, State::query_batch).await,
        other => refusal(Status::unimplemented(other)),
    }
}
