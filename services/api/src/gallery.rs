//! Reference images by where they are.

use geocells::{GeocellId, Kilometres, LatLng};
use storage::{CollectionName, Condition, Filter, PointId, ReferenceImage, ReleaseId, SearchRequest};
use uuid::Uuid;

use crate::request_error::RequestError;
use crate::service::Service;

/// Most reference images that one condition may page through.
const MOST: usize = 10_000;

/// A condition on a reference image's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// Inside a geocell of a level.
    Geocell {
        /// The geocell.
        token: GeocellId,
        /// Its level.
        level: usize,
    },
    /// Within a distance of a place, nearest first.
    Near {
        /// From here.
        center: LatLng,
        /// At most so far.
        radius: Kilometres,
    },
}

/// The reference images that meet a condition, from `offset`, at most `limit`.
pub(crate) async fn find(
    service: &Service,
    release: &ReleaseId,
    place: &Place,
    offset: usize,
    limit: usize,
) -> Result<Vec<ReferenceImage>, RequestError> {
    let collection = CollectionName::references(release);
    let filter: Filter = match place {
        Place::Geocell { token, level } => {
            Condition::keyword(retrieval::references::level_field(*level), token.token()).into()
        }
        Place::Near { center, radius } => Condition::GeoRadius {
            field: retrieval::references::LOCATION.to_owned(),
            center: *center,
            radius: *radius,
        }
        .into(),
    };
    let matching = service.store().count(&collection, Some(filter.clone())).await?;
    if matching > MOST as u64 {
        let message = format!(
            "{matching} reference images match, more than the {MOST} that can be listed; ask for a smaller place"
        );
        return Err(RequestError::invalid(message));
    }
    if offset as u64 >= matching {
        return Ok(Vec::new());
    }
    // Every point is equally near to the zero vector, so an exact search gives all matching ones in the order of their ids.
    let dimension = service.catalog().release(release).await?.embedding_dimension;
    let all = SearchRequest::new(retrieval::references::VISUAL, vec![0.0; dimension], MOST).filtered(filter);
    let ids = service
        .store()
        .search(&collection, all)
        .await?
        .into_iter()
        .filter_map(|hit| match hit.id {
            PointId::Uuid(id) => Some(id),
            PointId::Number(_) => None,
        });
    let mut ids: Vec<Uuid> = ids.collect();
    if let Place::Near { center, .. } = place {
        let mut images = service.catalog().reference_images(release, &ids).await?;
        let kilometres = |image: &ReferenceImage| center.distance(image.location).get();
        images.sort_by(|a, b| kilometres(a).total_cmp(&kilometres(b)).then(a.id.cmp(&b.id)));
        return Ok(images.into_iter().skip(offset).take(limit).collect());
    }
    ids.sort_unstable();
    let page: Vec<Uuid> = ids.into_iter().skip(offset).take(limit).collect();
    Ok(service.catalog().reference_images(release, &page).await?)
}
