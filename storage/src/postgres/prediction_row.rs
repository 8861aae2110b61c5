//! A prediction as it stands in its tables.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::row::{geocell, json, location, number, place, undecodable};
use crate::{Candidate, CredibleRegion, LevelCell, Prediction, ReleaseId};

/// Kilometres of the five thresholds, which name the probabilities of `within`.
pub(super) const WITHIN_KM: [u32; 5] = [1, 25, 200, 750, 2500];

/// A row of `predictions`.
#[derive(FromRow)]
pub(super) struct PredictionRow {
    pub(super) id: Uuid,
    pub(super) release: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) photo_sha256: String,
    pub(super) file_name: Option<String>,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) confidence: f64,
    pub(super) within: serde_json::Value,
    pub(super) entropy: f64,
    pub(super) cannot_tell: Option<String>,
    pub(super) credible_region: serde_json::Value,
    pub(super) references: serde_json::Value,
    pub(super) timings: serde_json::Value,
    pub(super) client: Option<String>,
    pub(super) shadow_of: Option<Uuid>,
    pub(super) continent: Option<String>,
    pub(super) country_code: Option<String>,
    pub(super) country: Option<String>,
    pub(super) region: Option<String>,
    pub(super) locality: Option<String>,
}

/// A row of `prediction_candidates` or `prediction_levels`.
pub(super) struct CellRow {
    pub(super) prediction: Uuid,
    /// Rank or level.
    pub(super) place: i64,
    pub(super) token: String,
    pub(super) probability: f64,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

/// Puts the rows of predictions together, in the order of `rows`.
pub(super) fn assemble(
    rows: Vec<PredictionRow>,
    candidates: Vec<CellRow>,
    levels: Vec<CellRow>,
) -> Result<Vec<Prediction>, sqlx::Error> {
    let mut candidates = by_prediction(candidates);
    let mut levels = by_prediction(levels);
    rows.into_iter()
        .map(|row| {
            let candidates = candidates.remove(&row.id).unwrap_or_default();
            let levels = levels.remove(&row.id).unwrap_or_default();
            let mut prediction = Prediction::try_from(row)?;
            prediction.candidates = candidates
                .into_iter()
                .map(Candidate::try_from)
                .collect::<Result<_, _>>()?;
            prediction.levels = levels
                .into_iter()
                .map(LevelCell::try_from)
                .collect::<Result<_, _>>()?;
            Ok(prediction)
        })
        .collect()
}

fn by_prediction(rows: Vec<CellRow>) -> HashMap<Uuid, Vec<CellRow>> {
    let mut found: HashMap<Uuid, Vec<CellRow>> = HashMap::new();
    for row in rows {
        found.entry(row.prediction).or_default().push(row);
    }
    found
}

/// The probabilities of `within` by their distances.
pub(super) fn within_by_km(within: [f64; 5]) -> BTreeMap<u32, f64> {
    WITHIN_KM.into_iter().zip(within).collect()
}

impl TryFrom<PredictionRow> for Prediction {
    type Error = sqlx::Error;

    fn try_from(row: PredictionRow) -> Result<Self, sqlx::Error> {
        let probabilities: BTreeMap<u32, f64> = json("within", row.within)?;
        let mut within = [0.0; 5];
        for (probability, km) in within.iter_mut().zip(WITHIN_KM) {
            *probability = *probabilities
                .get(&km)
                .ok_or_else(|| undecodable("within", format!("no probability within {km} km")))?;
        }
        let credible_region: CredibleRegion = json("credible_region", row.credible_region)?;
        Ok(Prediction {
            id: row.id,
            shadow_of: row.shadow_of,
            release: ReleaseId::new(row.release)
                .map_err(|error| undecodable("release", error.to_string()))?,
            created_at: row.created_at,
            photo_sha256: row.photo_sha256,
            file_name: row.file_name,
            location: location(row.latitude, row.longitude)?,
            place: place(
                row.continent,
                row.country_code,
                row.country,
                row.region,
                row.locality,
            ),
            confidence: row.confidence,
            within,
            entropy: row.entropy,
            cannot_tell: row.cannot_tell,
            credible_region,
            candidates: Vec::new(),
            levels: Vec::new(),
            references: json("references", row.references)?,
            timings: json("timings", row.timings)?,
            client: row.client,
        })
    }
}

impl TryFrom<CellRow> for Candidate {
    type Error = sqlx::Error;

    fn try_from(row: CellRow) -> Result<Self, sqlx::Error> {
        Ok(Candidate {
            token: geocell(&row.token)?,
            probability: row.probability,
            location: location(row.latitude, row.longitude)?,
        })
    }
}

impl TryFrom<CellRow> for LevelCell {
    type Error = sqlx::Error;

    fn try_from(row: CellRow) -> Result<Self, sqlx::Error> {
        Ok(LevelCell {
            level: number("level", row.place)?,
            token: geocell(&row.token)?,
            probability: row.probability,
            location: location(row.latitude, row.longitude)?,
        })
    }
}
