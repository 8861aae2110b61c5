//! What a collector of traces receives of an answered photograph.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use support::{first_photo, index, render, tiny_config, train};
use tonic::{Request, Response, Status};

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.received.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens on a free port until the program ends.
    fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let address = free_address();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let server = tonic::transport::Server::builder().add_service(service);
            runtime.block_on(server.serve(address)).unwrap();
        });
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn service_names(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        let attributes = resources.flat_map(|spans| spans.resource.iter().flat_map(|it| &it.attributes));
        attributes
            .filter(|attribute| attribute.key == "service.name")
            .filter_map(|attribute| match &attribute.value.as_ref()?.value {
                Some(Value::StringValue(name)) => Some(name.clone()),
                _ => None,
            })
            .collect()
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A service, ended with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    fn start(dir: &Path, address: SocketAddr, collector: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geosurge"));
        command.current_dir(dir).args([
            "serve",
            "--data-dir",
            ".",
            "--listen",
            &address.to_string(),
            "--otlp-endpoint",
            collector,
        ]);
        let service = Self(command.spawn().unwrap());
        let begun = Instant::now();
        while ureq::get(format!("http://{address}/health/ready"))
            .call()
            .is_err()
        {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the service is not ready"
            );
            thread::sleep(Duration::from_millis(50));
        }
        service
    }

    /// Asks it to stop and waits until it has.
    fn stop(mut self) {
        let status = Command::new("kill")
            .arg(self.0.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
        assert!(self.0.wait().unwrap().success());
    }
}

fn localize(address: SocketAddr, photo: &[u8]) {
    let answer = ureq::post(format!("http://{address}/localize"))
        .header("content-type", "image/jpeg")
        .send(photo)
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[test]
fn the_stages_of_a_photograph_are_spans_of_one_trace() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    render(dir, 200, 48, 6);
    train(dir, &tiny_config());
    index(dir);
    let photo = fs_err::read(first_photo(dir)).unwrap();

    let (collector, traces) = Collector::start();
    let address = free_address();
    let service = Service::start(dir, address, &format!("http://{traces}"));
    localize(address, &photo);
    // What waits to be sent is sent when the service stops.
    service.stop();
    assert!(collector.service_names().iter().any(|name| name == "geosurge"));
    let spans = collector.spans();
    let localized = spans.iter().find(|span| span.name == "localize").unwrap();
    for stage in ["decode", "queue", "encode", "search", "record"] {
        let span = spans
            .iter()
            .find(|span| span.name == stage && span.trace_id == localized.trace_id)
            .unwrap_or_else(|| panic!("no span {stage} in the trace of the photograph"));
        assert!(span.end_time_unix_nano > span.start_time_unix_nano, "{stage}");
        // The database's thread may let go of its span a little after the answer.
        let during = localized.start_time_unix_nano..=localized.end_time_unix_nano;
        assert!(during.contains(&span.start_time_unix_nano), "{stage}");
        assert_eq!(span.parent_span_id, localized.span_id, "{stage}");
    }

    // A collector that is away keeps nobody waiting.
    let service = Service::start(dir, address, &format!("http://{}", free_address()));
    localize(address, &photo);
    service.stop();
}
