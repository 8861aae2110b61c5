//! A checkpoint in an object store.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use models::Checksums;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::{Error, Result};

/// A list of checksums is small; anything larger is another file.
const MOST_CHECKSUM_BYTES: u64 = 4 << 20;

/// Where a remote checkpoint lies.
pub(super) struct Source {
    store: Arc<dyn ObjectStore>,
    folder: ObjectPath,
    url: String,
}

impl Source {
    /// Reads a URL; the store is not asked yet.
    pub(super) fn new(location: &str, options: &[(String, String)]) -> Result<Self> {
        let unusable = |reason: String| Error::CheckpointUrl {
            location: location.to_owned(),
            reason,
        };
        let url = Url::parse(location).map_err(|error| unusable(error.to_string()))?;
        if !["s3", "s3a", "gs", "file"].contains(&url.scheme()) {
            return Err(unusable(format!("{}:// is no known object store", url.scheme())));
        }
        let options = options
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let (store, folder) =
            object_store::parse_url_opts(&url, options).map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            store: store.into(),
            folder,
            url: location.trim_end_matches('/').to_owned(),
        })
    }

    /// The checkpoint's list of files.
    pub(super) async fn checksums(&self) -> Result<Checksums> {
        let path = self.path(Checksums::FILE);
        let found = self.store.get(&path).await;
        let found = found.map_err(|error| self.failed(Checksums::FILE, error))?;
        let not_a_list = |reason: String| Error::FetchedFile {
            url: self.url_of(Checksums::FILE),
            reason,
        };
        if found.meta.size > MOST_CHECKSUM_BYTES {
            return Err(not_a_list(format!("it has {} bytes", found.meta.size)));
        }
        let bytes = found.bytes().await;
        let bytes = bytes.map_err(|error| self.failed(Checksums::FILE, error))?;
        let checksums: Checksums =
            serde_json::from_slice(&bytes).map_err(|error| not_a_list(error.to_string()))?;
        if let Some(name) = checksums.stray() {
            return Err(not_a_list(format!(
                "it names {name:?}, which lies outside the checkpoint"
            )));
        }
        Ok(checksums)
    }

    /// Copies a file to `target` and compares it with its checksum on the way; durable when it returns.
    pub(super) async fn copy(&self, name: &str, expected: &str, target: &Path) -> Result<()> {
        let found = self.store.get(&self.path(name)).await;
        let mut content = found.map_err(|error| self.failed(name, error))?.into_stream();
        let cannot_write = |source| Error::Cache {
            path: target.to_owned(),
            source,
        };
        let mut file = File::create(target).await.map_err(cannot_write)?;
        let mut digest = Sha256::new();
        while let Some(chunk) = content.next().await {
            let chunk = chunk.map_err(|error| self.failed(name, error))?;
            digest.update(&chunk);
            file.write_all(&chunk).await.map_err(cannot_write)?;
        }
        file.sync_all().await.map_err(cannot_write)?;
        let found = format!("{:x}", digest.finalize());
        if found == expected {
            return Ok(());
        }
        Err(Error::FetchedFile {
            url: self.url_of(name),
            reason: format!("its SHA-256 is {found} and should be {expected}"),
        })
    }

    fn path(&self, name: &str) -> ObjectPath {
        name.split('/')
            .fold(self.folder.clone(), |path, part| path.join(part))
    }

    fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn failed(&self, name: &str, error: object_store::Error) -> Error {
        Error::Fetch {
            url: self.url_of(name),
            reason: error.to_string(),
        }
    }
}
