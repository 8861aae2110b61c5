//! What can be done: localise photos, and say where they were really taken.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject, Upload};
use chrono::Utc;
use futures::StreamExt;
use futures::stream;

use super::prediction::Prediction;
use super::query::{place, prediction_id};
use super::service;
use crate::localize::Photo;
use crate::request_error::{Code, RequestError};

/// Longest label of a client or a source.
const LONGEST_LABEL: usize = 64;
/// Longest file name that is kept.
const LONGEST_NAME: usize = 200;

/// Photos localised, and what was really true of them.
#[derive(Default)]
pub struct PhotoMutation;

/// How a photo is localised.
#[derive(Debug, Default, InputObject)]
pub struct LocalizeOptions {
    /// Who asks, recorded with the prediction: at most 64 characters.
    client: Option<String>,
}

/// What became of one photo of a batch: a prediction or an error.
#[derive(SimpleObject)]
pub struct LocalizeResult {
    /// Position of the photo in the request, from 0.
    index: usize,
    /// The photo's file name.
    file_name: String,
    /// The answer; null when the photo was refused.
    prediction: Option<Prediction>,
    /// Why the photo was refused; null when it was answered.
    error: Option<PhotoError>,
}

/// Why a photo was refused.
#[derive(SimpleObject)]
pub struct PhotoError {
    /// Stable code, as in extensions.code of the errors of whole requests.
    code: String,
    /// For a person: what is wrong and what to do.
    message: String,
    /// A finer stable code for images, such as truncated or not-an-image.
    reason: Option<String>,
}

/// Photos localised, and what was really true of them.
#[Object]
impl PhotoMutation {
    /// Tells where a photo was taken, and records the prediction.
    #[graphql(complexity = "50 + child_complexity")]
    async fn localize(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The photo, by the GraphQL multipart request specification.")] photo: Upload,
        options: Option<LocalizeOptions>,
    ) -> async_graphql::Result<Prediction> {
        let client = label("client", options.unwrap_or_default().client)?;
        Ok(localize(ctx, photo, client).await??)
    }

    /// Tells where each of several photos was taken. A photo that is refused does not keep the others from being answered.
    #[graphql(complexity = "50 + 16 * child_complexity")]
    async fn localize_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The photos, by the GraphQL multipart request specification.")] photos: Vec<Upload>,
        options: Option<LocalizeOptions>,
    ) -> async_graphql::Result<Vec<LocalizeResult>> {
        let client = label("client", options.unwrap_or_default().client)?;
        let most = service(ctx)?.config().max_photos;
        if photos.len() > most {
            let message = format!(
                "{} photos are more than the {most} of one request; send fewer at a time",
                photos.len()
            );
            return Err(RequestError::new(Code::TooLarge, message).into());
        }
        let side_by_side = photos.len().max(1);
        let results = stream::iter(photos.into_iter().enumerate().map(|(index, photo)| {
            let client = client.clone();
            async move {
                let file_name = file_name(ctx, &photo)?;
                let (prediction, error) = match localize(ctx, photo, client).await? {
                    Ok(prediction) => (Some(prediction), None),
                    Err(error) => (None, Some(error.into())),
                };
                Ok::<_, async_graphql::Error>(LocalizeResult {
                    index,
                    file_name,
                    prediction,
                    error,
                })
            }
        }));
        let results: Vec<_> = results.buffered(side_by_side).collect().await;
        results.into_iter().collect()
    }

    /// Records where a predicted photo was really taken; a later record replaces an earlier one.
    async fn record_ground_truth(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the prediction.")] prediction: ID,
        #[graphql(desc = "Degrees north of the equator, -90 to 90.")] latitude: f64,
        #[graphql(desc = "Degrees east of Greenwich, -180 to 180.")] longitude: f64,
        #[graphql(desc = "Who says so: at most 64 characters.")] source: Option<String>,
    ) -> async_graphql::Result<Prediction> {
        let id = prediction_id(&prediction)?;
        let source = label("source", source)?.unwrap_or_else(|| "person".to_owned());
        let location = place(latitude, longitude)?;
        let truth = storage::GroundTruth {
            prediction: id,
            location,
            place: retrieval::place_record(location),
            source,
            created_at: Utc::now(),
        };
        let catalog = service(ctx)?.catalog();
        catalog
            .record_ground_truth(&truth)
            .await
            .map_err(RequestError::from)?;
        Ok(catalog.prediction(id).await.map_err(RequestError::from)?.into())
    }
}

impl From<RequestError> for PhotoError {
    fn from(error: RequestError) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            reason: error.reason.map(str::to_owned),
            message: error.message,
        }
    }
}

/// Answers one upload. The outer error is the request's, the inner one the photo's.
async fn localize(
    ctx: &Context<'_>,
    upload: Upload,
    client: Option<String>,
) -> async_graphql::Result<Result<Prediction, RequestError>> {
    let name = file_name(ctx, &upload)?;
    let photo = Photo {
        name,
        bytes: upload.value(ctx)?.content,
        client,
    };
    let answered = service(ctx)?.localize(photo).await;
    Ok(answered.map(|answered| Prediction::fresh(answered.record, answered.prediction)))
}

pub(super) fn file_name(ctx: &Context<'_>, upload: &Upload) -> async_graphql::Result<String> {
    Ok(upload
        .value(ctx)?
        .filename
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_NAME)
        .collect())
}

pub(super) fn label(argument: &str, text: Option<String>) -> Result<Option<String>, RequestError> {
    match text {
        Some(text) if text.chars().count() > LONGEST_LABEL || text.chars().any(char::is_control) => {
            Err(RequestError::invalid(format!(
                "{argument} must be at most {LONGEST_LABEL} printable characters"
            )))
        }
        text => Ok(text),
    }
}
