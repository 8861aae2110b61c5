//! Deleting what a release holds.

use super::galleries::{geocells, image};
use super::predictions::prediction;
use super::{CatalogPlace, new_release, release_at};
use crate::{ReferenceImage, ReleaseCounts, ReleaseStatus};

/// Geocells and reference images go; the row, its predictions and other releases stay.
pub async fn pruning_keeps_predictions_and_other_releases(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let images: Vec<ReferenceImage> = (0..7).map(image).collect();
    let mut ids = Vec::new();
    for (name, status) in [
        ("ready", ReleaseStatus::Ready),
        ("active", ReleaseStatus::Active),
        ("building", ReleaseStatus::Building),
        ("failed", ReleaseStatus::Failed),
        ("retired", ReleaseStatus::Building),
    ] {
        let id = release_at(&*catalog, name, status).await.id;
        catalog.insert_geocells(&id, &geocells(0, 5)).await.unwrap();
        catalog.insert_reference_images(&id, &images).await.unwrap();
        ids.push(id);
    }
    let [ready, active, building, failed, retired] = ids.try_into().unwrap();
    catalog
        .set_status(&retired, ReleaseStatus::Ready, None)
        .await
        .unwrap();
    catalog.activate(&retired).await.unwrap();
    catalog.activate(&active).await.unwrap();
    let predicted = prediction("retired", 0);
    catalog.record_prediction(&predicted).await.unwrap();

    let full = ReleaseCounts {
        geocells: 5,
        reference_images: 7,
    };
    for refused in [&active, &building] {
        let error = catalog.delete_release_contents(refused, None).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(catalog.counts(refused).await.unwrap(), full);
    }
    let changes = catalog.changes().await.unwrap();
    for release in [&ready, &failed, &retired] {
        let before = catalog.release(release).await.unwrap();
        assert_eq!(
            catalog.delete_release_contents(release, None).await.unwrap(),
            full
        );
        assert_eq!(catalog.counts(release).await.unwrap(), ReleaseCounts::default());
        let after = catalog.release(release).await.unwrap();
        assert_eq!(after.status, ReleaseStatus::Pruned);
        assert_eq!(after.counts, before.counts, "what it held is still told");
    }
    assert!(catalog.changes().await.unwrap() > changes);
    for kept in [&active, &building] {
        assert_eq!(catalog.counts(kept).await.unwrap(), full);
    }
    assert_eq!(catalog.active_release().await.unwrap().unwrap().id, active);
    assert_eq!(catalog.prediction(predicted.id).await.unwrap(), predicted);
}

/// Pruning again does nothing, and nothing else follows on it.
pub async fn pruned_releases_stay_pruned(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let release = release_at(&*catalog, "a", ReleaseStatus::Ready).await.id;
    catalog.delete_release_contents(&release, None).await.unwrap();
    let pruned = catalog.release(&release).await.unwrap();
    let again = catalog.delete_release_contents(&release, None).await.unwrap();
    assert_eq!(again, ReleaseCounts::default());
    assert_eq!(catalog.release(&release).await.unwrap(), pruned);
    let error = catalog.activate(&release).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("deleted"),
        "{error}"
    );
    let error = catalog.create_release(new_release("a")).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("another release id"),
        "{error}"
    );
    let error = catalog
        .insert_geocells(&release, &geocells(0, 5))
        .await
        .unwrap_err();
    assert!(error.is_conflict(), "{error}");
    let error = catalog
        .insert_reference_images(&release, &[image(1)])
        .await
        .unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(catalog.release(&release).await.unwrap(), pruned);

    // The way by the status deletes as well.
    let other = release_at(&*catalog, "b", ReleaseStatus::Ready).await.id;
    catalog.insert_geocells(&other, &geocells(0, 5)).await.unwrap();
    let gone = catalog
        .set_status(&other, ReleaseStatus::Pruned, Some("no longer needed"))
        .await
        .unwrap();
    assert_eq!(gone.message.as_deref(), Some("no longer needed"));
    assert_eq!(catalog.counts(&other).await.unwrap(), ReleaseCounts::default());
}
