//! S2 partitions of the Earth, their hierarchy, great-circle distance and the five-threshold metrics.
//!
//! The lowest room of the house: no tensors, no network, and no files but its own formats.
//!
//! | idea | where |
//! | --- | --- |
//! | a checked place and great-circle distance | [`LatLng`], [`Kilometres`] |
//! | a checked S2 cell id | [`GeocellId`] |
//! | the geocells of one granularity | [`Partition`], [`Geocell`] |
//! | all granularities, with parent links | [`Hierarchy`] |
//! | how a hierarchy is built from coordinates | [`PartitionConfig`] |
//! | the field's cell files | [`read_cells`], [`write_cells`] |
//! | coordinates from any of the field's CSV files | [`read_coordinates`] |
//! | naming the geocell of every row of a CSV file | [`assign`] |
//! | accuracy at the field's five thresholds | [`Accuracy`], [`THRESHOLDS`] |

mod assign;
mod atomic_file;
mod build;
mod cells_csv;
mod config;
mod coordinate_rows;
mod coordinates;
mod error;
mod geocell_id;
mod hierarchy;
mod hierarchy_dir;
mod kilometres;
mod latlng;
mod leaf_id;
mod leaf_ids;
mod leaf_sum;
mod mean;
mod metrics;
mod partition;

pub use assign::{AssignSummary, assign};
pub use cells_csv::{cells_file_name, parse_cells, read_cells, write_cells};
pub use config::{LocationKind, PartitionConfig};
pub use coordinates::{
    CoordinateColumns, Coordinates, SkippedRow, find_coordinate_columns, read_coordinates,
    read_coordinates_strict,
};
pub use error::{Error, Result};
pub use geocell_id::{GeocellId, MAX_S2_LEVEL};
pub use hierarchy::Hierarchy;
pub use kilometres::Kilometres;
pub use latlng::{EARTH_RADIUS_KM, LatLng};
pub use mean::{plain_mean, spherical_mean};
pub use metrics::{Accuracy, THRESHOLDS, Threshold};
pub use partition::{Geocell, Partition};
