//! The directories of a store and the collections that are open.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs_err as fs;

use super::collection::Collection;
use super::lock::DirectoryLock;
use super::manifest::{MANIFEST_FILE, sync_directory};
use crate::{CollectionName, CollectionSpec, Error, Result};

/// A store's root directory: `<root>/<collection>/`, hidden names while one is being created or dropped.
#[derive(Debug)]
pub(super) struct Registry {
    root: PathBuf,
    /// Opened at first use, then kept. Fields drop in order: collections are flushed before the lock is released.
    open: Mutex<HashMap<CollectionName, Arc<Collection>>>,
    _lock: DirectoryLock,
}

impl Registry {
    /// Takes the directory, creating it if need be, and clears what an interrupted creation or deletion left.
    pub(super) fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(|error| Error::io(root, error))?;
        let lock = DirectoryLock::acquire(root)?;
        for entry in directory(root)? {
            let hidden = |prefix| entry.file_name().to_string_lossy().starts_with(prefix);
            if hidden(".new-") || hidden(".old-") {
                tracing::info!(path = %entry.path().display(), "removing an unfinished collection");
                fs::remove_dir_all(entry.path()).map_err(|error| Error::io(entry.path(), error))?;
            }
        }
        Ok(Self {
            root: root.to_owned(),
            open: Mutex::default(),
            _lock: lock,
        })
    }

    /// The open collection of this name.
    pub(super) fn collection(&self, name: &CollectionName) -> Result<Arc<Collection>> {
        self.find(&mut self.open_collections(), name)?
            .ok_or_else(|| Error::not_found(format!("collection {name}")))
    }

    /// Creates a collection, or checks that the existing one is alike.
    pub(super) fn create(&self, name: &CollectionName, spec: &CollectionSpec) -> Result<()> {
        spec.check()?;
        let mut open = self.open_collections();
        if let Some(existing) = self.find(&mut open, name)? {
            if existing.spec()?.is_equivalent(spec) {
                return Ok(());
            }
            return Err(Error::Conflict(format!(
                "collection {name} exists with other vectors or indexes: drop it first, or use another name"
            )));
        }

        let dir = self.dir(name);
        let temporary = self.root.join(format!(".new-{name}"));
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(|error| Error::io(&temporary, error))?;
        }
        if let Err(error) = Collection::create(&temporary, spec) {
            if let Err(left) = fs::remove_dir_all(&temporary) {
                tracing::warn!(path = %temporary.display(), error = %left, "cannot clean up");
            }
            return Err(error);
        }
        fs::rename(&temporary, &dir)
            .and_then(|()| sync_directory(&self.root))
            .map_err(|error| Error::io(&dir, error))?;
        let collection = Collection::open(name.clone(), dir, true)?;
        open.insert(name.clone(), Arc::new(collection));
        Ok(())
    }

    /// Deletes a collection.
    pub(super) fn drop_collection(&self, name: &CollectionName) -> Result<()> {
        let mut open = self.open_collections();
        if let Some(collection) = open.remove(name) {
            collection.close();
        }
        let dir = self.dir(name);
        if !dir.exists() {
            return Ok(());
        }
        let doomed = self.root.join(format!(".old-{name}"));
        fs::rename(&dir, &doomed)
            .and_then(|()| sync_directory(&self.root))
            .and_then(|()| fs::remove_dir_all(&doomed))
            .map_err(|error| Error::io(&dir, error))
    }

    /// The names of all collections, sorted.
    pub(super) fn list(&self) -> Result<Vec<CollectionName>> {
        let mut names: Vec<CollectionName> = directory(&self.root)?
            .into_iter()
            .filter(|entry| entry.path().join(MANIFEST_FILE).exists())
            .filter_map(|entry| CollectionName::new(entry.file_name().to_string_lossy()).ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// The collection of this name, opened if need be; `None` where there is none.
    fn find(
        &self,
        open: &mut HashMap<CollectionName, Arc<Collection>>,
        name: &CollectionName,
    ) -> Result<Option<Arc<Collection>>> {
        if let Some(collection) = open.get(name).filter(|collection| !collection.is_poisoned()) {
            return Ok(Some(Arc::clone(collection)));
        }
        if let Some(broken) = open.remove(name) {
            broken.close();
        }
        if !self.dir(name).join(MANIFEST_FILE).exists() {
            return Ok(None);
        }
        let collection = Arc::new(Collection::open(name.clone(), self.dir(name), false)?);
        open.insert(name.clone(), Arc::clone(&collection));
        Ok(Some(collection))
    }

    fn dir(&self, name: &CollectionName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn open_collections(&self) -> MutexGuard<'_, HashMap<CollectionName, Arc<Collection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn directory(root: &Path) -> Result<Vec<fs::DirEntry>> {
    fs::read_dir(root)
        .and_then(Iterator::collect)
        .map_err(|error| Error::io(root, error))
}
