//! `Prediction`: one answered photo.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Json, SimpleObject};
use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng, THRESHOLDS};
use serde_json::json;
use storage::ReleaseId;
use uuid::Uuid;

use super::geocell::{Geocell, outline};
use super::loaders::{self, ReferenceKey};
use super::reference::ReferenceImage;
use super::release::Release;
use super::scalars::{GeoJson, Location, Place};
use super::service;
use crate::request_error::RequestError;

/// Where a photo was taken, with the uncertainty of the answer and the evidence for it.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct Prediction {
    /// Its id, in order of time.
    pub id: ID,
    /// Id of the release that answered.
    pub release_id: ID,
    /// When it was answered.
    pub created_at: DateTime<Utc>,
    /// SHA-256 of the photo, in hexadecimal.
    pub photo_sha256: String,
    /// The photo's file name, if the client gave one.
    pub file_name: Option<String>,
    /// What people call the place; null at sea. The names are the real Earth's, also when the model was trained on another planet.
    pub place: Option<Place>,
    /// The place: the mean place of the winning geocell's training photos.
    pub location: Location,
    /// Probability that the true place lies in the winning geocell, 0 to 1.
    pub confidence: f64,
    /// Probability that the true place is within each of five distances from `location`.
    pub within: Vec<WithinDistance>,
    /// Entropy of the posterior over the finest geocells, in nats: 0 is certainty.
    pub entropy: f64,
    /// Upper bound of the probability outside the candidates that were scored, 0 to 1. Null for a prediction read from
    /// the record.
    pub outside_mass: Option<f64>,
    /// Why no place should be claimed; null for an answer to trust. The best guess is given all the same.
    pub cannot_tell: Option<String>,
    /// The best geocell of each level, coarsest first. Null for a prediction read from the record.
    pub levels: Option<Vec<LevelAnswer>>,
    /// What the photo shows: classes by their share of the pixels, largest first. Null for a prediction read from the
    /// record, empty without a segmentation map.
    pub scene: Option<Vec<ClassShare>>,
    /// Where the time went.
    pub timings: Vec<StageTiming>,
    /// Who asked, as far as is known.
    pub client: Option<String>,
    #[graphql(skip)]
    release: ReleaseId,
    #[graphql(skip)]
    key: Uuid,
    #[graphql(skip)]
    at: LatLng,
    #[graphql(skip)]
    all_candidates: Arc<[Candidate]>,
    #[graphql(skip)]
    region: CredibleRegion,
    #[graphql(skip)]
    supporting: Arc<[storage::ImageReference]>,
}

#[ComplexObject]
impl Prediction {
    /// The release that answered.
    async fn release(&self, ctx: &Context<'_>) -> async_graphql::Result<Release> {
        let release = loaders::releases(ctx)?.load_one(self.release.clone()).await?;
        Ok(release
            .ok_or_else(|| RequestError::not_found(format!("release {}", self.release)))?
            .into())
    }

    /// The most probable finest geocells, best first; the first is the answer.
    #[graphql(complexity = "10 * child_complexity")]
    async fn candidates(&self, #[graphql(default = 10)] first: usize) -> Vec<Candidate> {
        self.all_candidates.iter().take(first).cloned().collect()
    }

    /// The smallest set of finest geocells that holds 90 % of the probability.
    async fn credible_region(&self) -> &CredibleRegion {
        &self.region
    }

    /// Reference images inside the winning geocells, most alike first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn references(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<SupportingReference>> {
        let key = |id: Uuid| ReferenceKey {
            release: self.release.clone(),
            id,
        };
        let keys = self.supporting.iter().map(|reference| key(reference.id));
        let mut images = loaders::references(ctx)?.load_many(keys).await?;
        let found = self.supporting.iter().filter_map(|reference| {
            let image = images.remove(&key(reference.id))?;
            Some(SupportingReference {
                likeness: reference.similarity,
                distance_kilometres: self.at.distance(image.location).get(),
                image: ReferenceImage::new(&self.release, &image),
            })
        });
        Ok(found.collect())
    }

    /// Where the photo was really taken, when someone said so.
    async fn ground_truth(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<GroundTruth>> {
        let truth = loaders::ground_truths(ctx)?.load_one(self.key).await?;
        Ok(truth.map(|truth| GroundTruth {
            error_kilometres: self.at.distance(truth.location).get(),
            place: truth.place.map(Into::into),
            location: truth.location.into(),
            source: truth.source,
            recorded_at: truth.created_at,
        }))
    }

    /// Place and credible region as a GeoJSON FeatureCollection, for any map.
    async fn geojson(&self) -> GeoJson {
        let mut features = vec![json!({
            "type": "Feature",
            "geometry": {
                "type": "Point",
                "coordinates": [self.at.longitude(), self.at.latitude()],
            },
            "properties": { "kind": "place", "prediction": self.id, "confidence": self.confidence },
        })];
        features.extend(self.region.features());
        Json(json!({ "type": "FeatureCollection", "features": features }))
    }
}

/// A probability by distance.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct WithinDistance {
    /// Great-circle distance from the answer, in kilometres.
    pub kilometres: f64,
    /// The field's name for it: street, city, region, country, continent.
    pub name: String,
    /// Probability that the true place is within it, 0 to 1.
    pub probability: f64,
}

/// A finest geocell that was considered.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct Candidate {
    /// 1 for the answer.
    pub rank: usize,
    /// S2 token of the finest geocell.
    pub token: String,
    /// Posterior probability, 0 to 1.
    pub probability: f64,
    /// Mean place of the cell's training photos.
    pub location: Location,
    /// Match at each level of the path, coarsest first. Null for a prediction read from the record.
    pub path: Option<Vec<LevelMatch>>,
    #[graphql(skip)]
    release: ReleaseId,
    #[graphql(skip)]
    cell: GeocellId,
}

#[ComplexObject]
impl Candidate {
    /// The geocell, with its relatives and outline.
    async fn geocell(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Geocell>> {
        let index = service(ctx)?.geocells(&self.release).await?;
        let level = index.levels().checked_sub(1);
        Ok(index
            .find(self.cell, level)
            .map(|record| Geocell::new(&self.release, &index, record)))
    }
}

/// How well the photo matches one geocell of a path, taken by itself.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct LevelMatch {
    /// 0 is the coarsest.
    pub level: usize,
    /// S2 token.
    pub token: String,
    /// Cosine of visual and geographic embedding, -1 to 1.
    pub cosine: f64,
    /// Softmax of cosine / temperature over all geocells of the level, 0 to 1.
    pub probability: f64,
}

/// The best geocell of one level, by the path down to it.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct LevelAnswer {
    /// 0 is the coarsest.
    pub level: usize,
    /// S2 token.
    pub token: String,
    /// Mean place of its training photos.
    pub location: Location,
    /// Training photos in it.
    pub photos: u64,
    /// Posterior probability over the level's geocells given the path down to it, 0 to 1.
    pub probability: f64,
    /// Upper bound of the probability outside the level's candidates that were scored, 0 to 1.
    pub outside_mass: f64,
}

/// The smallest set of finest geocells that holds a wanted probability.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct CredibleRegion {
    /// The probability that its cells hold, 0 to 1.
    pub mass: f64,
    /// Their area together, in square kilometres.
    pub area_km2: f64,
    /// Their S2 tokens, most probable first.
    pub tokens: Vec<String>,
    #[graphql(skip)]
    cells: Vec<GeocellId>,
}

#[ComplexObject]
impl CredibleRegion {
    /// Its cells as a GeoJSON FeatureCollection of polygons, cut at the 180th meridian.
    async fn geojson(&self) -> GeoJson {
        Json(json!({ "type": "FeatureCollection", "features": self.features() }))
    }
}

impl CredibleRegion {
    fn new(mass: f64, area_km2: f64, cells: Vec<GeocellId>) -> Self {
        Self {
            mass,
            area_km2,
            tokens: cells.iter().map(|cell| cell.token()).collect(),
            cells,
        }
    }

    fn features(&self) -> Vec<serde_json::Value> {
        let feature = |cell: &GeocellId| {
            json!({
                "type": "Feature",
                "geometry": outline(*cell),
                "properties": { "kind": "credible-region", "token": cell.token() },
            })
        };
        self.cells.iter().map(feature).collect()
    }
}

/// A reference image that supports an answer.
#[derive(Debug, Clone, SimpleObject)]
pub struct SupportingReference {
    /// Cosine of its visual embedding and the photo's, -1 to 1.
    pub likeness: f64,
    /// Great-circle distance from the predicted place, in kilometres.
    pub distance_kilometres: f64,
    /// The reference image.
    pub image: ReferenceImage,
}

/// The share of a photo's pixels that carry one ADE20K class.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ClassShare {
    /// ADE20K class id, 0 to 149.
    pub class: u8,
    /// Its name.
    pub name: String,
    /// Fraction of the pixels, 0 to 1.
    pub share: f64,
}

/// Time of one stage. Stages that serve several photos at once are divided among them.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct StageTiming {
    /// The stage: queue, decode, preprocess, segment, encode, search, references, total.
    pub stage: String,
    /// Milliseconds.
    pub milliseconds: f64,
}

/// Where a predicted photo was really taken.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct GroundTruth {
    /// What people call the true place; null at sea.
    pub place: Option<Place>,
    /// The true place.
    pub location: Location,
    /// Great-circle distance between it and the prediction, in kilometres.
    pub error_kilometres: f64,
    /// Who says so.
    pub source: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}

impl From<storage::Prediction> for Prediction {
    fn from(record: storage::Prediction) -> Self {
        let candidate = |(index, candidate): (usize, &storage::Candidate)| Candidate {
            rank: index + 1,
            token: candidate.token.token(),
            probability: candidate.probability,
            location: candidate.location.into(),
            path: None,
            release: record.release.clone(),
            cell: candidate.token,
        };
        let within = THRESHOLDS
            .iter()
            .zip(record.within)
            .map(|(threshold, probability)| WithinDistance {
                kilometres: threshold.km.get(),
                name: threshold.name.to_owned(),
                probability,
            });
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
            levels: None,
            scene: None,
            timings: stages(&record.timings),
            client: record.client,
            all_candidates: record.candidates.iter().enumerate().map(candidate).collect(),
            region: CredibleRegion::new(region.probability, region.area_km2, region.geocells),
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
    pub(super) fn fresh(record: storage::Prediction, answer: retrieval::Prediction) -> Self {
        let mut prediction = Self::from(record);
        let path = |candidate: retrieval::Candidate| {
            let level = |one: retrieval::LevelMatch| LevelMatch {
                level: one.level,
                token: one.token.token(),
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
            token: one.token.token(),
            location: one.location.into(),
            photos: one.photos,
            probability: one.probability,
            outside_mass: one.outside_mass,
        };
        prediction.levels = Some(answer.levels.into_iter().map(level).collect());
        let share = |one: retrieval::ClassShare| ClassShare {
            class: one.class,
            name: one.name,
            share: one.share,
        };
        prediction.scene = Some(answer.segmentation.into_iter().map(share).collect());
        prediction.outside_mass = Some(answer.outside_mass);
        prediction
    }
}

/// Stages in the order in which they happen.
fn stages(timings: &std::collections::BTreeMap<String, f64>) -> Vec<StageTiming> {
    const ORDER: [&str; 8] = [
        "queue",
        "decode",
        "preprocess",
        "segment",
        "encode",
        "search",
        "references",
        "total",
    ];
    let known = ORDER.iter().filter_map(|stage| timings.get_key_value(*stage));
    let other = timings
        .iter()
        .filter(|(stage, _)| !ORDER.contains(&stage.as_str()));
    known
        .chain(other)
        .map(|(stage, milliseconds)| StageTiming {
            stage: stage.clone(),
            milliseconds: *milliseconds,
        })
        .collect()
}
