//! Settings shared by every subcommand: flags over environment (`GEOSURGE_…`) over `geosurge.toml` over defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;

/// Warnings of the rooms; the embedded engine's own are about features that it was not asked to have.
const DEFAULT_LOG: &str = "warn,qdrant_edge=error";

/// Flags that every subcommand takes.
#[derive(Args)]
pub struct Flags {
    /// Settings file; `geosurge.toml` in the working directory is read when it exists
    #[arg(long, global = true, value_name = "FILE", env = "GEOSURGE_SETTINGS")]
    settings: Option<PathBuf>,
    /// Folder of runs, checkpoints, vectors and the catalog [default: geosurge-data]
    #[arg(long, global = true, value_name = "DIR", env = "GEOSURGE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Log level or filter, such as `info` or `geosurge_indexer=debug` [default: warn,qdrant_edge=error]
    #[arg(long, global = true, value_name = "FILTER", env = "GEOSURGE_LOG")]
    log: Option<String>,
    /// Write logs as JSON lines
    #[arg(long, global = true, env = "GEOSURGE_LOG_JSON")]
    log_json: bool,
    /// Address that `serve` and `demo` listen on [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS", env = "GEOSURGE_LISTEN")]
    listen: Option<SocketAddr>,
}

/// The same settings in `geosurge.toml`; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    log: Option<String>,
    log_json: Option<bool>,
    listen: Option<SocketAddr>,
}

/// The settings that hold for this run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of runs, checkpoints, vectors and the catalog.
    pub data_dir: PathBuf,
    /// Log filter.
    pub log: String,
    /// Logs as JSON lines instead of text.
    pub log_json: bool,
    /// Address to listen on.
    pub listen: SocketAddr,
}

impl Settings {
    /// Reads the settings file and puts flags and environment over it.
    pub fn resolve(flags: &Flags) -> Result<Self> {
        let file = match &flags.settings {
            Some(path) => read(path)?,
            None if Path::new("geosurge.toml").is_file() => read(Path::new("geosurge.toml"))?,
            None => File::default(),
        };
        Ok(Self {
            data_dir: flags
                .data_dir
                .clone()
                .or(file.data_dir)
                .unwrap_or_else(|| "geosurge-data".into()),
            log: flags
                .log
                .clone()
                .or(file.log)
                .unwrap_or_else(|| DEFAULT_LOG.into()),
            log_json: flags.log_json || file.log_json.unwrap_or(false),
            listen: flags
                .listen
                .or(file.listen)
                .unwrap_or_else(|| ([127, 0, 0, 1], 8080).into()),
        })
    }

    /// Folder of the embedded vector store.
    pub fn vectors_dir(&self) -> PathBuf {
        self.data_dir.join("vectors")
    }

    /// Folder of copies of checkpoints from object stores.
    pub fn checkpoints_dir(&self) -> PathBuf {
        self.data_dir.join("checkpoints")
    }

    /// Folder of photographs that were copied for releases.
    pub fn references_dir(&self) -> PathBuf {
        self.data_dir.join("references")
    }

    /// File of the embedded catalog.
    pub fn catalog_file(&self) -> PathBuf {
        self.data_dir.join("catalog.sqlite")
    }
}

fn read(path: &Path) -> Result<File> {
    let text = fs_err::read_to_string(path).context("the settings file cannot be read")?;
    toml::from_str(&text).with_context(|| format!("{} is not a settings file", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags {
            settings: None,
            data_dir: None,
            log: None,
            log_json: false,
            listen: None,
        }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("geosurge.toml");
        fs_err::write(&path, "data_dir = \"from-file\"\nlisten = \"127.0.0.1:9000\"\n").unwrap();
        let mut given = flags();
        given.settings = Some(path);
        given.data_dir = Some("from-flag".into());
        let settings = Settings::resolve(&given).unwrap();
        assert_eq!(settings.data_dir, PathBuf::from("from-flag"));
        assert_eq!(settings.listen.port(), 9000);
        assert_eq!(settings.log, DEFAULT_LOG);
    }

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("geosurge.example.toml");
        let mut given = flags();
        given.settings = Some(documented);
        let settings = Settings::resolve(&given).unwrap();
        assert_eq!(settings.data_dir, PathBuf::from("geosurge-data"));
        assert_eq!(settings.listen, ([127, 0, 0, 1], 8080).into());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("geosurge.toml");
        fs_err::write(&path, "data_dri = \"x\"\n").unwrap();
        let mut given = flags();
        given.settings = Some(path);
        let error = format!("{:#}", Settings::resolve(&given).unwrap_err());
        assert!(error.contains("data_dri"), "{error}");
    }
}
