//! What a store remembers of each collection between calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::RwLock;

use super::marker::Marker;
use crate::CollectionName;

/// How long a search believes what it last read of a collection: another process may drop it, or move an alias.
pub(super) const FOR_SEARCHES: Duration = Duration::from_secs(5);

/// How long a write does: another process may finish the load.
pub(super) const FOR_WRITES: Duration = Duration::from_secs(1);

/// Collections by name, and by alias for those that only read.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<CollectionName, Entry>>);

#[derive(Debug, Default)]
struct Entry {
    marker: Option<(Instant, Arc<Marker>)>,
    /// Counts what this store wrote, so that an older answer does not overwrite it here.
    written: u64,
    /// Found to be a collection's own name.
    is_collection: bool,
    /// A write of this store failed, so that some of its points may be missing.
    broken: bool,
    /// Held shared by writes, and alone while a load's end is noted.
    writes: Arc<RwLock<()>>,
}

impl Known {
    /// What was read less than `age` ago.
    pub(super) fn marker(&self, name: &CollectionName, age: Duration) -> Option<Arc<Marker>> {
        let entries = self.entries();
        let (read, marker) = entries.get(name)?.marker.as_ref()?;
        (read.elapsed() < age).then(|| Arc::clone(marker))
    }

    /// How often this store has written the marker; ask before reading it.
    pub(super) fn written(&self, name: &CollectionName) -> u64 {
        self.entries().get(name).map_or(0, |entry| entry.written)
    }

    /// Remembers what was read, unless it was written since `written` was asked.
    pub(super) fn remember_read(&self, name: &CollectionName, marker: Marker, written: u64) -> Arc<Marker> {
        let marker = Arc::new(marker);
        let mut entries = self.entries();
        let entry = entries.entry(name.clone()).or_default();
        match &entry.marker {
            Some((_, newer)) if entry.written != written => Arc::clone(newer),
            _ => {
                entry.marker = Some((Instant::now(), Arc::clone(&marker)));
                marker
            }
        }
    }

    /// Remembers what was written.
    pub(super) fn remember_written(&self, name: &CollectionName, marker: Marker) {
        let mut entries = self.entries();
        let entry = entries.entry(name.clone()).or_default();
        entry.written += 1;
        entry.marker = Some((Instant::now(), Arc::new(marker)));
    }

    /// Forgets a collection that is gone.
    pub(super) fn forget(&self, name: &CollectionName) {
        self.entries().remove(name);
    }

    /// Reads again what may have changed with the aliases.
    pub(super) fn doubt(&self) {
        for entry in self.entries().values_mut() {
            entry.marker = None;
        }
    }

    pub(super) fn is_collection(&self, name: &CollectionName) -> bool {
        self.entries().get(name).is_some_and(|entry| entry.is_collection)
    }

    pub(super) fn note_collection(&self, name: &CollectionName) {
        self.entries().entry(name.clone()).or_default().is_collection = true;
    }

    pub(super) fn is_broken(&self, name: &CollectionName) -> bool {
        self.entries().get(name).is_some_and(|entry| entry.broken)
    }

    pub(super) fn note_broken(&self, name: &CollectionName, broken: bool) {
        self.entries().entry(name.clone()).or_default().broken = broken;
    }

    pub(super) fn writes(&self, name: &CollectionName) -> Arc<RwLock<()>> {
        Arc::clone(&self.entries().entry(name.clone()).or_default().writes)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<CollectionName, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
