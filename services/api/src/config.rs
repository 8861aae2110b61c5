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
    /// Permits an address that other machines can reach. Default false.
    pub allow_public: bool,
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
        if !self.address.ip().is_loopback() && !self.allow_public {
            return Err(Error::PublicAddress {
                address: self.address,
            });
        }
        let counts = [
            ("max_upload_bytes", self.max_upload_bytes),
            ("max_photos", self.max_photos),
            ("queue", self.queue),
            ("batch", self.batch),
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
                message.contains("no API keys yet") && message.contains("--allow-public"),
                "{message}"
            );
            config.allow_public = true;
            config.validate().unwrap();
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
