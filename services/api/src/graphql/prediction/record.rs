//! From a record, or a fresh answer, to what clients see.

use std::collections::BTreeMap;

use async_graphql::ID;
use geocells::THRESHOLDS;

use super::{Candidate, LevelAnswer, LevelMatch, Prediction, RecordedRegion, StageTiming, WithinDistance};
use crate::graphql::scalars::Token;
use crate::graphql::segmentation::ClassShare;
use crate::metrics::STAGES;

impl From<storage::Prediction> for Prediction {
    fn from(record: storage::Prediction) -> Self {
        let candidate = |(index, candidate): (usize, &storage::Candidate)| Candidate {
            rank: index + 1,
            token: Token(candidate.token),
            probability: candidate.probability,
            location: candidate.location.into(),
            path: None,
            release: record.release.clone(),
            cell: candidate.token,
            at: candidate.location,
        };
        let within = THRESHOLDS
            .iter()
            .zip(record.within)
            .map(|(threshold, probability)| WithinDistance {
                kilometres: threshold.km.get(),
                name: threshold.name.to_owned(),
                probability,
            });
        let level = |level: &storage::LevelCell| LevelAnswer {
            level: level.level,
            token: Token(level.token),
            location: level.location.into(),
            photos: None,
            probability: level.probability,
            outside_mass: None,
            release: record.release.clone(),
            cell: level.token,
        };
        let levels: Vec<LevelAnswer> = record.levels.iter().map(level).collect();
        let region = record.credible_region;
        Self {
            id: ID(record.id.to_string()),
            release_id: ID(record.release.to_string()),
            created_at: record.created_at,
            photo_sha256: record.photo_sha256,
            file_name: record.file_name,
            location: record.location.into(),
            confidence: record.confidence,
            within: within.collect(),
            entropy: record.entropy,
            outside_mass: None,
            cannot_tell: record.cannot_tell,
            levels: Some(levels).filter(|levels| !levels.is_empty()),
            scene: None,
            timings: stages(&record.timings),
            client: record.client,
            all_candidates: record.candidates.iter().enumerate().map(candidate).collect(),
            region: RecordedRegion {
                mass: region.probability,
                area_km2: region.area_km2,
                cells: region.geocells,
            },
            supporting: record.references.into(),
            key: record.id,
            at: record.location,
            place: record.place.map(Into::into),
            release: record.release,
        }
    }
}

impl Prediction {
    /// A prediction that has just been made and recorded: the record, and what only the fresh answer knows.
    pub(in crate::graphql) fn fresh(record: storage::Prediction, answer: retrieval::Prediction) -> Self {
        let mut prediction = Self::from(record);
        let path = |candidate: retrieval::Candidate| {
            let level = |one: retrieval::LevelMatch| LevelMatch {
                level: one.level,
                token: Token(one.token),
                cosine: one.cosine,
                probability: one.probability,
            };
            candidate.path.into_iter().map(level).collect()
        };
        let paths: Vec<Vec<LevelMatch>> = answer.candidates.into_iter().map(path).collect();
        let with_path = |(candidate, path): (&Candidate, Vec<LevelMatch>)| Candidate {
            path: Some(path),
            ..candidate.clone()
        };
        prediction.all_candidates = prediction
            .all_candidates
            .iter()
            .zip(paths)
            .map(with_path)
            .collect();
        let level = |one: retrieval::LevelAnswer| LevelAnswer {
            level: one.level,
            token: Token(one.token),
            location: one.location.into(),
            photos: Some(one.photos),
            probability: one.probability,
            outside_mass: Some(one.outside_mass),
            release: prediction.release.clone(),
            cell: one.token,
        };
        prediction.levels = Some(answer.levels.into_iter().map(level).collect());
        prediction.scene = Some(answer.segmentation.into_iter().map(ClassShare::from).collect());
        prediction.outside_mass = Some(answer.outside_mass);
        prediction
    }
}

/// Stages in the order in which they happen.
fn stages(timings: &BTreeMap<String, f64>) -> Vec<StageTiming> {
    let known = STAGES.iter().filter_map(|stage| timings.get_key_value(*stage));
    let other = timings
        .iter()
        .filter(|(stage, _)| !STAGES.contains(&stage.as_str()));
    known
        .chain(other)
        .map(|(stage, milliseconds)| StageTiming {
            stage: stage.clone(),
            milliseconds: *milliseconds,
        })
        .collect()
}
