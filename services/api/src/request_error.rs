//! What can be wrong with one request, as clients receive it: a stable code and a message that says what to do.

use async_graphql::ErrorExtensionValues;

/// Stable codes, in `extensions.code` of every GraphQL error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The upload is not a photo that can be read; `extensions.reason` says why.
    BadImage,
    /// The upload, the photo or the request is above a limit.
    TooLarge,
    /// The named thing does not exist.
    NotFound,
    /// No release is active, so no photo can be localised.
    NoActiveRelease,
    /// A store is down; the same request may succeed later.
    Unavailable,
    /// An argument has no meaning.
    InvalidArgument,
    /// The request is no valid GraphQL query, or is beyond the depth or complexity limit.
    InvalidQuery,
    /// Too many photos wait already; try again after `extensions.retryAfterSeconds`.
    Overloaded,
    /// The caller asked too often; try again after `extensions.retryAfterSeconds`.
    RateLimited,
    /// The service asks for an API key, and the request has none that it knows.
    Unauthenticated,
    /// The named thing is not in a state that permits this.
    Conflict,
    /// There was such a thing, and the service no longer has it.
    Expired,
    /// The request took longer than the service permits.
    Timeout,
    /// The request's content type is none that the endpoint takes.
    UnsupportedMediaType,
    /// A page of another site sent the request.
    CrossOrigin,
    /// The service does not permit this here.
    Forbidden,
    /// A fault of the service; its log has the details.
    Internal,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::BadImage,
        Self::TooLarge,
        Self::NotFound,
        Self::NoActiveRelease,
        Self::Unavailable,
        Self::InvalidArgument,
        Self::InvalidQuery,
        Self::Overloaded,
        Self::RateLimited,
        Self::Unauthenticated,
        Self::Conflict,
        Self::Expired,
        Self::Timeout,
        Self::UnsupportedMediaType,
        Self::CrossOrigin,
        Self::Forbidden,
        Self::Internal,
    ];

    /// The code as clients read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadImage => "BAD_IMAGE",
            Self::TooLarge => "TOO_LARGE",
            Self::NotFound => "NOT_FOUND",
            Self::NoActiveRelease => "NO_ACTIVE_RELEASE",
            Self::Unavailable => "UNAVAILABLE",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::InvalidQuery => "INVALID_QUERY",
            Self::Overloaded => "OVERLOADED",
            Self::RateLimited => "RATE_LIMITED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Conflict => "CONFLICT",
            Self::Expired => "EXPIRED",
            Self::Timeout => "TIMEOUT",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::CrossOrigin => "CROSS_ORIGIN",
            Self::Forbidden => "FORBIDDEN",
            Self::Internal => "INTERNAL",
        }
    }
}

/// An error of one request.
///
/// It has no `Display` on purpose: whatever has one turns into a GraphQL error without a code.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestError {
    /// The stable code.
    pub code: Code,
    /// For a person: what is wrong and what to do.
    pub message: String,
    /// A finer stable code, for images: `truncated`, `not-an-image`, `unsupported-format` and so on.
    pub reason: Option<&'static str>,
    /// After how many seconds the same request may succeed, where that can be said.
    pub retry_after: Option<u64>,
}

impl RequestError {
    /// An error with a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: None,
            retry_after: None,
        }
    }

    /// The same error with the seconds to wait.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Something that does not exist.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("{what} does not exist"))
    }

    /// An argument without meaning.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A fault of the service: the details go to the log, never to the client.
    pub fn internal(details: impl std::fmt::Display) -> Self {
        tracing::error!(%details, "request failed");
        Self::new(Code::Internal, "the service failed; its log has the details")
    }

    /// `extensions` of the GraphQL error.
    pub fn extend(&self, values: &mut ErrorExtensionValues) {
        values.set("code", self.code.as_str());
        if let Some(reason) = self.reason {
            values.set("reason", reason);
        }
        if let Some(seconds) = self.retry_after {
            values.set("retryAfterSeconds", seconds);
        }
    }
}

impl From<RequestError> for async_graphql::Error {
    fn from(error: RequestError) -> Self {
        let mut values = ErrorExtensionValues::default();
        error.extend(&mut values);
        Self {
            message: error.message,
            source: None,
            extensions: Some(values),
        }
    }
}

impl From<&datasets::Error> for RequestError {
    fn from(error: &datasets::Error) -> Self {
        let reason = error.reason();
        let code = match reason {
            "too-large" => Code::TooLarge,
            "truncated" | "corrupt" | "not-an-image" | "unsupported-format" | "empty-file" => Code::BadImage,
            _ => return Self::internal(error),
        };
        Self {
            code,
            message: error.to_string(),
            reason: Some(reason),
            retry_after: None,
        }
    }
}

impl From<storage::Error> for RequestError {
    fn from(error: storage::Error) -> Self {
        match &error {
            storage::Error::NotFound { .. } => Self::new(Code::NotFound, error.to_string()),
            storage::Error::Conflict(_) => Self::new(Code::Conflict, error.to_string()),
            storage::Error::Held { .. } => Self::new(
                Code::Unavailable,
                "another change of this release is under way; try again in a moment",
            ),
            _ if error.is_transient() => {
                tracing::warn!(%error, "store unavailable");
                Self::new(
                    Code::Unavailable,
                    "the store is not available; try again in a moment",
                )
            }
            _ => Self::internal(error),
        }
    }
}

impl From<retrieval::Error> for RequestError {
    fn from(error: retrieval::Error) -> Self {
        match error {
            retrieval::Error::NoActiveRelease => Self::new(Code::NoActiveRelease, error.to_string()),
            retrieval::Error::Storage(error) => error.into(),
            retrieval::Error::EmptyArea | retrieval::Error::Invalid { .. } => {
                Self::invalid(error.to_string())
            }
            error => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internals_never_reach_the_client() {
        let secret = storage::Error::Corrupt {
            path: "/srv/secret.db".into(),
            reason: "bad page".to_owned(),
        };
        let error = RequestError::from(secret);
        assert_eq!(error.code, Code::Internal);
        assert!(!error.message.contains("secret") && !error.message.contains("bad page"));

        let busy = RequestError::from(storage::Error::Unavailable("10.0.0.7 refused".to_owned()));
        assert_eq!(busy.code, Code::Unavailable);
        assert!(!busy.message.contains("10.0.0.7"));
    }
}
