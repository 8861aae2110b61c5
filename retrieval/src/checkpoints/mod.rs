//! Checkpoints wherever they are: a folder of this machine, or an object store, from where they are copied into a cache.
//!
//! A cached checkpoint lies in a folder named by its content id. It is copied into a temporary folder, every file compared with
//! its checksum on the way, and renamed into place: it is there whole or not at all, and any number of processes may fetch the
//! same one at once.

mod cache;
#[cfg(feature = "object-store")]
mod remote;
#[cfg(not(feature = "object-store"))]
#[path = "no_remote.rs"]
mod remote;

use std::path::{Path, PathBuf};

use models::Checkpoint;
use storage::Release;

use crate::{Error, Result};

/// Opens checkpoints by their location.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    cache: Option<PathBuf>,
    options: Vec<(String, String)>,
}

impl Checkpoints {
    /// With a folder for copies of remote checkpoints. `options` configure the object stores by the names that object stores
    /// use in the environment, in any case: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_SERVICE_ACCOUNT` and so on.
    /// `Default` opens only folders.
    pub fn new(cache: impl Into<PathBuf>, options: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            cache: Some(cache.into()),
            options: options.into_iter().collect(),
        }
    }

    /// Opens the checkpoint at a location: a folder's path, or a URL (`s3://bucket/path`, `gs://bucket/path`, `file:///path`).
    ///
    /// # Errors
    /// [`Error::NoCheckpointCache`] for a URL without a cache, [`Error::CheckpointUrl`] for one that cannot be used,
    /// [`Error::Fetch`], [`Error::FetchedFile`] naming a file that is not what `checksums.json` says, [`Error::Cache`], and those
    /// of the checkpoint itself.
    pub async fn open(&self, location: &str) -> Result<Checkpoint> {
        if !is_url(location) {
            return open_folder(PathBuf::from(location)).await;
        }
        self.folder(location)?;
        let source = remote::Source::new(location, &self.options)?;
        let checksums = source.checksums().await?;
        self.cached(location, &checksums.id(), Some((source, checksums)))
            .await
    }

    /// Opens the checkpoint of a release and refuses any other one. A cached copy is used without asking the object store.
    ///
    /// # Errors
    /// [`Error::CheckpointMismatch`], and as [`Checkpoints::open`].
    pub async fn of_release(&self, release: &Release) -> Result<Checkpoint> {
        let location = &release.checkpoint_path;
        let checkpoint = if is_url(location) {
            self.cached(location, &release.checkpoint_id, None).await?
        } else {
            open_folder(PathBuf::from(location)).await?
        };
        check_same(release, checkpoint.id())?;
        Ok(checkpoint)
    }

    /// Removes a cached copy, if there is one.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub async fn forget(&self, id: &str) -> Result<bool> {
        match &self.cache {
            Some(cache) => cache::remove(cache.clone(), id.to_owned()).await,
            None => Ok(false),
        }
    }

    /// The folder of copies.
    fn folder(&self, location: &str) -> Result<&Path> {
        self.cache.as_deref().ok_or_else(|| Error::NoCheckpointCache {
            location: location.to_owned(),
        })
    }

    /// The copy with this id, fetched where it is absent or damaged.
    async fn cached(
        &self,
        location: &str,
        id: &str,
        source: Option<(remote::Source, models::Checksums)>,
    ) -> Result<Checkpoint> {
        let cache = self.folder(location)?;
        if let Some(checkpoint) = cache::open(cache, id).await? {
            return Ok(checkpoint);
        }
        let (source, checksums) = match source {
            Some(known) => known,
            None => {
                let source = remote::Source::new(location, &self.options)?;
                let checksums = source.checksums().await?;
                (source, checksums)
            }
        };
        cache::fetch(cache, &source, &checksums).await
    }
}

/// Whether a checkpoint's location is a URL of an object store rather than a folder's path.
#[must_use]
pub fn is_url(location: &str) -> bool {
    location.contains("://")
}

async fn open_folder(path: PathBuf) -> Result<Checkpoint> {
    let opened = tokio::task::spawn_blocking(move || Checkpoint::open(&path));
    Ok(opened.await.map_err(|_| Error::Interrupted)??)
}

fn check_same(release: &Release, found: &str) -> Result<()> {
    if found == release.checkpoint_id {
        return Ok(());
    }
    Err(Error::CheckpointMismatch {
        release: release.id.to_string(),
        path: Path::new(&release.checkpoint_path).to_owned(),
        recorded: release.checkpoint_id.clone(),
        found: found.to_owned(),
    })
}
