//! A gallery that grows and shrinks without training: reference images of a built release are added and removed.
//!
//! What a kill interrupts is settled by the next change, or at the next start: a deletion that was begun is finished, for its
//! intent is in the audit log; an addition keeps what reached both store and catalog, and loses the rest.

mod add;
pub mod owned;
mod remove;
mod settle;

pub use add::{AddOptions, Added, Duplicate, add};
pub use remove::{Removed, remove};
pub(crate) use settle::settle_held;
pub use settle::{Settled, settle, settle_if_built};

use storage::{Catalog, Release, ReleaseId, ReleaseStatus};

use crate::{Error, Result};

/// The release whose gallery is to change; it must have been built.
async fn built(catalog: &dyn Catalog, release: &ReleaseId) -> Result<Release> {
    let found = catalog.release(release).await?;
    match found.status {
        ReleaseStatus::Ready | ReleaseStatus::Active | ReleaseStatus::Retired => Ok(found),
        ReleaseStatus::Building | ReleaseStatus::Failed | ReleaseStatus::Pruned => Err(Error::NotReady {
            release: found.id,
            status: found.status.to_string(),
        }),
    }
}
