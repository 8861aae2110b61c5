//! Logs on standard error, and traces to a collector where the settings name one.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::settings::Settings;

/// What is traced: the stages of requests, which are spans of the level info.
const TRACED: &str = "info,h2=off,hyper=off,tonic=off,tower=off,qdrant_edge=off";

/// Changes the log filter of this process.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Sends what is left of the traces when it is dropped.
#[derive(Default)]
pub struct Telemetry {
    traces: Option<(SdkTracerProvider, tokio::runtime::Runtime)>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some((provider, _runtime)) = self.traces.take()
            && let Err(error) = provider.shutdown()
        {
            eprintln!("warning: the last traces could not be sent: {error}");
        }
    }
}

/// Starts logging to standard error, and tracing.
pub fn start(settings: &Settings) -> Result<Telemetry> {
    let filter = EnvFilter::try_new(&settings.log).unwrap_or_else(|error| {
        eprintln!(
            "warning: the log filter {:?} is not understood ({error}); using warn",
            settings.log
        );
        EnvFilter::new("warn")
    });
    let (filter, handle) = reload::Layer::new(filter);
    // The first start wins; there is one a process.
    let _ = FILTER.set(handle);
    let text = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match settings.log_json {
        true => text.json().with_filter(filter).boxed(),
        false => text.with_filter(filter).boxed(),
    };
    let Some(endpoint) = &settings.otlp_endpoint else {
        tracing_subscriber::registry().with(logs).init();
        return Ok(Telemetry::default());
    };
    let (provider, runtime) = exporter(endpoint)?;
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("geosurge"))
        .with_filter(EnvFilter::new(TRACED));
    tracing_subscriber::registry().with(logs).with(traces).init();
    Ok(Telemetry {
        traces: Some((provider, runtime)),
    })
}

/// Changes the log filter while the process runs.
pub fn set_log(filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("the log filter {filter:?}"))?;
    match FILTER.get() {
        Some(handle) => handle.reload(filter).context("the log filter cannot be changed"),
        None => Ok(()),
    }
}

/// Sends spans by OTLP over gRPC, in batches; its connection has a thread of its own, so that it outlives the service.
fn exporter(endpoint: &str) -> Result<(SdkTracerProvider, tokio::runtime::Runtime)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("traces")
        .enable_all()
        .build()
        .context("no thread for traces")?;
    let entered = runtime.enter();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("traces cannot be sent to {endpoint}; give the gRPC address of an OTLP collector, such as http://127.0.0.1:4317"))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("geosurge").build())
        .build();
    drop(entered);
    Ok((provider, runtime))
}
