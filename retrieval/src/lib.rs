//! From a photograph to a prediction: hierarchical match, posterior, references.
//!
//! The core is pure: [`posterior`] turns path scores into probabilities with a rigorous bound, [`cosine`] rescores by
//! the literal product of similarities, [`inference`] makes an answer of candidates. [`ExactIndex`] scores
//! every geocell in memory; [`Localizer`] serves a release through a vector store. Both end in the same [`inference`],
//! so that the store's answer can be checked against exact inference.

mod cells;
mod checkpoints;
pub mod cosine;
mod error;
mod exact;
mod geojson;
pub mod inference;
mod localizer;
mod model;
pub mod posterior;
mod prediction;
mod query;
mod record;
pub mod references;
mod restriction;
mod searcher;

pub use cells::{CellTable, Spread};
pub use checkpoints::{Checkpoints, is_url};
pub use error::{Error, Result};
pub use exact::{ExactIndex, LevelMatches, Scored};
pub use geojson::{cell_polygon, to_geojson};
pub use inference::{Answer, InferenceOptions};
pub use localizer::{Localizer, OpenOptions, SEGMENTER};
pub use model::geographic_of;
/// How many views of a photo are encoded; the networks' own type.
pub use models::Crops;
pub use places::{ATTRIBUTION, PlaceName};
pub use posterior::{Posterior, Within};
pub use prediction::{
    Candidate, ClassShare, CredibleRegion, LevelAnswer, LevelMatch, Prediction, Reference, RegionCell,
    Scoring, Timings,
};
pub use query::{Detailed, EncodedPhoto, LocalizeOptions, Photo, Question, class_shares};
pub use record::place_record;
pub use references::ReferenceScope;
pub use restriction::{Contains, Restriction};
pub use searcher::{EMBEDDING, PATH, SearchModel, Searcher};
