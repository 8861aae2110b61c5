//! Where a release's reference images are, in memory, for maps: clusters in view and counts of geocells without asking a store for each.
//!
//! An index is read from the catalog when it is first needed. Images that are added or removed through this service change it at
//! once; what other processes do is seen when the catalog's count differs, which is looked up at most every few seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
use storage::{Catalog, ReferenceImage, ReleaseId};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::area::GeoBox;
use crate::request_error::RequestError;

/// Images asked of the catalog at once.
const PAGE: usize = 10_000;
/// Releases kept.
const KEPT: usize = 2;
/// How old a count may be.
const COUNTED_EVERY: Duration = Duration::from_secs(5);
/// Pixels of a side of a map's tile.
const TILE: f64 = 256.0;
/// Pixels that a cluster stands for.
const CLUSTER: f64 = 64.0;
/// Web Mercator ends here.
const MERCATOR_LATITUDE: f64 = 85.051_128_78;

/// One image, in 48 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) place: LatLng,
    /// Seconds since 1970.
    captured: Option<i64>,
}

impl From<&ReferenceImage> for Entry {
    fn from(image: &ReferenceImage) -> Self {
        Self {
            id: image.id,
            place: image.location,
            captured: image.captured_at.map(|time| time.timestamp()),
        }
    }
}

/// Which images are wanted, besides where.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Chosen {
    /// Taken not before.
    pub(crate) since: Option<DateTime<Utc>>,
    /// Taken not after.
    pub(crate) until: Option<DateTime<Utc>>,
    /// In this geocell.
    pub(crate) cell: Option<GeocellId>,
}

impl Chosen {
    /// Whether an image is wanted; one without a time only where none is asked for.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        let by_time = (self.since.is_none() && self.until.is_none())
            || entry.captured.is_some_and(|captured| {
                self.since.is_none_or(|since| captured >= since.timestamp())
                    && self.until.is_none_or(|until| captured <= until.timestamp())
            });
        by_time && self.cell.is_none_or(|cell| cell.contains_point(entry.place))
    }
}

/// Images near each other on a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cluster {
    /// Their mean place.
    pub(crate) place: LatLng,
    pub(crate) count: usize,
    /// South, west, north, east of them.
    pub(crate) bounds: [f64; 4],
    /// One of them.
    pub(crate) sample: Uuid,
}

/// All reference images of a release.
#[derive(Debug)]
pub(crate) struct GalleryIndex {
    /// In order of latitude.
    entries: Vec<Entry>,
    /// The S2 leaf cells of their places, in order.
    leaves: Vec<u64>,
    read: Instant,
    release_had: u64,
}

impl GalleryIndex {
    async fn load(catalog: &dyn Catalog, release: &ReleaseId) -> storage::Result<Self> {
        let release_had = catalog.counts(release).await?.reference_images;
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let page = catalog.list_reference_images(release, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            entries.extend(page.iter().map(Entry::from));
        }
        Ok(Self::new(entries, release_had))
    }

    fn new(mut entries: Vec<Entry>, release_had: u64) -> Self {
        entries.sort_by(|a, b| {
            let by_latitude = a.place.latitude().total_cmp(&b.place.latitude());
            by_latitude.then(a.id.cmp(&b.id))
        });
        let leaf = |entry: &Entry| GeocellId::leaf(entry.place).as_u64();
        let mut leaves: Vec<u64> = entries.iter().map(leaf).collect();
        leaves.sort_unstable();
        Self {
            entries,
            leaves,
            read: Instant::now(),
            release_had,
        }
    }

    /// How many images lie in a geocell of any level.
    pub(crate) fn in_cell(&self, cell: GeocellId) -> usize {
        let (first, last) = (cell.range_min().as_u64(), cell.range_max().as_u64());
        self.leaves.partition_point(|leaf| *leaf <= last) - self.leaves.partition_point(|leaf| *leaf < first)
    }

    /// The wanted images in a box, from the south.
    pub(crate) fn inside<'a>(
        &'a self,
        sides: &'a GeoBox,
        chosen: &'a Chosen,
    ) -> impl Iterator<Item = &'a Entry> {
        let (south, north) = (sides.south_west.latitude(), sides.north_east.latitude());
        let from = self
            .entries
            .partition_point(|entry| entry.place.latitude() < south);
        self.entries[from..]
            .iter()
            .take_while(move |entry| entry.place.latitude() <= north)
            .filter(move |entry| sides.contains(entry.place) && chosen.has(entry))
    }

    /// The wanted images of the whole release, from the south.
    pub(crate) fn all<'a>(&'a self, chosen: &'a Chosen) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| chosen.has(entry))
    }

    /// The wanted images in a box, gathered on a grid of a map's zoom, with their number. Largest clusters first.
    pub(crate) fn clusters(&self, sides: &GeoBox, zoom: u32, chosen: &Chosen) -> (usize, Vec<Cluster>) {
        struct Sum {
            direction: [f64; 3],
            count: usize,
            bounds: [f64; 4],
            sample: Uuid,
            place: LatLng,
        }
        let mut total = 0;
        let mut sums: HashMap<(i64, i64), Sum> = HashMap::new();
        for entry in self.inside(sides, chosen) {
            total += 1;
            let (latitude, longitude) = (entry.place.latitude(), entry.place.longitude());
            let sum = sums.entry(tile(entry.place, zoom)).or_insert(Sum {
                direction: [0.0; 3],
                count: 0,
                bounds: [latitude, longitude, latitude, longitude],
                sample: entry.id,
                place: entry.place,
            });
            let direction = entry.place.unit_vector();
            for (axis, part) in sum.direction.iter_mut().zip(direction) {
                *axis += part;
            }
            sum.count += 1;
            let [south, west, north, east] = sum.bounds;
            sum.bounds = [
                south.min(latitude),
                west.min(longitude),
                north.max(latitude),
                east.max(longitude),
            ];
        }
        let mut clusters: Vec<Cluster> = sums
            .into_values()
            .map(|sum| Cluster {
                place: LatLng::from_direction(sum.direction).unwrap_or(sum.place),
                count: sum.count,
                bounds: sum.bounds,
                sample: sum.sample,
            })
            .collect();
        clusters.sort_by(|a, b| b.count.cmp(&a.count).then(a.sample.cmp(&b.sample)));
        (total, clusters)
    }
}

/// The square of the grid at a zoom that a place lies in.
fn tile(place: LatLng, zoom: u32) -> (i64, i64) {
    let scale = TILE / CLUSTER * f64::from(1_u32 << zoom.min(22));
    let latitude = place
        .latitude()
        .clamp(-MERCATOR_LATITUDE, MERCATOR_LATITUDE)
        .to_radians();
    let x = (place.longitude() + 180.0) / 360.0;
    let y = (1.0 - (latitude.tan() + 1.0 / latitude.cos()).ln() / std::f64::consts::PI) / 2.0;
    ((x * scale).floor() as i64, (y * scale).floor() as i64)
}

/// The indices of the releases that were asked for last.
#[derive(Default)]
pub(crate) struct GalleryIndices {
    kept: Mutex<VecDeque<(ReleaseId, Arc<GalleryIndex>, Instant)>>,
}

impl GalleryIndices {
    /// The index of a release. Several requests that ask at once read it once.
    pub(crate) async fn of(
        &self,
        catalog: &dyn Catalog,
        release: &ReleaseId,
    ) -> Result<Arc<GalleryIndex>, RequestError> {
        let mut kept = self.kept.lock().await;
        if let Some(position) = kept.iter().position(|(id, ..)| id == release) {
            let (_, index, looked) = &kept[position];
            if looked.elapsed() < COUNTED_EVERY {
                return Ok(index.clone());
            }
            let has = catalog.counts(release).await?.reference_images;
            if has == index.release_had {
                let index = index.clone();
                kept[position].2 = Instant::now();
                return Ok(index);
            }
            kept.remove(position);
        }
        let index = Arc::new(GalleryIndex::load(catalog, release).await?);
        tracing::debug!(
            %release,
            images = index.entries.len(),
            ms = index.read.elapsed().as_millis(),
            "places of reference images read"
        );
        kept.push_back((release.clone(), index.clone(), Instant::now()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(index)
    }

    /// Reads a release again at its next use.
    pub(crate) async fn forget(&self, release: &ReleaseId) {
        self.kept.lock().await.retain(|(id, ..)| id != release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(places: &[(f64, f64)]) -> GalleryIndex {
        let entry = |(number, (latitude, longitude)): (usize, &(f64, f64))| {
            let place = LatLng::new(*latitude, *longitude).unwrap();
            Entry {
                id: Uuid::from_u128(number as u128),
                place,
                captured: (number % 2 == 0).then_some(number as i64 * 1000),
            }
        };
        GalleryIndex::new(
            places.iter().enumerate().map(entry).collect(),
            places.len() as u64,
        )
    }

    #[test]
    fn clusters_hold_every_image_in_view_once() {
        let places: Vec<(f64, f64)> = (0..500)
            .map(|n| (f64::from(n % 25) * 2.0 - 24.0, f64::from(n % 43) * 8.0 - 172.0))
            .collect();
        let index = index(&places);
        let everywhere = GeoBox::new(-90.0, -180.0, 90.0, 180.0).unwrap();
        let mut before = 0;
        for zoom in [0, 2, 5, 12, 22] {
            let (total, clusters) = index.clusters(&everywhere, zoom, &Chosen::default());
            assert_eq!(total, 500);
            assert_eq!(clusters.iter().map(|cluster| cluster.count).sum::<usize>(), 500);
            assert!(clusters.len() >= before, "zoom {zoom}");
            before = clusters.len();
            for cluster in &clusters {
                let [south, west, north, east] = cluster.bounds;
                assert!(south <= north && west <= east);
            }
        }
        let fiji = GeoBox::new(-30.0, 170.0, 30.0, -170.0).unwrap();
        let brute = places
            .iter()
            .filter(|(latitude, longitude)| fiji.contains(LatLng::new(*latitude, *longitude).unwrap()))
            .count();
        assert!(brute > 0);
        assert_eq!(index.clusters(&fiji, 3, &Chosen::default()).0, brute);
    }

    #[test]
    fn times_and_geocells_choose() {
        let index = index(&[(10.0, 10.0), (10.0, 10.0), (10.001, 10.001), (50.0, 50.0)]);
        let everywhere = GeoBox::new(-90.0, -180.0, 90.0, 180.0).unwrap();
        let count = |chosen: Chosen| index.inside(&everywhere, &chosen).count();
        assert_eq!(count(Chosen::default()), 4);
        let since = DateTime::from_timestamp(1000, 0);
        assert_eq!(
            count(Chosen {
                since,
                ..Chosen::default()
            }),
            1
        );
        let until = DateTime::from_timestamp(1000, 0);
        assert_eq!(
            count(Chosen {
                until,
                ..Chosen::default()
            }),
            1
        );
        let cell = GeocellId::containing(LatLng::new(10.0, 10.0).unwrap(), 6).unwrap();
        assert_eq!(
            count(Chosen {
                cell: Some(cell),
                ..Chosen::default()
            }),
            3
        );
        assert_eq!(index.in_cell(cell), 3);
    }
}
