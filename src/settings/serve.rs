//! Settings of the service: `[serve]` of `geosurge.toml`.

use std::time::Duration;

use api::{LiveConfig, ServeConfig};
use serde::Deserialize;

/// `[serve]`; what is left out has the service's default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    keys: Option<bool>,
    max_upload_mib: Option<usize>,
    max_request_mib: Option<usize>,
    max_megapixels: Option<u64>,
    max_photos: Option<usize>,
    queue: Option<usize>,
    batch: Option<usize>,
    batch_wait_ms: Option<u64>,
    max_depth: Option<usize>,
    max_complexity: Option<usize>,
    max_websockets: Option<usize>,
    timeout_s: Option<f64>,
    drain_s: Option<f64>,
    requests_per_minute: Option<u32>,
    introspection: Option<bool>,
    graphiql: Option<bool>,
    cors_origins: Option<Vec<String>>,
}

impl Serve {
    /// Whether keys are asked for on this machine's own address too.
    pub fn keys(&self) -> bool {
        self.keys.unwrap_or(false)
    }

    /// The settings that a running service takes anew on SIGHUP.
    pub fn live(&self) -> LiveConfig {
        let usual = LiveConfig::default();
        LiveConfig {
            requests_per_minute: self.requests_per_minute.unwrap_or(usual.requests_per_minute),
            introspection: self.introspection.unwrap_or(usual.introspection),
            graphiql: self.graphiql.unwrap_or(usual.graphiql),
            cors_origins: self.cors_origins.clone().unwrap_or(usual.cors_origins),
        }
    }

    /// The service's settings with these over the defaults.
    pub fn config(&self) -> ServeConfig {
        let usual = ServeConfig::default();
        let seconds = |value: Option<f64>, usual: Duration| {
            // What is no duration is refused by the service as zero.
            value.map_or(usual, |seconds| {
                Duration::try_from_secs_f64(seconds).unwrap_or_default()
            })
        };
        let max_pixels = self
            .max_megapixels
            .map_or(usual.max_pixels, |mega| mega.saturating_mul(1_000_000));
        ServeConfig {
            max_upload_bytes: self
                .max_upload_mib
                .map_or(usual.max_upload_bytes, |mib| mib << 20),
            max_request_bytes: self
                .max_request_mib
                .map_or(usual.max_request_bytes, |mib| mib << 20),
            max_pixels,
            max_pixels_in_flight: usual.max_pixels_in_flight.max(max_pixels),
            max_photos: self.max_photos.unwrap_or(usual.max_photos),
            queue: self.queue.unwrap_or(usual.queue),
            batch: self.batch.unwrap_or(usual.batch),
            batch_wait: self.batch_wait_ms.map_or(usual.batch_wait, Duration::from_millis),
            max_depth: self.max_depth.unwrap_or(usual.max_depth),
            max_complexity: self.max_complexity.unwrap_or(usual.max_complexity),
            max_websockets: self.max_websockets.unwrap_or(usual.max_websockets),
            timeout: seconds(self.timeout_s, usual.timeout),
            drain: seconds(self.drain_s, usual.drain),
            live: self.live(),
            ..usual
        }
    }
}
