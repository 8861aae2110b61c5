//! Published weights: fetched from a hub or a folder, checked, and found again by name.
//!
//! [`ModelsFolder`] is where they lie: a folder a model, in Hugging Face layout, with a record of what was fetched that is
//! written last. [`pull`] fills it from a hub, resuming what was interrupted; [`import`] from a folder that somebody carried
//! here. Nothing here knows tensors: whether a model's tensors are whole is `models::published::verify`'s question.
//!
//! Everything that touches the network is in `transfer`.

mod checksum;
mod error;
mod files;
mod folder;
mod known;
mod pull;
mod settings;
mod transfer;

pub use error::{Error, Result};
pub use folder::{FileRecord, Held, ModelsFolder, Pulled};
pub use known::{KNOWN, Known, Purpose};
pub use pull::{PullProgress, Report, import, pull};
pub use settings::HubSettings;
