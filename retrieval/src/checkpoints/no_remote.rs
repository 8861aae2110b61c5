//! In place of [`remote`](super) in a build without object stores: every URL is refused.

use std::path::Path;

use models::Checksums;

use crate::{Error, Result};

/// There is none.
pub(super) enum Source {}

impl Source {
    /// Refuses.
    pub(super) fn new(location: &str, _options: &[(String, String)]) -> Result<Self> {
        Err(Error::CheckpointUrl {
            location: location.to_owned(),
            reason: "this program was built without the feature `object-store`".to_owned(),
        })
    }

    #[expect(clippy::unused_async, reason = "as the real one")]
    pub(super) async fn checksums(&self) -> Result<Checksums> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the real one")]
    pub(super) async fn copy(&self, _name: &str, _expected: &str, _target: &Path) -> Result<()> {
        match *self {}
    }
}
