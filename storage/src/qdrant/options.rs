//! How to reach a server, and how it shall keep collections.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataValue};

use crate::{CollectionName, Error, Result};

/// A server and how to talk to it.
#[derive(Clone, Debug)]
pub struct QdrantOptions {
    /// gRPC address, `http://host:6334` or `https://host:6334`; without a port it is 6334.
    pub url: String,
    /// Sent with every request.
    pub api_key: Option<ApiKey>,
    /// PEM file of a certificate authority to trust instead of the system's, for `https`.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a read is tried again while the server does not answer.
    pub retry_reads: Duration,
    /// How long a write is tried again while the server does not answer: long enough for a restart.
    pub retry_writes: Duration,
    /// Put before every collection and alias, so that installations can share a server.
    pub prefix: String,
    /// How new collections are kept.
    pub layout: Layout,
}

impl QdrantOptions {
    /// The defaults, for a server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_key: None,
            ca_file: None,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retry_reads: Duration::from_secs(5),
            retry_writes: Duration::from_secs(60),
            prefix: String::new(),
            layout: Layout::default(),
        }
    }

    /// Checks what can be checked without the server.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting.
    pub(super) fn check(&self) -> Result<()> {
        if !self.prefix.is_empty() && (self.prefix.len() > 60 || CollectionName::new(&self.prefix).is_err()) {
            return Err(Error::Invalid(format!(
                "the prefix {:?} of the Qdrant server's collections: use at most 60 lower-case letters, digits, '-' and '_'",
                self.prefix
            )));
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(Error::Invalid(
                "the timeouts of the Qdrant server must not be 0".into(),
            ));
        }
        for (setting, value) in [
            ("shards", self.layout.shards),
            ("replicas", self.layout.replicas),
            ("write_consistency", self.layout.write_consistency),
        ] {
            if value == Some(0) {
                return Err(Error::Invalid(format!(
                    "{setting} of the Qdrant server must be at least 1"
                )));
            }
        }
        Ok(())
    }
}

/// How a server keeps collections. What is `None` is the server's own default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Shards a collection: the most nodes that can share its work.
    pub shards: Option<u32>,
    /// Copies of each shard, on different nodes.
    pub replicas: Option<u32>,
    /// Copies that must have taken a write before it is answered.
    pub write_consistency: Option<u32>,
    /// Short codes of the vectors that have a graph.
    pub quantization: Quantization,
    /// Keep the vectors that have a graph on disk, and their short codes in memory.
    pub vectors_on_disk: bool,
    /// Keep payloads on disk.
    pub payload_on_disk: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            shards: None,
            replicas: None,
            write_consistency: None,
            quantization: Quantization::Auto,
            vectors_on_disk: false,
            payload_on_disk: true,
        }
    }
}

/// Short codes by which a graph is searched; the best are then compared by their vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// None for small collections, one byte a component for large ones.
    #[default]
    Auto,
    /// None.
    None,
    /// One byte a component.
    Scalar,
    /// One bit a component: smallest, and good only for long vectors whose components are spread about zero.
    Binary,
}

/// A server's API key or token, which no log shows.
#[derive(Clone)]
pub struct ApiKey(pub(super) MetadataValue<Ascii>);

impl ApiKey {
    /// Checks a key; white space around it is left out.
    ///
    /// # Errors
    /// [`Error::Invalid`], without the key, where it is empty or holds characters that no header may.
    pub fn new(key: &str) -> Result<Self> {
        let key = key.trim();
        let refused = || {
            Error::Invalid(
                "the API key of the Qdrant server is empty or has characters other than visible ASCII".into(),
            )
        };
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused());
        }
        let mut value = MetadataValue::try_from(key).map_err(|_| refused())?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn keys_are_never_shown() {
        let mut options = QdrantOptions::new("http://127.0.0.1:6334");
        options.api_key = Some(ApiKey::new(" secret\n").unwrap());
        assert!(!format!("{options:?}").contains("secret"));
        for bad in ["", " \n", "sec\nret", "schlüssel"] {
            let error = ApiKey::new(bad).unwrap_err().to_string();
            assert!(error.contains("API key") && !error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn impossible_options_are_named() {
        let with = |change: fn(&mut QdrantOptions)| {
            let mut options = QdrantOptions::new("http://127.0.0.1:6334");
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        assert!(with(|o| o.prefix = "A b".into()).contains("prefix"));
        assert!(with(|o| o.timeout = Duration::ZERO).contains("timeouts"));
        assert!(with(|o| o.layout.replicas = Some(0)).contains("replicas"));
        QdrantOptions::new("x").check().unwrap();
    }
}
