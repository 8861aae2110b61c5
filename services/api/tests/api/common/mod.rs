//! A tiny planet, an untrained model and a real release of it: built once for all tests.

pub mod counting;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use datasets::Dataset;
use geocells::{Hierarchy, LatLng, PartitionConfig};
use geosurge_api::{ServeConfig, Service, router};
use indexer::BuildOptions;
use models::{
    Calibration, Checkpoint, CheckpointContents, Device, Model, ModelConfig, Parameters, Provenance,
};
use planet::PlanetConfig;
use retrieval::OpenOptions;
use serde_json::{Value, json};
use storage::{Catalog, EmbeddedVectorStore, ReleaseId, SqliteCatalog, VectorStore};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tower::ServiceExt;

/// Photos of the gallery, and after them photos that were held out.
const GALLERY: usize = 120;
const PHOTOS: usize = 130;
/// Most photos of a finest geocell.
const FINEST: u64 = 12;

pub struct World {
    pub store: Arc<dyn VectorStore>,
    pub catalog: Arc<dyn Catalog>,
    pub dataset: Dataset,
    pub photo: Vec<u8>,
    directory: TempDir,
}

impl World {
    /// Stores without a release.
    pub async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let planet = PlanetConfig {
            photos: PHOTOS,
            size: 32,
            cities: 5,
            photos_per_spot: 8,
            ..PlanetConfig::default()
        };
        let whole = planet::write_dataset(&planet, &directory.path().join("planet"), &|_| ()).unwrap();
        let dataset = Dataset::new(whole.root(), whole.photos()[..GALLERY].to_vec());
        let photo = fs_err::read(whole.image_path(PHOTOS - 1)).unwrap();
        let store = EmbeddedVectorStore::open(directory.path().join("vectors"))
            .await
            .unwrap();
        let catalog = SqliteCatalog::open(directory.path().join("catalog.sqlite"))
            .await
            .unwrap();
        Self {
            store: Arc::new(store),
            catalog: Arc::new(catalog),
            dataset,
            photo,
            directory,
        }
    }

    /// Stores with the active release `first`.
    pub async fn with_release() -> Self {
        let world = Self::empty().await;
        world.build("first", 1).await;
        world
    }

    /// Builds and activates a release of an untrained model.
    pub async fn build(&self, name: &str, seed: u64) -> ReleaseId {
        self.build_release(name, seed, true, FINEST).await
    }

    /// Builds a release of an untrained model.
    pub async fn build_ready(&self, name: &str, seed: u64) -> ReleaseId {
        self.build_release(name, seed, false, FINEST).await
    }

    /// Builds a release of other geocells.
    pub async fn build_coarser(&self, name: &str, seed: u64) -> ReleaseId {
        self.build_release(name, seed, false, 2 * FINEST).await
    }

    async fn build_release(&self, name: &str, seed: u64, activate: bool, finest: u64) -> ReleaseId {
        let id = ReleaseId::new(name).unwrap();
        let checkpoint = self.directory.path().join(format!("checkpoint-{name}"));
        write_checkpoint(&checkpoint, &self.dataset, seed, finest);
        let options = BuildOptions {
            name: Some(id.clone()),
            activate,
            batch: 32,
            ..BuildOptions::default()
        };
        let (store, catalog) = (self.store.clone(), self.catalog.clone());
        let go_on = AtomicBool::new(false);
        let report = indexer::build_release(
            &checkpoint,
            &self.dataset,
            store,
            catalog,
            &options,
            &indexer::silent,
            &go_on,
        )
        .await;
        assert_eq!(report.unwrap().release.id, id);
        id
    }

    pub async fn service(&self, config: ServeConfig) -> Service {
        self.try_service(config).await.unwrap()
    }

    pub async fn try_service(&self, config: ServeConfig) -> geosurge_api::Result<Service> {
        let (store, catalog) = (self.store.clone(), self.catalog.clone());
        Service::start(config, store, catalog, OpenOptions::default()).await
    }

    /// Folder of photographs that clients add.
    pub fn photos(&self) -> std::path::PathBuf {
        self.directory.path().join("references")
    }

    /// A service whose catalog is another one.
    pub async fn service_on(&self, catalog: Arc<dyn Catalog>, config: ServeConfig) -> Service {
        Service::start(config, self.store.clone(), catalog, OpenOptions::default())
            .await
            .unwrap()
    }

    pub async fn client(&self, config: ServeConfig) -> Client {
        Client {
            router: router(self.service(config).await),
        }
    }
}

/// One world for the tests that only read it or add predictions.
///
/// The embedded store is opened once in a process; the runtime of the test that came first may end before the others, so
/// that nothing in the world may be bound to it.
pub async fn shared() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD.get_or_init(World::with_release).await
}

pub fn config() -> ServeConfig {
    ServeConfig {
        poll: Duration::from_millis(50),
        ..ServeConfig::default()
    }
}

fn write_checkpoint(directory: &Path, dataset: &Dataset, seed: u64, finest: u64) {
    let places: Vec<LatLng> = dataset.photos().iter().map(|photo| photo.location).collect();
    let partition = PartitionConfig {
        t_min: 2,
        t_max: vec![80, 40, finest],
        ..PartitionConfig::default()
    };
    let hierarchy = Hierarchy::build(&places, &partition).unwrap();
    let mut config = ModelConfig::demo();
    config.image_size = 32;
    config.vision.layers = 1;
    config.vision.trainable_blocks = 1;
    config.fusion.blocks = 1;
    let cells: Vec<usize> = hierarchy
        .levels()
        .iter()
        .map(|level| level.cells().len())
        .collect();
    let parameters = Parameters::initialise(Model::specs(&config, &cells), seed, &Device::Cpu).unwrap();
    let contents = CheckpointContents {
        config: &config,
        parameters: &parameters,
        segmenter: None,
        hierarchy: &hierarchy,
        calibration: &Calibration {
            scale: 0.5,
            prior_weight: 0.2,
            cannot_tell_below: 0.05,
            ..Calibration::default()
        },
        provenance: &Provenance::new("2026-01-01T00:00:00Z", seed),
    };
    Checkpoint::write(directory, contents).unwrap();
}

/// Speaks to a router as a client does.
#[derive(Clone)]
pub struct Client {
    pub router: Router,
}

impl Client {
    pub async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn get_json(&self, path: &str) -> (StatusCode, Value) {
        read_json(self.get(path).await).await
    }

    pub async fn query(&self, query: &str) -> Value {
        self.query_with(query, json!({})).await
    }

    pub async fn query_with(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        read_json(self.send(request.body(body.into()).unwrap()).await)
            .await
            .1
    }

    /// The localize mutation with a photo and the fields wanted of the prediction.
    pub async fn localize(&self, name: &str, photo: &[u8], fields: &str) -> Value {
        let query = format!("mutation($photo: Upload!) {{ localize(photo: $photo) {{ {fields} }} }}");
        let operations = json!({ "query": query, "variables": { "photo": null } });
        let map = json!({ "0": ["variables.photo"] });
        self.upload(&operations, &map, &[("0", name, photo)]).await.1
    }

    pub async fn upload(
        &self,
        operations: &Value,
        map: &Value,
        files: &[(&str, &str, &[u8])],
    ) -> (StatusCode, Value) {
        let request = multipart(operations, map, files);
        read_json(self.send(request).await).await
    }
}

pub fn multipart(operations: &Value, map: &Value, files: &[(&str, &str, &[u8])]) -> Request<Body> {
    const BOUNDARY: &str = "a-boundary-that-no-photo-holds";
    let mut body = Vec::new();
    let mut part = |head: String, content: &[u8]| {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    part(
        "name=\"operations\"".to_owned(),
        operations.to_string().as_bytes(),
    );
    part("name=\"map\"".to_owned(), map.to_string().as_bytes());
    for (field, name, content) in files {
        part(format!("name=\"{field}\"; filename=\"{name}\""), content);
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Request::post("/graphql")
        .header(
            header::CONTENT_TYPE,
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body.into())
        .unwrap()
}

pub async fn read_json(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = bytes(response).await;
    let value = serde_json::from_slice(&body);
    (
        status,
        value.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body))),
    )
}

pub async fn bytes(response: Response) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap()
        .to_vec()
}

/// The code of a response's first error.
pub fn code(response: &Value) -> &str {
    response["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no error code: {response}"))
}

/// A PNG whose header announces a size, with no pixel in it.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    image::GrayImage::new(1, 1)
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    let mut png = png.into_inner();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}
