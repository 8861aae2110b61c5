//! Pages and their files: the upload page, GraphiQL, the schema.

use axum::extract::{self, Path};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::State;
use super::headers::GRAPHIQL_POLICY;

include!(concat!(env!("OUT_DIR"), "/graphiql_files.rs"));

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

const NOT_BUILT: &str = "GraphiQL is not part of this build: its files were not there when it was compiled.\n\
    Run `make web` (it needs Node) and build again. The endpoint /graphql works without it, and /schema.graphql \
    has the schema.\n";

pub(super) async fn index() -> Response {
    file(HTML, include_bytes!("../../../web/static/index.html"))
}

pub(super) async fn style() -> Response {
    file(CSS, include_bytes!("../../../web/static/page.css"))
}

pub(super) async fn script() -> Response {
    file(JAVASCRIPT, include_bytes!("../../../web/static/page.js"))
}

pub(super) async fn icon() -> Response {
    file(SVG, include_bytes!("../../../web/static/icon.svg"))
}

pub(super) async fn land() -> Response {
    file(SVG, include_bytes!("../../../web/static/land.svg"))
}

pub(super) async fn sdl(extract::State(state): extract::State<State>) -> Response {
    if !state.service.live().introspection {
        let text = "the schema is not told by the settings of this service\n";
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], text).into_response();
    }
    ([(CONTENT_TYPE, TEXT)], crate::graphql::sdl()).into_response()
}

pub(super) async fn graphiql(extract::State(state): extract::State<State>) -> Response {
    graphiql_response(&state, "index.html")
}

pub(super) async fn graphiql_file(
    extract::State(state): extract::State<State>,
    Path(name): Path<String>,
) -> Response {
    graphiql_response(&state, &name)
}

fn graphiql_response(state: &State, name: &str) -> Response {
    if !state.service.live().graphiql {
        let text = "the console is switched off by the settings of this service\n";
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], text).into_response();
    }
    if GRAPHIQL_FILES.is_empty() {
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], NOT_BUILT).into_response();
    }
    let Some((name, content)) = GRAPHIQL_FILES.iter().find(|(known, _)| *known == name) else {
        return (
            StatusCode::NOT_FOUND,
            [(CONTENT_TYPE, TEXT)],
            "there is no such file\n",
        )
            .into_response();
    };
    let kind = match name.rsplit('.').next() {
        Some("html") => HTML,
        Some("css") => CSS,
        Some("js") => JAVASCRIPT,
        _ => TEXT,
    };
    ([(CONTENT_SECURITY_POLICY, GRAPHIQL_POLICY)], file(kind, content)).into_response()
}

/// A file of the binary; browsers ask again each time, so that a new version shows at once.
fn file(kind: &'static str, content: &'static [u8]) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], content).into_response()
}
