//! Deleting predictions.

use super::predictions::{prediction, time};
use super::{CatalogPlace, id, release_at};
use crate::{
    Catalog, DeletedPredictions, Error, GroundTruth, Prediction, PredictionFilter, PredictionSelection,
    ReleaseStatus, Shadows,
};

async fn left(catalog: &dyn Catalog) -> Vec<Prediction> {
    let filter = PredictionFilter {
        shadows: Shadows::With,
        ..PredictionFilter::default()
    };
    catalog.predictions(&filter, None, 100).await.unwrap()
}

fn truth(of: &Prediction) -> GroundTruth {
    GroundTruth {
        prediction: of.id,
        location: of.location,
        place: None,
        source: "exif".into(),
        created_at: time(50),
    }
}

/// All conditions have to hold; a dry run counts the same and deletes nothing.
pub async fn predictions_are_deleted_by_age_client_and_release(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Retired).await;
    release_at(&*catalog, "b", ReleaseStatus::Active).await;
    let mut recorded: Vec<Prediction> = (0..12)
        .map(|index| prediction(if index < 6 { "a" } else { "b" }, index))
        .collect();
    for prediction in &recorded {
        catalog.record_prediction(prediction).await.unwrap();
        catalog.record_ground_truth(&truth(prediction)).await.unwrap();
    }
    let none = PredictionSelection::default();
    let steps = [
        // Of the client: 1, 6 and 11.
        (
            PredictionSelection {
                client: Some("someone".into()),
                release: Some(id("b")),
                ..none.clone()
            },
            vec![6, 11],
        ),
        (
            PredictionSelection {
                client: Some("nobody".into()),
                ..none.clone()
            },
            vec![],
        ),
        (
            PredictionSelection {
                before: Some(time(3)),
                ..none.clone()
            },
            vec![0, 1, 2],
        ),
        (
            PredictionSelection {
                release: Some(id("a")),
                ..none.clone()
            },
            vec![3, 4, 5],
        ),
        (
            PredictionSelection {
                before: Some(time(3)),
                ..none.clone()
            },
            vec![],
        ),
        (
            PredictionSelection {
                before: Some(time(100)),
                ..none.clone()
            },
            vec![7, 8, 9, 10],
        ),
    ];
    for (which, going) in steps {
        let going: Vec<_> = going
            .into_iter()
            .map(|index| prediction("a", index).created_at)
            .collect();
        let expected = DeletedPredictions {
            predictions: going.len() as u64,
            shadows: 0,
            ground_truth: going.len() as u64,
            months_dropped: 0,
        };
        let before = left(&*catalog).await;
        let counted = catalog.delete_predictions(&which, true, None).await.unwrap();
        assert_eq!(
            DeletedPredictions {
                months_dropped: 0,
                ..counted
            },
            expected,
            "{which:?}"
        );
        assert_eq!(left(&*catalog).await, before, "{which:?}");
        let deleted = catalog.delete_predictions(&which, false, None).await.unwrap();
        assert_eq!(deleted, counted, "{which:?}");
        let (gone, kept): (Vec<_>, Vec<_>) = recorded
            .into_iter()
            .partition(|prediction| going.contains(&prediction.created_at));
        recorded = kept;
        let found = left(&*catalog).await;
        assert_eq!(
            found.iter().rev().collect::<Vec<_>>(),
            recorded.iter().collect::<Vec<_>>()
        );
        for prediction in gone {
            assert!(
                catalog
                    .prediction(prediction.id)
                    .await
                    .unwrap_err()
                    .is_not_found()
            );
            assert_eq!(catalog.ground_truth(prediction.id).await.unwrap(), None);
        }
    }
    assert!(recorded.is_empty());
    // Nothing of them is left in the way of the same ids.
    catalog.record_prediction(&prediction("a", 0)).await.unwrap();
}

/// A shadow goes with the answer that it shadows, whatever was selected, and by itself without it.
pub async fn shadows_go_with_what_they_shadow(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Active).await;
    release_at(&*catalog, "b", ReleaseStatus::Ready).await;
    let given = [prediction("a", 0), prediction("a", 1)];
    let shadows = [prediction("b", 10), prediction("b", 21)];
    for prediction in &given {
        catalog.record_prediction(prediction).await.unwrap();
    }
    for (mut shadow, given) in shadows.into_iter().zip(&given) {
        shadow.shadow_of = Some(given.id);
        catalog.record_prediction(&shadow).await.unwrap();
    }
    let counts = |predictions, shadows| DeletedPredictions {
        predictions,
        shadows,
        ..DeletedPredictions::default()
    };
    let which = PredictionSelection {
        before: Some(time(1)),
        ..PredictionSelection::default()
    };
    for dry_run in [true, false] {
        let deleted = catalog.delete_predictions(&which, dry_run, None).await.unwrap();
        assert_eq!(
            DeletedPredictions {
                months_dropped: 0,
                ..deleted
            },
            counts(1, 1)
        );
    }
    assert_eq!(left(&*catalog).await.len(), 2);
    let which = PredictionSelection {
        release: Some(id("b")),
        ..PredictionSelection::default()
    };
    assert_eq!(
        catalog.delete_predictions(&which, false, None).await.unwrap(),
        counts(0, 1)
    );
    assert_eq!(left(&*catalog).await, given[1..]);
}

/// Nobody deletes everything by naming nothing.
pub async fn deletion_of_predictions_needs_a_selection(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    release_at(&*catalog, "a", ReleaseStatus::Active).await;
    catalog.record_prediction(&prediction("a", 0)).await.unwrap();
    let nothing = PredictionSelection::default();
    let error = catalog
        .delete_predictions(&nothing, false, None)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(left(&*catalog).await.len(), 1);
}
