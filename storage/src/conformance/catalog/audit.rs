//! The audit log.

use serde_json::json;
use uuid::Uuid;

use super::galleries::image;
use super::predictions::{prediction, time};
use super::{CatalogPlace, release_at};
use crate::{AuditEntry, AuditFilter, Catalog, Error, PredictionSelection, ReferenceImage, ReleaseStatus};

async fn all(catalog: &dyn Catalog) -> Vec<AuditEntry> {
    catalog.audit(&AuditFilter::default(), None, 100).await.unwrap()
}

/// Newest first, page by page, by actor, action, subject and time; also after reopening.
pub async fn the_audit_log_is_filtered_and_paged(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let entries: Vec<AuditEntry> = (0..6_u32)
        .map(|index| {
            let action = if index < 3 {
                "references.remove"
            } else {
                "release.prune"
            };
            let details = json!({"index": index, "of": {"ä": [1, 2.5, null]}});
            let mut entry = AuditEntry::new(action, format!("release {}", index % 2), details);
            entry.at = time(index);
            match index {
                4 => entry.by("an operator"),
                _ => entry,
            }
        })
        .collect();
    for entry in &entries {
        catalog.record_audit(entry).await.unwrap();
    }
    drop(catalog);
    let catalog = at.open().await.unwrap();
    let none = AuditFilter::default();
    let cases = [
        (none.clone(), vec![5, 4, 3, 2, 1, 0]),
        (
            AuditFilter {
                action: Some("references.remove".into()),
                ..none.clone()
            },
            vec![2, 1, 0],
        ),
        (
            AuditFilter {
                subject: Some("release 1".into()),
                ..none.clone()
            },
            vec![5, 3, 1],
        ),
        (
            AuditFilter {
                actor: Some("an operator".into()),
                ..none.clone()
            },
            vec![4],
        ),
        (
            AuditFilter {
                since: Some(time(2)),
                until: Some(time(3)),
                ..none.clone()
            },
            vec![3, 2],
        ),
    ];
    for (filter, expected) in cases {
        let expected: Vec<AuditEntry> = expected
            .into_iter()
            .map(|index: usize| entries[index].clone())
            .collect();
        assert_eq!(
            catalog.audit(&filter, None, 100).await.unwrap(),
            expected,
            "{filter:?}"
        );
        let first = catalog.audit(&filter, None, 1).await.unwrap();
        let rest = catalog.audit(&filter, Some(first[0].id), 100).await.unwrap();
        assert_eq!([first, rest].concat(), expected, "{filter:?}");
    }
}

/// An entry that says nothing, and one that is there already.
pub async fn bad_audit_entries_are_refused(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let good = AuditEntry::new("release.prune", "release a", json!({}));
    let mut bad = [(); 4].map(|()| good.clone());
    bad[0].id = Uuid::from_u128(4);
    bad[1].action = String::new();
    bad[2].subject = String::new();
    bad[3].details = json!(["a list"]);
    for bad in bad {
        let error = catalog.record_audit(&bad).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    catalog.record_audit(&good).await.unwrap();
    let mut again = good.clone();
    again.action = "something else".into();
    let error = catalog.record_audit(&again).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(all(&*catalog).await, [good]);
}

/// A deletion and its entry are one transaction: both happen, with the outcome, or neither.
pub async fn deletions_are_audited_with_what_they_did(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let release = release_at(&*catalog, "a", ReleaseStatus::Ready).await.id;
    let images: Vec<ReferenceImage> = (0..4).map(image).collect();
    catalog.insert_reference_images(&release, &images).await.unwrap();
    let entry = || AuditEntry::new("references.remove", "release a", json!({"reason": "asked for"}));

    let first = entry();
    let ids = [images[0].id, images[1].id, Uuid::nil()];
    let deleted = catalog
        .delete_reference_images(&release, &ids, Some(&first))
        .await
        .unwrap();
    assert_eq!(deleted, 2);
    let log = all(&*catalog).await;
    assert_eq!((log.len(), log[0].id), (1, first.id));
    assert_eq!(
        log[0].details,
        json!({"reason": "asked for", "result": {"reference_images": 2}})
    );

    // An entry that is there already takes the deletion back.
    let error = catalog
        .delete_reference_images(&release, &[images[2].id], Some(&first))
        .await
        .unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(catalog.counts(&release).await.unwrap().reference_images, 2);
    let mut bad = entry();
    bad.details = json!(null);
    let error = catalog
        .delete_reference_images(&release, &[images[2].id], Some(&bad))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(catalog.counts(&release).await.unwrap().reference_images, 2);

    // What deletes nothing leaves no entry.
    assert_eq!(
        catalog
            .delete_reference_images(&release, &ids, Some(&entry()))
            .await
            .unwrap(),
        0
    );
    assert_eq!(all(&*catalog).await.len(), 1);

    let predicted = prediction("a", 1);
    catalog.record_prediction(&predicted).await.unwrap();
    let which = PredictionSelection {
        client: Some("someone".into()),
        ..PredictionSelection::default()
    };
    let of_predictions = AuditEntry::new("predictions.delete", "one client", json!({}));
    catalog
        .delete_predictions(&which, true, Some(&of_predictions))
        .await
        .unwrap();
    assert_eq!(all(&*catalog).await.len(), 1);
    catalog
        .delete_predictions(&which, false, Some(&of_predictions))
        .await
        .unwrap();
    let of_release = AuditEntry::new("release.prune", "release a", json!({}));
    for _ in 0..2 {
        catalog
            .delete_release_contents(&release, Some(&of_release))
            .await
            .unwrap();
    }
    let log = all(&*catalog).await;
    let results: Vec<_> = log.iter().map(|entry| entry.details["result"].clone()).collect();
    assert_eq!(
        results,
        [
            json!({"geocells": 0, "reference_images": 2}),
            json!({"predictions": 1, "shadows": 0, "ground_truth": 0, "months_dropped": 0}),
            json!({"reference_images": 2}),
        ]
    );
}
