//! What can go wrong while a release is built.

use std::path::PathBuf;

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

    /// A release that was not built, or whose contents are gone.
    #[error(
        "release {release} is {status}; only a ready, active or retired release can be activated or changed, so (re)build one with `geosurge index`"
    )]
    NotReady {
        /// The release.
        release: ReleaseId,
        /// Its status.
        status: String,
    },

    /// A release of which something is missing.
    #[error("release {release} is not whole: {reason}; build it again with `geosurge index`")]
    NotWhole {
        /// The release.
        release: ReleaseId,
        /// What is missing.
        reason: String,
    },

    /// No earlier release can answer.
    #[error("there is no release to roll back to{}", reasons(.passed_over))]
    NothingToRollBack {
        /// Releases that were active before, and why each cannot be again.
        passed_over: Vec<(ReleaseId, String)>,
    },

    /// Releases or photos that cannot be compared.
    #[error("{0}")]
    Incomparable(String),

    /// A copied photograph could not be written or deleted.
    #[error("cannot keep photographs in {}: {source}; check its permissions and the free space", path.display())]
    Photos {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
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

/// Why each candidate of a rollback was passed over.
fn reasons(passed_over: &[(ReleaseId, String)]) -> String {
    if passed_over.is_empty() {
        return ": no other release was ever active; activate one by its name".to_owned();
    }
    passed_over
        .iter()
        .map(|(_, reason)| format!("; {reason}"))
        .collect()
}
