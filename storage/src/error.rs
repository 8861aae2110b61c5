//! What can go wrong with a store, told so that a person knows what to do next.

use std::path::PathBuf;

use crate::CollectionName;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed storage operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The named thing does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// Kind and name, e.g. `release "2026-11"`.
        what: String,
    },
    /// The request contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// Another process (or another handle of this one) holds the store.
    #[error(
        "{} is in use by {holder}: stop it or choose another data directory",
        path.display()
    )]
    Locked {
        /// The store's directory or file.
        path: PathBuf,
        /// Who holds it, as far as is known.
        holder: String,
    },
    /// Someone else is changing the named thing.
    #[error("{what} is being changed by {holder}: wait until that is done, then repeat the command")]
    Held {
        /// Kind and name, e.g. `release 2026-11`.
        what: String,
        /// Who holds it, as far as is known.
        holder: String,
    },
    /// The store did not answer; the same request may succeed later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store does not let this user do that.
    #[error("{store} denies access: {reason}")]
    Denied {
        /// The store.
        store: String,
        /// What was denied, and what to do.
        reason: String,
    },
    /// The store, or what is stored, is of a version that this one cannot use.
    #[error("{0}")]
    Incompatible(String),
    /// The request can never succeed: wrong dimension, a value that is not finite, an impossible name.
    #[error("{0}")]
    Invalid(String),
    /// A load was interrupted, so the collection may lack points.
    #[error(
        "collection {collection} is incomplete ({points} points): its load was interrupted; run the load again and finish it"
    )]
    Incomplete {
        /// The collection.
        collection: String,
        /// Points that are there.
        points: u64,
    },
    /// What is on disk cannot be read.
    #[error("{} is damaged: {reason}; restore it from a backup, or delete it and index the release again", path.display())]
    Corrupt {
        /// The damaged file or directory.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The store takes no writes now.
    #[error("{store} is read-only: connect to the primary server, or end its recovery or maintenance")]
    ReadOnly {
        /// The store.
        store: String,
    },
    /// The disk is full.
    #[error("no space is left on the disk of {}: free some space and repeat the command", path.display())]
    DiskFull {
        /// What was being written, or the server that was.
        path: PathBuf,
    },
    /// A file operation failed for another reason.
    #[error("cannot use {}: {source}; check that the directory exists and that you may write to it", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// A [`Error::NotFound`] for `what`, e.g. `release "a"`.
    pub fn not_found(what: impl Into<String>) -> Self {
        Error::NotFound { what: what.into() }
    }

    /// A [`Error::Conflict`]: `alias` is to become an alias and is the name of a collection.
    pub(crate) fn taken_by_collection(alias: &CollectionName) -> Self {
        Error::Conflict(format!(
            "{alias} cannot be an alias, for a collection has that name: choose another alias, or drop the collection"
        ))
    }

    /// A [`Error::Conflict`]: `name` is to be changed and is an alias.
    pub(crate) fn is_alias(name: &CollectionName, target: &CollectionName) -> Self {
        Error::Conflict(format!(
            "{name} is an alias, and aliases are for reading: name the collection itself, {target}"
        ))
    }

    /// A [`Error::Conflict`]: `collection` is to be dropped and an alias names it.
    pub(crate) fn aliased(collection: &CollectionName, alias: &CollectionName) -> Self {
        Error::Conflict(format!(
            "collection {collection} is in use as {alias}: activate another release, or remove the alias, before it is dropped"
        ))
    }

    /// Sorts a file error into disk full, locked or other.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::DiskFull { path },
            _ => Error::Io { path, source },
        }
    }

    /// True where the same request may succeed later without anyone changing it.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Locked { .. } | Error::Held { .. } | Error::Unavailable(_)
        )
    }

    /// True for [`Error::NotFound`].
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::NotFound { .. })
    }

    /// True for [`Error::Conflict`].
    pub fn is_conflict(&self) -> bool {
        matches!(self, Error::Conflict(_))
    }
}
