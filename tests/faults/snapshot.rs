//! Everything that a data folder holds of a release, to be compared with an undisturbed build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrieval::{LocalizeOptions, Localizer, OpenOptions, Photo, references};
use storage::{
    Catalog, CollectionState, EmbeddedVectorStore, GeocellRecord, PointId, ReferenceImage, ReleaseId,
    SqliteCatalog, StoredPoint, VectorStore,
};

/// Embeddings of one photo may differ by this much when it was encoded in another batch.
const TOLERANCE: f32 = 1e-4;

/// The contents of one release.
pub struct Snapshot {
    pub status: String,
    collections: BTreeMap<String, BTreeMap<PointId, StoredPoint>>,
    geocells: Vec<GeocellRecord>,
    images: Vec<ReferenceImage>,
    /// Best geocell and nearest reference images of each query.
    answers: Vec<(String, f64, Vec<PointId>)>,
}

/// Both stores of a data folder.
pub async fn open(data: &Path) -> (Arc<dyn VectorStore>, Arc<dyn Catalog>) {
    let store = EmbeddedVectorStore::open(data.join("vectors")).await.unwrap();
    let catalog = SqliteCatalog::open(data.join("catalog.sqlite")).await.unwrap();
    (Arc::new(store), Arc::new(catalog))
}

/// Runs asynchronous work of a test.
pub fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

impl Snapshot {
    /// Reads a release, which must be whole, and asks it the queries.
    pub fn take(data: &Path, release: &str, queries: &[PathBuf]) -> Self {
        block(async {
            let (store, catalog) = open(data).await;
            Self::of(store, catalog, release, queries).await
        })
    }

    /// Reads a release from any stores, and asks it the queries.
    pub async fn of(
        store: Arc<dyn VectorStore>,
        catalog: Arc<dyn Catalog>,
        release: &str,
        queries: &[PathBuf],
    ) -> Self {
        let id = ReleaseId::new(release).unwrap();
        let found = catalog.release(&id).await.unwrap();
        let mut collections = BTreeMap::new();
        for name in store.list_collections().await.unwrap() {
            if !name.belongs_to(&id) {
                continue;
            }
            let info = store.collection(&name).await.unwrap();
            assert_eq!(info.state, CollectionState::Complete, "{name}");
            let page = store.scroll(&name, None, 100_000).await.unwrap();
            assert_eq!(
                page.points.len() as u64,
                info.points,
                "{name}: duplicates or holes"
            );
            let points = page.points.into_iter().map(|point| (point.id, point));
            collections.insert(name.to_string(), points.collect());
        }
        let mut geocells = Vec::new();
        for level in 0..found.levels {
            geocells.extend(catalog.geocells(&id, level, None, 100_000).await.unwrap());
        }
        let images = catalog.list_reference_images(&id, None, 100_000).await.unwrap();
        let localizer = Localizer::open(Some(&id), store, catalog, &OpenOptions::default())
            .await
            .unwrap();
        let photos = queries
            .iter()
            .map(|path| Photo::from(image::open(path).unwrap().to_rgb8()));
        let answers = localizer
            .localize(photos.collect(), &LocalizeOptions::default())
            .await
            .unwrap();
        let answers = answers
            .into_iter()
            .map(|answer| {
                let references = answer.references.iter().map(|reference| reference.id.into());
                (
                    answer.candidates[0].token.token(),
                    answer.confidence,
                    references.collect(),
                )
            })
            .collect();
        Self {
            status: found.status.to_string(),
            collections,
            geocells,
            images,
            answers,
        }
    }

    /// Fails unless both hold the same: points, vectors, payloads, rows and answers. Returns the largest difference of a vector.
    pub fn assert_same(&self, other: &Self, what: &str) -> f32 {
        let names = |snapshot: &Self| snapshot.collections.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(other), "{what}");
        let mut largest = 0.0_f32;
        for (name, points) in &self.collections {
            let others = &other.collections[name];
            let ids = |points: &BTreeMap<PointId, StoredPoint>| points.keys().copied().collect::<Vec<_>>();
            assert_eq!(ids(points), ids(others), "{what}: {name}");
            for (point, found) in points.values().zip(others.values()) {
                assert_eq!(payload(point), payload(found), "{what}: {name}");
                if name.ends_with("_references") {
                    assert!(
                        references::is_as_written(found),
                        "{what}: checksum of {}",
                        found.id
                    );
                }
                for (vector, numbers) in &point.vectors {
                    let pairs = numbers.iter().zip(&found.vectors[vector]);
                    let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(
                        difference <= TOLERANCE,
                        "{what}: {name} {} {vector} {difference}",
                        point.id
                    );
                    largest = largest.max(difference);
                }
            }
        }
        assert_eq!(self.geocells, other.geocells, "{what}");
        assert_eq!(self.images, other.images, "{what}");
        for ((cell, confidence, references), (cell2, confidence2, references2)) in
            self.answers.iter().zip(&other.answers)
        {
            assert_eq!(cell, cell2, "{what}");
            assert!(
                (confidence - confidence2).abs() < 1e-3,
                "{what}: {confidence} {confidence2}"
            );
            assert_eq!(references.first(), references2.first(), "{what}");
        }
        largest
    }

    pub fn images(&self) -> &[ReferenceImage] {
        &self.images
    }
}

/// A payload without what depends on the last bits of the vector.
fn payload(point: &StoredPoint) -> storage::Payload {
    let mut payload = point.payload.clone();
    payload.remove(references::CHECKSUM);
    payload
}
