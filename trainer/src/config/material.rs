//! What a run learns from and how it comes to the networks.

use std::path::PathBuf;

use models::Precision;
use serde::{Deserialize, Serialize};

/// A published CLIP vision tower to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainedConfig {
    /// Folder with `config.json`, `preprocessor_config.json` and the weights, in Hugging Face layout.
    pub directory: PathBuf,
    /// Number format of the tower's frozen part: half of f32's memory, and faster on a GPU. The masters, everything that is
    /// trained and the checkpoint are f32.
    #[serde(default)]
    pub precision: Precision,
}

/// How photos come to the networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Where a step's photos are read from.
    pub photos: PhotoAccess,
    /// The order of an epoch.
    pub order: EpochOrder,
    /// With `order = "shard-windows"`: shards whose photos are shuffled together.
    pub shard_window: usize,
    /// Batches that are read and decoded ahead of the one that is learnt; 0 reads each when it is needed. Each holds
    /// `batch_size` photos in memory: `4 · image_size²` bytes a photo, or its tokens in f16.
    pub prefetch: usize,
    /// Store the output of the tower's frozen blocks once, and learn from it: a photo then costs the trained blocks and the
    /// fusion only. Needs a tower with frozen blocks and no augmentation. `2 · tokens · width` bytes a photo on disk.
    pub token_cache: bool,
    /// Photos in a file of that cache.
    pub token_shard: usize,
    /// Read every file of that cache once when it is opened, to hold it against its checksum. Lengths are always checked.
    pub token_verify: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            photos: PhotoAccess::Decoded,
            order: EpochOrder::Shuffled,
            shard_window: 8,
            prefetch: 2,
            token_cache: false,
            token_shard: 4096,
            token_verify: true,
        }
    }
}

/// Where a step's photos are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhotoAccess {
    /// Every photo is decoded once, into files of the cache: `4 · image_size²` bytes a photo on disk.
    Decoded,
    /// Photos are decoded from their files or shards whenever a step needs them: nothing on disk, more work. One that
    /// cannot be read is left out of its batch and listed in the run's `skipped.jsonl`.
    Streamed,
}

/// The order of an epoch; each is a function of seed and epoch alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpochOrder {
    /// All photos shuffled together: for a disk that reads anywhere at once.
    Shuffled,
    /// The shards shuffled, and then the photos of every `shard_window` of them together: reading stays in few files at
    /// a time. A dataset without shards is cut into pieces of 1,000 photos in the manifest's order.
    ShardWindows,
}

/// Random changes of a training photo (and of its map alike) that keep its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentationConfig {
    /// Probability of a mirror image. Mirrored writing and traffic on the wrong side are rare cues: worth it for small datasets only.
    pub flip: f64,
    /// Largest shift in either direction, pixels of the model's input; the edge is repeated.
    pub shift: u32,
    /// Largest relative change of brightness, 0 to 1.
    pub brightness: f64,
}

impl AugmentationConfig {
    /// No change at all.
    pub const NONE: Self = Self {
        flip: 0.0,
        shift: 0,
        brightness: 0.0,
    };
}

impl Default for AugmentationConfig {
    fn default() -> Self {
        Self::NONE
    }
}

/// Where segmentation maps come from, when learning and at query time alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum SegmenterConfig {
    /// The compact segmenter, trained first on the dataset's own maps; then every photo's map is computed with it,
    /// so that learning sees the maps that a query will have. A dataset without maps is learnt with `none`.
    Compact {
        /// Optimisation steps.
        steps: u32,
        /// Photos a step.
        batch_size: usize,
        /// Peak learning rate.
        learning_rate: f64,
        /// Seconds after which its training ends early.
        #[serde(default)]
        max_seconds: Option<f64>,
    },
    /// The dataset's maps as they are; a photo without one gets an unlabelled map.
    Precomputed,
    /// No maps.
    None,
}
