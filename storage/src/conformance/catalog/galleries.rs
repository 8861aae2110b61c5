//! Geocells and reference images.

use chrono::{TimeZone, Utc};
use geocells::{GeocellId, LatLng};
use uuid::Uuid;

use super::{CatalogPlace, id, new_release, release_at};
use crate::{GeocellRecord, ReferenceImage, ReleaseCounts, ReleaseStatus};

fn place(index: usize) -> LatLng {
    LatLng::new(-60.0 + index as f64 * 0.05, -170.0 + index as f64 * 0.1).unwrap()
}

fn cell(index: usize, s2_level: u8) -> GeocellId {
    GeocellId::containing(place(index), s2_level).unwrap()
}

/// `count` geocells of S2 level 12 at a level, each with its parent of S2 level 8.
pub(super) fn geocells(level: usize, count: usize) -> Vec<GeocellRecord> {
    let record = |index| GeocellRecord {
        level,
        index,
        token: cell(index, 12),
        parent: (level > 0).then(|| cell(index, 8)),
        photos: index as u64 * 7,
        location: place(index),
    };
    (0..count).map(record).collect()
}

pub(super) fn image(index: usize) -> ReferenceImage {
    let full = index.is_multiple_of(2);
    let path = format!("photos/ä {index}.jpg");
    ReferenceImage {
        id: ReferenceImage::id_of("00", &path),
        path,
        location: place(index),
        geocell: full.then(|| cell(index, 12)),
        sha256: format!("{index:064x}"),
        captured_at: full.then(|| Utc.timestamp_micros(1_600_000_000_123_456).unwrap()),
        uploader: full.then(|| format!("someone {index}")),
    }
}

/// The same load again changes nothing, a changed row replaces its predecessor, and counts follow.
pub async fn galleries_are_loaded_repeatably(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let release = release_at(&*catalog, "a", ReleaseStatus::Building).await.id;
    let mut cells = geocells(0, 1200);
    let mut images: Vec<ReferenceImage> = (0..1300).map(image).collect();
    for _ in 0..2 {
        catalog.insert_geocells(&release, &cells).await.unwrap();
        catalog.insert_reference_images(&release, &images).await.unwrap();
    }
    catalog.insert_geocells(&release, &[]).await.unwrap();
    catalog.insert_reference_images(&release, &[]).await.unwrap();
    cells[5].photos = 1;
    images[5].uploader = Some("someone else".into());
    catalog.insert_geocells(&release, &cells[5..6]).await.unwrap();
    catalog
        .insert_reference_images(&release, &images[5..6])
        .await
        .unwrap();
    let counts = ReleaseCounts {
        geocells: 1200,
        reference_images: 1300,
    };
    assert_eq!(catalog.counts(&release).await.unwrap(), counts);
    drop(catalog);

    let catalog = at.open().await.unwrap();
    assert_eq!(catalog.geocells(&release, 0, None, 10_000).await.unwrap(), cells);
    let ids: Vec<Uuid> = images.iter().map(|image| image.id).collect();
    assert_eq!(catalog.reference_images(&release, &ids).await.unwrap(), images);
    let ready = catalog
        .set_status(&release, ReleaseStatus::Ready, None)
        .await
        .unwrap();
    assert_eq!(ready.counts, Some(counts));
}

/// A geocell is found by its token at each level that has it, and levels are paged in order.
pub async fn geocells_are_found_and_paged(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let release = release_at(&*catalog, "a", ReleaseStatus::Building).await.id;
    let other = release_at(&*catalog, "b", ReleaseStatus::Building).await.id;
    let (coarse, fine) = (geocells(1, 8), geocells(2, 10));
    catalog.insert_geocells(&release, &fine).await.unwrap();
    catalog.insert_geocells(&release, &coarse).await.unwrap();
    catalog.insert_geocells(&other, &geocells(0, 3)).await.unwrap();

    let token = fine[3].token;
    assert_eq!(catalog.geocell(&release, token, None).await.unwrap(), fine[3]);
    assert_eq!(
        catalog.geocell(&release, token, Some(1)).await.unwrap(),
        coarse[3]
    );
    let error = catalog.geocell(&release, token, Some(0)).await.unwrap_err();
    assert!(
        error.is_not_found() && error.to_string().contains(&token.token()),
        "{error}"
    );
    let error = catalog.geocell(&other, fine[9].token, None).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");

    assert_eq!(catalog.geocells(&release, 2, None, 4).await.unwrap(), fine[..4]);
    assert_eq!(
        catalog.geocells(&release, 2, Some(3), 4).await.unwrap(),
        fine[4..8]
    );
    assert_eq!(
        catalog.geocells(&release, 2, Some(7), 4).await.unwrap(),
        fine[8..]
    );
    assert!(
        catalog
            .geocells(&release, 2, Some(9), 4)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(catalog.geocells(&release, 3, None, 4).await.unwrap().is_empty());
}

/// Reference images come in the order asked, in pages in order of id, and go when deleted.
pub async fn reference_images_come_back_as_asked(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let release = release_at(&*catalog, "a", ReleaseStatus::Building).await.id;
    let other = release_at(&*catalog, "b", ReleaseStatus::Building).await.id;
    let mut images: Vec<ReferenceImage> = (0..30).map(image).collect();
    catalog.insert_reference_images(&release, &images).await.unwrap();
    catalog
        .insert_reference_images(&other, &images[..2])
        .await
        .unwrap();

    let ids = [images[9].id, Uuid::nil(), images[2].id, images[20].id];
    let found = catalog.reference_images(&release, &ids).await.unwrap();
    assert_eq!(found, [images[9].clone(), images[2].clone(), images[20].clone()]);
    assert_eq!(catalog.reference_images(&other, &ids).await.unwrap(), []);
    assert_eq!(catalog.reference_images(&release, &[]).await.unwrap(), []);

    images.sort_by_key(|image| image.id);
    let first = catalog.list_reference_images(&release, None, 12).await.unwrap();
    assert_eq!(first, images[..12]);
    let after = first.last().map(|image| image.id);
    let rest = catalog.list_reference_images(&release, after, 100).await.unwrap();
    assert_eq!(rest, images[12..]);

    let gone: Vec<Uuid> = images[..5].iter().map(|image| image.id).collect();
    let delete = || catalog.delete_reference_images(&release, &gone, None);
    assert_eq!(delete().await.unwrap(), 5);
    assert_eq!(delete().await.unwrap(), 0);
    assert_eq!(catalog.counts(&release).await.unwrap().reference_images, 25);
    assert_eq!(catalog.counts(&other).await.unwrap().reference_images, 2);
}

/// What a release has of a file or in a geocell is found, and nothing of other releases.
pub async fn reference_images_are_found_by_file_and_geocell(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let release = release_at(&*catalog, "a", ReleaseStatus::Building).await.id;
    let other = release_at(&*catalog, "b", ReleaseStatus::Building).await.id;
    let mut images: Vec<ReferenceImage> = (0..20).map(image).collect();
    let mut copy = images[3].clone();
    copy.path = "a copy.jpg".into();
    copy.id = ReferenceImage::id_of("00", &copy.path);
    images.push(copy);
    images.sort_by_key(|image| image.id);
    catalog.insert_reference_images(&release, &images).await.unwrap();
    catalog
        .insert_reference_images(&other, &images[..1])
        .await
        .unwrap();

    let asked = [3, 7, 99].map(|index| format!("{index:064x}"));
    let found = catalog
        .reference_images_by_sha256(&release, &asked)
        .await
        .unwrap();
    let expected: Vec<&ReferenceImage> = images
        .iter()
        .filter(|image| asked.contains(&image.sha256))
        .collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    assert_eq!(found.len(), 3);
    assert_eq!(
        catalog.reference_images_by_sha256(&release, &[]).await.unwrap(),
        []
    );

    let cells = [cell(2, 12), cell(4, 12), cell(18, 12), cell(500, 12)];
    let expected: Vec<&ReferenceImage> = images
        .iter()
        .filter(|image| image.geocell.is_some_and(|geocell| cells.contains(&geocell)))
        .collect();
    assert!(expected.len() >= 3);
    let first = catalog
        .reference_images_in(&release, &cells, None, 2)
        .await
        .unwrap();
    let after = first.last().map(|image| image.id);
    let rest = catalog
        .reference_images_in(&release, &cells, after, 100)
        .await
        .unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(first.iter().chain(&rest).collect::<Vec<_>>(), expected);
    assert_eq!(
        catalog.reference_images_in(&release, &[], None, 9).await.unwrap(),
        []
    );
}

/// Nothing is stored for a release that is not there.
pub async fn galleries_need_their_release(at: &dyn CatalogPlace) {
    let catalog = at.open().await.unwrap();
    let missing = id("missing");
    let cells = catalog
        .insert_geocells(&missing, &geocells(0, 3))
        .await
        .unwrap_err();
    let images = catalog
        .insert_reference_images(&missing, &[image(1)])
        .await
        .unwrap_err();
    for error in [cells, images] {
        assert!(
            error.is_not_found() && error.to_string().contains("missing"),
            "{error}"
        );
    }
    let release = catalog.create_release(new_release("missing")).await.unwrap();
    assert_eq!(
        catalog.counts(&release.id).await.unwrap(),
        ReleaseCounts::default()
    );
}
