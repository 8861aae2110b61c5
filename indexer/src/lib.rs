//! From a checkpoint to a release: encode the gallery, load, verify, activate.
//!
//! - [`build_release`]: geocells of every level and reference images into the vector store and the catalog; a killed build
//!   goes on where it stopped; what it loaded is verified before the release becomes `ready`.
//! - [`activate`], [`list`]: a release's life.
//! - [`Progress`], [`Stage`]: what a long build tells its caller.

mod build;
mod error;
mod gallery;
mod levels;
mod life;
mod plan;
mod progress;
mod verify;

pub use build::{BuildOptions, BuildReport, build_release};
pub use error::{Error, Result};
pub use gallery::{GalleryReport, Skipped};
pub use life::{activate, list};
pub use progress::{Progress, Report, Stage, silent};
pub use verify::Verification;
