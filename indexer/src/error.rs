//! What can go wrong while a release is built.

use storage::ReleaseId;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the indexer. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Someone asked to stop; what was loaded stays.
    #[error("stopped while {stage}; release {release} keeps what was loaded: repeat the command to go on")]
    Cancelled {
        /// The release.
        release: ReleaseId,
        /// What it was doing, as a phrase.
        stage: &'static str,
    },

    /// No photo of the dataset could be read.
    #[error(
        "none of the {photos} photos of the dataset could be read ({reason}); check the paths in its manifest"
    )]
    NoPhotos {
        /// Photos in the manifest.
        photos: usize,
        /// The first photo's reason.
        reason: String,
    },

    /// A bad photo under `strict`.
    #[error(
        "{file} cannot be indexed: {reason}; mend or remove it, or leave out --strict to skip such photos"
    )]
    BadPhoto {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },

    /// The release does not answer as its checkpoint does.
    #[error("release {release} failed its verification: {reason}; repeat the command to load it again")]
    Verification {
        /// The release.
        release: ReleaseId,
        /// What was found.
        reason: String,
    },

    /// A release that cannot be activated.
    #[error("release {release} is {status} and cannot be activated; finish it with `geosurge index`")]
    NotReady {
        /// The release.
        release: ReleaseId,
        /// Its status.
        status: String,
    },

    /// An option that makes no sense.
    #[error("{0}")]
    Invalid(String),

    /// A background thread ended without an answer.
    #[error("a thread of the build ended without an answer; see the log above for its panic")]
    Interrupted,

    /// From the dataset.
    #[error(transparent)]
    Datasets(#[from] datasets::Error),

    /// From the checkpoint or the encoder.
    #[error(transparent)]
    Models(#[from] models::Error),

    /// From the search.
    #[error(transparent)]
    Retrieval(#[from] retrieval::Error),

    /// From the store or the catalog.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}
