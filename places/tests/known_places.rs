//! Places that people know, borders, seas, poles and the 180th meridian.
#![allow(clippy::unwrap_used, reason = "tests")]

use geocells::LatLng;
use geosurge_places::{PlaceName, PlaceNamer};

fn name(latitude: f64, longitude: f64) -> Option<PlaceName> {
    PlaceNamer::shared().name(LatLng::new(latitude, longitude).unwrap())
}

#[test]
fn capitals_are_named_from_the_continent_down() {
    let capitals = [
        (48.8584, 2.2945, "Europe", "FR", "France", "Paris"),
        (-33.8568, 151.2153, "Oceania", "AU", "Australia", "Sydney"),
        (35.6586, 139.7454, "Asia", "JP", "Japan", "Tokyo"),
        (
            -22.9519,
            -43.2105,
            "South America",
            "BR",
            "Brazil",
            "Rio de Janeiro",
        ),
        (19.4326, -99.1332, "North America", "MX", "Mexico", "Mexico City"),
        (30.0444, 31.2357, "Africa", "EG", "Egypt", "Cairo"),
        (55.7520, 37.6175, "Europe", "RU", "Russia", "Moscow"),
        (-1.2864, 36.8172, "Africa", "KE", "Kenya", "Nairobi"),
        (64.1466, -21.9426, "Europe", "IS", "Iceland", "Reykjavik"),
        (-41.2865, 174.7762, "Oceania", "NZ", "New Zealand", "Wellington"),
    ];
    for (latitude, longitude, continent, code, country, city) in capitals {
        let name = name(latitude, longitude).unwrap();
        assert_eq!(
            (&*name.continent, &*name.country_code, &*name.country),
            (continent, code, country)
        );
        let said = name.to_string();
        assert!(name.region.is_some(), "{said}");
        // The nearest settlement may be a quarter of the city, so the city is looked for within some kilometres.
        let steps = || (-5..=5).map(|step| f64::from(step) / 100.0);
        let near = steps().any(|north| {
            steps().any(|east| {
                let name = self::name(latitude + north, longitude + east);
                name.and_then(|name| name.locality).as_deref() == Some(city)
            })
        });
        assert!(near, "{said} is not near {city}");
    }
}

/// Towns within sight of another country, on both sides.
#[test]
fn borders_are_kept() {
    let towns = [
        (47.6588, 9.1750, "DE", "Konstanz"),
        (47.6460, 9.1800, "CH", "Kreuzlingen"),
        (47.6973, 8.6910, "DE", "Büsingen, an exclave in Switzerland"),
        (
            51.4389,
            4.9306,
            "BE",
            "Baarle-Hertog, an exclave in the Netherlands",
        ),
        (31.7587, -106.4869, "US", "El Paso"),
        (31.7380, -106.4847, "MX", "Ciudad Juárez"),
        (42.5079, 1.5218, "AD", "Andorra la Vella"),
        (41.9029, 12.4534, "VA", "Saint Peter's Square"),
        (
            41.9022,
            12.4668,
            "IT",
            "Castel Sant'Angelo, 600 m from the Vatican",
        ),
        (43.7384, 7.4246, "MC", "Monaco"),
        (43.9424, 12.4578, "SM", "San Marino"),
        (52.3471, 14.5506, "DE", "Frankfurt (Oder)"),
        (52.3466, 14.5640, "PL", "Słubice"),
        (-25.5470, -54.5882, "BR", "Foz do Iguaçu"),
        (-25.5097, -54.6111, "PY", "Ciudad del Este"),
        (-25.5972, -54.5786, "AR", "Puerto Iguazú"),
        (-17.8419, 25.8544, "ZM", "Livingstone"),
        (44.9521, 34.1024, "UA", "Simferopol"),
        (-17.9310, 25.8300, "ZW", "Victoria Falls town"),
        (22.2783, 114.1747, "HK", "Hong Kong"),
        (22.5431, 114.0579, "CN", "Shenzhen"),
        (1.2903, 103.8520, "SG", "Singapore"),
        (1.4927, 103.7414, "MY", "Johor Bahru"),
        (42.6629, 21.1655, "XK", "Pristina"),
        (4.9224, -52.3135, "GF", "Cayenne"),
        (28.1235, -15.4363, "ES", "Las Palmas"),
        (35.8894, -5.3213, "ES", "Ceuta"),
        (36.1408, -5.3536, "GI", "Gibraltar"),
    ];
    let wrong: Vec<String> = towns
        .iter()
        .filter_map(|(latitude, longitude, code, town)| {
            let found = name(*latitude, *longitude).map(|name| name.country_code);
            (found.as_deref() != Some(*code)).then(|| format!("{town}: {found:?} instead of {code}"))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// The nearest settlement may lie across the border; it lends its names to nobody on this side.
#[test]
fn region_and_locality_are_of_the_same_country() {
    // A suburb of Ciudad Juárez is nearer to this street of El Paso than El Paso's own entry.
    let name = name(31.7505, -106.4880).unwrap();
    assert_eq!(name.country_code, "US");
    assert_eq!(name.region.as_deref(), Some("Texas"));
    // Kehl and Strasbourg look at each other over the Rhine.
    let strasbourg = self::name(48.5740, 7.7960).unwrap();
    let kehl = self::name(48.5739, 7.8080).unwrap();
    assert_eq!((&*strasbourg.country_code, &*kehl.country_code), ("FR", "DE"));
    assert_eq!(kehl.region.as_deref(), Some("Baden-Wuerttemberg"));
}

#[test]
fn the_open_sea_has_no_name() {
    for (latitude, longitude) in [
        (0.0, 0.0),
        (30.0, -40.0),
        (-40.0, -100.0),
        (-30.0, 80.0),
        (88.0, 0.0),
        (45.0, 180.0),
        (45.0, -180.0),
    ] {
        assert_eq!(name(latitude, longitude), None, "{latitude}, {longitude}");
    }
}

#[test]
fn both_sides_of_the_180th_meridian_and_both_poles_answer() {
    let codes = |latitude, longitude| name(latitude, longitude).map(|name| name.country_code);
    assert_eq!(codes(-16.79, 179.99).as_deref(), Some("FJ"));
    assert_eq!(codes(-16.79, -179.99).as_deref(), Some("FJ"));
    assert_eq!(codes(66.0, 179.0).as_deref(), Some("RU"));
    assert_eq!(codes(66.0, 180.0).as_deref(), codes(66.0, -180.0).as_deref());
    assert_eq!(codes(66.0, -179.0).as_deref(), Some("RU"));
    let south = name(-90.0, 0.0).unwrap();
    assert_eq!(
        (&*south.continent, &*south.country_code, &*south.country),
        ("Antarctica", "AQ", "Antarctica")
    );
    assert_eq!((south.region, south.locality), (None, None));
    assert_eq!(name(90.0, 0.0), None);
}

#[test]
fn far_from_any_settlement_only_what_is_known_is_said() {
    // The middle of the Sahara: Algeria, hundreds of kilometres from a town.
    let desert = name(23.0, -1.0).unwrap();
    assert_eq!((&*desert.country_code, desert.locality.as_deref()), ("DZ", None));
    assert_eq!(desert.to_string(), "Algeria");
}

#[test]
fn names_read_like_an_address() {
    let name = |region: Option<&str>, locality: Option<&str>| PlaceName {
        continent: "Asia".into(),
        country_code: "SG".into(),
        country: "Singapore".into(),
        region: region.map(Into::into),
        locality: locality.map(Into::into),
    };
    assert_eq!(name(None, Some("Singapore")).to_string(), "Singapore");
    assert_eq!(
        name(Some("North"), Some("Woodlands")).to_string(),
        "Woodlands, North, Singapore"
    );
    assert_eq!(name(None, None).to_string(), "Singapore");
    assert_eq!(format!("{:>12}", name(None, None)), "   Singapore");
}
