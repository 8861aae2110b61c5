//! The answer to a photograph, as programs and people receive it.

use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
use places::PlaceName;
use serde::{Deserialize, Serialize};
use storage::ReleaseId;
use uuid::Uuid;

use crate::posterior::Within;

/// Where a photograph was taken, with its uncertainty and the evidence for it.
///
/// Probabilities are lower bounds: they are normalised with the largest mass that the cells outside the
/// retrieved candidates could hold, which [`Prediction::outside_mass`] states. When all cells were scored it is zero
/// and every probability is exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Time-ordered id (UUID version 7).
    pub id: Uuid,
    /// The release that answered: encoder, calibration and index all come from it.
    pub release: ReleaseId,
    /// When it was answered.
    pub created_at: DateTime<Utc>,
    /// What people call the place; `None` at sea.
    pub place: Option<PlaceName>,
    /// The place: the location of the answer's finest geocell, in degrees.
    pub location: LatLng,
    /// Probability that the true place lies in the answer's finest geocell.
    pub confidence: f64,
    /// Calibrated probability that the true place is within 1, 25, 200, 750 and 2,500 km of `location`.
    pub within: Within,
    /// The best finest geocells, best first; the first one is the answer.
    pub candidates: Vec<Candidate>,
    /// The best geocell of each level, coarsest first.
    pub levels: Vec<LevelAnswer>,
    /// The smallest set of finest geocells that holds the wanted mass.
    pub credible_region: CredibleRegion,
    /// Entropy of the posterior over the finest cells, in nats (the mass outside the candidates counts as one lump).
    pub entropy: f64,
    /// Upper bound of the probability outside the retrieved candidates.
    pub outside_mass: f64,
    /// How the answer was chosen.
    pub scoring: Scoring,
    /// Whether no cell outside the retrieved candidates can have a higher score than the answer.
    pub certain_best: bool,
    /// Nearest reference images by visual embedding inside the winning cells, most alike first.
    pub references: Vec<Reference>,
    /// Why no place should be claimed, when the confidence is too low; the best guess is given all the same.
    pub cannot_tell: Option<String>,
    /// Share of the photo's pixels by class, largest first; empty without a segmentation map.
    pub segmentation: Vec<ClassShare>,
    /// Where the time went, in milliseconds.
    pub timings: Timings,
}

/// How the similarities along a path become one score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scoring {
    /// The product over levels of the softmax probabilities: one inner product with the path embedding.
    #[default]
    Probability,
    /// The product over levels of (1 + cosine) / 2: candidates by path embedding, rescored exactly.
    Cosine,
}

/// A finest geocell with its score and probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// 1 for the answer.
    pub rank: usize,
    /// S2 token of the finest geocell.
    pub token: GeocellId,
    /// Posterior probability (lower bound).
    pub probability: f64,
    /// Inner product with the path embedding, or with [`Scoring::Cosine`] the logarithm of the product.
    pub score: f64,
    /// Spherical mean of the cell's training photos.
    pub location: LatLng,
    /// Training photos in the cell.
    pub photos: u64,
    /// Match at each level of the path, coarsest first.
    pub path: Vec<LevelMatch>,
}

/// How well the photo matches one geocell at one level, taken by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelMatch {
    /// 0 is the coarsest.
    pub level: usize,
    /// S2 token of the path's geocell at this level.
    pub token: GeocellId,
    /// Cosine of visual and geographic embedding.
    pub cosine: f64,
    /// Softmax of cosine / temperature over all geocells of the level.
    pub probability: f64,
}

/// The best geocell of one level, by the path down to that level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelAnswer {
    /// 0 is the coarsest.
    pub level: usize,
    /// S2 token.
    pub token: GeocellId,
    /// Its location.
    pub location: LatLng,
    /// Training photos in the cell.
    pub photos: u64,
    /// Posterior probability over the level's cells given the path down to this level (lower bound).
    pub probability: f64,
    /// Upper bound of the probability outside the level's retrieved candidates.
    pub outside_mass: f64,
}

/// The smallest set of finest geocells that holds a wanted mass of the posterior.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CredibleRegion {
    /// The mass that was asked for.
    pub wanted: f64,
    /// The calibrated probability that the cells hold the truth (lower bound); below `wanted` when the candidates do not hold it.
    /// Without a calibration of regions it is the sum of the cells' probabilities.
    pub mass: f64,
    /// Its cells, most probable first.
    pub cells: Vec<RegionCell>,
    /// Their total area in square kilometres.
    pub area_km2: f64,
}

/// A cell of the credible region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionCell {
    /// S2 token.
    pub token: GeocellId,
    /// Posterior probability (lower bound).
    pub probability: f64,
}

/// A reference image that supports the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Id of the reference image in the release.
    pub id: Uuid,
    /// File of the photo, as recorded when the release was built.
    pub path: String,
    /// Where it was taken.
    pub location: LatLng,
    /// Its finest geocell; outside the partition, the leaf cell of its place.
    pub token: GeocellId,
    /// Cosine of the two visual embeddings.
    pub likeness: f64,
    /// Distance from the predicted place.
    pub distance_km: f64,
    /// When it was taken, where known.
    pub captured_at: Option<DateTime<Utc>>,
}

/// Share of a photo's pixels that carry one ADE20K class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassShare {
    /// ADE20K class id, 0-based.
    pub class: u8,
    /// Its name.
    pub name: String,
    /// Fraction of the pixels.
    pub share: f64,
}

/// Milliseconds by stage. Stages that serve a batch are divided by its photos.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Bytes to pixels (zero when the caller decoded).
    pub decode_ms: f64,
    /// Resize, crop, normalise.
    pub preprocess_ms: f64,
    /// Segmentation map.
    pub segment_ms: f64,
    /// Visual embedding.
    pub encode_ms: f64,
    /// Path searches and posterior.
    pub search_ms: f64,
    /// Reference images.
    pub references_ms: f64,
    /// All stages.
    pub total_ms: f64,
}
