//! What holds of every hierarchy, whatever the photographs.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use geosurge_geocells::{
    EARTH_RADIUS_KM, Error, GeocellId, Hierarchy, LatLng, LocationKind, PartitionConfig, plain_mean,
    spherical_mean,
};
use proptest::prelude::*;

/// How far, in kilometres, a cell's location may lie from the exact mean of its photos: rounding alone, or half a leaf cell's diagonal
/// (7.3 mm) over the least length of a mean vector on a face (0.57).
fn tolerance(location: LocationKind) -> f64 {
    match location {
        LocationKind::Spherical => 1.3e-5,
        LocationKind::Plain => 1e-6,
    }
}

/// Clusters and loners: some clusters are one exact point, one straddles the antimeridian, one a pole.
fn photographs() -> impl Strategy<Value = Vec<LatLng>> {
    let centre = prop_oneof![
        6 => (-80.0..80.0_f64, -179.0..179.0_f64),
        1 => Just((-17.0, 180.0)),
        1 => Just((90.0, 0.0)),
        1 => Just((0.0, 45.0)),
    ];
    let spread = prop_oneof![Just(0.0), Just(1e-6), Just(0.01), Just(1.0), Just(20.0)];
    let cluster = (centre, spread, 1..120_usize, any::<u64>()).prop_map(|(centre, spread, count, seed)| {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
        let mut near = |middle: f64| middle + spread * rng.random_range(-1.0..1.0_f64);
        (0..count)
            .map(|_| {
                let longitude = (near(centre.1) + 540.0).rem_euclid(360.0) - 180.0;
                LatLng::new(near(centre.0).clamp(-90.0, 90.0), longitude).unwrap()
            })
            .collect::<Vec<_>>()
    });
    prop::collection::vec(cluster, 1..12).prop_map(|clusters| clusters.concat())
}

fn configs() -> impl Strategy<Value = PartitionConfig> {
    let steps = prop::collection::vec(1..60_u64, 1..5);
    let kind = prop_oneof![Just(LocationKind::Spherical), Just(LocationKind::Plain)];
    (0..20_u64, steps, 0..4_u8, kind).prop_map(|(t_min, steps, start_level, location)| {
        let mut t_max: Vec<u64> = steps
            .iter()
            .scan(t_min, |last, step| {
                *last += step;
                Some(*last)
            })
            .collect();
        t_max.reverse();
        PartitionConfig {
            t_min,
            t_max,
            start_level,
            location,
        }
    })
}

/// The field's rule, read literally, without sorting: a queue of cells with their photos.
fn naive(points: &[LatLng], t_min: u64, t_max: u64, start_level: u8) -> BTreeMap<GeocellId, Vec<LatLng>> {
    let mut open: BTreeMap<GeocellId, Vec<LatLng>> = BTreeMap::new();
    for &place in points {
        open.entry(GeocellId::containing(place, start_level).unwrap())
            .or_default()
            .push(place);
    }
    open.retain(|_, photos| photos.len() as u64 > t_min);
    let mut done = BTreeMap::new();
    while let Some((id, photos)) = open.pop_first() {
        if photos.len() as u64 <= t_max || id.s2_level() == 30 {
            done.insert(id, photos);
            continue;
        }
        for place in photos {
            let child = GeocellId::containing(place, id.s2_level() + 1).unwrap();
            open.entry(child).or_default().push(place);
        }
    }
    done.retain(|_, photos| photos.len() as u64 > t_min);
    done
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_level_is_the_fields_partition(points in photographs(), config in configs()) {
        let built = Hierarchy::build(&points, &config);
        let expected: Vec<_> = config
            .t_max
            .iter()
            .map(|&t_max| naive(&points, config.t_min, t_max, config.start_level))
            .collect();
        if expected.iter().any(BTreeMap::is_empty) {
            let refused = matches!(built, Err(Error::EmptyLevel { .. }));
            prop_assert!(refused);
            return Ok(());
        }
        for (level, expected) in built.unwrap().levels().iter().zip(expected) {
            prop_assert_eq!(level.len(), expected.len());
            for (cell, (id, photos)) in level.cells().iter().zip(expected) {
                prop_assert_eq!(cell.id, id);
                prop_assert_eq!(cell.photos, photos.len() as u64);
                let mean = match config.location {
                    LocationKind::Spherical => spherical_mean(photos),
                    LocationKind::Plain => plain_mean(photos),
                };
                prop_assert!(cell.location.distance(mean.unwrap()).get() < tolerance(config.location));
            }
        }
    }

    #[test]
    fn cells_are_nested_and_nothing_is_lost(points in photographs(), config in configs()) {
        let Ok(hierarchy) = Hierarchy::build(&points, &config) else { return Ok(()) };
        for (index, finest) in hierarchy.finest().cells().iter().enumerate() {
            let path = hierarchy.path(index);
            prop_assert_eq!(path.len(), hierarchy.depth());
            for (level, (partition, &at)) in hierarchy.levels().iter().zip(&path).enumerate() {
                let around: Vec<usize> = (0..partition.len())
                    .filter(|&i| partition.cells()[i].id.contains_id(finest.id))
                    .collect();
                prop_assert_eq!(around, vec![at], "exactly one ancestor at level {}", level);
            }
        }
        for (level, partition) in hierarchy.levels().iter().enumerate() {
            let inside = points.iter().filter(|place| partition.locate(**place).is_some()).count() as u64;
            prop_assert_eq!(partition.photos(), inside);
            prop_assert_eq!(partition.unlocated(), Some(points.len() as u64 - inside));
            for (index, cell) in partition.cells().iter().enumerate() {
                prop_assert!(cell.photos > partition.t_min());
                prop_assert!(cell.photos <= partition.t_max() || cell.id.s2_level() == 30);
                prop_assert_eq!(cell.parent.is_none(), level == 0);
                if level + 1 < hierarchy.depth() {
                    let finer = hierarchy.levels()[level + 1].cells();
                    let children: Vec<usize> = hierarchy.children(level, index).collect();
                    let linked: Vec<usize> = (0..finer.len()).filter(|&i| finer[i].parent == Some(index)).collect();
                    prop_assert_eq!(children, linked);
                }
            }
        }
    }

    #[test]
    fn a_located_place_lies_in_its_cells(points in photographs(), config in configs()) {
        let Ok(hierarchy) = Hierarchy::build(&points, &config) else { return Ok(()) };
        for &place in &points {
            let located = hierarchy.locate(place);
            prop_assert_eq!(located.len(), hierarchy.depth());
            for (level, at) in located.iter().enumerate() {
                let partition = &hierarchy.levels()[level];
                match at {
                    Some(index) => {
                        let cell = &partition.cells()[*index];
                        prop_assert!(cell.id.contains_point(place));
                        let finer = located.get(level + 1).copied().flatten();
                        let parent = finer.map(|i| hierarchy.levels()[level + 1].cells()[i].parent);
                        prop_assert!(parent.is_none() || parent == Some(Some(*index)));
                    }
                    None => {
                        prop_assert!(!partition.cells().iter().any(|cell| cell.id.contains_point(place)));
                        prop_assert!(located[level..].iter().all(Option::is_none));
                    }
                }
            }
        }
    }

    #[test]
    fn the_order_of_the_photos_is_nothing(points in photographs(), config in configs()) {
        let reversed: Vec<LatLng> = points.iter().rev().copied().collect();
        match (Hierarchy::build(&points, &config), Hierarchy::build(&reversed, &config)) {
            (Ok(one), Ok(other)) if config.location == LocationKind::Spherical => prop_assert_eq!(one, other),
            (Ok(one), Ok(other)) => {
                for (one, other) in one.levels().iter().zip(other.levels()) {
                    prop_assert_eq!(one.len(), other.len());
                    for (a, b) in one.cells().iter().zip(other.cells()) {
                        prop_assert_eq!((a.id, a.photos, a.parent), (b.id, b.photos, b.parent));
                        prop_assert!(a.location.distance(b.location).get() < 1e-6);
                    }
                }
            }
            (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
        }
    }

    #[test]
    fn tokens_and_places_round_trip(lat in -90.0..=90.0_f64, lng in -180.0..=180.0_f64, s2_level in 0..=30_u8) {
        let place = LatLng::new(lat, lng).unwrap();
        let cell = GeocellId::containing(place, s2_level).unwrap();
        prop_assert_eq!(GeocellId::from_token(&cell.token()).unwrap(), cell);
        prop_assert_eq!(GeocellId::containing(cell.center(), s2_level).unwrap(), cell);
        prop_assert!(cell.contains_point(place));
    }

    #[test]
    fn distance_is_a_metric(a in place(), b in place(), c in place()) {
        prop_assert!((a.distance(b).get() - b.distance(a).get()).abs() < 1e-9);
        prop_assert!(a.distance(c).get() <= a.distance(b).get() + b.distance(c).get() + 1e-6);
        prop_assert_eq!(a.distance(a).get(), 0.0);
    }
}

fn place() -> impl Strategy<Value = LatLng> {
    (-90.0..=90.0_f64, -180.0..=180.0_f64).prop_map(|(lat, lng)| LatLng::new(lat, lng).unwrap())
}

/// Clustered places that fill cells of every size.
fn clustered(count: usize) -> Vec<LatLng> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand::rngs::SmallRng::seed_from_u64(11);
    let centres: Vec<(f64, f64)> = (0..300)
        .map(|_| (rng.random_range(-89.0..89.0), rng.random_range(-180.0..180.0)))
        .collect();
    (0..count)
        .map(|_| {
            let (latitude, longitude) = centres[rng.random_range(0..centres.len())];
            let spread = 10_f64.powf(rng.random_range(-5.0..0.5));
            let mut near = |middle: f64| middle + spread * rng.random_range(-1.0..1.0_f64);
            let (latitude, longitude) = (near(latitude), near(longitude));
            LatLng::new(
                latitude.clamp(-90.0, 90.0),
                (longitude + 540.0).rem_euclid(360.0) - 180.0,
            )
            .unwrap()
        })
        .collect()
}

/// Against the exact mean of the photos that lie in each cell, within 1e-7 degrees, and mostly far nearer, as errors cancel out.
#[test]
fn spherical_means_from_leaf_ids_are_the_exact_ones() {
    let points = clustered(120_000);
    let config = PartitionConfig {
        t_max: vec![25_000, 5_000, 1_000, 200],
        ..PartitionConfig::default()
    };
    let hierarchy = Hierarchy::build(&points, &config).unwrap();
    let mut inside: Vec<Vec<Vec<LatLng>>> = hierarchy
        .levels()
        .iter()
        .map(|level| vec![Vec::new(); level.len()])
        .collect();
    for &place in &points {
        for (level, at) in hierarchy.locate(place).into_iter().enumerate() {
            if let Some(at) = at {
                inside[level][at].push(place);
            }
        }
    }
    let mut errors = Vec::new();
    for (level, inside) in hierarchy.levels().iter().zip(inside) {
        for (cell, photos) in level.cells().iter().zip(inside) {
            let error = cell.location.distance(spherical_mean(photos).unwrap()).get();
            errors.push((error / EARTH_RADIUS_KM).to_degrees());
        }
    }
    errors.sort_by(f64::total_cmp);
    let (median, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    assert!(
        worst < 1e-7 && median < 2e-8,
        "of {}: {median} {worst}",
        errors.len()
    );
}

#[test]
fn any_number_of_threads_gives_the_same() {
    let points = clustered(60_000);
    for location in [LocationKind::Spherical, LocationKind::Plain] {
        let config = PartitionConfig {
            location,
            ..PartitionConfig::default()
        };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Hierarchy::build(&points, &config).unwrap())
        };
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
    }
}

#[test]
fn one_place_thousands_of_times() {
    let place = LatLng::new(48.8584, 2.2945).unwrap();
    let hierarchy = Hierarchy::build(&vec![place; 3000], &PartitionConfig::default()).unwrap();
    for level in hierarchy.levels() {
        assert_eq!((level.len(), level.photos()), (1, 3000));
        assert!(level.cells()[0].location.distance(place).get() < tolerance(LocationKind::Spherical));
        let expected = if level.t_max() < 3000 { 30 } else { 0 };
        assert_eq!(
            level.cells()[0].id.s2_level(),
            expected,
            "t_max = {}",
            level.t_max()
        );
    }
}

#[test]
fn too_few_photos_say_what_to_do() {
    let config = PartitionConfig::default();
    assert!(matches!(Hierarchy::build(&[], &config), Err(Error::NoPoints)));
    let place = LatLng::new(1.0, 2.0).unwrap();
    let error = Hierarchy::build(&vec![place; 50], &config)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no cell holds more than t_min = 50 of the 50 photos"),
        "{error}"
    );
    assert!(error.contains("lower --t-min"), "{error}");
    assert!(Hierarchy::build(&vec![place; 51], &config).is_ok());
}
