//! Answered queries and what was really true.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, PlaceName, ReleaseId, Result};

/// One answered query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// A UUID of version 7 whose time is that of `created_at` (to an hour), so that ids are in order of time.
    pub id: Uuid,
    /// The prediction that this one shadows: an answer of a candidate release to the same photo, stored for comparison
    /// and never given to the client. `None` for an answer that was given.
    pub shadow_of: Option<Uuid>,
    /// The release that answered.
    pub release: ReleaseId,
    /// When, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// SHA-256 of the photo, in hexadecimal.
    pub photo_sha256: String,
    /// The photo's file name, if the client gave one.
    pub file_name: Option<String>,
    /// The answer.
    pub location: LatLng,
    /// What people call the answered place, where it is known.
    pub place: Option<PlaceName>,
    /// Posterior probability of the answered geocell.
    pub confidence: f64,
    /// Probability that the photo was taken within 1, 25, 200, 750 and 2500 km of the answer, in this order.
    pub within: [f64; 5],
    /// Entropy of the posterior, in nats.
    pub entropy: f64,
    /// Why there is no answer to trust; `None` for a normal answer.
    pub cannot_tell: Option<String>,
    /// The credible region.
    pub credible_region: CredibleRegion,
    /// The most probable finest geocells, best first.
    pub candidates: Vec<Candidate>,
    /// The best geocell of each level, coarsest first; empty where the retrieval does not say.
    pub levels: Vec<LevelCell>,
    /// The reference images that support the answer, most similar first.
    pub references: Vec<ImageReference>,
    /// Milliseconds by stage.
    pub timings: BTreeMap<String, f64>,
    /// Who asked, as far as is known.
    pub client: Option<String>,
}

/// The smallest set of geocells that holds a probability.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CredibleRegion {
    /// The probability it holds.
    pub probability: f64,
    /// Its geocells, most probable first.
    pub geocells: Vec<GeocellId>,
    /// Their area.
    pub area_km2: f64,
}

/// A geocell that was considered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The geocell.
    pub token: GeocellId,
    /// Its posterior probability.
    pub probability: f64,
    /// Its location.
    pub location: LatLng,
}

/// The best geocell of one level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelCell {
    /// Level of the hierarchy, 0 the coarsest.
    pub level: usize,
    /// The geocell.
    pub token: GeocellId,
    /// Its posterior probability among the level's geocells.
    pub probability: f64,
    /// Its location.
    pub location: LatLng,
}

/// A reference image that supports an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageReference {
    /// The reference image.
    pub id: Uuid,
    /// Cosine of its visual embedding with the photo's.
    pub similarity: f64,
}

/// Where a predicted photo was really taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroundTruth {
    /// The prediction.
    pub prediction: Uuid,
    /// The true place.
    pub location: LatLng,
    /// What people call the true place, where it is known.
    pub place: Option<PlaceName>,
    /// Who says so, e.g. `exif` or a person.
    pub source: String,
    /// When it was recorded, to the microsecond.
    pub created_at: DateTime<Utc>,
}

/// The S2 leaf cell of a true place, as a token of 16 digits: analytics compare it with the ranges of geocells.
pub(crate) fn leaf_of(place: LatLng) -> String {
    GeocellId::leaf(place).token()
}

/// Which predictions to list; an empty filter lists all that were given to clients, so no shadows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictionFilter {
    /// Answered by this release.
    pub release: Option<ReleaseId>,
    /// Of the photo with this SHA-256.
    pub photo_sha256: Option<String>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Not after.
    pub until: Option<DateTime<Utc>>,
    /// Only those that could not (`true`) or could (`false`) tell.
    pub cannot_tell: Option<bool>,
    /// Only those with (`true`) or without (`false`) ground truth.
    pub with_ground_truth: Option<bool>,
    /// Of this client.
    pub client: Option<String>,
    /// Whether answers of candidate releases are among them.
    pub shadows: Shadows,
}

/// Whether a list of predictions has the answers of candidate releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shadows {
    /// None of them.
    #[default]
    Without,
    /// Beside the answers that were given.
    With,
    /// Nothing else.
    Only,
    /// Only those that shadow this prediction.
    Of(Uuid),
}

/// How far the time of an id and `created_at` may lie apart. Predictions are filed by their id, and found by their time.
const ID_TOLERANCE_SECONDS: u64 = 3600;

impl Prediction {
    /// Checks that the id is of version 7 and of the time of `created_at`, and every number finite, probabilities between
    /// 0 and 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field.
    pub fn check(&self) -> Result<()> {
        if self.id.get_version_num() != 7 {
            return Err(Error::Invalid(format!(
                "prediction id {} is no UUID of version 7",
                self.id
            )));
        }
        let of_id = self.id.get_timestamp().map_or(0, |time| time.to_unix().0);
        if of_id.abs_diff(self.created_at.timestamp().unsigned_abs()) > ID_TOLERANCE_SECONDS {
            return Err(Error::Invalid(format!(
                "prediction {} was made at {} by its id and at {} by its time: make both from one clock",
                self.id,
                DateTime::from_timestamp(of_id as i64, 0).unwrap_or_default(),
                self.created_at
            )));
        }
        if self.shadow_of == Some(self.id) {
            return Err(Error::Invalid(format!(
                "prediction {} cannot shadow itself",
                self.id
            )));
        }
        if let Some(place) = &self.place {
            place.check()?;
        }
        let probability = |name: &str, value: f64| {
            if (-1e-6..=1.0 + 1e-6).contains(&value) {
                return Ok(());
            }
            Err(Error::Invalid(format!(
                "{name} is {value}: it must lie between 0 and 1"
            )))
        };
        probability("confidence", self.confidence)?;
        probability("credible_region.probability", self.credible_region.probability)?;
        for within in self.within {
            probability("within", within)?;
        }
        for candidate in &self.candidates {
            probability("candidate probability", candidate.probability)?;
        }
        for level in &self.levels {
            probability("level probability", level.probability)?;
        }
        let finite = |name: &str, value: f64| {
            if value.is_finite() {
                return Ok(());
            }
            Err(Error::Invalid(format!("{name} is {value}: it must be finite")))
        };
        finite("entropy", self.entropy)?;
        finite("credible_region.area_km2", self.credible_region.area_km2)?;
        for reference in &self.references {
            finite("reference similarity", reference.similarity)?;
        }
        for (stage, milliseconds) in &self.timings {
            finite(stage, *milliseconds)?;
        }
        Ok(())
    }
}
