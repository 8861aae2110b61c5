//! Predictions and ground truth.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use geocells::{GeocellId, LatLng};
use uuid::{NoContext, Timestamp, Uuid};

use super::{CatalogPlace, id, release_at};
use crate::{
    Candidate, CredibleRegion, Error, GroundTruth, ImageReference, Prediction, PredictionFilter,
    ReleaseStatus,
};

fn time(index: u32) -> DateTime<Utc> {
    let start = Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap();
    start + TimeDelta::microseconds(1_500_001 * i64::from(index))
}

/// The `index`th prediction of a release, each one and a half seconds after the one before.
fn prediction(release: &str, index: u32) -> Prediction {
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
        release: id(release),
        created_at,
        photo_sha256: format!("{:064x}", index % 3),
        file_name: (index > 0).then(|| "été.jpg".into()),
        location,
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
        references: vec![ImageReference {
            id: Uuid::from_u128(7),
            similarity: -0.125,
        }],
        timings: BTreeMap::from([("encode".into(), 41.5), ("search".into(), 0.75)]),
        client: None,
    }
}

/// What is read equals what was recorded, down to the last bit, also after reopening.
pub async fn predictions_come_back_as_they_went_in(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Active).await;
    let mut recorded = [prediction("a", 0), prediction("a", 1)];
    recorded[1].candidates.clear();
    recorded[1].references.clear();
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
    let mut bad = [(); 6].map(|()| good.clone());
    bad[0].confidence = f64::NAN;
    bad[1].within[2] = 1.5;
    bad[2].entropy = f64::INFINITY;
    bad[3].candidates[2].probability = -0.5;
    bad[4].id = Uuid::from_u128(4);
    bad[5].timings.insert("encode".into(), f64::NAN);
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
        source: "exif".into(),
        created_at: time(1),
    };
    let error = catalog.record_ground_truth(&truth).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    catalog.record_prediction(&predicted).await.unwrap();
    assert_eq!(catalog.ground_truth(predicted.id).await.unwrap(), None);
    for source in ["exif", "a person"] {
        truth.source = source.into();
        catalog.record_ground_truth(&truth).await.unwrap();
        assert_eq!(
            catalog.ground_truth(predicted.id).await.unwrap(),
            Some(truth.clone())
        );
    }
    let other = prediction("a", 1);
    catalog.record_prediction(&other).await.unwrap();
    let known = catalog
        .ground_truths(&[other.id, predicted.id, Uuid::nil()])
        .await
        .unwrap();
    assert_eq!(known, [truth]);
    assert_eq!(catalog.ground_truths(&[]).await.unwrap(), []);
}
