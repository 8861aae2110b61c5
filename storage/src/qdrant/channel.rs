//! The connection: address, TLS, key.

use std::time::Duration;

use fs_err as fs;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status};

use super::options::QdrantOptions;
use crate::{Error, Result};

/// The port of gRPC; REST has the one before.
const PORT: u16 = 6334;

/// Puts the key on every request.
#[derive(Clone)]
pub(super) struct Key(pub(super) Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("api-key", key.clone());
        }
        Ok(request)
    }
}

/// A connection that is made with the first request, and made again whenever it broke.
pub(super) fn open(options: &QdrantOptions) -> Result<Channel> {
    let url = address(&options.url)?;
    let encrypted = url.scheme_str() == Some("https");
    let mut endpoint = Endpoint::from(url.clone())
        .timeout(options.timeout)
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(options.connect_timeout)
        .http2_adaptive_window(true);
    if encrypted {
        // Not both: small container images have no authorities of the system, which would be an error.
        let tls = match &options.ca_file {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(path) => {
                let pem = fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
                // Without one the connection would fail later, and blame the server.
                if !pem.contains("-----BEGIN CERTIFICATE-----") {
                    return Err(Error::Invalid(format!(
                        "{} holds no certificate in PEM form",
                        path.display()
                    )));
                }
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
        };
        endpoint = endpoint.tls_config(tls).map_err(|error| {
            let reason = super::fault::chain(&error);
            Error::Invalid(match &options.ca_file {
                Some(path) => format!("{} is no PEM file of certificates: {reason}", path.display()),
                None => format!("TLS cannot be used: {reason}"),
            })
        })?;
    } else if options.ca_file.is_some() {
        return Err(Error::Invalid(format!(
            "the Qdrant server's ca_file is set and its url {url} is not encrypted: write https, or leave ca_file out"
        )));
    } else if options.api_key.is_some() && !is_loopback(&url) {
        tracing::warn!(%url, "the API key of the Qdrant server travels unencrypted: use https");
    }
    Ok(endpoint.connect_lazy())
}

/// The server's address with a port.
pub(super) fn address(url: &str) -> Result<Uri> {
    let invalid = |reason: &str| {
        Error::Invalid(format!(
            "{url:?} is not the gRPC address of a Qdrant server ({reason}): write it as http://host:{PORT} or https://host:{PORT}"
        ))
    };
    let uri: Uri = url.parse().map_err(|_| invalid("it is no URL"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    if scheme != "http" && scheme != "https" {
        return Err(invalid("it begins with neither http:// nor https://"));
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(invalid("a path is not supported"));
    }
    let authority = uri.authority().ok_or_else(|| invalid("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(Error::Invalid(
            "the address of the Qdrant server holds a user or password: give the key as GEOSURGE_QDRANT_API_KEY".into(),
        ));
    }
    let port = uri.port_u16().unwrap_or(PORT);
    format!("{scheme}://{}:{port}", authority.host())
        .parse()
        .map_err(|_| invalid("it is no URL"))
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_get_the_grpc_port() {
        let full = |url| address(url).unwrap().to_string();
        assert_eq!(full("http://qdrant"), "http://qdrant:6334/");
        assert_eq!(full("https://q.example:7000/"), "https://q.example:7000/");
        assert_eq!(full("http://[::1]"), "http://[::1]:6334/");
        assert!(is_loopback(&address("http://[::1]").unwrap()));
        assert!(is_loopback(&address("http://127.0.0.1:1").unwrap()));
        assert!(!is_loopback(&address("http://qdrant").unwrap()));
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in [
            "",
            "qdrant:6334",
            "ftp://qdrant",
            "http://",
            "http://q/collections",
        ] {
            let error = address(bad).unwrap_err().to_string();
            assert!(error.contains("6334"), "{bad:?}: {error}");
        }
        let error = address("http://user:secret@q").unwrap_err().to_string();
        assert!(
            error.contains("GEOSURGE_QDRANT_API_KEY") && !error.contains("secret"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn authorities_need_https_and_a_pem_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = QdrantOptions::new("http://127.0.0.1");
        options.ca_file = Some(dir.path().join("ca.pem"));
        assert!(open(&options).unwrap_err().to_string().contains("https"));
        options.url = "https://127.0.0.1".into();
        assert!(open(&options).unwrap_err().to_string().contains("ca.pem"));
    }
}
