//! Predictions and ground truth.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use geocells::{GeocellId, LatLng};
use uuid::{NoContext, Timestamp, Uuid};

use super::{CatalogPlace, id, release_at};
use crate::{
    Candidate, CredibleRegion, Error, GroundTruth, ImageReference, LevelCell, PlaceName, Prediction,
    PredictionFilter, ReleaseStatus, Shadows,
};

pub(super) fn time(index: u32) -> DateTime<Utc> {
    let start = Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap();
    start + TimeDelta::microseconds(1_500_001 * i64::from(index))
}

/// The `index`th prediction of a release, each one and a half seconds after the one before.
pub(super) fn prediction(release: &str, index: u32) -> Prediction {
    let created_at = time(index);
    let at = Timestamp::from_unix(
        NoContext,
        created_at.timestamp().unsigned_abs(),
        created_at.timestamp_subsec_nanos(),
    );
    let location = LatLng::new(48.857 - f64::from(index), 2.352).unwrap();
    let token = GeocellId::containing(location, 10).unwrap();
    let candidate = |probability| Candidate {
        token,
        probability,
        location,
    };
    Prediction {
        id: Uuid::new_v7(at),
        shadow_of: None,
        release: id(release),
        created_at,
        photo_sha256: format!("{:064x}", index % 3),
        file_name: (index > 0).then(|| "été.jpg".into()),
        location,
        place: (index % 2 == 1).then(|| PlaceName {
            continent: "Europe".into(),
            country_code: "FR".into(),
            country: "France".into(),
            region: (index % 3 == 1).then(|| "Île-de-France".into()),
            locality: None,
        }),
        confidence: 0.1 + 0.2,
        within: [0.1, 0.25, 0.5, 0.75, 1.0],
        entropy: 1.0 / 3.0,
        cannot_tell: index.is_multiple_of(4).then(|| "the posterior is flat".into()),
        credible_region: CredibleRegion {
            probability: 0.9,
            geocells: vec![token, GeocellId::containing(location, 8).unwrap()],
            area_km2: 123.456,
        },
        candidates: vec![candidate(0.5), candidate(0.25), candidate(1.0e-12)],
        levels: (0..3)
            .map(|level| LevelCell {
                level,
                token: GeocellId::containing(location, 4 + 2 * level as u8).unwrap(),
                probability: 0.9 / (1.0 + level as f64),
                location,
            })
            .collect(),
        references: vec![ImageReference {
            id: Uuid::from_u128(7),
            similarity: -0.125,
        }],
        timings: BTreeMap::from([("encode".into(), 41.5), ("search".into(), 0.75)]),
        client: (index % 5 == 1).then(|| "someone".into()),
    }
}

/// What is read equals what was recorded, down to the last bit, also after reopening.
pub async fn predictions_come_back_as_they_went_in(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Active).await;
    let mut recorded = [prediction("a", 0), prediction("a", 1)];
    recorded[1].candidates.clear();
    recorded[1].references.clear();
    recorded[1].levels.clear();
    for prediction in &recorded {
        catalog.record_prediction(prediction).await.unwrap();
    }
    drop(catalog);
    let catalog = at.open().await.unwrap();
    for prediction in &recorded {
        assert_eq!(catalog.prediction(prediction.id).await.unwrap(), *prediction);
    }
    let error = catalog.prediction(Uuid::nil()).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

/// A bad prediction, one of an unknown release and a repeated one leave nothing behind.
pub async fn bad_predictions_are_refused_whole(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Active).await;
    let good = prediction("a", 0);
    let mut bad = [(); 11].map(|()| good.clone());
    bad[0].confidence = f64::NAN;
    bad[1].within[2] = 1.5;
    bad[2].entropy = f64::INFINITY;
    bad[3].candidates[2].probability = -0.5;
    bad[4].id = Uuid::from_u128(4);
    bad[5].timings.insert("encode".into(), f64::NAN);
    bad[6].created_at += TimeDelta::hours(2);
    bad[7].place = prediction("a", 1).place.map(|place| PlaceName {
        country_code: "fr".into(),
        ..place
    });
    bad[8].levels[1].probability = f64::NAN;
    bad[9].shadow_of = Some(bad[9].id);
    bad[10].created_at -= TimeDelta::hours(2);
    for bad in bad {
        let error = catalog.record_prediction(&bad).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    let error = catalog
        .record_prediction(&prediction("missing", 0))
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let all = PredictionFilter::default();
    assert_eq!(catalog.predictions(&all, None, 10).await.unwrap(), []);

    catalog.record_prediction(&good).await.unwrap();
    let mut again = good.clone();
    again.confidence = 0.5;
    let error = catalog.record_prediction(&again).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(catalog.predictions(&all, None, 10).await.unwrap(), [good]);
}

/// Newest first, page by page, by release, photo, time, outcome and ground truth.
pub async fn predictions_are_filtered_and_paged(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Retired).await;
    release_at(&*catalog, "b", ReleaseStatus::Active).await;
    let release = |index| if index < 4 { "a" } else { "b" };
    let recorded: Vec<Prediction> = (0..10).map(|index| prediction(release(index), index)).collect();
    for prediction in &recorded {
        catalog.record_prediction(prediction).await.unwrap();
    }
    let truth = GroundTruth {
        prediction: recorded[6].id,
        location: recorded[6].location,
        place: recorded[7].place.clone(),
        source: "exif".into(),
        created_at: time(20),
    };
    catalog.record_ground_truth(&truth).await.unwrap();

    let all = PredictionFilter::default();
    let cases = [
        (all.clone(), vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (
            PredictionFilter {
                release: Some(id("a")),
                ..all.clone()
            },
            vec![3, 2, 1, 0],
        ),
        (
            PredictionFilter {
                release: Some(id("c")),
                ..all.clone()
            },
            vec![],
        ),
        (
            PredictionFilter {
                photo_sha256: Some(format!("{:064x}", 1)),
                ..all.clone()
            },
            vec![7, 4, 1],
        ),
        (
            PredictionFilter {
                since: Some(time(7)),
                ..all.clone()
            },
            vec![9, 8, 7],
        ),
        (
            PredictionFilter {
                until: Some(time(2)),
                ..all.clone()
            },
            vec![2, 1, 0],
        ),
        (
            PredictionFilter {
                cannot_tell: Some(true),
                ..all.clone()
            },
            vec![8, 4, 0],
        ),
        (
            PredictionFilter {
                cannot_tell: Some(false),
                until: Some(time(3)),
                ..all.clone()
            },
            vec![3, 2, 1],
        ),
        (
            PredictionFilter {
                with_ground_truth: Some(true),
                ..all.clone()
            },
            vec![6],
        ),
        (
            PredictionFilter {
                with_ground_truth: Some(false),
                since: Some(time(5)),
                ..all.clone()
            },
            vec![9, 8, 7, 5],
        ),
        (
            PredictionFilter {
                client: Some("someone".into()),
                ..all.clone()
            },
            vec![6, 1],
        ),
        (
            PredictionFilter {
                shadows: Shadows::Only,
                ..all.clone()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        let expected: Vec<&Prediction> = expected
            .into_iter()
            .map(|index: usize| &recorded[index])
            .collect();
        let found = catalog.predictions(&filter, None, 100).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");

        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = catalog.predictions(&filter, after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 3);
            after = Some(last.id);
            paged.extend(page);
        }
        assert_eq!(paged, found, "{filter:?}");
    }
}

/// The latest ground truth of a prediction stands; one without prediction is refused.
pub async fn ground_truth_is_recorded_and_replaced(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Active).await;
    let predicted = prediction("a", 0);
    let mut truth = GroundTruth {
        prediction: predicted.id,
        location: LatLng::new(-17.8, 179.9).unwrap(),
        place: None,
        source: "exif".into(),
        created_at: time(1),
    };
    let error = catalog.record_ground_truth(&truth).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    catalog.record_prediction(&predicted).await.unwrap();
    assert_eq!(catalog.ground_truth(predicted.id).await.unwrap(), None);
    for source in ["exif", "a person", "exif"] {
        truth.source = source.into();
        truth.place = prediction("a", u32::from(source == "a person")).place;
        catalog.record_ground_truth(&truth).await.unwrap();
        assert_eq!(
            catalog.ground_truth(predicted.id).await.unwrap(),
            Some(truth.clone())
        );
    }
    truth.place = prediction("a", 1).place.map(|place| PlaceName {
        country: String::new(),
        ..place
    });
    let error = catalog.record_ground_truth(&truth).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    truth.place = None;
    let other = prediction("a", 1);
    catalog.record_prediction(&other).await.unwrap();
    let known = catalog
        .ground_truths(&[other.id, predicted.id, Uuid::nil()])
        .await
        .unwrap();
    assert_eq!(known, [truth]);
    assert_eq!(catalog.ground_truths(&[]).await.unwrap(), []);
}

/// Answers of a candidate release are listed only when they are asked for, and need the answer that they shadow.
pub async fn shadows_stay_out_of_the_way(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Active).await;
    release_at(&*catalog, "b", ReleaseStatus::Ready).await;
    let given = [prediction("a", 0), prediction("a", 1)];
    let mut shadow = prediction("b", 2);
    shadow.shadow_of = Some(given[1].id);
    let error = catalog.record_prediction(&shadow).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    for prediction in &given {
        catalog.record_prediction(prediction).await.unwrap();
    }
    catalog.record_prediction(&shadow).await.unwrap();
    let mut of_a_shadow = prediction("b", 3);
    of_a_shadow.shadow_of = Some(shadow.id);
    let error = catalog.record_prediction(&of_a_shadow).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");

    assert_eq!(catalog.prediction(shadow.id).await.unwrap(), shadow);
    let listed = |shadows| {
        let filter = PredictionFilter {
            shadows,
            ..PredictionFilter::default()
        };
        let catalog = &catalog;
        async move { catalog.predictions(&filter, None, 10).await.unwrap() }
    };
    let [first, second] = given;
    let all = [shadow.clone(), second.clone(), first.clone()];
    assert_eq!(listed(Shadows::Without).await, all[1..]);
    assert_eq!(listed(Shadows::With).await, all);
    assert_eq!(listed(Shadows::Only).await, all[..1]);
    assert_eq!(listed(Shadows::Of(second.id)).await, all[..1]);
    assert_eq!(listed(Shadows::Of(first.id)).await, []);
}
