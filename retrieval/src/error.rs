//! What can go wrong between a photograph and its prediction.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of retrieval. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No release has been activated yet.
    #[error(
        "no release is active; build one with `geosurge index CHECKPOINT DATASET --activate`, or activate one with `geosurge releases activate ID`"
    )]
    NoActiveRelease,

    /// No geocell of the release reaches into the area that was asked for.
    #[error("no geocell of the release reaches into this area; ask for a larger one")]
    EmptyArea,

    /// The release exists but cannot be served in its present state.
    #[error(
        "release {release} is {status}; only a ready, active or retired release can be opened, so finish it with `geosurge index`"
    )]
    NotReady {
        /// The release.
        release: String,
        /// Its status in the catalog.
        status: String,
    },

    /// The checkpoint on disk is not the one that the release was built from.
    #[error(
        "release {release} was built from checkpoint {recorded}, but {} holds checkpoint {found}; restore that checkpoint, or build a new release with `geosurge index {}`",
        path.display(), path.display()
    )]
    CheckpointMismatch {
        /// The release.
        release: String,
        /// Where the release's checkpoint is expected.
        path: PathBuf,
        /// Content id in the catalog.
        recorded: String,
        /// Content id of what is on disk.
        found: String,
    },

    /// A remote checkpoint without a place for its copy.
    #[error(
        "{location} is not on this machine, and no folder was given for its copy; open it with a checkpoint cache"
    )]
    NoCheckpointCache {
        /// The checkpoint's URL.
        location: String,
    },

    /// A checkpoint's URL that names no object store.
    #[error(
        "{location} cannot be used as a checkpoint: {reason}; give a folder, or a URL such as s3://bucket/path, gs://bucket/path or file:///path"
    )]
    CheckpointUrl {
        /// The URL.
        location: String,
        /// What is wrong.
        reason: String,
    },

    /// A remote checkpoint's file that could not be had.
    #[error(
        "cannot fetch {url}: {reason}; check the address, the credentials and the network, then repeat the command"
    )]
    Fetch {
        /// The file.
        url: String,
        /// What the object store said.
        reason: String,
    },

    /// A remote checkpoint's file that is not what the checkpoint was written with.
    #[error("{url} is not what was written: {reason}; upload the checkpoint again")]
    FetchedFile {
        /// The file.
        url: String,
        /// What is wrong.
        reason: String,
    },

    /// The folder of copies cannot be used.
    #[error("cannot use {} for copies of checkpoints: {source}; check its permissions and the free space", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// The release was built with maps of another segmenter.
    #[error(
        "release {release} was built with the segmenter `{recorded}` and is opened with `{found}`; choose `{recorded}`, or build a new release with `geosurge index`"
    )]
    SegmenterMismatch {
        /// The release.
        release: String,
        /// The segmenter that the gallery was encoded with.
        recorded: String,
        /// The segmenter asked for.
        found: String,
    },

    /// The store does not hold what the catalog says that it holds.
    #[error(
        "collection {collection} of release {release} is not complete: it holds {found} points of {expected}, or its load was not finished; rebuild the release with `geosurge index`"
    )]
    IncompleteCollection {
        /// The release.
        release: String,
        /// The collection.
        collection: String,
        /// Points expected.
        expected: usize,
        /// Points counted.
        found: usize,
    },

    /// The store answered with a geocell that the checkpoint's hierarchy does not have.
    #[error(
        "collection {collection} answered with cell {token}, which level {level} of the checkpoint's hierarchy does not have; rebuild the release with `geosurge index`"
    )]
    UnknownCell {
        /// The collection.
        collection: String,
        /// Point id as a hexadecimal S2 token.
        token: String,
        /// Level of the hierarchy.
        level: usize,
    },

    /// A point in the store lacks a payload field or has one of another type.
    #[error(
        "a point of collection {collection} has no usable `{field}` in its payload; rebuild the release with `geosurge index`"
    )]
    Payload {
        /// The collection.
        collection: String,
        /// The payload field.
        field: &'static str,
    },

    /// A vector of another length than the index's embeddings.
    #[error(
        "the query vector has {found} numbers and the index was built for {expected}; encode the photo with the release's own checkpoint"
    )]
    Dimension {
        /// Numbers needed.
        expected: usize,
        /// Numbers given.
        found: usize,
    },

    /// A vector with NaN or infinity.
    #[error(
        "the query vector holds a number that is not finite; the photo cannot be placed, so check the checkpoint with `geosurge eval`"
    )]
    NotFinite,

    /// An option or calibration value that makes no sense.
    #[error("{name} = {value} is not usable: {remedy}")]
    Invalid {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        remedy: &'static str,
    },

    /// A checkpoint's file lacks geographic embeddings.
    #[error("{} holds {copied} of {wanted} geographic tables and temperatures; restore the checkpoint from a copy", file.display())]
    Tables {
        /// The file.
        file: PathBuf,
        /// Tensors found.
        copied: usize,
        /// Tensors needed.
        wanted: usize,
    },

    /// Tables and hierarchy have other shapes.
    #[error(
        "the geographic embeddings and the hierarchy disagree at level {level}: {embeddings} embeddings for {cells} cells; the checkpoint is damaged, so train or copy it again"
    )]
    Shape {
        /// Level of the hierarchy.
        level: usize,
        /// Rows of the table.
        embeddings: usize,
        /// Cells of the partition.
        cells: usize,
    },

    /// A background thread ended without an answer.
    #[error("the encoder's thread ended without an answer; see the log above for its panic")]
    Interrupted,

    /// From the network or the checkpoint.
    #[error(transparent)]
    Models(#[from] models::Error),

    /// From the vector store or the catalog.
    #[error(transparent)]
    Storage(#[from] storage::Error),

    /// From the geometry.
    #[error(transparent)]
    Geocells(#[from] geocells::Error),

    /// From the tensor library.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
