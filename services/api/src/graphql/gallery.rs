//! Reference images added and removed.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject, Upload};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::mutation::{PhotoError, file_name, label};
use super::node::{GlobalId, reference_id};
use super::query::place;
use super::reference::ReferenceImage;
use super::{caller, service};
use crate::references::{self, Fate, NewReference};
use crate::request_error::{Code, RequestError};

/// Most reference images that one request removes.
const MOST_REMOVED: usize = 1000;

/// Changes of the active release's reference images.
#[derive(Default)]
pub struct GalleryMutation;

/// A photo with a known place that becomes a reference image.
#[derive(InputObject)]
pub struct NewReferenceImage {
    /// The photo, by the GraphQL multipart request specification.
    photo: Upload,
    /// Degrees north of the equator, -90 to 90; by the photo's EXIF when left out.
    latitude: Option<f64>,
    /// Degrees east of Greenwich, -180 to 180; together with latitude.
    longitude: Option<f64>,
    /// When it was taken; by the photo's EXIF when left out with its place.
    captured_at: Option<DateTime<Utc>>,
    /// Who gives it: at most 64 characters.
    uploader: Option<String>,
}

/// What became of one added photo: a new reference image, one that was there already, or an error.
#[derive(SimpleObject)]
pub struct AddedReferenceImage {
    /// Position of the photo in the request, from 0.
    index: usize,
    /// The photo's file name.
    file_name: String,
    /// The new reference image.
    image: Option<ReferenceImage>,
    /// The reference image with the same bytes that the release had already.
    duplicate_of: Option<ReferenceImage>,
    /// Why the photo was refused.
    error: Option<PhotoError>,
}

/// What a removal did.
#[derive(SimpleObject)]
pub struct RemovedReferenceImages {
    /// The release.
    release_id: ID,
    /// Reference images that are gone.
    removed: Vec<ID>,
    /// Ids that the release did not have.
    unknown: Vec<ID>,
}

/// Changes of the active release's reference images.
#[Object]
impl GalleryMutation {
    /// Adds photos with known places to the active release, without training; they support answers from the next query on.
    /// A photo that is refused does not keep the others from being added.
    #[graphql(complexity = "50 + 16 * child_complexity")]
    async fn add_reference_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The photos with their places.")] images: Vec<NewReferenceImage>,
    ) -> async_graphql::Result<Vec<AddedReferenceImage>> {
        let most = service(ctx)?.config().max_photos;
        if images.len() > most {
            let message = format!(
                "{} photos are more than the {most} of one request; send fewer at a time",
                images.len()
            );
            return Err(RequestError::new(Code::TooLarge, message).into());
        }
        let (mut names, mut new) = (Vec::new(), Vec::new());
        for image in images {
            let location = match (image.latitude, image.longitude) {
                (Some(latitude), Some(longitude)) => Some(place(latitude, longitude)?),
                (None, None) => None,
                _ => return Err(RequestError::invalid("give latitude and longitude, or neither").into()),
            };
            names.push(file_name(ctx, &image.photo)?);
            new.push(NewReference {
                name: file_name(ctx, &image.photo)?,
                bytes: image.photo.value(ctx)?.content,
                location,
                captured_at: image.captured_at,
                uploader: label("uploader", image.uploader)?,
            });
        }
        let (release, fates) = references::add(service(ctx)?, caller(ctx), new).await?;
        let told = names.into_iter().zip(fates).enumerate();
        Ok(told
            .map(|(index, (file_name, fate))| {
                let mut added = AddedReferenceImage {
                    index,
                    file_name,
                    image: None,
                    duplicate_of: None,
                    error: None,
                };
                match fate {
                    Fate::Added(image) => added.image = Some(ReferenceImage::new(&release, &image)),
                    Fate::DuplicateOf(image) => {
                        added.duplicate_of = Some(ReferenceImage::new(&release, &image))
                    }
                    Fate::Refused(error) => added.error = Some(error.into()),
                }
                added
            })
            .collect())
    }

    /// Deletes reference images of the active release: vectors, rows, and photos that were added through the service. The audit
    /// log keeps what was done. No answer shows them from the next query on.
    async fn remove_reference_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of reference images, at most 1000.")] ids: Vec<ID>,
    ) -> async_graphql::Result<RemovedReferenceImages> {
        if ids.len() > MOST_REMOVED {
            let message = format!(
                "{} ids are more than the {MOST_REMOVED} of one request",
                ids.len()
            );
            return Err(RequestError::new(Code::TooLarge, message).into());
        }
        let service = service(ctx)?;
        let active = service
            .localizer()
            .map(|localizer| localizer.release().id.clone());
        let mut of_active = Vec::with_capacity(ids.len());
        for id in &ids {
            let (release, id) = reference_id(id)?;
            if release.is_some() && release != active {
                let message = "only reference images of the active release can be removed here";
                return Err(RequestError::new(Code::Conflict, message).into());
            }
            of_active.push(id);
        }
        let (release, removed) = references::remove(service, caller(ctx), &of_active).await?;
        let told = |ids: Vec<Uuid>| {
            ids.into_iter()
                .map(|id| GlobalId::reference(&release, id))
                .collect()
        };
        Ok(RemovedReferenceImages {
            release_id: ID(release.to_string()),
            removed: told(removed.removed),
            unknown: told(removed.unknown),
        })
    }
}
