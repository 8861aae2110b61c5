//! The networks: preprocessing, CLIP tower, semantic fusion, segmenters, geographic embeddings and checkpoints.
//!
//! A photo's way through this crate: [`Preprocessor`] cuts a square, a [`Segmenter`] labels it, [`VisualEncoder`] makes the
//! visual embedding of both; [`GeographicEmbeddings`] hold a vector for every geocell, and [`PathEmbeddings`] turn
//! matching along the whole hierarchy into one inner product. [`Checkpoint`] keeps it all on disk, and [`Encoder`] is what
//! a service or an indexer holds. Everything that trains is in [`ops`], each operation with a gradient of its own.

mod calibration;
mod checkpoint;
mod config;
mod encoder;
mod error;
mod fusion;
mod geographic;
#[cfg(test)]
mod gradient_check;
mod labels;
mod model;
pub mod ops;
mod parameters;
mod path_embeddings;
mod precision;
mod preprocessing;
pub mod published;
mod resample;
pub mod segmentation;
mod vision;
mod visual;
mod weights;

pub use calibration::{BetaMap, Calibration, RegionMasses};
pub use checkpoint::{Checkpoint, CheckpointContents, Checksums, FORMAT_VERSION, Provenance};
pub use config::{Activation, FusionConfig, Head, ModelConfig, Palette, Stream, VisionConfig};
pub use encoder::{Crops, Encoded, Encoder, SegmenterChoice, Timings};
pub use error::{Error, Result};
pub use fusion::SemanticFusion;
pub use geographic::GeographicEmbeddings;
pub use labels::{CLASSES, Labels, UNLABELLED};
pub use model::Model;
pub use parameters::{Init, ParameterSpec, Parameters};
pub use path_embeddings::{PathEmbeddings, PathLevel};
pub use precision::Precision;
pub use preprocessing::Preprocessor;
pub use published::{PublishedTower, TowerOrigin};
pub use segmentation::{
    BlockTargets, CompactConfig, CompactInput, CompactSegmenter, NoSegmenter, Precomputed, Segmenter, View,
    open_published, published_layout,
};
pub use vision::VisionTower;
pub use visual::VisualEncoder;
pub use weights::PublishedWeights;

/// Where tensors live; candle's type, so that other rooms need not name candle.
pub use candle_core::Device;
