//! The `[qdrant]` settings: vectors on a server instead of the data folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use storage::qdrant::{ApiKey, QdrantOptions, Quantization};

/// The key itself, and the file that holds it.
const KEY: &str = "GEOSURGE_QDRANT_API_KEY";
const KEY_FILE: &str = "GEOSURGE_QDRANT_API_KEY_FILE";

/// The `[qdrant]` table of `geosurge.toml`; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    url: Option<String>,
    api_key_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    timeout_s: Option<f64>,
    connect_timeout_s: Option<f64>,
    retry_reads_s: Option<f64>,
    retry_writes_s: Option<f64>,
    prefix: Option<String>,
    shards: Option<u32>,
    replicas: Option<u32>,
    write_consistency: Option<u32>,
    quantization: Option<Quantization>,
    vectors_on_disk: Option<bool>,
    payload_on_disk: Option<bool>,
}

/// The server's options, or `None` where no address is given. `environment` looks up a variable.
pub(super) fn resolve(
    url: Option<String>,
    table: Option<Table>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<QdrantOptions>> {
    let is_table = table.is_some();
    let table = table.unwrap_or_default();
    let Some(url) = url.or(table.url).filter(|url| !url.trim().is_empty()) else {
        ensure!(
            !is_table,
            "the [qdrant] settings have no url: add it, give --qdrant-url or GEOSURGE_QDRANT_URL, or remove the table"
        );
        return Ok(None);
    };
    let mut options = QdrantOptions::new(url.trim());
    options.api_key = key(table.api_key_file.as_deref(), environment)?;
    options.ca_file = table.ca_file;
    for (name, value, target) in [
        ("timeout_s", table.timeout_s, &mut options.timeout),
        (
            "connect_timeout_s",
            table.connect_timeout_s,
            &mut options.connect_timeout,
        ),
        ("retry_reads_s", table.retry_reads_s, &mut options.retry_reads),
        ("retry_writes_s", table.retry_writes_s, &mut options.retry_writes),
    ] {
        if let Some(seconds) = value {
            *target = Duration::try_from_secs_f64(seconds).with_context(|| {
                format!("{name} = {seconds} in the [qdrant] settings is no time in seconds")
            })?;
        }
    }
    options.prefix = table.prefix.unwrap_or_default();
    let layout = &mut options.layout;
    layout.shards = table.shards;
    layout.replicas = table.replicas;
    layout.write_consistency = table.write_consistency;
    layout.quantization = table.quantization.unwrap_or(layout.quantization);
    layout.vectors_on_disk = table.vectors_on_disk.unwrap_or(layout.vectors_on_disk);
    layout.payload_on_disk = table.payload_on_disk.unwrap_or(layout.payload_on_disk);
    Ok(Some(options))
}

/// The key of the environment, or of a file, whose content no message shows.
fn key(file: Option<&Path>, environment: impl Fn(&str) -> Option<String>) -> Result<Option<ApiKey>> {
    if let Some(key) = environment(KEY) {
        return Ok(Some(ApiKey::new(&key).context(KEY)?));
    }
    let named = environment(KEY_FILE).map(PathBuf::from);
    let Some(path) = named.as_deref().or(file) else {
        return Ok(None);
    };
    let key = fs_err::read_to_string(path).context("the API key of the Qdrant server cannot be read")?;
    let key = ApiKey::new(&key).with_context(|| path.display().to_string())?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn without_an_address_vectors_stay_in_the_data_folder() {
        assert!(resolve(None, None, none).unwrap().is_none());
        assert!(resolve(Some(String::new()), None, none).unwrap().is_none());
        let error = resolve(None, Some(table("shards = 2")), none).unwrap_err();
        assert!(error.to_string().contains("GEOSURGE_QDRANT_URL"), "{error}");
    }

    #[test]
    fn flags_and_environment_win_over_the_table() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs_err::write(&file, "from-file\n").unwrap();
        let text = format!(
            "url = \"http://table\"\napi_key_file = {file:?}\ntimeout_s = 1.5\nquantization = \"binary\"\nreplicas = 2"
        );
        let options = resolve(None, Some(table(&text)), none).unwrap().unwrap();
        assert_eq!(
            (options.url.as_str(), options.timeout),
            ("http://table", Duration::from_millis(1500))
        );
        assert_eq!(options.layout.quantization, Quantization::Binary);
        assert_eq!((options.layout.replicas, options.layout.shards), (Some(2), None));
        assert!(options.api_key.is_some());
        let flag = resolve(Some("http://flag".into()), Some(table(&text)), none);
        assert_eq!(flag.unwrap().unwrap().url, "http://flag");
    }

    #[test]
    fn a_key_is_never_shown() {
        let environment = |value: &'static str| move |name: &str| (name == KEY).then(|| value.to_owned());
        let given = resolve(Some("http://q".into()), None, environment("geheim-1"));
        let shown = format!("{:?}", given.unwrap());
        assert!(shown.contains("hidden") && !shown.contains("geheim-1"), "{shown}");
        let error = resolve(Some("http://q".into()), None, environment("geheim\n1")).unwrap_err();
        assert!(!format!("{error:#}").contains("geheim"), "{error:#}");
        assert!(format!("{error:#}").contains(KEY), "{error:#}");
        let missing = |name: &str| (name == KEY_FILE).then(|| "/no/such/file".to_owned());
        let error = resolve(Some("http://q".into()), None, missing).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/file"), "{error:#}");
    }

    #[test]
    fn bad_values_are_named() {
        let error = resolve(
            None,
            Some(table("url = \"http://q\"\nretry_reads_s = -1.0")),
            none,
        )
        .unwrap_err();
        assert!(error.to_string().contains("retry_reads_s"), "{error}");
        let error = toml::from_str::<Table>("qantization = \"none\"").unwrap_err();
        assert!(error.to_string().contains("qantization"), "{error}");
        let error = toml::from_str::<Table>("quantization = \"ternary\"").unwrap_err();
        assert!(error.to_string().contains("ternary"), "{error}");
    }

    /// The documented table is commented out, and holds the defaults.
    #[test]
    fn the_documented_table_holds_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("geosurge.example.toml");
        let text = fs_err::read_to_string(path).unwrap();
        let table: String = text
            .lines()
            .skip_while(|line| *line != "# [qdrant]")
            .skip(1)
            .map_while(|line| line.strip_prefix("# "))
            .map(|line| format!("{line}\n"))
            .collect();
        let mut documented: Table = toml::from_str(&table).unwrap();
        assert!(documented.api_key_file.take().is_some() && documented.ca_file.take().is_some());
        for (name, value) in [
            ("shards", documented.shards.take()),
            ("replicas", documented.replicas.take()),
            ("write_consistency", documented.write_consistency.take()),
        ] {
            assert_eq!(value, Some(1), "{name}");
        }
        let url = documented.url.clone().unwrap();
        let documented = resolve(None, Some(documented), none).unwrap().unwrap();
        let defaults = QdrantOptions::new(url);
        assert_eq!(format!("{documented:?}"), format!("{defaults:?}"));
    }
}
