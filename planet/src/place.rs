//! Where and when photographs are taken, and by whom.

use chrono::{DateTime, Duration, Utc};
use geocells::LatLng;

use crate::geography::{City, Geography, SPOT_RADIUS_KM};
use crate::random::{Random, mix};
use crate::sphere::Vector;
use crate::{PlanetConfig, Result};

/// Share of a city's photographs that are taken between its spots.
const ASTRAY: f64 = 0.04;

/// Where one photograph is taken, when and by whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Where the camera stands.
    pub location: LatLng,
    /// Index of the city, or none in the country.
    pub city: Option<usize>,
    /// Index of the spot among the city's, or none between spots.
    pub spot: Option<usize>,
    /// Who takes it: the same person takes several, of several spots in one to three cities.
    pub uploader: String,
    /// When, by daylight of the place.
    pub captured_at: DateTime<Utc>,
}

/// A person's way of taking photographs: which cities they visit, and what remains to be taken.
struct Uploader {
    name: String,
    cities: Vec<usize>,
    remaining: usize,
    first_day: i64,
}

/// Draws places as people choose them.
pub(crate) fn draw(geography: &Geography, config: &PlanetConfig, n: usize, seed: u64) -> Result<Vec<Place>> {
    let mut random = Random::new(config.seed, mix(0x91ACE, seed));
    let cities = &geography.cities;
    let by_city = running(cities.iter().map(|city| city.share));
    let by_spot: Vec<Vec<f64>> = cities
        .iter()
        .map(|city| running(city.spots.iter().map(|spot| spot.share)))
        .collect();
    let mut places = Vec::with_capacity(n);
    let mut uploader = Uploader {
        name: String::new(),
        cities: Vec::new(),
        remaining: 0,
        first_day: 0,
    };
    let mut people = 0usize;
    while places.len() < n {
        if uploader.remaining == 0 {
            uploader = Uploader {
                name: format!("person-{seed:x}-{people:06}"),
                cities: (0..=random.below(3)).map(|_| random.weighted(&by_city)).collect(),
                remaining: 4 + random.below(17),
                first_day: random.below(3650) as i64,
            };
            people += 1;
        }
        uploader.remaining -= 1;
        let index = uploader.cities[random.below(uploader.cities.len())];
        let city = &cities[index];
        let (at, of_city, spot) = if random.chance(config.rural) {
            (countryside(geography, city, &mut random), None, None)
        } else if random.chance(ASTRAY) {
            (around(city.at, city.radius_km, &mut random), Some(index), None)
        } else {
            let spot = random.weighted(&by_spot[index]);
            let at = near_spot(city.spots[spot].at, &mut random);
            (at, Some(index), Some(spot))
        };
        let location = at.to_latlng()?;
        places.push(Place {
            location,
            city: of_city,
            spot,
            uploader: uploader.name.clone(),
            captured_at: daytime(uploader.first_day, location, &mut random),
        });
    }
    Ok(places)
}

fn running(shares: impl Iterator<Item = f64>) -> Vec<f64> {
    shares
        .scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        })
        .collect()
}

fn around(centre: Vector, radius_km: f64, random: &mut Random) -> Vector {
    let bearing = random.range(0.0, std::f64::consts::TAU);
    centre.travel(radius_km * random.unit().sqrt(), bearing)
}

fn near_spot(centre: Vector, random: &mut Random) -> Vector {
    let bearing = random.range(0.0, std::f64::consts::TAU);
    let km = (0.12 * random.normal()).abs().min(SPOT_RADIUS_KM);
    centre.travel(km, bearing)
}

/// Somewhere on land within a few hours' drive of a city, and near the city when the sea is all around.
fn countryside(geography: &Geography, city: &City, random: &mut Random) -> Vector {
    let mut reach = 250.0;
    loop {
        let at = around(city.at, reach, random);
        if geography.land.height(at) > 0.0 {
            return at;
        }
        reach *= 0.97;
    }
}

/// An hour of daylight (7 to 20 by the sun) on one of a person's days.
fn daytime(first_day: i64, location: LatLng, random: &mut Random) -> DateTime<Utc> {
    let day = first_day + random.below(200) as i64;
    let solar_hours = random.range(7.0, 20.0);
    let utc_hours = solar_hours - location.longitude() / 15.0;
    let seconds = (utc_hours * 3600.0).round() as i64;
    // 2015-01-01T00:00:00Z.
    DateTime::UNIX_EPOCH + Duration::seconds(1_420_070_400) + Duration::days(day) + Duration::seconds(seconds)
}

/// The hour by the sun at a place, 0 to 24, and the season there as -1 (midwinter) to 1 (midsummer).
pub(crate) fn sun_clock(place: &Place) -> (f64, f64) {
    let seconds = place.captured_at.timestamp() as f64 + place.location.longitude() / 15.0 * 3600.0;
    let hour = (seconds / 3600.0).rem_euclid(24.0);
    let year = (seconds / 86_400.0 - 172.0) / 365.25;
    let season = (std::f64::consts::TAU * year).cos();
    let hemisphere = if place.location.latitude() < 0.0 {
        -1.0
    } else {
        1.0
    };
    (hour, season * hemisphere)
}
