//! `POST /localize`: one photo, one answer, for shells and programs without GraphQL.

use async_graphql::{Request as Query, UploadValue, Variables};
use axum::Extension;
use axum::body::Body;
use axum::extract::{self, FromRequest, Multipart, Query as QueryString};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::State;
use super::admission::{Admitted, address, check_origin};
use super::graphql::{execute, is_length_limit, too_large};
use super::refusal::{code_of, json_response, refuse, status_of, with_hints};
use crate::graphql::PeerAddress;
use crate::request_error::{Code, RequestError};

/// What is asked of the answer.
const LOCALIZE: &str = "mutation Localize($photo: Upload!, $options: LocalizeOptions) {
  localize(photo: $photo, options: $options) {
    id releaseId createdAt photoSha256 fileName
    place { name continent country countryCode region locality }
    location { latitude longitude }
    confidence entropy outsideMass cannotTell scoring restricted
    within { kilometres name probability }
    levels { level token probability location { latitude longitude } }
    candidates(first: 100) { rank token probability location { latitude longitude } place { name } }
    credibleRegion { mass areaKm2 tokens }
    references { likeness distanceKilometres image { id location { latitude longitude } capturedAt thumbnailUrl } }
    scene { class name share }
    timings { stage milliseconds }
    client
  }
}";

const LOCALIZE_GEOJSON: &str = "mutation Localize($photo: Upload!, $options: LocalizeOptions) {
  localize(photo: $photo, options: $options) { geojson }
}";

/// Options in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    /// west,south,east,north in degrees.
    within: Option<String>,
    /// Countries by code or name, with commas between.
    country: Option<String>,
    scoring: Option<String>,
    ten_crop: Option<bool>,
    candidates: Option<i32>,
    references: Option<i32>,
    credible_mass: Option<f64>,
    client: Option<String>,
    format: Option<String>,
}

/// Answers one photo.
pub(super) async fn localize(
    extract::State(state): extract::State<State>,
    Extension(admitted): Extension<Admitted>,
    options: Result<QueryString<Options>, extract::rejection::QueryRejection>,
    request: extract::Request,
) -> Response {
    match answer(&state, admitted, options, request).await {
        Ok(response) => response,
        Err(error) => refuse(&state, &error),
    }
}

async fn answer(
    state: &State,
    admitted: Admitted,
    options: Result<QueryString<Options>, extract::rejection::QueryRejection>,
    request: extract::Request,
) -> Result<Response, RequestError> {
    check_origin(state, request.headers())?;
    let Admitted::Caller(caller) = admitted else {
        return Err(RequestError::new(
            Code::Unauthenticated,
            "this service asks for an API key",
        ));
    };
    let QueryString(options) = options.map_err(|error| RequestError::invalid(error.body_text()))?;
    let geojson = match options.format.as_deref() {
        None | Some("json") => false,
        Some("geojson") => true,
        Some(other) => {
            return Err(RequestError::invalid(format!(
                "format is {other:?}, but must be json or geojson"
            )));
        }
    };
    let variables = json!({ "photo": null, "options": options.of_graphql()? });
    let peer = address(request.extensions());
    let (headers, extensions) = (request.headers().clone(), request.extensions().clone());
    let limit = state.service.config().timeout;
    let read = tokio::time::timeout(limit, photo(state, &headers, &extensions, request.into_body())).await;
    let (name, content) =
        read.map_err(|_| RequestError::new(Code::Timeout, "the photo came too slowly"))??;
    let mut query = Query::new(if geojson { LOCALIZE_GEOJSON } else { LOCALIZE })
        .variables(Variables::from_json(variables))
        .data(caller);
    if let Some(peer) = peer {
        query = query.data(PeerAddress(peer));
    }
    query.set_upload(
        "variables.photo",
        UploadValue {
            filename: name,
            content_type: None,
            content,
        },
    );
    let answer = execute(state, query).await?;
    if let Some(error) = answer.errors.first() {
        return Ok(refused(error));
    }
    let data = answer.data.into_json().map_err(RequestError::internal)?;
    let told = match geojson {
        true => &data["localize"]["geojson"],
        false => &data["localize"],
    };
    Ok(json_response(StatusCode::OK, told.to_string().into_bytes()))
}

/// An error in the same form as those of the other routes, with the status of its code.
fn refused(error: &async_graphql::ServerError) -> Response {
    let extensions = error.extensions.as_ref();
    let extensions = extensions.and_then(|values| serde_json::to_value(values).ok());
    let extensions = extensions.unwrap_or_else(|| json!({ "code": Code::Internal.as_str() }));
    let code = code_of(extensions["code"].as_str().unwrap_or_default());
    let retry_after = extensions["retryAfterSeconds"].as_u64();
    let body = json!({ "data": null, "errors": [{ "message": error.message, "extensions": extensions }] });
    with_hints(
        json_response(status_of(code), body.to_string().into_bytes()),
        code,
        retry_after,
    )
}

impl Options {
    fn of_graphql(self) -> Result<Value, RequestError> {
        let mut options = serde_json::Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                options.insert(name.to_owned(), value);
            }
        };
        let within = match (self.within, self.country) {
            (Some(_), Some(_)) => return Err(RequestError::invalid("give within or country, not both")),
            (Some(sides), None) => Some(box_of(&sides)?),
            (None, Some(countries)) => {
                let countries: Vec<&str> = countries.split(',').map(str::trim).collect();
                Some(json!({ "countries": countries }))
            }
            (None, None) => None,
        };
        set("within", within);
        set("scoring", self.scoring.map(|word| word.to_uppercase().into()));
        set("tenCrop", self.ten_crop.map(Value::from));
        set("candidates", self.candidates.map(Value::from));
        set("references", self.references.map(Value::from));
        set("credibleMass", self.credible_mass.map(Value::from));
        set("client", self.client.map(Value::from));
        Ok(Value::Object(options))
    }
}

/// west,south,east,north, as map programs write boxes.
fn box_of(text: &str) -> Result<Value, RequestError> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok([west, south, east, north]) => Ok(json!({
            "box": { "west": west, "south": south, "east": east, "north": north }
        })),
        _ => Err(RequestError::invalid(
            "within must be west,south,east,north in degrees, such as within=-5.5,41,10,51.5",
        )),
    }
}

/// The photo and its name: the body itself, or the part `photo` of a form.
async fn photo(
    state: &State,
    headers: &HeaderMap,
    extensions: &Extensions,
    body: Body,
) -> Result<(String, Bytes), RequestError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    if essence == "multipart/form-data" {
        return of_form(state, headers, extensions, body).await;
    }
    let plain = essence.is_empty()
        || essence.starts_with("image/")
        || essence == "application/octet-stream"
        // What curl says of --data-binary unless it is told otherwise.
        || essence == "application/x-www-form-urlencoded";
    if !plain {
        let message = "send the photo itself (curl --data-binary @photo.jpg), or a form with the part photo (curl -F photo=@photo.jpg)";
        return Err(RequestError::new(Code::UnsupportedMediaType, message));
    }
    let most = state.service.config().max_upload_bytes;
    let content = axum::body::to_bytes(body, most).await;
    let content = content.map_err(|error| body_error(state, &error))?;
    Ok((String::new(), content))
}

async fn of_form(
    state: &State,
    headers: &HeaderMap,
    extensions: &Extensions,
    body: Body,
) -> Result<(String, Bytes), RequestError> {
    let mut request = extract::Request::new(body);
    *request.headers_mut() = headers.clone();
    *request.extensions_mut() = extensions.clone();
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|error| RequestError::new(Code::InvalidQuery, error.body_text()))?;
    let most = state.service.config().max_upload_bytes;
    let wrong = |error: extract::multipart::MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(state),
        _ => RequestError::new(Code::InvalidQuery, format!("the form cannot be read: {error}")),
    };
    while let Some(mut field) = form.next_field().await.map_err(wrong)? {
        if field.name() != Some("photo") {
            continue;
        }
        let name: String = field.file_name().unwrap_or_default().to_owned();
        let mut content = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(wrong)? {
            if content.len() + chunk.len() > most {
                return Err(too_large(state));
            }
            content.extend_from_slice(&chunk);
        }
        return Ok((name, content.into()));
    }
    Err(RequestError::new(
        Code::InvalidQuery,
        "the form has no part named photo; send it with curl -F photo=@photo.jpg",
    ))
}

fn body_error(state: &State, error: &axum::Error) -> RequestError {
    match is_length_limit(error) {
        true => too_large(state),
        false => RequestError::new(Code::InvalidQuery, format!("the photo cannot be read: {error}")),
    }
}
