//! Headers that keep browsers from doing more than the pages need.

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;

use crate::tiles::Tiles;

/// The policies that fit this service, made once.
#[derive(Clone)]
pub(super) struct Policies {
    page: HeaderValue,
}

impl Policies {
    /// Everything from this service alone, and pictures of tiles from where the operator says. Photos that were chosen in the
    /// page are blobs; the map library's style sheet carries its icons as data.
    pub(super) fn new(tiles: Option<&Tiles>) -> Self {
        let also = tiles
            .and_then(Tiles::origin)
            .map(|origin| format!(" {origin}"))
            .unwrap_or_default();
        let page = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:{also}; \
             connect-src 'self'{also}; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        );
        // The origin was checked to be plain, so that this cannot fail; without it the page works and shows no tiles.
        let page = HeaderValue::from_str(&page).unwrap_or(HeaderValue::from_static("default-src 'self'"));
        Self { page }
    }
}

/// GraphiQL sets styles from its code and carries its fonts in its style sheet.
const GRAPHIQL_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Adds the headers to a response that has not its own.
pub(super) async fn secure(State(policies): State<Policies>, request: Request, next: Next) -> Response {
    let console = request.uri().path().starts_with("/graphiql");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = if console {
        HeaderValue::from_static(GRAPHIQL_POLICY)
    } else {
        policies.page
    };
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    let wanted: [(HeaderName, &'static str); 5] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in wanted {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
