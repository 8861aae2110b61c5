//! What a planet promises: geography, cues and nuisances.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use datasets::ade20k;
use geosurge_planet::{Latent, Place, Planet, PlanetConfig, Scale};

fn planet(difficulty: f64, size: u32) -> Planet {
    Planet::new(&PlanetConfig {
        size,
        difficulty,
        ..PlanetConfig::default()
    })
    .unwrap()
}

/// Mean over latents of one scale of the square difference between two places.
fn difference(planet: &Planet, a: &Place, b: &Place, scale: Scale) -> f64 {
    let (a, b) = (planet.latents(a.location), planet.latents(b.location));
    let of_scale: Vec<_> = Latent::ALL.iter().filter(|l| l.scale() == scale).collect();
    let sum: f64 = of_scale.iter().map(|&&l| (a.get(l) - b.get(l)).powi(2)).sum();
    sum / of_scale.len() as f64
}

#[test]
fn photographs_are_taken_on_land_and_crowd_in_cities() {
    let planet = planet(0.3, 32);
    let places = planet.places(6000, 0).unwrap();
    assert!(
        places
            .iter()
            .filter(|p| p.city.is_none())
            .all(|p| planet.is_land(p.location))
    );
    let astray = places.iter().filter(|p| !planet.is_land(p.location)).count();
    assert!(astray < 60, "{astray} photographs at sea");

    for place in &places {
        let Some(city) = place.city.map(|index| &planet.cities()[index]) else {
            continue;
        };
        assert!(city.location.distance(place.location).get() <= city.radius_km + 0.31);
        if let Some(spot) = place.spot {
            assert!(city.spots[spot].location.distance(place.location).get() < 0.31);
        }
    }

    // Most photographs lie in a tiny share of the land.
    let area: f64 = planet
        .cities()
        .iter()
        .map(|c| std::f64::consts::PI * c.radius_km.powi(2))
        .sum();
    let urban = places.iter().filter(|p| p.city.is_some()).count();
    assert!(urban > 5400 && area < 0.001 * 510e6, "{urban} in {area} km²");
    // Sizes fall by rank.
    let mut sizes = vec![0usize; planet.cities().len()];
    places.iter().filter_map(|p| p.city).for_each(|c| sizes[c] += 1);
    let top: usize = sizes[..8].iter().sum();
    assert!(sizes[0] > 300 && top as f64 > 0.3 * urban as f64, "{sizes:?}");
    // No part of the ocean is photographed from: cities have land around them.
    assert!(planet.cities().iter().all(|c| planet.is_land(c.location)));
}

#[test]
fn spots_have_enough_photographs_of_enough_people() {
    let planet = planet(0.3, 32);
    let places = planet.places(planet.config().photos, 0).unwrap();
    let mut people: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    let mut photos: BTreeMap<_, usize> = BTreeMap::new();
    let mut cities: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for place in &places {
        if let (Some(city), Some(spot)) = (place.city, place.spot) {
            people.entry((city, spot)).or_default().insert(&place.uploader);
            *photos.entry((city, spot)).or_default() += 1;
            cities.entry(&place.uploader).or_default().insert(city);
        }
    }
    let spots: usize = planet.cities().iter().map(|c| c.spots.len()).sum();
    assert!(spots > 200, "{spots}");
    let enough = photos.values().filter(|&&n| n >= 12).count();
    assert!(enough as f64 > 0.9 * spots as f64, "{enough} of {spots} spots");
    assert!(people.values().filter(|p| p.len() >= 4).count() as f64 > 0.9 * spots as f64);
    assert!(cities.values().all(|c| c.len() <= 3));
    assert!(cities.values().any(|c| c.len() == 3));
}

#[test]
fn near_places_share_what_far_ones_do_not() {
    let planet = planet(0.3, 32);
    let places = planet.places(500, 0).unwrap();
    let (mut same_spot, mut same_city, mut far) = (Vec::new(), Vec::new(), Vec::new());
    for (i, a) in places.iter().enumerate() {
        for b in &places[..i] {
            let km = a.location.distance(b.location).get();
            match (a.spot, a.city == b.city, a.spot == b.spot) {
                (Some(_), true, true) => same_spot.push((a, b)),
                (Some(_), true, false) => same_city.push((a, b)),
                _ if km > 3000.0 => far.push((a, b)),
                _ => {}
            }
        }
    }
    let mean = |pairs: &[(&Place, &Place)], scale| {
        let sum: f64 = pairs.iter().map(|(a, b)| difference(&planet, a, b, scale)).sum();
        sum / pairs.len() as f64
    };
    // Two independent uniform numbers differ by 1/6 in the mean square.
    assert!(mean(&same_spot, Scale::Spot) < 0.05);
    assert!(mean(&same_city, Scale::Spot) > 0.11);
    assert!(mean(&same_city, Scale::City) < 0.04);
    for scale in [Scale::Regional, Scale::Country, Scale::City, Scale::Spot] {
        assert!(mean(&far, scale) > 0.11, "{scale:?}");
    }
    assert!(mean(&same_city, Scale::Planetary) < 0.001);
}

#[test]
fn maps_fit_their_images_and_have_plausible_shares() {
    let planet = planet(0.3, 64);
    let places = planet.places(150, 0).unwrap();
    let mut shares: BTreeMap<&str, f64> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        let scene = planet.render(place, index as u64);
        assert_eq!(scene.image.dimensions(), (64, 64));
        assert_eq!(scene.segmentation.dimensions(), (64, 64));
        for pixel in scene.segmentation.as_raw() {
            assert!(usize::from(*pixel) < ade20k::CLASSES);
            *shares.entry(ade20k::name(*pixel).unwrap()).or_default() += 1.0;
        }
    }
    let total = 150.0 * 64.0 * 64.0;
    let share = |name: &str| shares.get(name).copied().unwrap_or(0.0) / total;
    assert!((0.10..0.50).contains(&share("sky")), "{shares:?}");
    assert!((0.10..0.45).contains(&share("building")), "{shares:?}");
    assert!((0.08..0.45).contains(&share("road")), "{shares:?}");
    assert!((0.01..0.25).contains(&share("sidewalk")), "{shares:?}");
    for rare in [
        "tree",
        "mountain",
        "sea",
        "person",
        "car",
        "awning",
        "flag",
        "signboard",
        "grass",
    ] {
        assert!(share(rare) > 0.0005, "{rare}: {shares:?}");
    }
    assert!(shares.len() >= 18, "{shares:?}");
}

#[test]
fn the_ground_is_below() {
    let planet = planet(0.0, 96);
    let places = planet.places(30, 3).unwrap();
    let mut grounds = 0;
    for (index, place) in places.iter().enumerate() {
        let map = planet.render(place, index as u64).segmentation;
        let bottom = ade20k::name(map.get_pixel(48, 95).0[0]).unwrap();
        let ground = ["road", "sidewalk", "earth", "grass", "field"];
        let things = [
            "car",
            "person",
            "pole",
            "streetlight",
            "signboard",
            "tree",
            "plant",
            "palm",
        ];
        assert!(ground.contains(&bottom) || things.contains(&bottom), "{bottom}");
        if ground.contains(&bottom) {
            grounds += 1;
        }
    }
    assert!(grounds >= 24, "{grounds} of 30");
}

/// Mean colour of an image's pixels of one class, if it has any.
fn mean_colour(planet: &Planet, place: &Place, seed: u64, class: &str) -> Option<[f64; 3]> {
    let scene = planet.render(place, seed);
    let id = ade20k::id(class).unwrap();
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    for (pixel, label) in scene.image.pixels().zip(scene.segmentation.as_raw()) {
        if *label == id {
            (0..3).for_each(|c| sum[c] += f64::from(pixel.0[c]));
            n += 1.0;
        }
    }
    (n > 8.0).then(|| sum.map(|s| s / n))
}

/// Share of the variance of a class's mean colour that is between places rather than between photographs of one.
fn told_by_place(planet: &Planet, class: &str) -> f64 {
    let mut groups: Vec<Vec<[f64; 3]>> = Vec::new();
    for city in 0..24 {
        let location = planet.cities()[city].spots[0].location;
        let template = planet.places(1, 0).unwrap().remove(0);
        let place = Place {
            location,
            city: Some(city),
            spot: Some(0),
            ..template
        };
        groups.push(
            (0..8)
                .filter_map(|seed| mean_colour(planet, &place, 1000 * city as u64 + seed, class))
                .collect(),
        );
    }
    groups.retain(|group| group.len() > 2);
    assert!(groups.len() >= 10, "{class} is too rare to compare");
    let all: Vec<[f64; 3]> = groups.iter().flatten().copied().collect();
    let mean = |colours: &[[f64; 3]]| {
        let n = colours.len() as f64;
        [0, 1, 2].map(|c| colours.iter().map(|colour| colour[c]).sum::<f64>() / n)
    };
    let spread = |colours: &[[f64; 3]], about: [f64; 3]| -> f64 {
        colours
            .iter()
            .map(|colour| (0..3).map(|c| (colour[c] - about[c]).powi(2)).sum::<f64>())
            .sum()
    };
    // The unbiased share (omega squared): near 0 for what places have no influence on.
    let (k, n) = (groups.len() as f64, all.len() as f64);
    let within: f64 = groups.iter().map(|group| spread(group, mean(group))).sum();
    let total = spread(&all, mean(&all));
    let error = within / (n - k);
    (total - within - (k - 1.0) * error) / (total + error)
}

#[test]
fn cues_tell_places_apart_and_distractors_do_not() {
    let planet = planet(0.3, 64);
    for cue in ["building", "road", "sidewalk", "flag", "awning"] {
        let share = told_by_place(&planet, cue);
        assert!(share > 0.3, "{cue}: {share}");
    }
    let busy = self::planet(1.0, 64);
    for distractor in ["car", "person"] {
        let share = told_by_place(&busy, distractor);
        assert!(share < 0.12, "{distractor}: {share}");
    }
}

#[test]
fn difficulty_weakens_cues() {
    let told = |difficulty| {
        let planet = planet(difficulty, 64);
        (told_by_place(&planet, "building"), told_by_place(&planet, "road"))
    };
    let (easy, middle, hard) = (told(0.0), told(0.5), told(1.0));
    assert!(
        easy.0 > middle.0 && middle.0 > hard.0,
        "{easy:?} {middle:?} {hard:?}"
    );
    assert!(
        easy.1 > middle.1 && middle.1 > hard.1,
        "{easy:?} {middle:?} {hard:?}"
    );
}

#[test]
fn a_crowded_planet_is_refused() {
    let config = PlanetConfig {
        cities: 0,
        ..PlanetConfig::default()
    };
    let error = Planet::new(&config).unwrap_err().to_string();
    assert!(error.contains("cities"), "{error}");
    let config = PlanetConfig {
        photos: 0,
        ..PlanetConfig::default()
    };
    assert!(Planet::new(&config).unwrap_err().to_string().contains("photos"));
}
