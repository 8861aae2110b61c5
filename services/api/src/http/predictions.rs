//! What maps load of one answer besides GraphQL: its segmentation map as a picture, its cells' scores as GeoJSON.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{self, Path, Query};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::State;
use super::admission::Admitted;
use super::refusal::{json_response, plain_refusal, refuse};
use crate::caller::Caller;
use crate::details::Details;
use crate::graphql::{expired, require_own};
use crate::overlay;
use crate::request_error::{Code, RequestError};

/// Opacity of an overlay when nothing is asked for.
const OPACITY: f64 = 0.55;
/// Cells told when nothing is asked for, and at most.
const SCORES: usize = 500;
const MOST_SCORES: usize = 2000;

/// What may be asked of an overlay.
#[derive(Deserialize)]
pub(super) struct OverlayWanted {
    opacity: Option<f64>,
}

/// What may be asked of scores.
#[derive(Deserialize)]
pub(super) struct ScoresWanted {
    first: Option<usize>,
}

/// The segmentation map of a photo as a PNG that covers it.
pub(super) async fn segmentation(
    extract::State(state): extract::State<State>,
    Extension(admitted): Extension<Admitted>,
    Path(id): Path<String>,
    Query(wanted): Query<OverlayWanted>,
) -> Response {
    let made = async {
        let (_, details) = details(&state, &admitted, &id).await?;
        let opacity = wanted.opacity.unwrap_or(OPACITY);
        if !(0.0..=1.0).contains(&opacity) {
            return Err(RequestError::invalid("opacity must lie between 0 and 1"));
        }
        if details.map.is_none() {
            return Err(RequestError::not_found("a segmentation map of this photo"));
        }
        let draw = move || {
            let map = details.map.as_ref()?;
            Some(overlay::png(map, details.photo, opacity))
        };
        let drawn = tokio::task::spawn_blocking(draw)
            .await
            .map_err(RequestError::internal)?;
        match drawn {
            Some(Ok(png)) => Ok(png),
            Some(Err(error)) => Err(RequestError::internal(error)),
            None => Err(expired()),
        }
    };
    match made.await {
        Ok(png) => {
            let headers = [
                (CONTENT_TYPE, "image/png"),
                (CACHE_CONTROL, "private, max-age=3600"),
            ];
            (headers, png).into_response()
        }
        Err(error) => plain_refusal(&state, &error),
    }
}

/// The best geocells of a level for a photo, as a GeoJSON FeatureCollection.
pub(super) async fn scores(
    extract::State(state): extract::State<State>,
    Extension(admitted): Extension<Admitted>,
    Path((id, level)): Path<(String, usize)>,
    Query(wanted): Query<ScoresWanted>,
) -> Response {
    let told = async {
        let (caller, details) = details(&state, &admitted, &id).await?;
        let first = wanted.first.unwrap_or(SCORES).clamp(1, MOST_SCORES);
        let Some(posterior) = details.levels.get(level) else {
            return Err(RequestError::not_found(format!("level {level}")));
        };
        let index = state.service.geocells(&details.release).await?;
        let features: Vec<_> = posterior
            .cells
            .iter()
            .take(first)
            .enumerate()
            .filter_map(|(position, (token, probability))| {
                let cell = index.find(*token, Some(level))?;
                let at = caller.place(cell.location);
                let seen = caller.cell(*token);
                Some(json!({
                    "type": "Feature",
                    "geometry": retrieval::cell_polygon(seen),
                    "properties": {
                        "rank": position + 1,
                        "token": seen.token(),
                        "probability": probability,
                        "photos": cell.photos,
                        "latitude": at.latitude(),
                        "longitude": at.longitude(),
                    },
                }))
            })
            .collect();
        Ok(json!({ "type": "FeatureCollection", "features": features }))
    };
    match told.await {
        Ok(collection) => json_response(StatusCode::OK, collection.to_string().into_bytes()),
        Err(error) => refuse(&state, &error),
    }
}

/// The details of an answer that the caller may see.
async fn details(
    state: &State,
    admitted: &Admitted,
    id: &str,
) -> Result<(Caller, Arc<Details>), RequestError> {
    let Admitted::Caller(caller) = admitted else {
        return Err(RequestError::new(
            Code::Unauthenticated,
            "this service asks for an API key",
        ));
    };
    let id = Uuid::parse_str(id).map_err(|_| RequestError::not_found("this prediction"))?;
    let record = state.service.catalog().prediction(id).await?;
    require_own(caller, record.client.as_deref())?;
    let details = state.service.details(id).ok_or_else(expired)?;
    Ok((caller.clone(), details))
}
