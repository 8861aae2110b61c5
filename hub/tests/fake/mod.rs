//! A hub on this machine that speaks the hub's routes and misbehaves as it is told.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::Digest;

/// How the next transfers of a file go wrong; each happens once, in order.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// The connection breaks after so many bytes.
    Cut(usize),
    /// Nothing comes after so many bytes, and the connection stays.
    Hang(usize),
    /// Another status instead of the file.
    Status(u16),
    /// A byte arrives changed.
    Damage,
    /// All of the file is sent, whatever range was asked for.
    IgnoreRange,
}

#[derive(Default)]
struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    mishaps: BTreeMap<String, Vec<Mishap>>,
    /// Statuses that every request gets instead of an answer, in order.
    statuses: Vec<u16>,
    token: Option<String>,
    log: Vec<String>,
}

/// A running hub with one model, `owner/model`.
pub struct FakeHub {
    pub address: String,
    hub: Arc<Mutex<Hub>>,
    _runtime: tokio::runtime::Runtime,
}

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const NAME: &str = "owner/model";

impl FakeHub {
    pub fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let hub = Arc::new(Mutex::new(Hub {
            files: files
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()))
                .collect(),
            ..Hub::default()
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/api/models/{owner}/{model}/revision/{revision}", get(info))
            .route("/{owner}/{model}/resolve/{revision}/{file}", get(resolve))
            .route("/storage/{file}", get(storage))
            .with_state(hub.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            hub,
            _runtime: runtime,
        }
    }

    pub fn mishaps(&self, file: &str, mishaps: &[Mishap]) {
        self.hub
            .lock()
            .unwrap()
            .mishaps
            .insert(file.to_owned(), mishaps.to_vec());
    }

    pub fn statuses(&self, statuses: &[u16]) {
        self.hub.lock().unwrap().statuses = statuses.to_vec();
    }

    pub fn wants_token(&self, token: &str) {
        self.hub.lock().unwrap().token = Some(token.to_owned());
    }

    pub fn replace(&self, file: &str, bytes: Vec<u8>) {
        self.hub.lock().unwrap().files.insert(file.to_owned(), bytes);
    }

    /// What was asked since the last call: `file range`, metadata requests left out.
    pub fn transfers(&self) -> Vec<String> {
        std::mem::take(&mut self.hub.lock().unwrap().log)
    }
}

type Shared = State<Arc<Mutex<Hub>>>;

/// The answer that every request gets when the hub is told to refuse, or wants a token.
fn refusal(hub: &mut Hub, headers: &HeaderMap) -> Option<Response> {
    if !hub.statuses.is_empty() {
        let status = StatusCode::from_u16(hub.statuses.remove(0)).unwrap();
        return Some((status, "told to").into_response());
    }
    let token = hub.token.as_ref()?;
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    (sent != Some(&format!("Bearer {token}"))).then(|| (StatusCode::UNAUTHORIZED, "token").into_response())
}

async fn info(
    State(hub): Shared,
    Path((owner, model, revision)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut hub = hub.lock().unwrap();
    if let Some(refusal) = refusal(&mut hub, &headers) {
        return refusal;
    }
    if format!("{owner}/{model}") != NAME || !["main", COMMIT].contains(&revision.as_str()) {
        return (StatusCode::NOT_FOUND, "Repository not found").into_response();
    }
    let siblings: Vec<String> = hub
        .files
        .keys()
        .map(|name| format!(r#"{{"rfilename": "{name}"}}"#))
        .collect();
    let text = format!(
        r#"{{"sha": "{COMMIT}", "siblings": [{}], "tags": []}}"#,
        siblings.join(", ")
    );
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Small files are sent at once, large ones lie elsewhere, as on the hub.
async fn resolve(
    State(hub): Shared,
    Path((_, _, revision, file)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut held = hub.lock().unwrap();
    if let Some(refusal) = refusal(&mut held, &headers) {
        return refusal;
    }
    let Some(bytes) = held.files.get(&file).filter(|_| revision == COMMIT).cloned() else {
        return (StatusCode::NOT_FOUND, "Entry not found").into_response();
    };
    drop(held);
    if file.ends_with(".json") {
        return send(
            &hub,
            &file,
            &bytes,
            &headers,
            &[("etag", format!("\"{}\"", git_blob(&bytes)))],
        );
    }
    let linked = [
        ("x-repo-commit", COMMIT.to_owned()),
        ("x-linked-etag", format!("\"{}\"", sha256(&bytes))),
        ("x-linked-size", bytes.len().to_string()),
        ("location", format!("/storage/{file}")),
    ];
    // Relative, hence followed on the same host, as an endpoint behind one address does; the real hub's storage is absolute.
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let mut response = Response::builder().status(StatusCode::FOUND);
    for (name, value) in linked {
        let value = if name == "location" {
            format!("http://{host}{value}")
        } else {
            value
        };
        response = response.header(name, value);
    }
    response.body(Body::empty()).unwrap()
}

async fn storage(State(hub): Shared, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let bytes = hub.lock().unwrap().files[&file].clone();
    send(
        &hub,
        &file,
        &bytes,
        &headers,
        &[("etag", "\"another-mark\"".to_owned())],
    )
}

fn send(
    hub: &Mutex<Hub>,
    file: &str,
    bytes: &[u8],
    headers: &HeaderMap,
    marks: &[(&str, String)],
) -> Response {
    let range = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let is_metadata = range == "bytes=0-0";
    let mishap = if is_metadata {
        None
    } else {
        let mut hub = hub.lock().unwrap();
        hub.log.push(format!("{file} {range}"));
        match hub.mishaps.get_mut(file) {
            Some(mishaps) if !mishaps.is_empty() => Some(mishaps.remove(0)),
            _ => None,
        }
    };
    let start: usize = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split('-').next())
        .and_then(|start| start.parse().ok())
        .unwrap_or(0);
    if start > 0 && start >= bytes.len() {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }
    let (start, end, status) = match (&mishap, is_metadata) {
        (Some(Mishap::IgnoreRange), _) => (0, bytes.len(), StatusCode::OK),
        (_, true) => (0, 1.min(bytes.len()), StatusCode::PARTIAL_CONTENT),
        _ => (start, bytes.len(), StatusCode::PARTIAL_CONTENT),
    };
    let mut part = bytes[start..end].to_vec();
    let body = match mishap {
        Some(Mishap::Status(status)) => return StatusCode::from_u16(status).unwrap().into_response(),
        Some(Mishap::Damage) => {
            let middle = part.len() / 2;
            part[middle] ^= 0x10;
            Body::from(part.clone())
        }
        Some(Mishap::Cut(after)) => broken(&part, after, false),
        Some(Mishap::Hang(after)) => broken(&part, after, true),
        _ => Body::from(part.clone()),
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_LENGTH, part.len())
        .header("x-repo-commit", COMMIT);
    if status == StatusCode::PARTIAL_CONTENT {
        response = response.header(
            header::CONTENT_RANGE,
            format!("bytes {start}-{}/{}", end.max(1) - 1, bytes.len()),
        );
    }
    for (name, value) in marks {
        response = response.header(*name, value);
    }
    response.body(body).unwrap()
}

/// The first bytes, and then an error or silence.
fn broken(part: &[u8], after: usize, hang: bool) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(2);
    let first = Bytes::copy_from_slice(&part[..after.min(part.len())]);
    tokio::spawn(async move {
        let _ = sender.send(Ok(first)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if hang {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let _ = sender.send(Err(std::io::Error::other("cut"))).await;
    });
    Body::from_stream(Chunks(receiver))
}

struct Chunks(tokio::sync::mpsc::Receiver<Result<Bytes, std::io::Error>>);

impl futures::Stream for Chunks {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn git_blob(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    let mut hash = sha1::Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
