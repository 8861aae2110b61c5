//! What can go wrong between a hub and this machine. One enum; every message says what to do next.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why published weights could not be fetched or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no `owner/model`.
    #[error(
        "'{0}' is no model's name; it is owner/model, such as openai/clip-vit-large-patch14-336, or a folder that exists"
    )]
    Name(String),
    /// A setting without meaning.
    #[error("{name} is '{value}': {reason}")]
    Setting {
        /// The environment variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        reason: String,
    },
    /// A model that was never fetched here.
    #[error("{name} is not in {}; fetch it with `geosurge models pull {name}`, or name a folder that holds it", folder.display())]
    Absent {
        /// The model.
        name: String,
        /// The folder of models.
        folder: PathBuf,
    },
    /// A model whose fetching was interrupted.
    #[error("{name} in {} is not whole: its download did not end; go on with `geosurge models pull {name}`", folder.display())]
    Unfinished {
        /// The model.
        name: String,
        /// Its folder.
        folder: PathBuf,
    },
    /// The network may not be used and the model is not here.
    #[error("offline (HF_HUB_OFFLINE) and {name} is neither in {} nor in {}; pull it where there is a network and copy the folder, or unset HF_HUB_OFFLINE", folder.display(), cache.display())]
    Offline {
        /// The model.
        name: String,
        /// The folder of models.
        folder: PathBuf,
        /// The hub's own cache on this machine.
        cache: PathBuf,
    },
    /// The hub wants a token, or another one.
    #[error(
        "{endpoint} refused {name} ({status}): the name is wrong, or the model is private or gated; accept its terms on its page and set HF_TOKEN to a token that may read it"
    )]
    Refused {
        /// The model.
        name: String,
        /// The hub.
        endpoint: String,
        /// Its answer.
        status: u16,
    },
    /// The hub knows no such model, revision or file.
    #[error("{endpoint} has no {what} (404); check the name and the revision")]
    NotFound {
        /// What was asked for.
        what: String,
        /// The hub.
        endpoint: String,
    },
    /// The hub failed, and went on failing.
    #[error(
        "{endpoint} failed {attempts} times, at last with: {reason}; what arrived is kept: run the same command later to go on"
    )]
    Unavailable {
        /// The hub.
        endpoint: String,
        /// How often it was asked.
        attempts: usize,
        /// The last failure.
        reason: String,
    },
    /// The hub answered something that a hub does not.
    #[error("{endpoint} answered what no hub does ({reason}); check HF_ENDPOINT and the proxy")]
    NotAHub {
        /// The hub.
        endpoint: String,
        /// What was wrong.
        reason: String,
    },
    /// Nothing arrived for too long.
    #[error(
        "{endpoint} sent nothing for {seconds} s while {what} was fetched; what arrived is kept: run the same command later to go on"
    )]
    Stalled {
        /// The hub.
        endpoint: String,
        /// What was fetched.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A file arrived with another content than the hub announced.
    #[error(
        "{file} of {name} arrived damaged twice: its {digest} is {found} and the hub announced {expected}; a proxy may change files: try another network or HF_ENDPOINT"
    )]
    Checksum {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// The kind of checksum.
        digest: &'static str,
        /// The hub's.
        expected: String,
        /// What arrived.
        found: String,
    },
    /// No room.
    #[error("the disk of {} is full: {needed} more bytes are needed and {free} are free; make room, or choose another folder with --data-dir", folder.display())]
    DiskFull {
        /// The folder.
        folder: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// A model without weights that can be read.
    #[error(
        "{name} has {what}; only models in Hugging Face layout with safetensors or pytorch_model.bin can be used"
    )]
    NoWeights {
        /// The model, or the folder.
        name: String,
        /// What is missing.
        what: String,
    },
    /// Another process fetches the same model.
    #[error("{} is being written by another process; wait for it", folder.display())]
    Busy {
        /// The model's folder.
        folder: PathBuf,
    },
    /// The caller asked to stop.
    #[error("stopped; what arrived of {name} is kept: run the same command to go on")]
    Cancelled {
        /// The model.
        name: String,
    },
    /// A record that cannot be read.
    #[error("{}: {source}; delete the file and pull the model again", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// What the reader said.
        source: serde_json::Error,
    },
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
