//! What moves when another release answers.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, Json, Object, SimpleObject};
use geocells::{Accuracy, GeocellId, THRESHOLDS};
use storage::{ReleaseId, Scope};

use super::geocell::outline;
use super::release::{Release, release_id};
use super::scalars::{GeoJson, Location, Token};
use super::{caller, loaders, service};
use crate::diffs::{self, Comparison, Source};
use crate::request_error::RequestError;

/// Most photos that releases are compared by.
const MOST_PHOTOS: i32 = 2000;

/// Comparisons of releases.
#[derive(Default)]
pub struct DiffQuery;

/// What two releases are compared by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
pub enum DiffSource {
    /// Reference photographs of the first release, which both may have learnt from, so that it flatters both.
    #[default]
    Probe,
    /// Queries that the second release answered too, unseen, beside the first one.
    Shadow,
}

/// How two releases differ on the same photos.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct ReleaseDiff {
    /// What was compared, for people.
    source: String,
    /// Photos compared.
    photos: usize,
    /// Share of photos whose two answers are within each of five distances of each other.
    agreement: Vec<DistanceShare>,
    /// Share of photos with the same best geocell, by level; empty where the releases have different levels.
    same_geocell: Vec<LevelShare>,
    /// Distances between the two answers.
    moved: Moved,
    /// Share of answers of the first release within each distance of the truth; null where no truth is known.
    accuracy_from: Option<Vec<DistanceShare>>,
    /// The same of the second release.
    accuracy_to: Option<Vec<DistanceShare>>,
    /// Photos that only the second release answers within 200 km of the truth.
    won: usize,
    /// Photos that only the first release answers within 200 km of the truth.
    lost: usize,
    /// Mean confidence of the first release, 0 to 1.
    confidence_from: f64,
    /// Mean confidence of the second release, 0 to 1.
    confidence_to: f64,
    /// Share of photos whose place the first release cannot tell, 0 to 1.
    cannot_tell_from: f64,
    /// Share of photos whose place the second release cannot tell, 0 to 1.
    cannot_tell_to: f64,
    /// Where answers moved by more than 200 km, most moved first, at most 50.
    regions: Vec<MovedRegion>,
    #[graphql(skip)]
    releases: [ReleaseId; 2],
}

#[ComplexObject]
impl ReleaseDiff {
    /// The first release.
    async fn from(&self, ctx: &Context<'_>) -> async_graphql::Result<Release> {
        self.release(ctx, 0).await
    }

    /// The second release.
    async fn to(&self, ctx: &Context<'_>) -> async_graphql::Result<Release> {
        self.release(ctx, 1).await
    }
}

impl ReleaseDiff {
    async fn release(&self, ctx: &Context<'_>, which: usize) -> async_graphql::Result<Release> {
        let id = &self.releases[which];
        let found = loaders::releases(ctx)?.load_one(id.clone()).await?;
        Ok(found
            .ok_or_else(|| RequestError::not_found(format!("release {id}")))?
            .into())
    }
}

/// A share of photos by distance.
#[derive(SimpleObject)]
pub struct DistanceShare {
    /// Great-circle distance in kilometres.
    kilometres: f64,
    /// The field's name for it: street, city, region, country, continent.
    name: String,
    /// Share of the photos, 0 to 1.
    share: f64,
}

/// A share of photos by level.
#[derive(SimpleObject)]
pub struct LevelShare {
    /// Level of the hierarchy, 0 the coarsest.
    level: usize,
    /// Share of the photos, 0 to 1.
    share: f64,
}

/// Distances between two releases' answers.
#[derive(SimpleObject)]
pub struct Moved {
    /// Photos with the very same place.
    unchanged: usize,
    /// Half of the photos moved at most this far, in kilometres.
    median_kilometres: f64,
    /// Nine tenths moved at most this far, in kilometres.
    p90_kilometres: f64,
    /// All but a hundredth moved at most this far, in kilometres.
    p99_kilometres: f64,
    /// The farthest, in kilometres.
    largest_kilometres: f64,
}

/// A part of the Earth where answers moved.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct MovedRegion {
    /// Its S2 token.
    token: Token,
    /// Its centre.
    center: Location,
    /// Photos that the first release placed there.
    photos: usize,
    /// How many of them the second release placed more than 200 km away.
    moved: usize,
    #[graphql(skip)]
    cell: GeocellId,
}

#[ComplexObject]
impl MovedRegion {
    /// Its outline as a GeoJSON geometry.
    async fn outline(&self, ctx: &Context<'_>) -> GeoJson {
        Json(outline(caller(ctx), self.cell))
    }
}

/// Most regions told.
const MOST_REGIONS: usize = 50;

/// Comparisons of releases.
#[Object]
impl DiffQuery {
    /// Compares two releases on the same photos. The first time it encodes the photos with both, which may take a minute; the comparison
    /// goes on when the client does not wait, and is kept. Needs the scope ANALYST.
    #[graphql(complexity = "1000 + child_complexity")]
    async fn release_diff(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The release that answers now, or did.")] from: ID,
        #[graphql(desc = "The release to compare it with.")] to: ID,
        #[graphql(desc = "What they are compared by.", default)] source: DiffSource,
        #[graphql(desc = "Photos or queries at most, 1 to 2000.", default = 100)] photos: i32,
    ) -> async_graphql::Result<ReleaseDiff> {
        caller(ctx).require(Scope::Analyst)?;
        let photos = match usize::try_from(photos) {
            Ok(count) if (1..=MOST_PHOTOS).contains(&photos) => count,
            _ => {
                let message = format!("photos is {photos}, but must lie between 1 and {MOST_PHOTOS}");
                return Err(RequestError::invalid(message).into());
            }
        };
        let wanted = Comparison {
            from: release_id(&from)?,
            to: release_id(&to)?,
            source: match source {
                DiffSource::Probe => Source::Probe,
                DiffSource::Shadow => Source::Shadow,
            },
            photos,
        };
        let diff = diffs::compare(service(ctx)?, wanted).await?;
        Ok(ReleaseDiff::of(&diff))
    }
}

impl ReleaseDiff {
    fn of(diff: &Arc<indexer::diff::Diff>) -> Self {
        let level = |(level, share): (usize, &f64)| LevelShare { level, share: *share };
        let region = |region: &indexer::diff::Region| MovedRegion {
            token: Token(region.token),
            center: region.center.into(),
            photos: region.photos,
            moved: region.moved,
            cell: region.token,
        };
        let accuracy = |accuracy: &Accuracy| shares(&accuracy.within);
        Self {
            source: diff.source.clone(),
            photos: diff.photos,
            agreement: shares(&diff.agreement),
            same_geocell: diff.same_geocell.iter().enumerate().map(level).collect(),
            moved: Moved {
                unchanged: diff.moved.unchanged,
                median_kilometres: diff.moved.median_km,
                p90_kilometres: diff.moved.p90_km,
                p99_kilometres: diff.moved.p99_km,
                largest_kilometres: diff.moved.largest_km,
            },
            accuracy_from: diff.accuracy_a.as_ref().map(accuracy),
            accuracy_to: diff.accuracy_b.as_ref().map(accuracy),
            won: diff.won,
            lost: diff.lost,
            confidence_from: diff.confidence[0],
            confidence_to: diff.confidence[1],
            cannot_tell_from: diff.cannot_tell[0],
            cannot_tell_to: diff.cannot_tell[1],
            regions: diff.regions.iter().take(MOST_REGIONS).map(region).collect(),
            releases: [diff.a.clone(), diff.b.clone()],
        }
    }
}

fn shares(within: &[f64; THRESHOLDS.len()]) -> Vec<DistanceShare> {
    THRESHOLDS
        .iter()
        .zip(within)
        .map(|(threshold, share)| DistanceShare {
            kilometres: threshold.km.get(),
            name: threshold.name.to_owned(),
            share: *share,
        })
        .collect()
}
