//! The map, GraphiQL and their files, which are part of the binary; the schema.

use axum::Json;
use axum::extract::{self, Path};
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::State;

include!(concat!(env!("OUT_DIR"), "/web_files.rs"));

const TEXT: &str = "text/plain; charset=utf-8";

/// Browsers ask again each time, so that a new version shows at once.
const ASK_AGAIN: &str = "no-cache";
/// Files below `assets/` have their content's hash in their names.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

const NOT_BUILT: &str = "The map and GraphiQL are not part of this build: their files were not there when it was compiled.\n\
    Run `make web` (it needs Node) and build again. The endpoint /graphql works without them, and /schema.graphql \
    has the schema.\n";

/// The map's page; its views are behind `#`, so that this is the only one.
pub(super) async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// A file of the page by the path that was asked for.
pub(super) async fn page_file(uri: Uri, headers: HeaderMap) -> Response {
    file(uri.path().trim_start_matches('/'), &headers)
}

pub(super) async fn sdl(extract::State(state): extract::State<State>) -> Response {
    if !state.service.live().introspection {
        let text = "the schema is not told by the settings of this service\n";
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], text).into_response();
    }
    ([(CONTENT_TYPE, TEXT)], crate::graphql::sdl()).into_response()
}

/// The console, unless the settings switch it off.
pub(super) async fn graphiql(extract::State(state): extract::State<State>, headers: HeaderMap) -> Response {
    console(&state, "index.html", &headers)
}

pub(super) async fn graphiql_file(
    extract::State(state): extract::State<State>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    console(&state, &name, &headers)
}

fn console(state: &State, name: &str, headers: &HeaderMap) -> Response {
    if !state.service.live().graphiql {
        let text = "the console is switched off by the settings of this service\n";
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], text).into_response();
    }
    file(&format!("graphiql/{name}"), headers)
}

/// What the map is told of this service before it asks anything: where raster tiles are, if they are configured.
pub(super) async fn map_settings(extract::State(state): extract::State<State>) -> Json<Value> {
    let tiles = state
        .service
        .config()
        .tiles
        .as_ref()
        .map(|tiles| json!({ "url": tiles.url(), "attribution": tiles.attribution() }));
    Json(json!({ "tiles": tiles }))
}

fn embedded(name: &str) -> Option<&'static [u8]> {
    let index = FILES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    FILES.get(index).map(|(_, content)| *content)
}

/// A file, compressed beforehand where it was built so and the browser takes that.
fn file(name: &str, asked: &HeaderMap) -> Response {
    if FILES.is_empty() {
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], NOT_BUILT).into_response();
    }
    let Some(content) = embedded(name).filter(|_| !name.ends_with(".br")) else {
        let message = "there is no such file\n";
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], message).into_response();
    };
    let caching = if name.starts_with("assets/") {
        FOR_EVER
    } else {
        ASK_AGAIN
    };
    let compressed = embedded(&format!("{name}.br"));
    let sent = compressed.filter(|_| takes_brotli(asked));
    let mut response = (
        [(CONTENT_TYPE, kind(name)), (CACHE_CONTROL, caching)],
        sent.unwrap_or(content),
    )
        .into_response();
    let headers = response.headers_mut();
    if sent.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    if compressed.is_some() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

fn takes_brotli(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            name.trim().eq_ignore_ascii_case("br") && !refused
        })
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => TEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn brotli_only_where_it_is_taken() {
        assert!(takes_brotli(&accepting("gzip, deflate, br, zstd")));
        assert!(takes_brotli(&accepting("br;q=0.5")));
        assert!(!takes_brotli(&accepting("br;q=0, gzip")));
        assert!(!takes_brotli(&accepting("gzip, brotli")));
        assert!(!takes_brotli(&HeaderMap::new()));
    }

    #[test]
    fn files_are_found_by_their_whole_path() {
        assert!(FILES.is_sorted_by(|(before, _), (after, _)| before < after));
        for (name, content) in FILES {
            assert_eq!(embedded(name), Some(*content));
        }
        assert_eq!(embedded("../index.html"), None);
    }
}
