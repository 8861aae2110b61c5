//! One photograph with a known place.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use geocells::LatLng;
use serde::{Deserialize, Serialize};

/// A photograph, where it was taken, and what else a manifest says of it.
///
/// Relative paths are relative to the [`crate::Dataset`]'s root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Photo {
    /// The image file, relative to the dataset's root or absolute.
    pub path: PathBuf,
    /// Where it was taken, in degrees (WGS 84).
    pub location: LatLng,
    /// The segmentation map's file (ADE20K ids, see [`crate::decode_segmentation`]), relative to the root or absolute.
    pub segmentation: Option<PathBuf>,
    /// Who uploaded it; a split keeps one uploader's photos on one side.
    pub uploader: Option<String>,
    /// When it was taken.
    pub captured_at: Option<DateTime<Utc>>,
    /// The image file's SHA-256 in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// A name of the place, for people: "Inari, Finland".
    pub place: Option<String>,
}

impl Photo {
    /// A photo of which only the file and the place are known.
    pub fn new(path: impl Into<PathBuf>, location: LatLng) -> Self {
        Self {
            path: path.into(),
            location,
            segmentation: None,
            uploader: None,
            captured_at: None,
            sha256: None,
            place: None,
        }
    }
}
