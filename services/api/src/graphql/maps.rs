//! What maps draw: geocells and reference images in view.

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
use serde_json::json;
use uuid::Uuid;

use super::geocell::{density, geocell_id, outline};
use super::loaders::{self, ReferenceKey};
use super::prediction::expired;
use super::query::{prediction_id, release_or_active};
use super::reference::ReferenceImage;
use super::scalars::{Bounds, BoxInput, GeoJson, Location, full_name};
use super::{caller, service};
use crate::area::bounds_of;
use crate::gallery_index::Chosen;
use crate::request_error::{Code, RequestError};

/// Most geocells of a map.
const MOST_CELLS: i32 = 10_000;
/// Most clusters of a map.
const MOST_CLUSTERS: usize = 5_000;
/// Deepest zoom of a map.
const DEEPEST_ZOOM: i32 = 22;

/// What maps draw.
#[derive(Default)]
pub struct MapQuery;

/// Geocells in view.
#[derive(SimpleObject)]
pub struct GeocellMap {
    /// Level of the hierarchy.
    level: usize,
    /// Geocells of the level in the box.
    total: usize,
    /// Whether there are more than were asked for.
    truncated: bool,
    /// A FeatureCollection of polygons, cut at the 180th meridian, with the properties token, level, photos, references, areaKm2,
    /// density (photos per 1000 square kilometres), latitude, longitude, name (null at sea) and probability (null without a prediction).
    geojson: GeoJson,
}

/// Reference images in view.
#[derive(SimpleObject)]
pub struct ReferenceClusters {
    /// Reference images in the box.
    total: usize,
    /// Largest first, at most 5000.
    clusters: Vec<ReferenceCluster>,
}

/// Reference images near each other on the map.
#[derive(SimpleObject)]
pub struct ReferenceCluster {
    /// Their mean place.
    location: Location,
    /// How many they are.
    count: usize,
    /// The box that holds them.
    bounds: Bounds,
    /// One of them.
    sample: ReferenceImage,
}

/// What maps draw.
#[Object]
impl MapQuery {
    /// The geocells of a level in a box, for maps: those with most photos first or, with a prediction that this service still keeps the
    /// details of, the most probable first.
    #[graphql(complexity = "100 + child_complexity")]
    async fn geocell_map(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Level of the hierarchy, 0 the coarsest.")] level: usize,
        #[graphql(desc = "Only cells that reach into this box.", name = "box")] view: Option<BoxInput>,
        #[graphql(desc = "Cells told, 1 to 10,000.", default = 2000)] first: i32,
        #[graphql(desc = "Id of a prediction, whose probabilities are told.")] prediction: Option<ID>,
        #[graphql(desc = "Release; the prediction's, or the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<GeocellMap> {
        let first = match usize::try_from(first) {
            Ok(count) if (1..=MOST_CELLS).contains(&first) => count,
            _ => {
                let message = format!("first is {first}, but must lie between 1 and {MOST_CELLS}");
                return Err(RequestError::invalid(message).into());
            }
        };
        let (service, caller) = (service(ctx)?, caller(ctx));
        let details = match prediction {
            Some(id) => Some(service.details(prediction_id(&id)?).ok_or_else(expired)?),
            None => None,
        };
        let release = match (&details, release) {
            (Some(details), None) => details.release.clone(),
            (_, release) => release_or_active(service, release).await?,
        };
        if details.as_ref().is_some_and(|details| details.release != release) {
            let message = "the prediction was answered by another release; leave release out";
            return Err(RequestError::invalid(message).into());
        }
        let index = service.geocells(&release).await?;
        if level >= index.levels() {
            let message = format!(
                "level is {level}, but release {release} has levels 0 to {}",
                index.levels().saturating_sub(1)
            );
            return Err(RequestError::invalid(message).into());
        }
        let gallery = service.gallery(&release).await?;
        let view = view.map(BoxInput::check).transpose()?;
        let probabilities = details.as_ref().and_then(|details| details.levels.get(level));
        let draw = {
            let caller = caller.clone();
            let probabilities: Option<std::collections::HashMap<GeocellId, f64>> =
                probabilities.map(|posterior| posterior.cells.iter().copied().collect());
            move || {
                let probability = |token: &GeocellId| probabilities.as_ref()?.get(token).copied();
                let mut cells: Vec<_> = index
                    .level(level)
                    .iter()
                    .filter(|cell| view.is_none_or(|view| bounds_of(cell.token).meets(&view)))
                    .collect();
                let total = cells.len();
                cells.sort_by(|a, b| {
                    let by_probability = probability(&b.token)
                        .unwrap_or(0.0)
                        .total_cmp(&probability(&a.token).unwrap_or(0.0));
                    by_probability
                        .then(b.photos.cmp(&a.photos))
                        .then(a.index.cmp(&b.index))
                });
                cells.truncate(first);
                let feature = |cell: &std::sync::Arc<storage::GeocellRecord>| {
                    let at = caller.place(cell.location);
                    let name =
                        retrieval::place_record(cell.location).map(|name| full_name(caller.name_of(name)));
                    json!({
                        "type": "Feature",
                        "geometry": outline(&caller, cell.token),
                        "properties": {
                            "token": caller.cell(cell.token).token(),
                            "level": level,
                            "photos": cell.photos,
                            "references": gallery.in_cell(cell.token),
                            "areaKm2": cell.token.area_km2(),
                            "density": density(cell),
                            "latitude": at.latitude(),
                            "longitude": at.longitude(),
                            "name": name,
                            "probability": probability(&cell.token),
                        },
                    })
                };
                let features: Vec<_> = cells.into_iter().map(feature).collect();
                (total, features)
            }
        };
        // Thousands of outlines and names take a moment.
        let drawn = tokio::task::spawn_blocking(draw).await;
        let (total, features) = drawn.map_err(RequestError::internal)?;
        Ok(GeocellMap {
            level,
            total,
            truncated: features.len() < total,
            geojson: Json(json!({ "type": "FeatureCollection", "features": features })),
        })
    }

    /// The reference images in a box, gathered on a grid of about 64 pixels of a Web Mercator map at a zoom.
    #[graphql(complexity = "100 + 20 * child_complexity")]
    #[allow(clippy::too_many_arguments, reason = "each one is an argument of the field")]
    async fn reference_clusters(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is in view.", name = "box")] view: BoxInput,
        #[graphql(desc = "Zoom of the map, 0 to 22.")] zoom: i32,
        #[graphql(desc = "Only those in this geocell: its S2 token.")] cell: Option<String>,
        #[graphql(desc = "Only those taken at this time or later.")] captured_since: Option<DateTime<Utc>>,
        #[graphql(desc = "Only those taken at this time or before.")] captured_until: Option<DateTime<Utc>>,
        #[graphql(desc = "Release; the active one when left out.")] release: Option<ID>,
    ) -> async_graphql::Result<ReferenceClusters> {
        let zoom = match u32::try_from(zoom) {
            Ok(depth) if (0..=DEEPEST_ZOOM).contains(&zoom) => depth,
            _ => {
                let message = format!("zoom is {zoom}, but must lie between 0 and {DEEPEST_ZOOM}");
                return Err(RequestError::invalid(message).into());
            }
        };
        let view = view.check()?;
        let chosen = Chosen {
            since: captured_since,
            until: captured_until,
            cell: cell.as_deref().map(geocell_id).transpose()?,
        };
        let (service, caller) = (service(ctx)?, caller(ctx));
        let release = release_or_active(service, release).await?;
        let gallery = service.gallery(&release).await?;
        let gather = move || gallery.clusters(&view, zoom, &chosen);
        let gathered = tokio::task::spawn_blocking(gather).await;
        let (total, mut clusters) = gathered.map_err(RequestError::internal)?;
        if clusters.len() > MOST_CLUSTERS {
            let message = format!(
                "{} clusters are more than a map can show; ask for a smaller box or a lower zoom",
                clusters.len()
            );
            return Err(RequestError::new(Code::TooLarge, message).into());
        }
        let key = |id: Uuid| ReferenceKey {
            release: release.clone(),
            id,
        };
        let keys = clusters.iter().map(|cluster| key(cluster.sample));
        let images = loaders::references(ctx)?.load_many(keys).await?;
        // An image that was removed a moment ago is in no cluster any more.
        clusters.retain(|cluster| images.contains_key(&key(cluster.sample)));
        let told = clusters.into_iter().filter_map(|cluster| {
            let [south, west, north, east] = cluster.bounds;
            let corner = |latitude, longitude| {
                let place = LatLng::new(latitude, longitude).ok()?;
                Some(caller.place(place))
            };
            let (low, high) = (corner(south, west)?, corner(north, east)?);
            Some(ReferenceCluster {
                location: cluster.place.into(),
                count: cluster.count,
                bounds: Bounds {
                    south: low.latitude(),
                    west: low.longitude(),
                    north: high.latitude(),
                    east: high.longitude(),
                },
                sample: ReferenceImage::new(&release, images.get(&key(cluster.sample))?),
            })
        });
        Ok(ReferenceClusters {
            total,
            clusters: told.collect(),
        })
    }
}
