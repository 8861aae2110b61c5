//! `Prediction`: one answered photo.

mod parts;
mod record;

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, Json, SimpleObject};
use chrono::{DateTime, Utc};
use geocells::{GeocellId, LatLng};
pub use parts::{
    Candidate, CredibleRegion, GroundTruth, LevelAnswer, LevelMatch, StageTiming, SupportingReference,
    WithinDistance,
};
use serde_json::json;
use storage::{ReleaseId, Scope};
use uuid::Uuid;

use super::geocell::{Geocell, outline};
use super::loaders::{self, ReferenceKey};
use super::options::{Scoring, mass};
use super::reference::ReferenceImage;
use super::release::Release;
use super::scalars::{GeoJson, Location, Place, Token};
use super::segmentation::{ClassShare, Segmentation};
use super::{caller, service};
use crate::caller::Caller;
use crate::details::Details;
use crate::request_error::{Code, RequestError};

/// Most cells of a level that are told of one photo.
const MOST_SCORES: i32 = 2000;

/// Where a photo was taken, with the uncertainty of the answer and the evidence for it.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub struct Prediction {
    /// Its id, in order of time.
    #[graphql(owned)]
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
    /// The best geocell of each level, coarsest first. Null where the record does not have them.
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
    region: RecordedRegion,
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

    /// How geocells were chosen. Null where the service no longer keeps the details.
    async fn scoring(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Scoring>> {
        Ok(self.details(ctx)?.map(|details| details.scoring.into()))
    }

    /// Whether the answer was restricted to an area. Null where the service no longer keeps the details.
    async fn restricted(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<bool>> {
        Ok(self.details(ctx)?.map(|details| details.restricted))
    }

    /// Whether this service still keeps the whole posterior and the segmentation map: of its last 256 answers, for an hour.
    async fn detailed(&self, ctx: &Context<'_>) -> async_graphql::Result<bool> {
        Ok(self.details(ctx)?.is_some())
    }

    /// The smallest set of finest geocells that holds a probability: the one that was asked for with the photo when left out. Another
    /// one needs the details (`detailed`), or ends with the code EXPIRED.
    async fn credible_region(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The probability that the region shall hold, above 0 and below 1.")] mass: Option<
            f64,
        >,
    ) -> async_graphql::Result<CredibleRegion> {
        let Some(wanted) = mass else {
            return Ok(CredibleRegion::new(
                None,
                self.region.mass,
                self.region.area_km2,
                self.region.cells.clone(),
            ));
        };
        let wanted = self::mass(wanted)?;
        let details = self.details(ctx)?.ok_or_else(expired)?;
        let finest = details.levels.last().ok_or_else(expired)?;
        let (cells, held) = finest.credible_set(wanted, &details.calibration);
        let area = cells.iter().map(|cell| cell.area_km2()).sum();
        Ok(CredibleRegion::new(Some(wanted), held, area, cells))
    }

    /// The best geocells of a level for this photo, by the path down to it, most probable first. Ends with the code EXPIRED where the
    /// service no longer keeps the details.
    #[graphql(complexity = "super::cursor::page_complexity(first, child_complexity)")]
    async fn scores(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Level of the hierarchy, 0 the coarsest.")] level: usize,
        #[graphql(desc = "Cells told, 1 to 2000.", default = 100)] first: i32,
    ) -> async_graphql::Result<Vec<GeocellScore>> {
        let first = match usize::try_from(first) {
            Ok(count) if (1..=MOST_SCORES).contains(&first) => count,
            _ => {
                let message = format!("first is {first}, but must lie between 1 and {MOST_SCORES}");
                return Err(RequestError::invalid(message).into());
            }
        };
        let details = self.details(ctx)?.ok_or_else(expired)?;
        let Some(posterior) = details.levels.get(level) else {
            let message = format!(
                "level is {level}, but release {} has levels 0 to {}",
                self.release,
                details.levels.len().saturating_sub(1)
            );
            return Err(RequestError::invalid(message).into());
        };
        let index = service(ctx)?.geocells(&self.release).await?;
        let scored = posterior.cells.iter().take(first).enumerate();
        let scores = scored.filter_map(|(position, (token, probability))| {
            let record = index.find(*token, Some(level))?;
            Some(GeocellScore {
                rank: position + 1,
                probability: *probability,
                token: Token(*token),
                location: record.location.into(),
                geocell: Geocell::new(&self.release, &index, record),
            })
        });
        Ok(scores.collect())
    }

    /// What the photo shows, pixel by pixel, while the service keeps the details; null afterwards, and without a segmenter.
    async fn segmentation(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Segmentation>> {
        let details = self.details(ctx)?;
        Ok(details.and_then(|details| Segmentation::of(self.key, &details)))
    }

    /// Reference images that support the answer.
    #[graphql(complexity = "10 * child_complexity")]
    async fn references(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which come first.", default)] order: ReferenceOrder,
    ) -> async_graphql::Result<Vec<SupportingReference>> {
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
        let mut found: Vec<SupportingReference> = found.collect();
        if order == ReferenceOrder::Distance {
            found.sort_by(|a, b| a.distance_kilometres.total_cmp(&b.distance_kilometres));
        }
        Ok(found)
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
    async fn geojson(&self, ctx: &Context<'_>) -> GeoJson {
        let caller = caller(ctx);
        let at = caller.place(self.at);
        let mut features = vec![json!({
            "type": "Feature",
            "geometry": {
                "type": "Point",
                "coordinates": [at.longitude(), at.latitude()],
            },
            "properties": { "kind": "place", "prediction": self.id, "confidence": self.confidence },
        })];
        features.extend(region_features(caller, &self.region.cells));
        Json(json!({ "type": "FeatureCollection", "features": features }))
    }
}

impl Prediction {
    fn details(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Arc<Details>>> {
        Ok(service(ctx)?.details(self.key))
    }
}

/// The order of the reference images of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
pub enum ReferenceOrder {
    /// Most alike first.
    #[default]
    Likeness,
    /// Nearest to the predicted place first.
    Distance,
}

/// A credible region as it was recorded.
#[derive(Debug, Clone)]
struct RecordedRegion {
    mass: f64,
    area_km2: f64,
    cells: Vec<GeocellId>,
}

/// A geocell of a level with its probability for one photo.
#[derive(Clone, SimpleObject)]
pub struct GeocellScore {
    /// 1 for the most probable.
    rank: usize,
    /// Posterior probability over the level's geocells given the path down to it, 0 to 1.
    probability: f64,
    /// S2 token.
    token: Token,
    /// Mean place of its training photos.
    location: Location,
    /// The geocell.
    geocell: Geocell,
}

pub(crate) fn expired() -> RequestError {
    RequestError::new(
        Code::Expired,
        "the details of this answer are no longer kept; send the photo again",
    )
}

/// A prediction from the record that the caller may see; none where there is none.
pub(in crate::graphql) async fn find(
    ctx: &Context<'_>,
    id: Uuid,
) -> async_graphql::Result<Option<Prediction>> {
    let record = match service(ctx)?.catalog().prediction(id).await {
        Ok(record) => record,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(RequestError::from(error).into()),
    };
    require_own(caller(ctx), record.client.as_deref())?;
    Ok(Some(record.into()))
}

/// A caller may see what it asked; what others asked needs a wider scope.
pub(crate) fn require_own(caller: &Caller, client: Option<&str>) -> Result<(), RequestError> {
    let own = caller.name().zip(client).is_some_and(|(name, client)| {
        client
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    match own {
        true => Ok(()),
        false => caller.require(Scope::Analyst),
    }
}

fn region_features(caller: &Caller, cells: &[GeocellId]) -> Vec<serde_json::Value> {
    let feature = |cell: &GeocellId| {
        json!({
            "type": "Feature",
            "geometry": outline(caller, *cell),
            "properties": { "kind": "credible-region", "token": caller.cell(*cell).token() },
        })
    };
    cells.iter().map(feature).collect()
}
