//! What can be asked of the catalog: releases, geocells, reference images, predictions.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use geocells::{Kilometres, LatLng};
use storage::Scope;
use uuid::Uuid;

use super::cursor::{DEFAULT_PAGE, Page, decode, encode, page, page_complexity, page_size};
use super::geocell::{Geocell, GeocellPage, after_cell, geocell_id, geocell_page};
use super::loaders::{self, ReferenceKey};
use super::node::reference_id;
use super::prediction::{self, Prediction};
use super::reference::{Near, ReferenceImage};
use super::release::{Release, release_id};
use super::scalars::{BoxInput, Point};
use super::{caller, service};
use crate::area::bounds_of;
use crate::gallery;
use crate::gallery_index::Chosen;
use crate::request_error::{Code, RequestError};
use crate::service::Service;

const REFERENCE: &str = "reference";
const REFERENCE_OFFSET: &str = "reference-offset";
const PREDICTION: &str = "prediction";
/// Most tokens of one request.
const MOST_TOKENS: usize = 500;

/// What the catalog has.
#[derive(Default)]
pub struct CatalogQuery;

/// What the catalog has.
#[Object]
impl CatalogQuery {
    /// One release; null when there is none with this id.
    async fn release(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
    ) -> async_graphql::Result<Option<Release>> {
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

    /// Geocells in order of level and position in the partition: those of a level, those with one of some tokens, those that reach into a
    /// box, those that contain a place. What is given must all hold; give at least one.
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "each one is an argument of the field")]
    async fn geocells(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Level of the hierarchy, 0 the coarsest; all levels when left out.")] level: Option<
            usize,
        >,
        #[graphql(desc = "S2 tokens, at most 500.")] tokens: Option<Vec<String>>,
        #[graphql(desc = "Only cells that reach into this box.", name = "box")] view: Option<BoxInput>,
        #[graphql(desc = "Only cells that contain this place.")] containing: Option<Point>,
        #[graphql(desc = "Items of the page, 1 to 500.", default_with = "DEFAULT_PAGE")] first: i32,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Release; the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<GeocellPage> {
        let first = page_size(first)?;
        let after = after_cell(after)?;
        if level.is_none() && tokens.is_none() && view.is_none() && containing.is_none() {
            return Err(RequestError::invalid("give level, tokens, box or containing").into());
        }
        let tokens = match tokens {
            Some(tokens) if tokens.len() > MOST_TOKENS => {
                let message = format!(
                    "{} tokens are more than the {MOST_TOKENS} of one request",
                    tokens.len()
                );
                return Err(RequestError::new(Code::TooLarge, message).into());
            }
            Some(tokens) => Some(
                tokens
                    .iter()
                    .map(|token| geocell_id(token))
                    .collect::<Result<Vec<_>, _>>()?,
            ),
            None => None,
        };
        let view = view.map(BoxInput::check).transpose()?;
        let containing = containing
            .map(|point| place(point.latitude, point.longitude))
            .transpose()?;
        let service = service(ctx)?;
        let release = release_or_active(service, release).await?;
        let index = service.geocells(&release).await?;
        let levels = match level {
            Some(level) if level >= index.levels() => {
                let message = format!(
                    "level is {level}, but release {release} has levels 0 to {}",
                    index.levels().saturating_sub(1)
                );
                return Err(RequestError::invalid(message).into());
            }
            Some(level) => level..level + 1,
            None => 0..index.levels(),
        };
        let wanted = |cell: &storage::GeocellRecord| {
            tokens.as_ref().is_none_or(|tokens| tokens.contains(&cell.token))
                && containing.is_none_or(|place| cell.token.contains_point(place))
                && view.is_none_or(|view| bounds_of(cell.token).meets(&view))
        };
        let mut total = 0;
        let mut cells = Vec::new();
        for cell in levels
            .flat_map(|level| index.level(level))
            .filter(|cell| wanted(cell))
        {
            total += 1;
            let beyond = after.is_none_or(|after| (cell.level, cell.index) > after);
            if beyond && cells.len() <= first {
                cells.push(Geocell::new(&release, &index, cell.clone()));
            }
        }
        Ok(geocell_page(cells, first, after.is_some(), total))
    }

    /// Reference images: all of a release in order of id; or those of a geocell, in a box, by time, or near a place (nearest first).
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "each one is an argument of the field")]
    async fn reference_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "S2 token of a geocell of any level.")] cell: Option<String>,
        #[graphql(desc = "A place and a distance; not together with cell or box.")] near: Option<Near>,
        #[graphql(desc = "A box; not together with cell or near.", name = "box")] view: Option<BoxInput>,
        #[graphql(desc = "Only those taken at this time or later.")] captured_since: Option<DateTime<Utc>>,
        #[graphql(desc = "Only those taken at this time or before.")] captured_until: Option<DateTime<Utc>>,
        #[graphql(desc = "Items of the page, 1 to 500.", default_with = "DEFAULT_PAGE")] first: i32,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Release; the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<Page<ReferenceImage>> {
        let first = page_size(first)?;
        let service = service(ctx)?;
        let release = release_or_active(service, release).await?;
        let chosen = Chosen {
            since: captured_since,
            until: captured_until,
            cell: None,
        };
        let condition = match (cell, near, view) {
            (None, None, None) if chosen == Chosen::default() => {
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
                let cursor = |_, image: &ReferenceImage| encode(REFERENCE, image.key());
                return Ok(page(items, first, after.is_some(), cursor));
            }
            (None, None, None) => gallery::Place::Anywhere,
            (Some(token), None, None) => {
                let token = geocell_id(&token)?;
                let index = service.geocells(&release).await?;
                let cell = index.find(token, None);
                let cell =
                    cell.ok_or_else(|| RequestError::not_found(format!("geocell {}", token.token())))?;
                gallery::Place::Geocell(cell.token)
            }
            (None, Some(near), None) => gallery::Place::Near {
                center: place(near.latitude, near.longitude)?,
                radius: Kilometres::new(near.kilometres)
                    .map_err(|error| RequestError::invalid(error.to_string()))?,
            },
            (None, None, Some(view)) => gallery::Place::Box(view.check()?),
            _ => return Err(RequestError::invalid("give one of cell, near and box, not two").into()),
        };
        let offset: usize = decode(REFERENCE_OFFSET, after)?.map_or(0, |last: usize| last.saturating_add(1));
        let images = gallery::find(service, &release, &condition, &chosen, offset, first + 1).await?;
        let items = images
            .iter()
            .map(|image| ReferenceImage::new(&release, image))
            .collect();
        Ok(page(items, first, offset > 0, |index, _| {
            encode(REFERENCE_OFFSET, offset + index)
        }))
    }

    /// A reference image by its id; null when the release has none.
    async fn reference_image(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, or its UUID alone.")] id: ID,
        #[graphql(desc = "Release of a UUID alone; the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<Option<ReferenceImage>> {
        let (release, id) = reference_of(service(ctx)?, &id, release).await?;
        let key = ReferenceKey {
            release: release.clone(),
            id,
        };
        let image = loaders::references(ctx)?.load_one(key).await?;
        Ok(image.map(|image| ReferenceImage::new(&release, &image)))
    }

    /// A prediction from the record; null when there is none with this id. Those of other callers need the scope ANALYST.
    async fn prediction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
    ) -> async_graphql::Result<Option<Prediction>> {
        prediction::find(ctx, prediction_id(&id)?).await
    }

    /// Predictions from the record, newest first. Needs the scope ANALYST.
    #[graphql(complexity = "page_complexity(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "each one is an argument of the field")]
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
        #[graphql(desc = "Only those answered at this time or later.")] since: Option<DateTime<Utc>>,
        #[graphql(desc = "Only those answered at this time or before.")] until: Option<DateTime<Utc>>,
        #[graphql(desc = "Only those of this client.")] client: Option<String>,
        #[graphql(desc = "Only those of the photo with this SHA-256, in hexadecimal.")] photo_sha256: Option<
            String,
        >,
    ) -> async_graphql::Result<Page<Prediction>> {
        let first = page_size(first)?;
        let after: Option<Uuid> = decode(PREDICTION, after)?;
        caller(ctx).require(Scope::Analyst)?;
        let filter = storage::PredictionFilter {
            release: release.map(|id| release_id(&id)).transpose()?,
            cannot_tell,
            with_ground_truth,
            since,
            until,
            client,
            photo_sha256,
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
pub(super) async fn release_or_active(
    service: &Service,
    id: Option<ID>,
) -> Result<storage::ReleaseId, RequestError> {
    if let Some(id) = id {
        return Ok(service.catalog().release(&release_id(&id)?).await?.id);
    }
    match service.catalog().active_release().await? {
        Some(release) => Ok(release.id),
        None => Err(RequestError::from(retrieval::Error::NoActiveRelease)),
    }
}

/// The release and UUID of a reference image that a client names.
pub(super) async fn reference_of(
    service: &Service,
    id: &str,
    release: Option<ID>,
) -> Result<(storage::ReleaseId, Uuid), RequestError> {
    match reference_id(id)? {
        (Some(release), id) => Ok((release, id)),
        (None, id) => Ok((release_or_active(service, release).await?, id)),
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
