//! From a checkpoint to a release, and a release's life: encode the gallery, load, verify, activate, compare, prune.
//!
//! - [`build_release`]: geocells of every level and reference images into the vector store and the catalog; a killed build
//!   goes on where it stopped; what it loaded is verified before the release becomes `ready`. [`estimate`] says beforehand what it takes.
//! - [`activate`], [`rollback`], [`prune`], [`list`], [`show`]: a release's life. [`reconcile`] ends what was interrupted.
//! - [`references`]: reference images added and removed without training.
//! - [`diff`]: what moves when another release answers.
//! - [`Progress`], [`Stage`]: what long work tells its caller.

mod build;
pub mod diff;
mod error;
mod estimate;
mod gallery;
mod levels;
mod life;
mod plan;
mod progress;
pub mod references;
mod verify;

pub use build::{BuildOptions, BuildReport, build_release};
pub use error::{Error, Result};
pub use estimate::{Estimate, LevelEstimate, estimate};
pub use gallery::{GalleryReport, Skipped};
pub use life::{
    CollectionLine, PrunePlan, Pruned, ReleaseDetails, Rollback, activate, follow_aliases, list, plan_prune,
    prune, reconcile, rollback, rollback_target, show,
};
pub use progress::{Progress, Report, Stage, silent};
pub use verify::Verification;
