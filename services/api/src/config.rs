//! The service's settings, read once at the edge and passed down.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::shadow::ShadowConfig;
use crate::tiles::Tiles;
use crate::{Error, Result};

/// Settings of [`crate::serve`]. `Default` is right for one machine and one team.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeConfig {
    /// Where to listen. Default 127.0.0.1:8080; port 0 takes a free one.
    pub address: SocketAddr,
    /// Permits an address that other machines can reach without API keys. Default false.
    pub allow_public: bool,
    /// Asks every caller for an API key. Default false, which only an address of this machine permits without
    /// `allow_public`.
    pub require_keys: bool,
    /// Most bytes of one photo. Default 20 MiB.
    pub max_upload_bytes: usize,
    /// Most bytes of one request, all its photos together. Default 64 MiB.
    pub max_request_bytes: usize,
    /// Most pixels of one photo. Default 50 million.
    pub max_pixels: u64,
    /// Most photos of one request. Default 16.
    pub max_photos: usize,
    /// Most photos accepted and not yet answered; more are refused with `OVERLOADED`. Default 64.
    pub queue: usize,
    /// Most pixels decoded and waiting at once, which bounds memory (3 bytes a pixel). Default 200 million.
    pub max_pixels_in_flight: u64,
    /// Most photos that one pass of the encoder takes. Default 8.
    pub batch: usize,
    /// How long the encoder waits for a batch to fill while more photos are on their way to it. Default 3 ms.
    pub batch_wait: Duration,
    /// Deepest nesting of a query. Default 15, which GraphiQL's own introspection query needs.
    pub max_depth: usize,
    /// Highest complexity of a query: one a field, multiplied by the page size of lists. Default 20,000.
    pub max_complexity: usize,
    /// Longest time for one request. Default 60 s.
    pub timeout: Duration,
    /// How often the catalog is asked whether another release is active. Default 1 s.
    pub poll: Duration,
    /// How long requests in progress may take to end after a stop was asked for. Default 20 s.
    pub drain: Duration,
    /// Recorded as `client` with each prediction. Default `api`.
    pub client: String,
    /// Folder of photographs that clients add as reference images. Without one they are refused. Default none.
    pub photos: Option<PathBuf>,
    /// Raster tiles over the map's offline base map. Default none.
    pub tiles: Option<Tiles>,
    /// A candidate release that answers a share of the queries unseen. Default none.
    pub shadow: Option<ShadowConfig>,
    /// Most WebSockets at once. Default 256.
    pub max_websockets: usize,
    /// Settings that can change while the service runs.
    pub live: LiveConfig,
}

/// Settings that [`crate::Service::reload`] changes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfig {
    /// Requests a minute of a caller without a rate of its own; a photo counts as one. 0: no limit. Default 0.
    pub requests_per_minute: u32,
    /// Whether clients may ask for the schema by introspection. Default true.
    pub introspection: bool,
    /// Whether the console GraphiQL is served. Default true.
    pub graphiql: bool,
    /// Origins of pages on other hosts that may use the service, such as `https://maps.example`. Default none.
    pub cors_origins: Vec<String>,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            requests_per_minute: 0,
            introspection: true,
            graphiql: true,
            cors_origins: Vec::new(),
        }
    }
}

impl LiveConfig {
    /// Checks that origins are origins.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        for origin in &self.cors_origins {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            let plain = host.is_some_and(|host| {
                !host.is_empty() && !host.contains(['/', '*', ' ', '@', '?', '#']) && host.is_ascii()
            });
            if !plain {
                return Err(Error::Setting {
                    setting: "cors_origins",
                    value: origin.clone(),
                    expected: "a scheme and a host, such as https://maps.example, without a path",
                });
            }
        }
        Ok(())
    }
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allow_public: false,
            max_upload_bytes: 20 << 20,
            max_request_bytes: 64 << 20,
            max_pixels: 50_000_000,
            max_photos: 16,
            queue: 64,
            max_pixels_in_flight: 200_000_000,
            batch: 8,
            max_depth: 15,
            max_complexity: 20_000,
            timeout: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            drain: Duration::from_secs(20),
            client: "api".to_owned(),
            photos: None,
            tiles: None,
            shadow: None,
            require_keys: false,
            batch_wait: Duration::from_millis(3),
            max_websockets: 256,
            live: LiveConfig::default(),
        }
    }
}

impl ServeConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::PublicAddress`] for an address beyond this machine without `allow_public`, [`Error::Setting`] for a
    /// setting of zero or limits that contradict each other.
    pub fn validate(&self) -> Result<()> {
        self.live.validate()?;
        if !self.address.ip().is_loopback() && !self.allow_public && !self.require_keys {
            return Err(Error::PublicAddress {
                address: self.address,
            });
        }
        let counts = [
            ("max_upload_bytes", self.max_upload_bytes),
            ("max_photos", self.max_photos),
            ("queue", self.queue),
            ("batch", self.batch),
            ("max_websockets", self.max_websockets),
            ("max_depth", self.max_depth),
            ("max_complexity", self.max_complexity),
        ];
        for (setting, value) in counts {
            if value == 0 {
                return Err(Error::Setting {
                    setting,
                    value: "0".to_owned(),
                    expected: "at least 1",
                });
            }
        }
        if self.max_request_bytes < self.max_upload_bytes {
            return Err(Error::Setting {
                setting: "max_request_bytes",
                value: self.max_request_bytes.to_string(),
                expected: "at least max_upload_bytes",
            });
        }
        if self.max_pixels == 0 || self.max_pixels_in_flight < self.max_pixels {
            return Err(Error::Setting {
                setting: "max_pixels_in_flight",
                value: self.max_pixels_in_flight.to_string(),
                expected: "at least max_pixels, which must be at least 1",
            });
        }
        if self.max_photos > self.queue {
            return Err(Error::Setting {
                setting: "max_photos",
                value: self.max_photos.to_string(),
                expected: "at most queue, or a full batch could never be accepted",
            });
        }
        if let Some(shadow) = &self.shadow {
            if !(shadow.share > 0.0 && shadow.share <= 1.0) {
                return Err(Error::Setting {
                    setting: "shadow.share",
                    value: shadow.share.to_string(),
                    expected: "above 0 and at most 1",
                });
            }
            if shadow.queue == 0 {
                return Err(Error::Setting {
                    setting: "shadow.queue",
                    value: "0".to_owned(),
                    expected: "at least 1",
                });
            }
        }
        for (setting, value) in [("timeout", self.timeout), ("poll", self.poll)] {
            if value.is_zero() {
                return Err(Error::Setting {
                    setting,
                    value: "0 s".to_owned(),
                    expected: "longer than 0 s",
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_local() {
        let config = ServeConfig::default();
        config.validate().unwrap();
        assert!(config.address.ip().is_loopback());
    }

    #[test]
    fn a_public_address_needs_permission() {
        for address in ["0.0.0.0:8080", "192.168.1.5:80", "[::]:8080"] {
            let mut config = ServeConfig {
                address: address.parse().unwrap(),
                ..ServeConfig::default()
            };
            let message = config.validate().unwrap_err().to_string();
            assert!(
                message.contains("--keys") && message.contains("--allow-public"),
                "{message}"
            );
            config.allow_public = true;
            config.validate().unwrap();
            config.allow_public = false;
            config.require_keys = true;
            config.validate().unwrap();
        }
    }

    #[test]
    fn origins_are_whole_origins() {
        let with = |origin: &str| LiveConfig {
            cors_origins: vec![origin.to_owned()],
            ..LiveConfig::default()
        };
        with("https://maps.example").validate().unwrap();
        with("http://localhost:5173").validate().unwrap();
        for bad in [
            "*",
            "maps.example",
            "https://",
            "https://maps.example/",
            "https://*.example",
        ] {
            assert!(with(bad).validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn contradicting_limits_are_named() {
        let zero = ServeConfig {
            batch: 0,
            ..ServeConfig::default()
        };
        assert!(zero.validate().unwrap_err().to_string().contains("`batch` is 0"));
        let small = ServeConfig {
            max_request_bytes: 5,
            ..ServeConfig::default()
        };
        assert!(
            small
                .validate()
                .unwrap_err()
                .to_string()
                .contains("max_request_bytes")
        );
        let memory = ServeConfig {
            max_pixels_in_flight: 5,
            ..ServeConfig::default()
        };
        assert!(
            memory
                .validate()
                .unwrap_err()
                .to_string()
                .contains("max_pixels_in_flight")
        );
        let many = ServeConfig {
            max_photos: 65,
            ..ServeConfig::default()
        };
        assert!(many.validate().unwrap_err().to_string().contains("max_photos"));
    }
}
