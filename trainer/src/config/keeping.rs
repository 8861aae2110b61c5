//! What a run writes while it goes on. Nothing here changes what is learnt, so a resumed run may have it otherwise.

use serde::{Deserialize, Serialize};

/// The states that `--resume` goes on from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatesConfig {
    /// Seconds between two states: what a killed run loses at most.
    pub every_seconds: f64,
    /// Steps between two states, beside the clock; 0 leaves it to the clock.
    pub every_steps: u64,
    /// The last so many states are kept; the best weights are kept beside them.
    pub keep: usize,
}

impl Default for StatesConfig {
    fn default() -> Self {
        Self {
            every_seconds: 60.0,
            every_steps: 0,
            keep: 2,
        }
    }
}

/// What people read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Steps between two lines of `metrics.jsonl` and between two points of TensorBoard's curves.
    pub every_steps: u64,
    /// Write TensorBoard event files into the run's `tensorboard/`.
    pub tensorboard: bool,
    /// Write `report.html` at the end.
    pub html: bool,
    /// Held-out photos with the largest errors that the report shows.
    pub hardest: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            every_steps: 20,
            tensorboard: true,
            html: true,
            hardest: 24,
        }
    }
}
