//! Reference images that clients add and remove, for stores that only this process has open.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use datasets::{Dataset, DecodeLimits};
use geocells::LatLng;
use indexer::references::{AddOptions, Removed};
use retrieval::Localizer;
use sha2::{Digest, Sha256};
use storage::{ReferenceImage, ReleaseId, Scope};
use uuid::Uuid;

use crate::caller::Caller;
use crate::request_error::{Code, RequestError};
use crate::service::Service;

/// A photo that a client adds.
pub(crate) struct NewReference {
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    /// Where it was taken; by its EXIF when left out.
    pub(crate) location: Option<LatLng>,
    pub(crate) captured_at: Option<DateTime<Utc>>,
    pub(crate) uploader: Option<String>,
}

/// What became of a photo.
pub(crate) enum Fate {
    Added(ReferenceImage),
    DuplicateOf(ReferenceImage),
    Refused(RequestError),
}

/// The release whose reference images may be changed here, by callers with the right to.
fn editable(service: &Service, caller: &Caller) -> Result<(Arc<Localizer>, PathBuf), RequestError> {
    caller.require(Scope::Contributor)?;
    let Some(photos) = service.config().photos.clone() else {
        let message = "this service has no folder for photographs; use `geosurge references` instead";
        return Err(RequestError::new(Code::Forbidden, message));
    };
    let localizer = service.localizer();
    let localizer = localizer.ok_or_else(|| RequestError::from(retrieval::Error::NoActiveRelease))?;
    Ok((localizer, photos))
}

/// How the audit log names the caller.
fn actor<'a>(service: &'a Service, caller: &'a Caller) -> &'a str {
    caller.name().unwrap_or(&service.config().client)
}

/// Adds photos to the active release; each has its own fate.
pub(crate) async fn add(
    service: &Service,
    caller: &Caller,
    references: Vec<NewReference>,
) -> Result<(ReleaseId, Vec<Fate>), RequestError> {
    let (localizer, photos) = editable(service, caller)?;
    let release = localizer.release().id.clone();
    let limits = DecodeLimits {
        max_pixels: service.config().max_pixels,
        max_bytes: service.config().max_upload_bytes as u64,
    };
    let folder = tempfile::tempdir().map_err(RequestError::internal)?;
    let root = folder.path().to_owned();
    let check = move || -> Vec<Result<datasets::Photo, RequestError>> {
        let checked = references.into_iter().enumerate();
        checked
            .map(|(index, new)| prepare(new, &root.join(index.to_string()), &limits))
            .collect()
    };
    let prepared = tokio::task::spawn_blocking(check)
        .await
        .map_err(RequestError::internal)?;

    let usable: Vec<_> = prepared.iter().flatten().cloned().collect();
    let (store, catalog) = (service.store().as_ref(), service.catalog().as_ref());
    let options = AddOptions {
        encoder: localizer.encoder(),
        hierarchy: Arc::new(localizer.searcher().model().cells.hierarchy().clone()),
        photos,
        copy: true,
        batch: service.config().batch,
        limits,
        actor: Some(actor(service, caller).to_owned()),
    };
    let never = AtomicBool::new(false);
    let dataset = Dataset::new(folder.path(), usable.clone());
    let added = indexer::references::add(
        &release,
        &dataset,
        store,
        catalog,
        &options,
        &indexer::silent,
        &never,
    )
    .await?;

    service.forget_gallery(&release).await;
    let digests: Vec<String> = usable.iter().filter_map(|photo| photo.sha256.clone()).collect();
    let found = catalog.reference_images_by_sha256(&release, &digests).await?;
    let found: HashMap<String, ReferenceImage> = found
        .into_iter()
        .map(|image| (image.sha256.clone(), image))
        .collect();
    let mut told = Vec::new();
    let fates = prepared.into_iter().map(|prepared| {
        let digest = match prepared {
            Ok(photo) => photo.sha256.unwrap_or_default(),
            Err(error) => return Fate::Refused(error),
        };
        match found.get(&digest) {
            Some(image) if added.added.contains(&image.id) && !told.contains(&image.id) => {
                told.push(image.id);
                Fate::Added(image.clone())
            }
            Some(image) => Fate::DuplicateOf(image.clone()),
            None => Fate::Refused(RequestError::internal("an added photo is not in the catalog")),
        }
    });
    let fates = fates.collect();
    Ok((release, fates))
}

/// Checks a photo, finds its place and writes it into a temporary file.
fn prepare(
    new: NewReference,
    file: &std::path::Path,
    limits: &DecodeLimits,
) -> Result<datasets::Photo, RequestError> {
    datasets::decode_bytes(&new.bytes, &new.name, limits).map_err(|error| RequestError::from(&error))?;
    let (location, captured_at) = match new.location {
        Some(location) => (location, new.captured_at),
        None => {
            let reading = datasets::read_gps_bytes(&new.bytes, &new.name).map_err(|error| RequestError {
                reason: Some(error.reason()),
                ..RequestError::new(
                    Code::BadImage,
                    format!("{error}; or send latitude and longitude with the photo"),
                )
            })?;
            (reading.location, new.captured_at.or(reading.captured_at))
        }
    };
    let extension = image::guess_format(&new.bytes).ok();
    let extension = extension.and_then(|format| format.extensions_str().first().copied());
    let file = file.with_extension(extension.unwrap_or("photo"));
    fs_err::write(&file, &new.bytes).map_err(RequestError::internal)?;
    Ok(datasets::Photo {
        captured_at,
        uploader: new.uploader,
        sha256: Some(format!("{:x}", Sha256::digest(&new.bytes))),
        ..datasets::Photo::new(file, location)
    })
}

/// Deletes reference images of the active release.
pub(crate) async fn remove(
    service: &Service,
    caller: &Caller,
    ids: &[Uuid],
) -> Result<(ReleaseId, Removed), RequestError> {
    let (localizer, photos) = editable(service, caller)?;
    let release = localizer.release().id.clone();
    let (store, catalog) = (service.store().as_ref(), service.catalog().as_ref());
    let actor = Some(actor(service, caller));
    let removed = indexer::references::remove(&release, ids, actor, &photos, store, catalog).await?;
    service.forget_gallery(&release).await;
    Ok((release, removed))
}

impl From<indexer::Error> for RequestError {
    fn from(error: indexer::Error) -> Self {
        match error {
            indexer::Error::Storage(error) => error.into(),
            indexer::Error::Retrieval(error) => error.into(),
            indexer::Error::Datasets(error) => Self::from(&error),
            indexer::Error::Invalid(message) => Self::invalid(message),
            error @ (indexer::Error::NotReady { .. }
            | indexer::Error::NotWhole { .. }
            | indexer::Error::NothingToRollBack { .. }
            | indexer::Error::Incomparable(_)) => Self::new(Code::Conflict, error.to_string()),
            error => Self::internal(error),
        }
    }
}
