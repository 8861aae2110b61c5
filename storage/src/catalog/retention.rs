//! Which predictions are to go, and what went.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, ReleaseId, Result};

/// Predictions to delete: those that match all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionSelection {
    /// Made before.
    pub before: Option<DateTime<Utc>>,
    /// Of this client.
    pub client: Option<String>,
    /// Answered by this release.
    pub release: Option<ReleaseId>,
}

impl PredictionSelection {
    /// Checks that something is given, so that nobody deletes everything by leaving all out.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self) -> Result<()> {
        if self == &Self::default() {
            return Err(Error::Invalid(
                "which predictions? name a client, a release or a date".to_owned(),
            ));
        }
        Ok(())
    }
}

/// How many rows were deleted, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedPredictions {
    /// Answers that were given to clients.
    pub predictions: u64,
    /// Answers of candidate releases to the same photos.
    pub shadows: u64,
    /// Ground truth of these predictions.
    pub ground_truth: u64,
    /// Whole months that were dropped at once, where the store keeps months apart; part of the counts above.
    pub months_dropped: u64,
}
