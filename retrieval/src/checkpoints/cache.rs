//! Copies of remote checkpoints, each in a folder named by its content id.

use std::path::{Path, PathBuf};

use fs_err as fs;
use models::{Checkpoint, Checksums};
use tempfile::TempDir;

use super::remote::Source;
use crate::{Error, Result};

/// Start of the names of folders that are being filled.
const FETCHING: &str = ".fetch-";

/// Opens a cached copy; `None` where there is none, or only a damaged one, which the next [`fetch`] replaces.
pub(super) async fn open(cache: &Path, id: &str) -> Result<Option<Checkpoint>> {
    let (folder, id) = (cache.join(id), id.to_owned());
    let look = move || {
        if !folder.is_dir() {
            return None;
        }
        match Checkpoint::open(&folder) {
            Ok(checkpoint) if checkpoint.id() == id => Some(checkpoint),
            Ok(other) => {
                tracing::warn!(folder = %folder.display(), found = other.id(), "cached checkpoint is another one");
                None
            }
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "cached checkpoint is damaged");
                None
            }
        }
    };
    tokio::task::spawn_blocking(look)
        .await
        .map_err(|_| Error::Interrupted)
}

/// Copies a checkpoint into the cache and opens it.
pub(super) async fn fetch(cache: &Path, source: &Source, checksums: &Checksums) -> Result<Checkpoint> {
    fs::create_dir_all(cache).map_err(|error| failed(cache, error))?;
    sweep(cache);
    let temporary = Temporary::new(cache)?;
    let new = temporary.path().join("new");
    fs::create_dir(&new).map_err(|error| failed(&new, error))?;
    for (name, expected) in &checksums.files {
        let target = new.join(name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        source.copy(name, expected, &target).await?;
    }
    let list = new.join(Checksums::FILE);
    let text = serde_json::to_vec_pretty(checksums).map_err(|error| failed(&list, error.into()))?;
    fs::write(&list, text).map_err(|error| failed(&list, error))?;

    let (id, cache) = (checksums.id(), cache.to_owned());
    let place = move || -> Result<Checkpoint> {
        Checkpoint::open(&new)?;
        let folder = cache.join(&id);
        // Another process may have been faster; a copy that it put there, and that is whole, is as good.
        if folder.is_dir() && !Checkpoint::open(&folder).is_ok_and(|found| found.id() == id) {
            let aside = temporary.path().join("damaged");
            fs::rename(&folder, &aside).map_err(|error| failed(&folder, error))?;
        }
        if let Err(error) = fs::rename(&new, &folder)
            && !folder.is_dir()
        {
            return Err(failed(&folder, error));
        }
        Ok(Checkpoint::open(&folder)?)
    };
    let placed = tokio::task::spawn_blocking(place).await;
    let checkpoint = placed.map_err(|_| Error::Interrupted)??;
    tracing::info!(checkpoint = checkpoint.id(), folder = %checkpoint.directory().display(), "checkpoint fetched");
    Ok(checkpoint)
}

/// Removes a copy and tells whether there was one.
pub(super) async fn remove(cache: PathBuf, id: String) -> Result<bool> {
    let work = move || {
        let folder = cache.join(&id);
        let is_id = id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit());
        if !is_id || !folder.is_dir() {
            return Ok(false);
        }
        // Renamed first, so that a killed removal leaves no half checkpoint under its name.
        let temporary = Temporary::new(&cache)?;
        fs::rename(&folder, temporary.path().join("old")).map_err(|error| failed(&folder, error))?;
        Ok(true)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Interrupted)?
}

/// A folder that is being filled. Its lock tells others that its owner is alive.
struct Temporary {
    folder: TempDir,
    _lock: fs::File,
}

impl Temporary {
    fn new(cache: &Path) -> Result<Self> {
        loop {
            let folder = tempfile::Builder::new()
                .prefix(FETCHING)
                .tempdir_in(cache)
                .map_err(|error| failed(cache, error))?;
            let lock = folder.path().join("lock");
            let file = fs::File::create(&lock).map_err(|error| failed(&lock, error))?;
            file.file().lock().map_err(|error| failed(&lock, error))?;
            // A sweeper may have taken it for abandoned before it was locked.
            if lock.exists() {
                return Ok(Self { folder, _lock: file });
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes folders whose owner was killed.
fn sweep(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(FETCHING) {
            continue;
        }
        let Ok(lock) = fs::File::open(entry.path().join("lock")) else {
            continue;
        };
        if lock.file().try_lock().is_ok()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, "cannot remove an abandoned copy of a checkpoint");
        }
    }
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Cache {
        path: path.to_owned(),
        source,
    }
}
