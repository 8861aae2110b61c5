//! A tiny planet, an untrained model, and the command that indexes them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use datasets::Dataset;
use geocells::{Hierarchy, LatLng, PartitionConfig};
use models::{
    Calibration, Checkpoint, CheckpointContents, Device, Model, ModelConfig, Parameters, Provenance,
};
use planet::PlanetConfig;
use tempfile::TempDir;

/// Photos of the gallery, and after them photos that are asked.
const GALLERY: usize = 240;
const PHOTOS: usize = 252;

/// What is indexed.
pub struct World {
    pub folder: TempDir,
    pub queries: Vec<PathBuf>,
}

impl World {
    /// One for all tests: nobody changes it.
    pub fn shared() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(Self::new)
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let planet = PlanetConfig {
            photos: PHOTOS,
            size: 32,
            cities: 6,
            photos_per_spot: 8,
            ..PlanetConfig::default()
        };
        let whole = planet::write_dataset(&planet, &folder.path().join("planet"), &|_| ()).unwrap();
        let queries = (GALLERY..PHOTOS).map(|index| whole.image_path(index)).collect();
        let photos = whole.photos()[..GALLERY].to_vec();
        let places: Vec<LatLng> = photos.iter().map(|photo| photo.location).collect();
        Dataset::new(whole.root(), photos).save().unwrap();
        let partition = PartitionConfig {
            t_min: 2,
            t_max: vec![80, 40, 12],
            ..PartitionConfig::default()
        };
        let hierarchy = Hierarchy::build(&places, &partition).unwrap();
        write_checkpoint(&folder.path().join("checkpoint"), &hierarchy);
        Self { folder, queries }
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.folder.path().join("checkpoint")
    }

    pub fn dataset(&self) -> PathBuf {
        self.folder.path().join("planet")
    }

    /// `geosurge index` of this world as a release, writing often so that there is much to interrupt.
    pub fn index(&self, data: &Path, release: &str) -> Command {
        let mut command = geosurge(data);
        command
            .arg("index")
            .args([self.checkpoint(), self.dataset()])
            .args([
                "--name",
                release,
                "--device",
                "cpu",
                "--batch",
                "16",
                "--write-batch",
                "16",
            ]);
        command
    }
}

fn write_checkpoint(directory: &Path, hierarchy: &Hierarchy) {
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
    let parameters = Parameters::initialise(Model::specs(&config, &cells), 1, &Device::Cpu).unwrap();
    let contents = CheckpointContents {
        config: &config,
        parameters: &parameters,
        segmenter: None,
        hierarchy,
        calibration: &Calibration {
            scale: 0.5,
            prior_weight: 0.2,
            cannot_tell_below: 0.05,
            ..Calibration::default()
        },
        provenance: &Provenance::new("2026-01-01T00:00:00Z", 1),
    };
    Checkpoint::write(directory, contents).unwrap();
}

/// The command, away from the settings of whoever runs the tests.
pub fn geosurge(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geosurge"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GEOSURGE_")) {
        command.env_remove(name);
    }
    command
        .current_dir(data)
        .arg("--data-dir")
        .arg(data)
        .arg("--log")
        .arg("info,qdrant_edge=error");
    command
}

/// How a command ended and what it said.
pub struct Ended {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command that must succeed; its output comes back.
pub fn succeed(command: &mut Command) -> String {
    let ended = run(command);
    assert!(ended.success, "{command:?}\n{}\n{}", ended.stdout, ended.stderr);
    ended.stdout
}

/// Starts a command that says what it does in a file.
pub fn start(command: &mut Command, said: &Path) -> Child {
    let (file, _) = fs_err::File::create(said).unwrap().into_parts();
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap()
}

/// Kills a command without warning after a while; `false` where it had ended by itself.
pub fn kill_after(command: &mut Command, said: &Path, moment: Duration) -> bool {
    let mut child = start(command, said);
    std::thread::sleep(moment);
    let running = child.try_wait().unwrap().is_none();
    if running {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    running
}
