//! Reference images by where and when they were taken.

use geocells::{GeocellId, Kilometres, LatLng};
use storage::{ReferenceImage, ReleaseId};
use uuid::Uuid;

use crate::area::GeoBox;
use crate::gallery_index::{Chosen, Entry};
use crate::request_error::RequestError;
use crate::service::Service;

/// A condition on a reference image's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// Anywhere.
    Anywhere,
    /// Inside a geocell.
    Geocell(GeocellId),
    /// Inside a box.
    Box(GeoBox),
    /// Within a distance of a place, nearest first.
    Near {
        /// From here.
        center: LatLng,
        /// At most so far.
        radius: Kilometres,
    },
}

/// The reference images that meet conditions, from `offset`, at most `limit`: in order of id, or nearest first.
pub(crate) async fn find(
    service: &Service,
    release: &ReleaseId,
    place: &Place,
    chosen: &Chosen,
    offset: usize,
    limit: usize,
) -> Result<Vec<ReferenceImage>, RequestError> {
    let index = service.gallery(release).await?;
    let ids: Vec<Uuid> = match place {
        Place::Near { center, radius } => {
            let mut near: Vec<(f64, Uuid)> = index
                .all(chosen)
                .filter_map(|entry| {
                    let distance = center.distance(entry.place);
                    (distance <= *radius).then_some((distance.get(), entry.id))
                })
                .collect();
            near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            near.into_iter().map(|(_, id)| id).collect()
        }
        Place::Box(sides) => in_order(index.inside(sides, chosen)),
        Place::Geocell(cell) => in_order(index.all(chosen).filter(|entry| cell.contains_point(entry.place))),
        Place::Anywhere => in_order(index.all(chosen)),
    };
    let page: Vec<Uuid> = ids.into_iter().skip(offset).take(limit).collect();
    Ok(service.catalog().reference_images(release, &page).await?)
}

fn in_order<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = entries.map(|entry| entry.id).collect();
    ids.sort_unstable();
    ids
}
