//! Photographs with known places on disk: manifests, import, safe decoding and splits.
//!
//! - [`Dataset`], [`Photo`]: a manifest (`photos.parquet` or a CSV) and the photos that it names, in files or WebDataset shards.
//! - [`import`]: photo files, folders and tables of places become a dataset; what cannot is reported, never dropped in silence.
//! - [`decode_image`], [`decode_bytes`]: pixels from untrusted files within [`DecodeLimits`].
//! - [`decode_segmentation`], [`ade20k`]: segmentation maps and their 150 classes.
//! - [`read_gps`], [`read_gps_bytes`]: the place that a camera wrote into a photo.
//! - [`split`]: training and validation photos that share neither uploader nor place.
//! - [`Error::reason`]: the stable codes of everything that can be wrong with a photo.

pub mod ade20k;
mod atomic;
mod dataset;
mod decode;
mod error;
mod gps;
mod import;
mod photo;
mod progress;
mod segmentation;
mod shards;
mod sniff;
mod split;
mod table;

pub use dataset::{Dataset, MANIFEST};
pub use decode::{DecodeLimits, decode_bytes, decode_image};
pub use error::{Error, Result};
pub use gps::{GpsReading, read_gps, read_gps_bytes};
pub use import::{ImportOptions, ImportReport, Skipped, import};
pub use photo::Photo;
pub use progress::Progress;
pub use segmentation::{decode_segmentation, decode_segmentation_bytes, encode_segmentation};
pub use split::{Split, SplitBy, SplitConfig, split};
