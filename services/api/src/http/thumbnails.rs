//! Small copies of reference images.

use std::io::Cursor;
use std::path::PathBuf;

use axum::extract::{self, Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use datasets::DecodeLimits;
use image::DynamicImage;
use image::codecs::jpeg::JpegEncoder;
use storage::ReleaseId;
use uuid::Uuid;

use super::State;
use super::refusal::plain_refusal;
use crate::request_error::{Code, RequestError};

/// Longest side in pixels, unless fewer are asked for.
const LONGEST_SIDE: u32 = 512;
/// Shortest longest side.
const LEAST_SIDE: u32 = 64;
const JPEG_QUALITY: u8 = 85;

/// What may be asked of a thumbnail.
#[derive(serde::Deserialize)]
pub(super) struct Wanted {
    size: Option<u32>,
}

/// A JPEG of a reference image. Only files that the catalog records are ever opened.
pub(super) async fn image(
    extract::State(state): extract::State<State>,
    Path((release, id)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let side = wanted
        .size
        .unwrap_or(LONGEST_SIDE)
        .clamp(LEAST_SIDE, LONGEST_SIDE);
    match thumbnail(&state, &release, &id, side).await {
        Ok(jpeg) => {
            let headers = [
                (CONTENT_TYPE, "image/jpeg"),
                // Not for long: a reference image may be deleted, and then no browser should go on showing it.
                (CACHE_CONTROL, "private, max-age=300"),
            ];
            (headers, jpeg).into_response()
        }
        Err(error) => plain_refusal(&state, &error),
    }
}

async fn thumbnail(state: &State, release: &str, id: &str, side: u32) -> Result<Vec<u8>, RequestError> {
    let unknown = || RequestError::not_found("this reference image");
    let release = ReleaseId::new(release).map_err(|_| unknown())?;
    let id = Uuid::parse_str(id).map_err(|_| unknown())?;
    let service = &state.service;
    let image = service
        .catalog()
        .reference_images(&release, &[id])
        .await?
        .pop()
        .ok_or_else(unknown)?;

    let _turn = service
        .thumbnails()
        .acquire()
        .await
        .map_err(RequestError::internal)?;
    let limits = DecodeLimits {
        max_pixels: service.config().max_pixels,
        ..DecodeLimits::default()
    };
    let path = PathBuf::from(image.path);
    let made = tokio::task::spawn_blocking(move || make(&path, &limits, side))
        .await
        .map_err(RequestError::internal)?;
    made.map_err(|error| {
        tracing::warn!(%error, %release, %id, "no thumbnail");
        let what = "the photo of this reference image is no longer readable where the release recorded it";
        RequestError::new(Code::NotFound, what)
    })
}

fn make(
    path: &std::path::Path,
    limits: &DecodeLimits,
    side: u32,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let photo = DynamicImage::ImageRgb8(datasets::decode_image(path, limits)?);
    let small = if photo.width().max(photo.height()) > side {
        photo.thumbnail(side, side)
    } else {
        photo
    };
    let mut jpeg = Cursor::new(Vec::new());
    small.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY))?;
    Ok(jpeg.into_inner())
}
