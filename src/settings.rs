//! Settings shared by every subcommand: flags over environment (`GEOSURGE_…`) over `geosurge.toml` over defaults.

mod qdrant;
mod serve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;
use storage::{PostgresConfig, QdrantOptions};

pub use serve::Serve;

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
    /// Send traces to this OTLP collector (its gRPC address, http://host:4317)
    #[arg(long, global = true, value_name = "URL", env = "GEOSURGE_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// Address that `serve` and `demo` listen on [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS", env = "GEOSURGE_LISTEN")]
    listen: Option<SocketAddr>,
    /// Postgres database of the catalog, postgres://user@host/database; without it, the catalog is a file of the data folder
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "GEOSURGE_DATABASE_URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
    /// File that holds the database URL, for secrets that are mounted as files
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GEOSURGE_DATABASE_URL_FILE",
        conflicts_with = "database_url"
    )]
    database_url_file: Option<PathBuf>,
    /// File that holds the password of the database URL's user
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GEOSURGE_DATABASE_PASSWORD_FILE"
    )]
    database_password_file: Option<PathBuf>,
    /// Connections to the database that this process keeps at most [default: 10]
    #[arg(long, global = true, value_name = "N", env = "GEOSURGE_DATABASE_CONNECTIONS")]
    database_connections: Option<u32>,
    /// Keep vectors on this Qdrant server (its gRPC address, http://host:6334) instead of the data folder
    #[arg(long, global = true, value_name = "URL", env = "GEOSURGE_QDRANT_URL")]
    qdrant_url: Option<String>,
}

/// The same settings in `geosurge.toml`; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    log: Option<String>,
    log_json: Option<bool>,
    otlp_endpoint: Option<String>,
    listen: Option<SocketAddr>,
    #[serde(default)]
    serve: Serve,
    database_url: Option<String>,
    database_url_file: Option<PathBuf>,
    database_password_file: Option<PathBuf>,
    database_connections: Option<u32>,
    #[serde(default)]
    retention: Retention,
    qdrant: Option<qdrant::Table>,
}

/// How long things are kept: `[retention]` of `geosurge.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days that predictions are kept, with their ground truth; without it, for ever.
    pub predictions_days: Option<u32>,
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
    /// The collector of traces; none without one.
    pub otlp_endpoint: Option<String>,
    /// Of the service.
    pub serve: Serve,
    /// The settings file that was read; none where there was none.
    file: Option<PathBuf>,
    /// Whether the log filter came from a flag or the environment, which win over the file also when that is read again.
    log_given: bool,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Database of the catalog; none for the embedded one.
    pub database: Option<PostgresConfig>,
    /// How long things are kept.
    pub retention: Retention,
    /// The server that keeps vectors; without one they are in the data folder.
    pub qdrant: Option<QdrantOptions>,
}

impl Settings {
    /// Reads the settings file and puts flags and environment over it.
    pub fn resolve(flags: &Flags) -> Result<Self> {
        let usual = Path::new("geosurge.toml");
        let path = match &flags.settings {
            Some(path) => Some(path.clone()),
            None => usual.is_file().then(|| usual.to_owned()),
        };
        let file = path.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok(Self {
            serve: file.serve.clone(),
            otlp_endpoint: flags.otlp_endpoint.clone().or(file.otlp_endpoint.clone()),
            log_given: flags.log.is_some(),
            file: path,
            database: database(flags, &file)?,
            retention: file.retention,
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
            qdrant: qdrant::resolve(flags.qdrant_url.clone(), file.qdrant, |name| {
                std::env::var(name).ok()
            })?,
        })
    }

    /// What the settings file says now of what can change while a service runs: the log filter, unless a flag or the environment has
    /// one, and the service's settings.
    pub fn read_again(&self) -> Result<(Option<String>, Serve)> {
        let file = self.file.as_deref().map(read).transpose()?.unwrap_or_default();
        let log = file.log.unwrap_or_else(|| DEFAULT_LOG.into());
        Ok(((!self.log_given).then_some(log), file.serve))
    }

    /// Folder of the embedded vector store.
    pub fn vectors_dir(&self) -> PathBuf {
        self.data_dir.join("vectors")
    }

    /// Folder of published models.
    pub fn models_dir(&self) -> PathBuf {
        self.data_dir.join("models")
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

/// The database that flags, environment or file name; secrets come from files where they name one.
fn database(flags: &Flags, file: &File) -> Result<Option<PostgresConfig>> {
    let given = (flags.database_url.as_ref(), flags.database_url_file.as_ref());
    let url = match given {
        (Some(url), _) => Some(url.clone()),
        (None, Some(path)) => Some(secret(path)?),
        (None, None) => match (&file.database_url, &file.database_url_file) {
            (Some(_), Some(_)) => {
                bail!("the settings file has database_url and database_url_file: leave one out")
            }
            (Some(url), None) => Some(url.clone()),
            (None, Some(path)) => Some(secret(path)?),
            (None, None) => None,
        },
    };
    let Some(url) = url else {
        return Ok(None);
    };
    let mut config = PostgresConfig::new(&url)?;
    let password = flags.database_password_file.as_ref();
    if let Some(path) = password.or(file.database_password_file.as_ref()) {
        config = config.with_password(&secret(path)?);
    }
    if let Some(connections) = flags.database_connections.or(file.database_connections) {
        if connections == 0 {
            bail!("database_connections is 0: allow at least one connection");
        }
        config.max_connections = connections;
    }
    Ok(Some(config))
}

/// A secret's file, without the line end that editors add.
fn secret(path: &Path) -> Result<String> {
    let text = fs_err::read_to_string(path).context("the secret cannot be read")?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        bail!("{} is empty: it has to hold the secret", path.display());
    }
    Ok(text.to_owned())
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
            otlp_endpoint: None,
            listen: None,
            database_url: None,
            database_url_file: None,
            database_password_file: None,
            database_connections: None,
            qdrant_url: None,
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
        assert!(settings.qdrant.is_none());
        assert_eq!(settings.serve.config(), api::ServeConfig::default());
        let (log, serve) = settings.read_again().unwrap();
        assert_eq!(
            (log.as_deref(), serve.live()),
            (Some(DEFAULT_LOG), api::LiveConfig::default())
        );
    }

    #[test]
    fn the_database_and_its_secrets_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let [url, password, path] = ["url", "password", "geosurge.toml"].map(|name| dir.path().join(name));
        fs_err::write(&url, "postgres://geo@db.example/geo\n").unwrap();
        fs_err::write(&password, "s3cret\n").unwrap();
        let text = format!(
            "database_url_file = {url:?}\ndatabase_password_file = {password:?}\ndatabase_connections = 3\n\
             [retention]\npredictions_days = 30\n"
        );
        fs_err::write(&path, text).unwrap();
        let mut given = flags();
        given.settings = Some(path);
        let settings = Settings::resolve(&given).unwrap();
        let database = settings.database.as_ref().unwrap();
        assert_eq!(database.name(), "postgres://geo@db.example:5432/geo");
        assert_eq!(database.max_connections, 3);
        assert_eq!(settings.retention.predictions_days, Some(30));
        assert!(!format!("{settings:?}").contains("s3cret"));

        given.database_url = Some("postgres://other@db.example:6000/x".into());
        let settings = Settings::resolve(&given).unwrap();
        assert_eq!(
            settings.database.unwrap().name(),
            "postgres://other@db.example:6000/x"
        );
        given.database_url = Some("mysql://root:s3cret@db".into());
        let error = format!("{:#}", Settings::resolve(&given).unwrap_err());
        assert!(
            error.contains("postgres://") && !error.contains("s3cret"),
            "{error}"
        );
        given.database_url = None;
        fs_err::write(&password, "\n").unwrap();
        let error = format!("{:#}", Settings::resolve(&given).unwrap_err());
        assert!(error.contains("password is empty"), "{error}");
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
