//! What the service counts and measures, for Prometheus.
//!
//! Every series is registered when the service starts, so that rates and alarms have something to start from before the first
//! request. Labels take their values from the lists in this file and from nothing that a client sends.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::request_error::Code;

/// Stages of an answer, in order.
pub(crate) const STAGES: [&str; 8] = [
    "queue",
    "decode",
    "preprocess",
    "segment",
    "encode",
    "search",
    "references",
    "total",
];

/// Routes by which requests are counted.
pub(crate) const ROUTES: [&str; 8] = [
    "graphql",
    "localize",
    "websocket",
    "thumbnail",
    "prediction",
    "page",
    "operations",
    "other",
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper ends of the buckets of durations, in seconds.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// Upper ends of the buckets of batch sizes.
const BATCHES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

const META: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The service's own series. Cheap to use from anywhere.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    requests: Vec<[Counter; CLASSES.len()]>,
    request_seconds: Vec<Histogram>,
    errors: Vec<(&'static str, Counter)>,
    stages: Vec<Histogram>,
    pub(crate) answered: Counter,
    pub(crate) cannot_tell: Counter,
    pub(crate) refused: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) batches: Histogram,
    pub(crate) waiting: Gauge,
    pub(crate) queue_capacity: Gauge,
    pub(crate) release_switches: Counter,
    pub(crate) release_failures: Counter,
    pub(crate) release_ready: Gauge,
    pub(crate) release_geocells: Gauge,
    pub(crate) release_reference_images: Gauge,
    pub(crate) websockets: Gauge,
    pub(crate) subscriptions: Gauge,
    pub(crate) unauthenticated: Counter,
    pub(crate) rate_limited: Counter,
    pub(crate) catalog_up: Gauge,
    pub(crate) vector_store_up: Gauge,
    pub(crate) memory_bytes: Gauge,
    uptime: Gauge,
}

impl Metrics {
    /// Registers every series.
    pub(crate) fn new() -> Self {
        let buckets = |builder: PrometheusBuilder, name: &str, ends: &[f64]| {
            // Fails for no buckets alone.
            builder
                .set_buckets_for_metric(Matcher::Full(name.to_owned()), ends)
                .unwrap_or_else(|_| PrometheusBuilder::new())
        };
        let builder = buckets(
            PrometheusBuilder::new(),
            "geosurge_http_request_seconds",
            &SECONDS,
        );
        let builder = buckets(builder, "geosurge_stage_seconds", &SECONDS);
        let builder = buckets(builder, "geosurge_encoder_batch_photos", &BATCHES);
        let recorder = builder.build_recorder();
        let of = Registry(&recorder);
        of.counter_text(
            "geosurge_http_requests_total",
            "Requests answered, by route and class of status.",
        );
        of.histogram_text(
            "geosurge_http_request_seconds",
            "Time to answer a request, by route.",
        );
        of.counter_text("geosurge_errors_total", "Errors given to clients, by their code.");
        of.histogram_text(
            "geosurge_stage_seconds",
            "Time of each stage of an answered photo.",
        );
        let build = Key::from_parts(
            "geosurge_build_info",
            vec![Label::new("version", env!("CARGO_PKG_VERSION"))],
        );
        of.gauge_text("geosurge_build_info", "Always 1; the version is a label.");
        recorder.register_gauge(&build, &META).set(1.0);
        let labelled = |name: &'static str, label: &'static str, value: &'static str| {
            Key::from_parts(name, vec![Label::new(label, value)])
        };
        Self {
            requests: ROUTES
                .iter()
                .map(|route| {
                    CLASSES.map(|class| {
                        let labels = vec![Label::new("route", *route), Label::new("status", class)];
                        let key = Key::from_parts("geosurge_http_requests_total", labels);
                        recorder.register_counter(&key, &META)
                    })
                })
                .collect(),
            request_seconds: ROUTES
                .iter()
                .map(|route| {
                    recorder
                        .register_histogram(&labelled("geosurge_http_request_seconds", "route", route), &META)
                })
                .collect(),
            errors: Code::ALL
                .iter()
                .map(|code| {
                    let key = labelled("geosurge_errors_total", "code", code.as_str());
                    (code.as_str(), recorder.register_counter(&key, &META))
                })
                .collect(),
            stages: STAGES
                .iter()
                .map(|stage| {
                    recorder.register_histogram(&labelled("geosurge_stage_seconds", "stage", stage), &META)
                })
                .collect(),
            answered: of.counter("geosurge_photos_answered_total", "Photos answered."),
            cannot_tell: of.counter(
                "geosurge_photos_cannot_tell_total",
                "Of the answered photos, those whose place cannot be told.",
            ),
            refused: of.counter(
                "geosurge_photos_refused_total",
                "Photos refused because too many were waiting.",
            ),
            cancelled: of.counter(
                "geosurge_photos_cancelled_total",
                "Photos dropped from the queue because their client had left.",
            ),
            batches: of.histogram(
                "geosurge_encoder_batch_photos",
                "Photos of a pass of the encoder.",
            ),
            waiting: of.gauge("geosurge_queue_photos", "Photos accepted and not yet answered."),
            queue_capacity: of.gauge("geosurge_queue_capacity_photos", "Photos that may wait."),
            release_switches: of.counter("geosurge_release_switches_total", "Switches to another release."),
            release_failures: of.counter(
                "geosurge_release_open_failures_total",
                "Active releases that could not be opened.",
            ),
            release_ready: of.gauge("geosurge_release_ready", "Whether a release answers: 1 or 0."),
            release_geocells: of.gauge(
                "geosurge_release_geocells",
                "Geocells of the release that answers.",
            ),
            release_reference_images: of.gauge(
                "geosurge_release_reference_images",
                "Reference images of the release that answers, as of its activation.",
            ),
            websockets: of.gauge("geosurge_websockets", "Open WebSockets."),
            subscriptions: of.gauge("geosurge_subscriptions", "Running subscriptions."),
            unauthenticated: of.counter(
                "geosurge_unauthenticated_total",
                "Requests refused for want of a key that works.",
            ),
            rate_limited: of.counter(
                "geosurge_rate_limited_total",
                "Requests refused because their caller asked too often.",
            ),
            catalog_up: of.gauge(
                "geosurge_catalog_up",
                "Whether the catalog answered when last asked: 1 or 0.",
            ),
            vector_store_up: of.gauge(
                "geosurge_vector_store_up",
                "Whether the vector store answered when last asked: 1 or 0.",
            ),
            memory_bytes: of.gauge(
                "geosurge_resident_memory_bytes",
                "Resident memory of the process; 0 where the system does not tell.",
            ),
            uptime: of.gauge("geosurge_uptime_seconds", "Seconds since the service started."),
            handle: recorder.handle(),
        }
    }

    /// Counts an answered request. `route`: an index of [`ROUTES`].
    pub(crate) fn request(&self, route: usize, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        if let (Some(counters), Some(seconds)) = (self.requests.get(route), self.request_seconds.get(route)) {
            counters[class].increment(1);
            seconds.record(took.as_secs_f64());
        }
    }

    /// Counts an error that was given to a client.
    pub(crate) fn error(&self, code: &str) {
        if let Some((_, counter)) = self.errors.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }

    /// Measures a stage of an answered photo.
    pub(crate) fn stage(&self, stage: &str, milliseconds: f64) {
        if let Some(index) = STAGES.iter().position(|known| *known == stage) {
            self.stages[index].record(milliseconds / 1e3);
        }
    }

    /// All series in Prometheus' text format.
    pub(crate) fn render(&self, uptime: Duration) -> String {
        self.uptime.set(uptime.as_secs_f64());
        self.memory_bytes.set(resident_bytes().unwrap_or(0) as f64);
        self.handle.run_upkeep();
        self.handle.render()
    }
}

/// Resident memory, where `/proc` tells it.
fn resident_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

struct Registry<'a>(&'a PrometheusRecorder);

impl Registry<'_> {
    fn counter_text(&self, name: &'static str, about: &'static str) {
        self.0
            .describe_counter(KeyName::from(name), Some(Unit::Count), SharedString::from(about));
    }

    fn gauge_text(&self, name: &'static str, about: &'static str) {
        self.0
            .describe_gauge(KeyName::from(name), None, SharedString::from(about));
    }

    fn histogram_text(&self, name: &'static str, about: &'static str) {
        self.0
            .describe_histogram(KeyName::from(name), None, SharedString::from(about));
    }

    fn counter(&self, name: &'static str, about: &'static str) -> Counter {
        self.counter_text(name, about);
        self.0.register_counter(&Key::from_static_name(name), &META)
    }

    fn gauge(&self, name: &'static str, about: &'static str) -> Gauge {
        self.gauge_text(name, about);
        self.0.register_gauge(&Key::from_static_name(name), &META)
    }

    fn histogram(&self, name: &'static str, about: &'static str) -> Histogram {
        self.histogram_text(name, about);
        self.0.register_histogram(&Key::from_static_name(name), &META)
    }
}
