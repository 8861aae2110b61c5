//! Splits: nothing that belongs together is ever on both sides.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;

use geocells::{GeocellId, LatLng};
use geosurge_datasets::{Dataset, Photo, SplitBy, SplitConfig, split};
use proptest::prelude::*;

fn photo(index: usize, latitude: f64, longitude: f64, uploader: Option<&str>) -> Photo {
    Photo {
        uploader: uploader.map(str::to_owned),
        ..Photo::new(format!("{index}.jpg"), LatLng::new(latitude, longitude).unwrap())
    }
}

/// Photos by `people` people who each walk about a town of their own.
fn towns(photos: usize, people: usize) -> Dataset {
    let photos = (0..photos).map(|index| {
        let person = index % people;
        let step = (index / people) as f64 * 0.001;
        photo(
            index,
            person as f64 - 40.0 + step,
            person as f64 * 3.0 - 100.0,
            Some(&format!("person {person}")),
        )
    });
    Dataset::new("root", photos.collect())
}

fn config(by: SplitBy, validation_fraction: f64) -> SplitConfig {
    SplitConfig {
        by,
        validation_fraction,
        ..SplitConfig::default()
    }
}

#[test]
fn both_sides_together_are_everything_once() {
    let dataset = towns(1000, 50);
    let split = split(&dataset, &config(SplitBy::Uploader, 0.1)).unwrap();
    let all: HashSet<usize> = split.train.iter().chain(&split.validation).copied().collect();
    assert_eq!(
        (all.len(), split.train.len() + split.validation.len()),
        (1000, 1000)
    );
    assert_eq!((split.validation.len(), split.groups), (100, 50));
    assert!(split.train.is_sorted() && split.validation.is_sorted());
}

#[test]
fn auto_goes_by_uploader_only_when_nearly_all_are_known() {
    let mut photos = towns(100, 10).photos().to_vec();
    let by = |photos: &[Photo]| {
        split(
            &Dataset::new("root", photos.to_vec()),
            &config(SplitBy::Auto, 0.2),
        )
        .unwrap()
        .by
    };
    assert_eq!(by(&photos), SplitBy::Uploader);
    photos.iter_mut().take(10).for_each(|photo| photo.uploader = None);
    assert_eq!(by(&photos), SplitBy::Uploader);
    photos[10].uploader = None;
    assert_eq!(by(&photos), SplitBy::Place);
}

#[test]
fn the_seed_alone_decides_and_the_order_of_photos_does_not() {
    let dataset = towns(300, 30);
    let held_out = |dataset: &Dataset, seed| {
        let config = SplitConfig {
            seed,
            ..config(SplitBy::Uploader, 0.2)
        };
        let split = split(dataset, &config).unwrap();
        let paths = split
            .validation
            .iter()
            .map(|index| dataset.photos()[*index].path.clone());
        paths.collect::<HashSet<_>>()
    };
    let mut reversed = dataset.photos().to_vec();
    reversed.reverse();
    assert_eq!(held_out(&dataset, 1), held_out(&dataset, 1));
    assert_eq!(
        held_out(&dataset, 1),
        held_out(&Dataset::new("root", reversed), 1)
    );
    assert_ne!(held_out(&dataset, 1), held_out(&dataset, 2));
}

#[test]
fn the_same_spot_or_the_same_bytes_bind_photos_of_two_people() {
    let mut photos = vec![
        photo(0, 10.0, 10.0, Some("ann")),
        photo(1, 10.0, 10.0, Some("bo")),
        photo(2, 50.0, 50.0, Some("cy")),
    ];
    for (index, person) in ["dee", "ed", "flo", "gus"].iter().enumerate() {
        photos.push(photo(3 + index, -30.0 + index as f64, 100.0, Some(person)));
    }
    photos[2].sha256 = Some("same".into());
    photos[3].sha256 = Some("same".into());
    let dataset = Dataset::new("root", photos);
    for seed in 0..50 {
        let split = split(
            &dataset,
            &SplitConfig {
                seed,
                ..config(SplitBy::Uploader, 0.5)
            },
        )
        .unwrap();
        let side = |index| split.validation.contains(&index);
        assert_eq!((side(0), side(2)), (side(1), side(3)), "seed {seed}");
        assert_eq!(split.groups, 5);
    }
}

#[test]
fn a_group_too_large_for_the_share_stays_in_training() {
    let mut photos: Vec<Photo> = (0..90)
        .map(|index| photo(index, 10.0 + index as f64 * 0.5, 10.0, Some("busy")))
        .collect();
    photos.extend((0..10).map(|index| {
        photo(
            90 + index,
            -10.0 - index as f64,
            10.0,
            Some(["x", "y", "z"][index % 3]),
        )
    }));
    let dataset = Dataset::new("root", photos);
    for seed in 0..20 {
        let split = split(
            &dataset,
            &SplitConfig {
                seed,
                ..config(SplitBy::Uploader, 0.05)
            },
        )
        .unwrap();
        assert!(split.validation.iter().all(|index| *index >= 90), "seed {seed}");
        assert!(
            (3..=4).contains(&split.validation.len()),
            "seed {seed}: {}",
            split.validation.len()
        );
    }
}

#[test]
fn what_cannot_be_split_says_what_to_do() {
    let says = |photos: Vec<Photo>, config: &SplitConfig, words: &str| {
        let text = split(&Dataset::new("root", photos), config)
            .unwrap_err()
            .to_string();
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    };
    let by_place = config(SplitBy::Place, 0.1);
    says(vec![], &by_place, "import photos");
    says(vec![photo(0, 1.0, 1.0, None)], &by_place, "only one");
    says(
        (0..9).map(|index| photo(index, 1.0, 1.0, None)).collect(),
        &by_place,
        "one place",
    );
    let one_person = (0..9)
        .map(|index| photo(index, index as f64, 1.0, Some("ann")))
        .collect();
    says(one_person, &config(SplitBy::Uploader, 0.1), "split by place");
    says(vec![], &config(SplitBy::Place, 0.0), "validation_fraction is 0");
    says(
        vec![],
        &config(SplitBy::Place, f64::NAN),
        "validation_fraction is NaN",
    );
    says(
        vec![],
        &SplitConfig {
            s2_level: 31,
            ..by_place
        },
        "s2_level is 31",
    );
}

#[test]
fn two_places_are_enough() {
    let dataset = Dataset::new(
        "root",
        vec![
            photo(0, 1.0, 1.0, None),
            photo(1, 1.0, 1.0, None),
            photo(2, 60.0, 1.0, None),
        ],
    );
    let split = split(&dataset, &config(SplitBy::Auto, 0.01)).unwrap();
    assert_eq!((split.train, split.validation), (vec![0, 1], vec![2]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_is_ever_shared_across_a_split(
        places in proptest::collection::vec((0..40_u8, 0..40_u8, proptest::option::of(0..9_u8)), 2..120),
        seed: u64,
        fraction in 0.01..0.9_f64,
        by_uploader: bool,
    ) {
        let photos = places.iter().enumerate().map(|(index, (latitude, longitude, uploader))| {
            let name = uploader.map(|uploader| uploader.to_string());
            photo(index, f64::from(*latitude) * 0.01, f64::from(*longitude) * 0.01, name.as_deref())
        });
        let dataset = Dataset::new("root", photos.collect());
        let by = if by_uploader { SplitBy::Uploader } else { SplitBy::Place };
        let Ok(split) = split(&dataset, &SplitConfig { seed, ..config(by, fraction) }) else {
            return Ok(());
        };
        prop_assert!(!split.validation.is_empty() && !split.train.is_empty());
        let photos = dataset.photos();
        for (a, b) in split.train.iter().flat_map(|a| split.validation.iter().map(move |b| (&photos[*a], &photos[*b]))) {
            prop_assert_ne!(a.location, b.location);
            if by_uploader {
                prop_assert!(a.uploader.is_none() || a.uploader != b.uploader);
            } else {
                let cell = |photo: &Photo| GeocellId::containing(photo.location, 12).unwrap();
                prop_assert_ne!(cell(a), cell(b));
            }
        }
    }
}
