//! What can go wrong in this crate. One enum; every message says what to do next.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the networks, their files or their inputs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that no network can be built from.
    #[error("the model configuration is not usable: {0}")]
    Config(String),
    /// A tensor that a weights file should hold and does not.
    #[error("{}: tensor '{name}' is missing; the file belongs to another model or is damaged: train again, or restore it from a copy", file.display())]
    MissingTensor {
        /// The tensor's name.
        name: String,
        /// The weights file.
        file: PathBuf,
    },
    /// A tensor that a weights file holds and should not.
    #[error("{}: tensor '{name}' does not belong to this model; the file was written for another configuration", file.display())]
    UnexpectedTensor {
        /// The tensor's name.
        name: String,
        /// The weights file.
        file: PathBuf,
    },
    /// A tensor of another shape than the configuration asks for.
    #[error("{}: tensor '{name}' has shape {found:?} where this model needs {expected:?}; use the configuration that the file was written with", file.display())]
    Shape {
        /// The tensor's name.
        name: String,
        /// The weights file.
        file: PathBuf,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor that holds NaN or an infinity.
    #[error("{}: tensor '{name}' holds a value that is not finite; training diverged: lower the learning rate", file.display())]
    NotFinite {
        /// The tensor's name.
        name: String,
        /// The weights file.
        file: PathBuf,
    },
    /// A weights file that is not readable as safetensors.
    #[error("{}: not a readable safetensors file ({reason}); restore it from a copy", file.display())]
    Weights {
        /// The weights file.
        file: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// A file or directory of a published model that cannot be used.
    #[error("{}: {reason}", file.display())]
    Published {
        /// The file or directory.
        file: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A parameter asked for by a name that the model does not have.
    #[error("no parameter is named '{0}'")]
    UnknownParameter(String),
    /// A checkpoint directory that cannot be used as it is.
    #[error("checkpoint {}: {reason}", directory.display())]
    Checkpoint {
        /// The checkpoint's directory.
        directory: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A checkpoint of a format that this program does not know.
    #[error("checkpoint {}: format version {found}, but this program reads version {supported}; use the program that wrote it, or train again", directory.display())]
    FormatVersion {
        /// The checkpoint's directory.
        directory: PathBuf,
        /// The version in the checkpoint.
        found: u32,
        /// The newest version that this program reads.
        supported: u32,
    },
    /// A photo or map that the networks cannot take.
    #[error("image not usable: {0}")]
    Image(String),
    /// A JSON file that does not parse or has unknown or missing fields.
    #[error("{}: {source}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The hierarchy of a checkpoint, or one that does not fit the tables.
    #[error("hierarchy: {0}")]
    Hierarchy(String),
    /// A file that could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
