//! What can be asked.

use async_graphql::{Context, ID, Object};
use geocells::{Kilometres, LatLng};
use uuid::Uuid;

use super::cursor::{DEFAULT_PAGE, Page, decode, encode, page, page_complexity, page_size};
use super::geocell::{Geocell, geocell_id};
use super::loaders;
use super::prediction::Prediction;
use super::reference::{Near, ReferenceImage};
use super::release::{Release, release_id};
use super::service;
use crate::gallery;
use crate::request_error::{Code, RequestError};
use crate::service::Service;

const GEOCELL: &str = "geocell";
const REFERENCE: &str = "reference";
const REFERENCE_OFFSET: &str = "reference-offset";
const PREDICTION: &str = "prediction";

/// Everything that can be read.
pub struct Query;

/// Everything that can be read.
#[Object]
impl Query {
    /// One release; null when there is none with this id.
    async fn release(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<Option<Release>> {
        Ok(loaders::releases(ctx)?
            .load_one(release_id(&id)?)
            .await?
            .map(Release::from))
    }

    /// All releases, newest first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn releases(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Release>> {
        let releases = service(ctx)?
            .catalog()
            .releases()
            .await
            .map_err(RequestError::from)?;
        Ok(releases.into_iter().map(Release::from).collect())
    }

    /// The release that answers now; null before the first one is activated.
    async fn active_release(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Release>> {
        let release = service(ctx)?
            .catalog()
            .active_release()
            .await
            .map_err(RequestError::from)?;
        Ok(release.map(Release::from))
    }

    /// A geocell by its S2 token; null when the release has none.
    async fn geocell(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "S2 token, such as 47a1cbd5.")] token: String,
        #[graphql(desc = "Level of the hierarchy; the finest that has the cell when left out.")]
        level: Option<usize>,
        #[graphql(desc = "Release; the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<Option<Geocell>> {
        let token = geocell_id(&token)?;
        let service = service(ctx)?;
        let release = release_or_active(service, release).await?;
        let index = service.geocells(&release).await?;
        Ok(index
            .find(token, level)
            .map(|record| Geocell::new(&release, &index, record)))
    }

    /// The geocells of a level, in the order of the partition.
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    async fn geocells(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Level of the hierarchy, 0 the coarsest.")] level: usize,
        #[graphql(desc = "Items of the page, 1 to 500.", default_with = "DEFAULT_PAGE")] first: i32,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Release; the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<Page<Geocell>> {
        let first = page_size(first)?;
        let after: Option<usize> = decode(GEOCELL, after)?;
        let service = service(ctx)?;
        let release = release_or_active(service, release).await?;
        let index = service.geocells(&release).await?;
        if level >= index.levels() {
            let message = format!(
                "level is {level}, but release {release} has levels 0 to {}",
                index.levels() - 1
            );
            return Err(RequestError::invalid(message).into());
        }
        let cells = index.level(level);
        let start = after.map_or(0, |after| cells.partition_point(|cell| cell.index <= after));
        let page_of = cells[start..].iter().take(first + 1);
        let items = page_of
            .map(|record| Geocell::new(&release, &index, record.clone()))
            .collect();
        Ok(page(items, first, start > 0, |_, cell: &Geocell| {
            encode(GEOCELL, cell.position())
        }))
    }

    /// Reference images: all of a release, those of a geocell, or those near a place (nearest first).
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "each one is an argument of the field")]
    async fn reference_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "S2 token of a geocell of any level.")] cell: Option<String>,
        #[graphql(desc = "A place and a distance; not together with cell.")] near: Option<Near>,
        #[graphql(desc = "Items of the page, 1 to 500.", default_with = "DEFAULT_PAGE")] first: i32,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Release; the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<Page<ReferenceImage>> {
        let first = page_size(first)?;
        let service = service(ctx)?;
        let release = release_or_active(service, release).await?;
        let condition = match (cell, near) {
            (None, None) => {
                let after: Option<Uuid> = decode(REFERENCE, after)?;
                let images = service
                    .catalog()
                    .list_reference_images(&release, after, first + 1)
                    .await;
                let images = images.map_err(RequestError::from)?;
                let items = images
                    .iter()
                    .map(|image| ReferenceImage::new(&release, image))
                    .collect();
                let cursor = |_, image: &ReferenceImage| encode(REFERENCE, image.id.as_str());
                return Ok(page(items, first, after.is_some(), cursor));
            }
            (Some(token), None) => {
                let token = geocell_id(&token)?;
                let index = service.geocells(&release).await?;
                let cell = index.find(token, None);
                let cell =
                    cell.ok_or_else(|| RequestError::not_found(format!("geocell {}", token.token())))?;
                gallery::Place::Geocell {
                    token: cell.token,
                    level: cell.level,
                }
            }
            (None, Some(near)) => gallery::Place::Near {
                center: place(near.latitude, near.longitude)?,
                radius: Kilometres::new(near.kilometres)
                    .map_err(|error| RequestError::invalid(error.to_string()))?,
            },
            (Some(_), Some(_)) => {
                return Err(RequestError::invalid("give cell or near, not both").into());
            }
        };
        let offset: usize = decode(REFERENCE_OFFSET, after)?.map_or(0, |last: usize| last.saturating_add(1));
        let images = gallery::find(service, &release, &condition, offset, first + 1).await?;
        let items = images
            .iter()
            .map(|image| ReferenceImage::new(&release, image))
            .collect();
        Ok(page(items, first, offset > 0, |index, _| {
            encode(REFERENCE_OFFSET, offset + index)
        }))
    }

    /// A prediction from the record; null when there is none with this id.
    async fn prediction(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<Option<Prediction>> {
        let id = prediction_id(&id)?;
        match service(ctx)?.catalog().prediction(id).await {
            Ok(record) => Ok(Some(record.into())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(RequestError::from(error).into()),
        }
    }

    /// Predictions from the record, newest first.
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    async fn predictions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Items of the page, 1 to 500.", default_with = "DEFAULT_PAGE")] first: i32,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Only those of this release.")] release: Option<ID>,
        #[graphql(desc = "Only those that could not (true) or could (false) tell.")] cannot_tell: Option<
            bool,
        >,
        #[graphql(desc = "Only those with (true) or without (false) ground truth.")]
        with_ground_truth: Option<bool>,
    ) -> async_graphql::Result<Page<Prediction>> {
        let first = page_size(first)?;
        let after: Option<Uuid> = decode(PREDICTION, after)?;
        let filter = storage::PredictionFilter {
            release: release.map(|id| release_id(&id)).transpose()?,
            cannot_tell,
            with_ground_truth,
            ..storage::PredictionFilter::default()
        };
        let records = service(ctx)?
            .catalog()
            .predictions(&filter, after, first + 1)
            .await;
        let records = records.map_err(RequestError::from)?;
        let items = records.into_iter().map(Prediction::from).collect();
        let cursor = |_, prediction: &Prediction| encode(PREDICTION, prediction.id.as_str());
        Ok(page(items, first, after.is_some(), cursor))
    }
}

/// The release that was named and exists, or the active one.
async fn release_or_active(service: &Service, id: Option<ID>) -> Result<storage::ReleaseId, RequestError> {
    if let Some(id) = id {
        return Ok(service.catalog().release(&release_id(&id)?).await?.id);
    }
    match service.catalog().active_release().await? {
        Some(release) => Ok(release.id),
        None => Err(RequestError::from(retrieval::Error::NoActiveRelease)),
    }
}

/// Checks a place that a client sent.
pub(super) fn place(latitude: f64, longitude: f64) -> Result<LatLng, RequestError> {
    LatLng::new(latitude, longitude).map_err(|error| RequestError::invalid(error.to_string()))
}

/// Checks a prediction's id that a client sent.
pub(super) fn prediction_id(id: &str) -> Result<Uuid, RequestError> {
    Uuid::parse_str(id).map_err(|_| {
        RequestError::new(
            Code::InvalidArgument,
            "the id of a prediction is a UUID, as localize gives it",
        )
    })
}
