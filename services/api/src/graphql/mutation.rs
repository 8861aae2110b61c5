//! What can be done: localise photos, and say where they were really taken.

use async_graphql::{Context, ID, Object, SimpleObject, Upload};
use chrono::Utc;
use futures::StreamExt;
use futures::stream;

use super::options::LocalizeOptions;
use super::prediction::{Prediction, require_own};
use super::query::{place, prediction_id};
use super::{PeerAddress, caller, service};
use crate::caller::Caller;
use crate::localize::Photo;
use crate::queue::{Priority, Wanted};
use crate::request_error::{Code, RequestError};

/// Longest label of a client or a source.
const LONGEST_LABEL: usize = 64;
/// Longest file name that is kept.
const LONGEST_NAME: usize = 200;

/// Photos localised, and what was really true of them.
#[derive(Default)]
pub struct PhotoMutation;

/// What became of one photo of a batch: a prediction or an error.
#[derive(Clone, SimpleObject)]
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
#[derive(Clone, SimpleObject)]
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
        #[graphql(desc = "How it is localised, and how much is told.")] options: Option<LocalizeOptions>,
    ) -> async_graphql::Result<Prediction> {
        let (wanted, client) = options.unwrap_or_default().check(caller(ctx))?;
        Ok(localize(ctx, photo, client, wanted, Priority::Interactive).await??)
    }

    /// Tells where each of several photos was taken. A photo that is refused does not keep the others from being answered.
    #[graphql(complexity = "50 + 16 * child_complexity")]
    async fn localize_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The photos, by the GraphQL multipart request specification.")] photos: Vec<Upload>,
        #[graphql(desc = "How they are localised, and how much is told.")] options: Option<LocalizeOptions>,
        #[graphql(
            desc = "A name of the client's choosing, 1 to 64 characters, to follow the batch with the subscription batchProgress."
        )]
        batch: Option<ID>,
    ) -> async_graphql::Result<Vec<LocalizeResult>> {
        let service = service(ctx)?;
        let caller = caller(ctx);
        let (wanted, client) = options.unwrap_or_default().check(caller)?;
        let most = service.config().max_photos;
        if photos.len() > most {
            let message = format!(
                "{} photos are more than the {most} of one request; send fewer at a time",
                photos.len()
            );
            return Err(RequestError::new(Code::TooLarge, message).into());
        }
        // The request itself was counted as the first photo.
        let more = u32::try_from(photos.len().saturating_sub(1)).unwrap_or(u32::MAX);
        count(ctx, more)?;
        let running = match batch {
            Some(name) => {
                let name = batch_name(&name)?;
                Some(service.batches().start(owner(caller), &name, photos.len())?)
            }
            None => None,
        };
        let running = running.as_ref();
        let side_by_side = photos.len().max(1);
        let results = stream::iter(photos.into_iter().enumerate().map(|(index, photo)| {
            let (client, wanted) = (client.clone(), wanted.clone());
            async move {
                let file_name = file_name(ctx, &photo)?;
                let (prediction, error) = match localize(ctx, photo, client, wanted, Priority::Batch).await? {
                    Ok(prediction) => (Some(prediction), None),
                    Err(error) => (None, Some(error.into())),
                };
                if let Some(running) = running {
                    running.done(index, prediction.is_some());
                }
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
        let record = catalog.prediction(id).await.map_err(RequestError::from)?;
        require_own(caller(ctx), record.client.as_deref())?;
        catalog
            .record_ground_truth(&truth)
            .await
            .map_err(RequestError::from)?;
        Ok(record.into())
    }
}

/// Counts more requests of the caller than the one that its HTTP request was.
fn count(ctx: &Context<'_>, requests: u32) -> Result<(), async_graphql::Error> {
    let service = service(ctx)?;
    let address = ctx.data_opt::<PeerAddress>().map(|address| address.0);
    let usual = service.live().requests_per_minute;
    Ok(service.rates().count(caller(ctx), address, requests, usual)?)
}

/// The owner of batches: the holder of a key, or everyone without one.
pub(super) fn owner(caller: &Caller) -> &str {
    caller.name().unwrap_or_default()
}

/// Checks the name of a batch.
pub(super) fn batch_name(name: &str) -> Result<String, RequestError> {
    match label("batch", Some(name.to_owned()))? {
        Some(name) if !name.is_empty() => Ok(name),
        _ => Err(RequestError::invalid("batch must have 1 to 64 characters")),
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
    wanted: Wanted,
    priority: Priority,
) -> async_graphql::Result<Result<Prediction, RequestError>> {
    let name = file_name(ctx, &upload)?;
    let photo = Photo {
        name,
        bytes: upload.value(ctx)?.content,
        client,
        wanted,
        priority,
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
