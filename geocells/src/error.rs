//! What can go wrong in this room.

use std::path::PathBuf;

/// The result of anything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong with places, cells, partitions and their files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A latitude that is no latitude.
    #[error("latitude {latitude} is not between -90 and 90 degrees")]
    InvalidLatitude {
        /// What was given.
        latitude: f64,
    },
    /// A longitude that is no longitude.
    #[error("longitude {longitude} is not between -180 and 180 degrees")]
    InvalidLongitude {
        /// What was given.
        longitude: f64,
    },
    /// A length that is negative or not finite.
    #[error("{km} is not a length in kilometres; it must be finite and not negative")]
    InvalidLength {
        /// What was given.
        km: f64,
    },
    /// A level deeper than S2 goes.
    #[error("S2 level {s2_level} does not exist; the deepest is 30")]
    InvalidS2Level {
        /// What was given.
        s2_level: u8,
    },
    /// A string that names no S2 cell.
    #[error("{token:?} is not an S2 cell token (1 to 16 hexadecimal digits that name a cell)")]
    InvalidToken {
        /// What was given, cut at 40 characters.
        token: String,
    },
    /// A number that names no S2 cell.
    #[error("{id:#018x} is not an S2 cell id")]
    InvalidId {
        /// What was given.
        id: u64,
    },
    /// Partition parameters that contradict each other.
    #[error("cannot partition: {reason}")]
    InvalidConfig {
        /// The parameter, and what to set it to.
        reason: String,
    },
    /// No coordinates at all.
    #[error("cannot partition zero photos; give coordinates of at least a few hundred")]
    NoPoints,
    /// No cell of some level keeps a photo.
    #[error(
        "no cell holds more than t_min = {t_min} of the {points} photos at t_max = {t_max}; lower --t-min or add photos"
    )]
    EmptyLevel {
        /// The threshold that every cell failed.
        t_min: u64,
        /// The level's splitting threshold.
        t_max: u64,
        /// How many photos there were.
        points: u64,
    },
    /// More photos than the builder can number.
    #[error("cannot partition {points} photos at once; the most is {max}")]
    TooManyPoints {
        /// How many were given.
        points: usize,
        /// The most that are accepted.
        max: u64,
    },
    /// A partition without cells.
    #[error("a partition needs at least one geocell")]
    EmptyPartition,
    /// Two cells of one partition overlap.
    #[error("geocells {first} and {second} of one partition overlap; every place must have at most one cell")]
    OverlappingCells {
        /// One of them.
        first: crate::GeocellId,
        /// The other.
        second: crate::GeocellId,
    },
    /// A hierarchy without levels.
    #[error("a hierarchy needs at least one partition, coarsest first")]
    EmptyHierarchy,
    /// Partitions in the wrong order.
    #[error(
        "partitions must come coarsest first, but t_max = {coarse} at level {level} is followed by t_max = {fine}"
    )]
    LevelsOutOfOrder {
        /// The level of the first of the two.
        level: usize,
        /// Its t_max.
        coarse: u64,
        /// The next level's t_max.
        fine: u64,
    },
    /// A cell without an ancestor at the next coarser level.
    #[error(
        "geocell {cell} of level {level} lies in no geocell of level {}; build all levels from the same photos with one t_min",
        level - 1
    )]
    NotNested {
        /// The level of the cell.
        level: usize,
        /// The cell.
        cell: crate::GeocellId,
    },
    /// A row of a cells file that cannot be used.
    #[error("{}, line {line}: {reason}", path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file whose contents are not what was expected.
    #[error("{}: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A CSV file without latitude and longitude columns.
    #[error(
        "{}: no {missing} column among [{}]; name the columns latitude and longitude (or lat and lon)",
        path.display(),
        seen.join(", ")
    )]
    NoCoordinateColumns {
        /// The file.
        path: PathBuf,
        /// Which one is missing.
        missing: &'static str,
        /// The columns that it has.
        seen: Vec<String>,
    },
    /// Latitude and longitude are the wrong way round.
    #[error(
        "{}: latitude and longitude look swapped: {impossible} of {rows} rows have a latitude beyond 90 degrees that would be a longitude; swap the column names",
        path.display()
    )]
    SwappedCoordinates {
        /// The file.
        path: PathBuf,
        /// Rows whose latitude is impossible and whose coordinates are fine the other way round.
        impossible: u64,
        /// Rows with two numbers.
        rows: u64,
    },
    /// No errors to summarise.
    #[error("cannot summarise the accuracy of zero predictions")]
    NoPredictions,
    /// Reading or writing a file failed; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
