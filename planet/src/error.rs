//! What can go wrong while making a planet or writing its photographs.

use std::path::PathBuf;

/// The result of an operation on a planet.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that this crate refuses or fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside the range that it can have.
    #[error("planet setting `{setting}` is {value}; {remedy}")]
    Setting {
        /// The name of the field of [`PlanetConfig`](crate::PlanetConfig).
        setting: &'static str,
        /// The value that was given.
        value: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The seed's continents have no room for so many cities.
    #[error("the land has room for {found} of {wanted} cities; ask for fewer cities or take another seed")]
    NoRoom {
        /// Cities asked for.
        wanted: usize,
        /// Cities that found a place.
        found: usize,
    },
    /// The folder already holds the photographs of another planet.
    #[error("{} holds a planet with other settings; choose another folder or remove it first", .0.display())]
    OtherPlanet(PathBuf),
    /// The folder has no planet but isn't empty either.
    #[error("{} is not empty and holds no planet; choose an empty folder", .0.display())]
    Occupied(PathBuf),
    /// Reading or writing a file failed; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An image could not be encoded.
    #[error("cannot encode {}: {source}", path.display())]
    Encode {
        /// The file that was to be written.
        path: PathBuf,
        /// The encoder's reason.
        source: image::ImageError,
    },
    /// The description of the planet beside its photographs could not be read or written.
    #[error("cannot read {}: {source}; remove the folder and render again", path.display())]
    Description {
        /// The file concerned.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A place on the planet was refused by the geographic types.
    #[error(transparent)]
    Geography(#[from] geocells::Error),
    /// The manifest of photographs could not be written or read.
    #[error(transparent)]
    Dataset(#[from] datasets::Error),
}
