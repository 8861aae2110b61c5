//! A prediction as the catalog keeps it.

use std::collections::BTreeMap;

use geocells::LatLng;
use places::{PlaceName, PlaceNamer};

use crate::prediction::{Prediction, Timings};

/// What people call a place, as the catalog keeps it; `None` at sea.
#[must_use]
pub fn place_record(location: LatLng) -> Option<storage::PlaceName> {
    PlaceNamer::shared().name(location).as_ref().map(to_record)
}

fn to_record(name: &PlaceName) -> storage::PlaceName {
    storage::PlaceName {
        continent: name.continent.clone(),
        country_code: name.country_code.clone(),
        country: name.country.clone(),
        region: name.region.clone(),
        locality: name.locality.clone(),
    }
}

impl Timings {
    /// Milliseconds by stage.
    #[must_use]
    pub fn by_stage(&self) -> BTreeMap<String, f64> {
        [
            ("decode", self.decode_ms),
            ("preprocess", self.preprocess_ms),
            ("segment", self.segment_ms),
            ("encode", self.encode_ms),
            ("search", self.search_ms),
            ("references", self.references_ms),
            ("total", self.total_ms),
        ]
        .into_iter()
        .map(|(stage, milliseconds)| (stage.to_owned(), milliseconds))
        .collect()
    }
}

impl Prediction {
    /// The record for the catalog. `photo_sha256`: of the photo's bytes, in hexadecimal; `client`: who asked.
    #[must_use]
    pub fn to_record(
        &self,
        photo_sha256: String,
        file_name: Option<String>,
        client: Option<String>,
    ) -> storage::Prediction {
        storage::Prediction {
            id: self.id,
            shadow_of: None,
            release: self.release.clone(),
            created_at: self.created_at,
            photo_sha256,
            file_name,
            location: self.location,
            place: self.place.as_ref().map(to_record),
            confidence: self.confidence,
            within: self.within.0,
            entropy: self.entropy,
            cannot_tell: self.cannot_tell.clone(),
            credible_region: storage::CredibleRegion {
                probability: self.credible_region.mass,
                geocells: self.credible_region.cells.iter().map(|cell| cell.token).collect(),
                area_km2: self.credible_region.area_km2,
            },
            candidates: self
                .candidates
                .iter()
                .map(|candidate| storage::Candidate {
                    token: candidate.token,
                    probability: candidate.probability,
                    location: candidate.location,
                })
                .collect(),
            levels: self
                .levels
                .iter()
                .map(|answer| storage::LevelCell {
                    level: answer.level,
                    token: answer.token,
                    probability: answer.probability,
                    location: answer.location,
                })
                .collect(),
            references: self
                .references
                .iter()
                .map(|reference| storage::ImageReference {
                    id: reference.id,
                    similarity: reference.likeness,
                })
                .collect(),
            timings: self.timings.by_stage(),
            client,
        }
    }
}
