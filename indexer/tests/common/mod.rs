//! A tiny planet with an untrained model, and a store with a catalog in a temporary directory.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use datasets::Dataset;
use geocells::{Hierarchy, LatLng, PartitionConfig};
use geosurge_indexer::{BuildOptions, activate, build_release, silent};
use image::RgbImage;
use models::{
    Calibration, Checkpoint, CheckpointContents, Device, Model, ModelConfig, Parameters, Provenance,
};
use planet::PlanetConfig;
use retrieval::{Checkpoints, Localizer, OpenOptions};
use storage::{Catalog, EmbeddedVectorStore, Release, ReleaseId, SqliteCatalog, VectorStore};
use tempfile::TempDir;

/// Photos of the gallery, and after them photos that were held out.
const GALLERY: usize = 160;
const PHOTOS: usize = 200;

pub struct World {
    pub dataset: Dataset,
    pub held_out: Vec<RgbImage>,
    pub hierarchy: Hierarchy,
    pub checkpoint: PathBuf,
    config: ModelConfig,
    directory: TempDir,
}

impl World {
    /// One world for all tests that do not change it.
    pub fn shared() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| Self::fresh(1))
    }

    /// A world of its own, with a model drawn from a seed.
    pub fn fresh(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let planet = PlanetConfig {
            photos: PHOTOS,
            size: 32,
            cities: 6,
            photos_per_spot: 8,
            ..PlanetConfig::default()
        };
        let whole = planet::write_dataset(&planet, &directory.path().join("planet"), &|_| ()).unwrap();
        let held_out = (GALLERY..PHOTOS)
            .map(|index| image::open(whole.image_path(index)).unwrap().to_rgb8())
            .collect();
        let dataset = Dataset::new(whole.root(), whole.photos()[..GALLERY].to_vec());
        let places: Vec<LatLng> = dataset.photos().iter().map(|photo| photo.location).collect();
        let partition = PartitionConfig {
            t_min: 2,
            t_max: vec![80, 40, 12],
            ..PartitionConfig::default()
        };
        let hierarchy = Hierarchy::build(&places, &partition).unwrap();
        let checkpoint = directory.path().join("checkpoint");
        let world = Self {
            dataset,
            held_out,
            hierarchy,
            checkpoint,
            config: small_model(),
            directory,
        };
        world.replace_checkpoint(seed);
        world
    }

    /// A world whose manifest also names a file that is absent, one that is cut short and one that is no image.
    pub fn with_bad_photos() -> Self {
        let mut world = Self::fresh(1);
        let bytes = fs_err::read(world.dataset.image_path(0)).unwrap();
        fs_err::write(
            world.dataset.root().join("truncated.jpg"),
            &bytes[..bytes.len() / 3],
        )
        .unwrap();
        fs_err::write(world.dataset.root().join("text.jpg"), "not an image").unwrap();
        let mut photos = world.dataset.photos().to_vec();
        for (index, name) in ["absent.jpg", "truncated.jpg", "text.jpg"].iter().enumerate() {
            photos[index].path = PathBuf::from(name);
        }
        world.dataset = Dataset::new(world.dataset.root(), photos);
        world
    }

    /// Another untrained model over the same geocells, in the same place.
    pub fn replace_checkpoint(&self, seed: u64) {
        write_checkpoint(&self.checkpoint, &self.config, &self.hierarchy, seed);
        assert!(self.directory.path().is_dir());
    }
}

fn small_model() -> ModelConfig {
    let mut config = ModelConfig::demo();
    config.image_size = 32;
    config.vision.layers = 1;
    config.vision.trainable_blocks = 1;
    config.fusion.blocks = 1;
    config
}

fn write_checkpoint(directory: &Path, config: &ModelConfig, hierarchy: &Hierarchy, seed: u64) {
    let cells: Vec<usize> = hierarchy
        .levels()
        .iter()
        .map(|partition| partition.cells().len())
        .collect();
    let parameters = Parameters::initialise(Model::specs(config, &cells), seed, &Device::Cpu).unwrap();
    let calibration = Calibration {
        scale: 0.5,
        prior_weight: 0.2,
        cannot_tell_below: 0.05,
        ..Calibration::default()
    };
    let provenance = Provenance::new("2026-01-01T00:00:00Z", seed);
    let contents = CheckpointContents {
        config,
        parameters: &parameters,
        segmenter: None,
        hierarchy,
        calibration: &calibration,
        provenance: &provenance,
    };
    Checkpoint::write(directory, contents).unwrap();
}

pub fn build_options() -> BuildOptions {
    BuildOptions {
        batch: 32,
        ..BuildOptions::default()
    }
}

pub struct House {
    pub store: Arc<dyn VectorStore>,
    pub catalog: Arc<dyn Catalog>,
    directory: TempDir,
}

impl House {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, catalog) = open(directory.path()).await;
        Self {
            store,
            catalog,
            directory,
        }
    }

    /// Lets go of store and catalog as the end of a process does, and opens them again.
    pub async fn reopen(&mut self) {
        let elsewhere = tempfile::tempdir().unwrap();
        (self.store, self.catalog) = open(elsewhere.path()).await;
        (self.store, self.catalog) = open(self.directory.path()).await;
    }

    pub async fn activate(&self, id: &ReleaseId) -> geosurge_indexer::Result<Release> {
        let checkpoints = Checkpoints::default();
        activate(id, Some(self.store.as_ref()), self.catalog.as_ref(), &checkpoints).await
    }

    pub fn catalog_file(&self) -> PathBuf {
        self.directory.path().join("catalog.sqlite")
    }

    pub fn bytes_on_disk(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        // Blocks, for the engine's files have holes.
        let files = walkdir::WalkDir::new(self.directory.path()).into_iter();
        files
            .map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512)
            .sum()
    }

    /// Folder of photographs that were copied for releases.
    pub fn photos(&self) -> PathBuf {
        self.directory.path().join("references")
    }

    /// Builds a release of the world under a name.
    pub async fn build(&self, world: &World, name: &str) -> ReleaseId {
        let options = BuildOptions {
            name: Some(ReleaseId::new(name).unwrap()),
            ..build_options()
        };
        let (store, catalog) = (Arc::clone(&self.store), Arc::clone(&self.catalog));
        let never = AtomicBool::new(false);
        let built = build_release(
            &world.checkpoint,
            &world.dataset,
            store,
            catalog,
            &options,
            &silent,
            &never,
        );
        built.await.unwrap().release.id
    }

    pub async fn open(&self, release: Option<&ReleaseId>) -> retrieval::Result<Localizer> {
        let (store, catalog) = (Arc::clone(&self.store), Arc::clone(&self.catalog));
        Localizer::open(release, store, catalog, &OpenOptions::default()).await
    }
}

async fn open(directory: &Path) -> (Arc<dyn VectorStore>, Arc<dyn Catalog>) {
    let store = EmbeddedVectorStore::open(directory.join("vectors"))
        .await
        .unwrap();
    let catalog = SqliteCatalog::open(directory.join("catalog.sqlite"))
        .await
        .unwrap();
    (Arc::new(store), Arc::new(catalog))
}
