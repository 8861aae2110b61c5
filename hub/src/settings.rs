//! How a hub is reached: the variables that the hub's own tools read, so that a machine set up for them is set up for this.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Error, Result};

/// How a hub is reached.
#[derive(Clone)]
pub struct HubSettings {
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// Sent as a bearer token to the endpoint, and by `hf-hub` 0.5 also where the endpoint refers for a file's length.
    pub token: Option<String>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// The cache that the hub's own tools keep on this machine; looked into before the network is.
    pub cache: PathBuf,
    /// How long nothing may arrive before a transfer is given up.
    pub stall: Duration,
    /// How often a transfer is tried before it is given up.
    pub attempts: usize,
    /// Pause before the second attempt; it doubles with each.
    pub pause: Duration,
}

const ENDPOINT: &str = "https://huggingface.co";

impl HubSettings {
    /// Reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_OFFLINE`, `HF_HOME`,
    /// `HF_HUB_CACHE`, `XDG_CACHE_HOME`, `HOME` and `HF_HUB_DOWNLOAD_TIMEOUT` (seconds without a byte; 30 without it)
    /// through `variable`. Proxies are the HTTP client's matter: it reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// [`Error::Setting`] for an address that is none, or a timeout that is no positive number.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| {
            variable(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let plain = ["http://", "https://"]
            .iter()
            .find_map(|scheme| endpoint.strip_prefix(scheme));
        if plain.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
            return Err(Error::Setting {
                name: "HF_ENDPOINT",
                value: endpoint,
                reason: "an address starts with http:// or https://".to_owned(),
            });
        }
        let home = set("HF_HOME").map(PathBuf::from).unwrap_or_else(|| {
            set("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .unwrap_or_else(|| PathBuf::from(set("HOME").unwrap_or_default()).join(".cache"))
                .join("huggingface")
        });
        let stall = match set("HF_HUB_DOWNLOAD_TIMEOUT") {
            None => Duration::from_secs(30),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|seconds| *seconds > 0.0)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or(Error::Setting {
                    name: "HF_HUB_DOWNLOAD_TIMEOUT",
                    value: text,
                    reason: "a positive number of seconds is needed".to_owned(),
                })?,
        };
        let truthy = |name: &str| {
            set(name).is_some_and(|value| {
                matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
            })
        };
        let token_file = set("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
        let implicit = || match truthy("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            true => None,
            false => fs_err::read_to_string(&token_file).ok(),
        };
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: set("HF_TOKEN")
                .or_else(implicit)
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            offline: truthy("HF_HUB_OFFLINE"),
            cache: set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            stall,
            attempts: 4,
            pause: Duration::from_secs(1),
        })
    }
}

impl std::fmt::Debug for HubSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HubSettings")
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<HubSettings> {
        let variables: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        HubSettings::read(|name| variables.get(name).cloned())
    }

    #[test]
    fn defaults_and_variables() {
        let settings = read(&[("HOME", "/home/a")]).unwrap();
        assert_eq!((settings.endpoint.as_str(), settings.offline), (ENDPOINT, false));
        assert_eq!(settings.cache, PathBuf::from("/home/a/.cache/huggingface/hub"));
        let settings = read(&[
            ("HF_ENDPOINT", "http://mirror:8080/"),
            ("HF_TOKEN", " secret "),
            ("HF_HUB_OFFLINE", "True"),
            ("HF_HUB_CACHE", "/big/hub"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "2.5"),
        ])
        .unwrap();
        assert_eq!(settings.endpoint, "http://mirror:8080");
        assert_eq!(settings.token.as_deref(), Some("secret"));
        assert!(settings.offline);
        assert_eq!(settings.cache, PathBuf::from("/big/hub"));
        assert_eq!(settings.stall, Duration::from_millis(2500));
        assert!(
            !format!("{settings:?}").contains("secret"),
            "tokens are not printed"
        );
    }

    #[test]
    fn the_token_file_is_read_unless_told_not_to() {
        let home = tempfile::tempdir().unwrap();
        fs_err::write(home.path().join("token"), "from-file\n").unwrap();
        let folder = home.path().to_str().unwrap();
        assert_eq!(
            read(&[("HF_HOME", folder)]).unwrap().token.as_deref(),
            Some("from-file")
        );
        let without = read(&[("HF_HOME", folder), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).unwrap();
        assert_eq!(without.token, None);
    }

    #[test]
    fn nonsense_is_refused_by_the_variables_name() {
        for (name, value) in [
            ("HF_ENDPOINT", "huggingface.co"),
            ("HF_ENDPOINT", "https://"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "soon"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "-1"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "NaN"),
        ] {
            let said = read(&[(name, value)]).unwrap_err().to_string();
            assert!(said.contains(name) && said.contains(value), "{said}");
        }
    }
}
