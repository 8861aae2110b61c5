//! The directories of a store and the collections that are open.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs_err as fs;

use super::aliases::Aliases;
use super::atomic_file::sync_directory;
use super::collection::Collection;
use super::lock::DirectoryLock;
use super::manifest::MANIFEST_FILE;
use crate::vectors::check_distinct;
use crate::{CollectionName, CollectionSpec, Error, Result};

/// A store's root directory: `<root>/<collection>/`, hidden names while one is being created or dropped.
#[derive(Debug)]
pub(super) struct Registry {
    root: PathBuf,
    /// Fields drop in order: collections are flushed before the lock is released.
    state: Mutex<State>,
    _lock: DirectoryLock,
}

/// What the store knows while it is open.
#[derive(Debug, Default)]
struct State {
    /// Opened at first use, then kept.
    open: HashMap<CollectionName, Arc<Collection>>,
    aliases: Aliases,
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
        let state = State {
            open: HashMap::new(),
            aliases: Aliases::read(root)?,
        };
        Ok(Self {
            root: root.to_owned(),
            state: Mutex::new(state),
            _lock: lock,
        })
    }

    /// The open collection that has this name, or that an alias of this name means.
    pub(super) fn collection(&self, name: &CollectionName) -> Result<Arc<Collection>> {
        let mut state = self.state();
        let target = state.aliases.target(name).unwrap_or(name).clone();
        let missing = || match target == *name {
            true => Error::not_found(format!("collection {name}")),
            false => Error::not_found(format!("collection {target}, which the alias {name} names,")),
        };
        self.find(&mut state.open, &target)?.ok_or_else(missing)
    }

    /// The open collection of this name, to be changed.
    pub(super) fn writable(&self, name: &CollectionName) -> Result<Arc<Collection>> {
        let mut state = self.state();
        state.refuse_alias(name)?;
        self.find(&mut state.open, name)?
            .ok_or_else(|| Error::not_found(format!("collection {name}")))
    }

    /// Points aliases at collections.
    pub(super) fn set_aliases(&self, aliases: &[(CollectionName, CollectionName)]) -> Result<()> {
        check_distinct(aliases)?;
        let mut state = self.state();
        for (alias, target) in aliases {
            if self.exists(alias) {
                return Err(Error::taken_by_collection(alias));
            }
            if !self.exists(target) {
                return Err(Error::not_found(format!("collection {target}")));
            }
        }
        state
            .aliases
            .change(&self.root, |stored| stored.extend(aliases.iter().cloned()))
    }

    /// Every alias with its collection, sorted by alias.
    pub(super) fn aliases(&self) -> Vec<(CollectionName, CollectionName)> {
        self.state().aliases.pairs()
    }

    /// Removes aliases.
    pub(super) fn remove_aliases(&self, aliases: &[CollectionName]) -> Result<()> {
        let mut state = self.state();
        state.aliases.change(&self.root, |stored| {
            stored.retain(|alias, _| !aliases.contains(alias))
        })
    }

    /// Creates a collection, or checks that the existing one is alike.
    pub(super) fn create(&self, name: &CollectionName, spec: &CollectionSpec) -> Result<()> {
        spec.check()?;
        let mut state = self.state();
        state.refuse_alias(name)?;
        if let Some(existing) = self.find(&mut state.open, name)? {
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
        state.open.insert(name.clone(), Arc::new(collection));
        Ok(())
    }

    /// Deletes a collection that no alias names.
    pub(super) fn drop_collection(&self, name: &CollectionName) -> Result<()> {
        let mut state = self.state();
        state.refuse_alias(name)?;
        if let Some(alias) = state.aliases.of(name) {
            return Err(Error::aliased(name, alias));
        }
        if let Some(collection) = state.open.remove(name) {
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
        if !self.exists(name) {
            return Ok(None);
        }
        let collection = Arc::new(Collection::open(name.clone(), self.dir(name), false)?);
        open.insert(name.clone(), Arc::clone(&collection));
        Ok(Some(collection))
    }

    fn dir(&self, name: &CollectionName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn exists(&self, name: &CollectionName) -> bool {
        self.dir(name).join(MANIFEST_FILE).exists()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is changed is named itself.
    fn refuse_alias(&self, name: &CollectionName) -> Result<()> {
        match self.aliases.target(name) {
            Some(target) => Err(Error::is_alias(name, target)),
            None => Ok(()),
        }
    }
}

fn directory(root: &Path) -> Result<Vec<fs::DirEntry>> {
    fs::read_dir(root)
        .and_then(Iterator::collect)
        .map_err(|error| Error::io(root, error))
}
