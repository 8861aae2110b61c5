//! A seeded set of answers with known truths, and the same in memory.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use geocells::{GeocellId, LatLng};
use uuid::{NoContext, Timestamp, Uuid};

use super::super::{new_release, release_at};
use crate::conformance::Numbers;
use crate::{
    Candidate, Catalog, CredibleRegion, GeocellRecord, GroundTruth, LevelCell, PlaceName, Prediction,
    ReleaseId, ReleaseStatus,
};

/// S2 levels of the three levels of the hierarchy.
const S2_LEVELS: [u8; 3] = [2, 5, 8];

/// Latitude, longitude, and the names of continent and country.
type KnownPlace = (f64, f64, Option<(&'static str, &'static str)>);

/// Places with the names of their continent and country; one at sea.
const PLACES: [KnownPlace; 7] = [
    (48.85, 2.35, Some(("Europe", "FR"))),
    (52.52, 13.4, Some(("Europe", "DE"))),
    (40.7, -74.0, Some(("North America", "US"))),
    (-33.9, 151.2, Some(("Oceania", "AU"))),
    (35.7, 139.7, Some(("Asia", "JP"))),
    (-16.8, 179.98, Some(("Oceania", "FJ"))),
    (0.5, -20.5, None),
];

/// An answer with what was true.
pub struct Answer {
    /// As it was recorded.
    pub prediction: Prediction,
    /// Where the photo was really taken, where it is known.
    pub truth: Option<GroundTruth>,
}

/// Everything that was recorded.
pub struct World {
    /// Geocells by level, the same for all releases.
    pub levels: Vec<Vec<GeocellRecord>>,
    /// Answers in order of time, shadows among them.
    pub answers: Vec<Answer>,
}

impl Answer {
    /// The release that answered.
    pub fn release(&self) -> &str {
        self.prediction.release.as_str()
    }

    /// Distance from the truth.
    pub fn error_km(&self) -> Option<f64> {
        let truth = self.truth.as_ref()?;
        Some(self.prediction.location.distance(truth.location).get())
    }

    /// The answered geocell.
    pub fn token(&self) -> Option<GeocellId> {
        self.prediction
            .candidates
            .first()
            .map(|candidate| candidate.token)
    }

    /// The day in UTC.
    pub fn day(&self) -> String {
        self.prediction.created_at.format("%Y-%m-%d").to_string()
    }
}

impl World {
    /// Records three releases, of which `winter` shadows every third answer of `autumn`.
    pub async fn record(catalog: &dyn Catalog) -> Self {
        let levels = hierarchy();
        for (release, status) in [
            ("spring", ReleaseStatus::Retired),
            ("autumn", ReleaseStatus::Active),
            ("winter", ReleaseStatus::Ready),
        ] {
            catalog.create_release(new_release(release)).await.unwrap();
            let id: ReleaseId = release.parse().unwrap();
            for level in &levels {
                catalog.insert_geocells(&id, level).await.unwrap();
            }
            release_at(catalog, release, status).await;
        }
        let answers = answers(&levels);
        for answer in &answers {
            catalog.record_prediction(&answer.prediction).await.unwrap();
        }
        for truth in answers.iter().filter_map(|answer| answer.truth.as_ref()) {
            let shadow = answers.iter().any(|answer| {
                answer.prediction.id == truth.prediction && answer.prediction.shadow_of.is_some()
            });
            assert!(!shadow, "a shadow has no truth of its own");
            catalog.record_ground_truth(truth).await.unwrap();
        }
        Self { levels, answers }
    }

    /// Answers whose truth is known.
    pub fn known(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.truth.is_some())
    }

    /// The geocell of a level that holds a place.
    pub fn geocell(&self, level: usize, place: LatLng) -> Option<GeocellId> {
        self.levels[level]
            .iter()
            .map(|record| record.token)
            .find(|token| token.contains_point(place))
    }
}

/// Every place's cell with its three neighbours under one parent, and their ancestors.
fn hierarchy() -> Vec<Vec<GeocellRecord>> {
    let mut numbers = Numbers(11);
    let mut finest: Vec<GeocellId> = Vec::new();
    // The last place has no geocell: nothing was learnt at sea.
    for (latitude, longitude, _) in &PLACES[..6] {
        let place = LatLng::new(*latitude, *longitude).unwrap();
        let parent = GeocellId::containing(place, S2_LEVELS[2] - 1).unwrap();
        finest.extend(parent.children().unwrap());
    }
    let level = |index: usize, numbers: &mut Numbers| {
        let mut tokens: Vec<GeocellId> = finest
            .iter()
            .map(|cell| cell.parent(S2_LEVELS[index]).unwrap_or(*cell))
            .collect();
        tokens.sort();
        tokens.dedup();
        tokens
            .into_iter()
            .enumerate()
            .map(|(position, token)| GeocellRecord {
                level: index,
                index: position,
                token,
                parent: index
                    .checked_sub(1)
                    .and_then(|above| token.parent(S2_LEVELS[above])),
                photos: 50 + numbers.next() % 700,
                location: token.center(),
            })
            .collect()
    };
    (0..S2_LEVELS.len())
        .map(|index| level(index, &mut numbers))
        .collect()
}

fn answers(levels: &[Vec<GeocellRecord>]) -> Vec<Answer> {
    let mut numbers = Numbers(5);
    let mut answers: Vec<Answer> = Vec::new();
    for index in 0..240 {
        let release = if index < 120 { "spring" } else { "autumn" };
        let created_at = start() + TimeDelta::seconds(1_200 * index) + TimeDelta::microseconds(17);
        let mut prediction = predict(levels, &mut numbers, release, created_at);
        prediction.client =
            [None, Some("studio"), Some("press")][(numbers.next() % 3) as usize].map(Into::into);
        let truth = (!numbers.next().is_multiple_of(3)).then(|| truth(levels, &mut numbers, &prediction));
        let shadow = (release == "autumn" && index % 3 == 0).then(|| {
            let mut shadow = predict(
                levels,
                &mut numbers,
                "winter",
                created_at + TimeDelta::milliseconds(40),
            );
            shadow.shadow_of = Some(prediction.id);
            shadow.client = prediction.client.clone();
            if numbers.next().is_multiple_of(2) {
                shadow.candidates = prediction.candidates.clone();
                shadow.location = prediction.location;
                shadow.place = prediction.place.clone();
            }
            shadow
        });
        let shadow = shadow.map(|prediction| Answer {
            prediction,
            truth: truth.clone(),
        });
        answers.push(Answer { prediction, truth });
        answers.extend(shadow);
    }
    // Of a shadow, the truth is that of the answer that it shadows: it is recorded once.
    answers
}

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 6, 0, 0).unwrap()
}

fn predict(
    levels: &[Vec<GeocellRecord>],
    numbers: &mut Numbers,
    release: &str,
    created_at: DateTime<Utc>,
) -> Prediction {
    let finest = levels.last().unwrap();
    let chosen: Vec<&GeocellRecord> = {
        let first = numbers.next() as usize % finest.len();
        (0..3)
            .map(|step| &finest[(first + 5 * step) % finest.len()])
            .collect()
    };
    let mut share = || (numbers.next() % 10_000) as f64 / 10_000.0;
    let confidence = share();
    let mut within = [(); 5].map(|()| share());
    within.sort_by(f64::total_cmp);
    let candidates: Vec<Candidate> = chosen
        .iter()
        .enumerate()
        .map(|(rank, record)| Candidate {
            token: record.token,
            probability: confidence / (rank + 1) as f64,
            location: record.location,
        })
        .collect();
    let best = |level: usize| {
        let token = chosen[level % 2]
            .token
            .parent(S2_LEVELS[level])
            .unwrap_or(chosen[level % 2].token);
        let record = levels[level].iter().find(|record| record.token == token).unwrap();
        LevelCell {
            level,
            token,
            probability: confidence,
            location: record.location,
        }
    };
    let stages = ["queue", "encode", "total"];
    let id = Timestamp::from_unix(
        NoContext,
        created_at.timestamp().unsigned_abs(),
        created_at.timestamp_subsec_nanos(),
    );
    Prediction {
        id: Uuid::new_v7(id),
        shadow_of: None,
        release: release.parse().unwrap(),
        created_at,
        photo_sha256: format!("{:064x}", numbers.next()),
        file_name: None,
        location: chosen[0].location,
        place: name(chosen[0].location),
        confidence,
        within,
        entropy: 1.0,
        cannot_tell: (confidence < 0.1).then(|| "the posterior is flat".into()),
        credible_region: CredibleRegion {
            probability: 0.9,
            geocells: chosen[..2].iter().map(|record| record.token).collect(),
            area_km2: 1500.0,
        },
        candidates,
        levels: (0..levels.len()).map(best).collect(),
        references: Vec::new(),
        timings: stages
            .into_iter()
            .map(|stage| (stage.to_owned(), (numbers.next() % 100_000) as f64 / 100.0))
            .collect::<BTreeMap<String, f64>>(),
        client: None,
    }
}

/// In the answered geocell, in another one, or at sea.
fn truth(levels: &[Vec<GeocellRecord>], numbers: &mut Numbers, prediction: &Prediction) -> GroundTruth {
    let finest = levels.last().unwrap();
    let base = match numbers.next() % 5 {
        0 | 1 => prediction.location,
        2 => prediction.candidates[1].location,
        3 => finest[numbers.next() as usize % finest.len()].location,
        _ => LatLng::new(PLACES[6].0, PLACES[6].1).unwrap(),
    };
    let mut jitter = || (numbers.next() % 1000) as f64 / 1e4 - 0.05;
    let (north, east) = (jitter(), jitter());
    let longitude = (base.longitude() + east).clamp(-180.0, 180.0);
    let location = LatLng::new(base.latitude() + north, longitude).unwrap();
    GroundTruth {
        prediction: prediction.id,
        location,
        place: name(location),
        source: "exif".into(),
        created_at: prediction.created_at + TimeDelta::hours(1),
    }
}

/// The country of the nearest place.
fn name(location: LatLng) -> Option<PlaceName> {
    let (.., named) = PLACES
        .into_iter()
        .min_by_key(|(latitude, longitude, _)| LatLng::new(*latitude, *longitude).unwrap().distance(location))
        .unwrap();
    named.map(|(continent, code)| PlaceName {
        continent: continent.into(),
        country_code: code.into(),
        country: format!("the country {code}"),
        region: None,
        locality: None,
    })
}
