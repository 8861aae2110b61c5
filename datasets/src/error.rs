//! What can go wrong with photographs and manifests, in words that say what to do next.

use std::path::{Path, PathBuf};

use crate::ImportReport;

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// This crate's error. Every variant names the file; [`Error::reason`] is the stable code that reports carry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done with it, as a verb.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A file that a manifest or a command names does not exist.
    #[error("{} does not exist; {remedy}", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },

    /// A file without a byte.
    #[error("{} is empty (0 bytes); restore it from its source", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// The content is no image of any known kind.
    #[error("{} is not an image: its first bytes belong to no known image format", .path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },

    /// An image of a kind that cannot be decoded here.
    #[error("{} is {format}, an unsupported image format{note}; convert it to JPEG or PNG", .path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// The format's name, such as `HEIC`.
        format: String,
        /// What is known of the file all the same, such as its place; starts with a space or is empty.
        note: String,
    },

    /// The image has more pixels than [`crate::DecodeLimits`] allows. Nothing was allocated for it.
    #[error(
        "{} is {width} x {height} pixels ({} million), above the limit of {} million; scale it down or raise the pixel limit",
        .path.display(), .width * .height / 1_000_000, .max_pixels / 1_000_000
    )]
    TooManyPixels {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
        /// The limit in pixels.
        max_pixels: u64,
    },

    /// The decoder would need more memory than [`crate::DecodeLimits`] allows.
    #[error("{} needs too much memory: {detail}; scale it down or raise the pixel limit", .path.display())]
    TooCostly {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        detail: String,
    },

    /// The file has more bytes than [`crate::DecodeLimits`] allows. It was not read.
    #[error("{} has {bytes} bytes, above the limit of {max_bytes}; compress it or raise the byte limit", .path.display())]
    TooManyBytes {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        max_bytes: u64,
    },

    /// The image ends before its last pixel.
    #[error("{} is truncated: {detail}; copy it again from its source", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        detail: String,
    },

    /// The image's data contradict its format.
    #[error("{} is corrupt: {detail}; copy it again from its source", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        detail: String,
    },

    /// A segmentation map that is not one.
    #[error("{} is not a segmentation map: {detail}; a map is an 8-bit single-channel image of ADE20K ids 0 to 149, or 255 for unlabelled", .path.display())]
    BadSegmentation {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },

    /// The photo has no place in its EXIF.
    #[error("{} has no GPS position: {detail}; give its place in a CSV", .path.display())]
    NoGps {
        /// The file.
        path: PathBuf,
        /// What is missing.
        detail: String,
    },

    /// The photo has a place in its EXIF that cannot be one.
    #[error("{} has an unusable GPS position: {detail}; correct its EXIF or give its place in a CSV", .path.display())]
    BadGps {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },

    /// A row of a manifest that cannot be used.
    #[error("{}, {position}: {detail}", .path.display())]
    BadRow {
        /// The manifest.
        path: PathBuf,
        /// Where in it, such as `line 17`.
        position: String,
        /// What is wrong.
        detail: String,
    },

    /// A manifest that cannot be read as one.
    #[error("{} is not a usable manifest: {detail}", .path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong and what to do.
        detail: String,
    },

    /// The same content as a photo seen before.
    #[error("duplicate of {}{}", .of.display(), elsewhere(*.apart_km))]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The photo that was kept.
        of: PathBuf,
        /// How far apart the two are said to have been taken, in kilometres.
        apart_km: f64,
    },

    /// No photo is left to work with.
    #[error("{detail}")]
    NoPhotos {
        /// Where was looked, why nothing was found, and what to do.
        detail: String,
    },

    /// None of the photos that an import was given can be used.
    #[error("{detail}")]
    NothingImported {
        /// Where was looked, the reasons counted, and the first in full.
        detail: String,
        /// Every photo and row with its reason.
        report: Box<ImportReport>,
    },

    /// The photos cannot be divided into two sides without one group of photos on both.
    #[error("the photos cannot be split: {detail}")]
    Unsplittable {
        /// Why, and what to do.
        detail: String,
    },

    /// A setting that has no meaning.
    #[error("{setting} is {value}, but must be {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },

    /// A place or geocell that the Earth does not have.
    #[error(transparent)]
    Geocells(#[from] geocells::Error),
}

impl Error {
    /// The stable code of this error's kind, for reports and programs: `"truncated"`, `"no-gps"`, `"too-large"` and so on.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "unreadable",
            Self::Missing { .. } => "missing-file",
            Self::Empty { .. } => "empty-file",
            Self::NotAnImage { .. } => "not-an-image",
            Self::UnsupportedFormat { .. } => "unsupported-format",
            Self::TooManyPixels { .. } | Self::TooCostly { .. } | Self::TooManyBytes { .. } => "too-large",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { .. } => "corrupt",
            Self::BadSegmentation { .. } => "bad-segmentation",
            Self::NoGps { .. } => "no-gps",
            Self::BadGps { .. } => "bad-gps",
            Self::BadRow { .. } => "bad-row",
            Self::BadManifest { .. } => "bad-manifest",
            Self::Duplicate { .. } => "duplicate",
            Self::NoPhotos { .. } | Self::NothingImported { .. } => "no-photos",
            Self::Unsplittable { .. } => "unsplittable",
            Self::Setting { .. } => "bad-setting",
            Self::Geocells(_) => "bad-place",
        }
    }

    /// Wraps an I/O error with the file and what was being done.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }
}

/// Says that two copies of a photo contradict each other about its place.
fn elsewhere(apart_km: f64) -> String {
    if apart_km < 0.1 {
        String::new()
    } else {
        format!(", which has another place, {apart_km:.1} km away")
    }
}
