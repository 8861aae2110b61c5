//! What a build tells its caller while it works.

use serde::Serialize;

/// The part of a build that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Geocells into the catalog and the store.
    Geocells,
    /// Photos encoded and loaded.
    References,
    /// Indexes built, everything made durable.
    Finish,
    /// Counts, vectors and answers compared with the checkpoint.
    Verify,
    /// Two releases answer the same photos.
    Compare,
}

impl Stage {
    /// Those of a build, in their order.
    pub const ALL: [Self; 4] = [Self::Geocells, Self::References, Self::Finish, Self::Verify];

    /// The stage as a phrase that follows "while" or starts a progress bar: `"loading geocells"`.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Geocells => "loading geocells",
            Self::References => "encoding reference images",
            Self::Finish => "finishing the index",
            Self::Verify => "verifying the release",
            Self::Compare => "asking both releases",
        }
    }
}

/// One report of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What is under way.
    pub stage: Stage,
    /// Cells, photos, collections or queries finished.
    pub done: usize,
    /// How many there are.
    pub total: usize,
}

/// Receives reports; called often, from any thread, and expected to return at once.
pub type Report<'a> = &'a (dyn Fn(&Progress) + Sync);

/// A receiver that ignores everything.
pub fn silent(_: &Progress) {}
