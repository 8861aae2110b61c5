//! What can keep the service from starting or running.

use std::net::SocketAddr;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the service could not start, or stopped. Errors of single requests are [`crate::RequestError`]s.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A public address without being asked for.
    #[error(
        "refusing to listen on {address} without API keys: every machine that reaches it could use the service; make a key with `geosurge keys create` and pass --keys, listen on 127.0.0.1, or pass --allow-public if a proxy or firewall guards it"
    )]
    PublicAddress {
        /// The address asked for.
        address: SocketAddr,
    },

    /// Keys are asked for and there are none.
    #[error(
        "the service is to ask for API keys, and the catalog has none that works, so that nobody could use it; make one with `geosurge keys create NAME --scope reader`"
    )]
    NoKeys,

    /// A setting that cannot work.
    #[error("serve setting `{setting}` is {value}, but must be {expected}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },

    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; stop what uses it or choose another address with --listen"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },

    /// The server ended.
    #[error("the server stopped: {0}")]
    Serve(#[source] std::io::Error),

    /// The store could not be read at the start.
    #[error(transparent)]
    Storage(#[from] storage::Error),

    /// A release could not be opened at the start.
    #[error(transparent)]
    Retrieval(#[from] retrieval::Error),
}
