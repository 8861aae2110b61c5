//! What a failed request means: whether to try again, and what to tell.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use tonic::{Code, Status};

use crate::Error;

/// Metadata key by which the server marks a full disk among exhausted resources.
const INSUFFICIENT_STORAGE: &str = "qdrant-insufficient-storage";

/// True where the same request may succeed later: the server was not reached, did not answer in time, or asks for patience.
pub(super) fn is_retryable(status: &Status) -> bool {
    if is_disk_full(status) || is_certificate(status) {
        return false;
    }
    match status.code() {
        // A client's own timeout arrives as `Cancelled`.
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => true,
        Code::ResourceExhausted => retry_after(status).is_some() || status.message().contains("Rate limit"),
        // With a source, the connection broke; without one, these are the server's words.
        Code::Unknown | Code::Internal => status.source().is_some(),
        _ => false,
    }
}

/// How long the server asks to wait.
pub(super) fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.metadata().get("retry-after")?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// An error that says which server failed and what to do. `what` is the thing asked for, e.g. `collection x`.
pub(super) fn explain(status: &Status, url: &str, what: &str) -> Error {
    if is_disk_full(status) {
        return Error::DiskFull {
            path: PathBuf::from(format!("the Qdrant server at {url}")),
        };
    }
    let message = first_line(status.message());
    let denied = |reason: &str| Error::Denied {
        store: format!("the Qdrant server at {url}"),
        reason: reason.to_owned(),
    };
    match status.code() {
        Code::NotFound => Error::not_found(what),
        Code::AlreadyExists => Error::Conflict(format!("{what} exists already")),
        Code::Unauthenticated => denied(
            "it asks for another API key: set GEOSURGE_QDRANT_API_KEY, or api_key_file in the [qdrant] settings, to its key",
        ),
        Code::PermissionDenied => denied(&format!(
            "the given API key does not allow this ({message}): GEOSURGE_QDRANT_API_KEY, or api_key_file in the [qdrant] \
             settings, must name a key that may write"
        )),
        Code::Unimplemented => Error::Incompatible(format!(
            "{url} does not know this request ({message}): the address must be the gRPC port of a Qdrant server, {}",
            super::server::OLDEST
        )),
        Code::InvalidArgument | Code::OutOfRange => Error::Invalid(format!(
            "the Qdrant server at {url} refuses the request: {message}"
        )),
        Code::Cancelled | Code::DeadlineExceeded => Error::Unavailable(format!(
            "the Qdrant server at {url} did not answer in time; see its load, or raise timeout_s in the [qdrant] settings"
        )),
        _ if is_certificate(status) => Error::Invalid(format!(
            "the certificate of the Qdrant server at {url} is not trusted ({}): name its authority's PEM file as ca_file in \
             the [qdrant] settings",
            chain(status)
        )),
        _ if status.source().is_some() => {
            let hint = match url.trim_end_matches('/').ends_with(":6333") {
                true => "6333 is its REST port, gRPC has 6334",
                false => {
                    "see whether it runs, and whether url in the [qdrant] settings (--qdrant-url, GEOSURGE_QDRANT_URL) is right"
                }
            };
            Error::Unavailable(format!(
                "the Qdrant server at {url} cannot be reached ({}): {hint}",
                chain(status)
            ))
        }
        _ => Error::Unavailable(format!("the Qdrant server at {url} failed: {message}")),
    }
}

fn is_disk_full(status: &Status) -> bool {
    status.metadata().contains_key(INSUFFICIENT_STORAGE)
        || ["No space left on device", "Insufficient storage", "StorageFull"]
            .iter()
            .any(|sign| status.message().contains(sign))
}

fn is_certificate(status: &Status) -> bool {
    status.source().is_some() && chain(status).contains("certificate")
}

/// The innermost causes of an error, each said once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = first_line(&cause.to_string());
        if !text.is_empty() && !said.iter().any(|other| other.contains(&text)) {
            said.push(text);
        }
        next = cause.source();
    }
    match said.is_empty() {
        true => first_line(&error.to_string()),
        false => said.join(": "),
    }
}

/// Servers may send a backtrace behind the first line.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const URL: &str = "http://127.0.0.1:6334";

    fn said(status: &Status) -> String {
        explain(status, URL, "collection x").to_string()
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled] {
            assert!(is_retryable(&Status::new(code, "")), "{code:?}");
        }
        for code in [
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::Unimplemented,
            Code::Internal,
            Code::Unknown,
            Code::ResourceExhausted,
        ] {
            assert!(
                !is_retryable(&Status::new(code, "the server's words")),
                "{code:?}"
            );
        }
        let mut limited = Status::new(Code::ResourceExhausted, "Rate limiting exceeded");
        limited.metadata_mut().insert("retry-after", "3".parse().unwrap());
        assert!(is_retryable(&limited));
        assert_eq!(retry_after(&limited), Some(Duration::from_secs(3)));
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert!(is_retryable(&broken), "{broken:?}");
    }

    #[test]
    fn errors_say_what_to_do() {
        let denied = Status::new(Code::Unauthenticated, "Must provide an API key");
        assert!(said(&denied).contains("GEOSURGE_QDRANT_API_KEY"));
        let full = Status::new(
            Code::Internal,
            "Service internal error: No space left on device: WAL buffer size exceeds available disk space",
        );
        assert!(!is_retryable(&full));
        assert!(matches!(explain(&full, URL, ""), Error::DiskFull { .. }));
        assert!(said(&full).contains(URL));
        assert!(explain(&Status::new(Code::NotFound, ""), URL, "collection x").is_not_found());
        assert!(said(&Status::new(Code::Cancelled, "Timeout expired")).contains("timeout_s"));
        let refused = Status::from_error(Box::new(std::io::Error::other("connection refused")));
        assert!(
            said(&refused).contains("connection refused"),
            "{}",
            said(&refused)
        );
        let rest = explain(&refused, "http://127.0.0.1:6333/", "").to_string();
        assert!(rest.contains("6334"), "{rest}");
        let long = Status::new(
            Code::InvalidArgument,
            format!("bad\nat frame {}", "x".repeat(9000)),
        );
        assert!(said(&long).ends_with("bad"), "{}", said(&long));
    }
}
