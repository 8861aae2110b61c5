//! How a long job tells how far it is.

/// How far a long job is: `done` of `total` items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Items finished, counted in the job's own order of finishing.
    pub done: usize,
    /// Items in all.
    pub total: usize,
}
