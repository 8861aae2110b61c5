//! Continents, cities and the spots where people take photographs.

use geocells::LatLng;

use crate::field::Field;
use crate::names::city_name;
use crate::random::{Random, mix};
use crate::sphere::Vector;
use crate::{Error, PlanetConfig, Result};

/// Beyond this latitude there is ice and no city.
const LAST_CITY_LATITUDE: f64 = 66.0;
/// Places on the whole sphere among which cities are chosen: one in about 130 km.
const CANDIDATES: usize = 30_000;
/// Two cities are at least this far apart.
const CITY_SPACING_KM: f64 = 60.0;
/// Two spots of a city are at least this far apart.
const SPOT_SPACING_KM: f64 = 1.5;
/// A spot's photographs lie within this distance of its centre.
pub(crate) const SPOT_RADIUS_KM: f64 = 0.3;

/// Where the sea ends: positive on land, negative at sea, 0 on the coast, rising inland.
#[derive(Debug, Clone)]
pub(crate) struct Land([(Field, f64); 3]);

impl Land {
    fn new(seed: u64) -> Self {
        let field = |purpose, km| Field::new(seed, mix(0x1A2D, purpose), km);
        Self([
            (field(0, 13_000.0), 0.8),
            (field(1, 5_000.0), 0.5),
            (field(2, 1_500.0), 0.22),
        ])
    }

    pub(crate) fn height(&self, at: Vector) -> f64 {
        let sum: f64 = self.0.iter().map(|(field, share)| field.value(at) * share).sum();
        sum - 0.3
    }

    /// How near the sea is, from 0 (far inland) to 1 (on the beach).
    pub(crate) fn seaside(&self, at: Vector) -> f64 {
        (1.0 - self.height(at) / 0.12).clamp(0.0, 1.0)
    }
}

/// A square, a street or a landmark: a few hundred metres where many photographs are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    /// Its centre.
    pub location: LatLng,
    /// Its share of the city's photographs; the shares of a city add up to 1.
    pub share: f64,
    pub(crate) at: Vector,
}

/// A city: a disc of a few kilometres with its spots.
#[derive(Debug, Clone, PartialEq)]
pub struct City {
    /// A name for people; two cities may share one.
    pub name: String,
    /// Its centre.
    pub location: LatLng,
    /// Its share of all photographs taken in cities; the shares of all cities add up to 1.
    pub share: f64,
    /// Every spot lies within this distance of the centre.
    pub radius_km: f64,
    /// At least one.
    pub spots: Vec<Spot>,
    pub(crate) at: Vector,
}

/// The continents and cities of one planet.
#[derive(Debug, Clone)]
pub(crate) struct Geography {
    pub(crate) land: Land,
    pub(crate) cities: Vec<City>,
}

impl Geography {
    pub(crate) fn new(config: &PlanetConfig) -> Result<Self> {
        let land = Land::new(config.seed);
        let centres = city_centres(config, &land)?;
        let shares = zipf(centres.len());
        let in_cities = config.photos as f64 * (1.0 - config.rural);
        let cities = centres
            .into_iter()
            .zip(shares)
            .enumerate()
            .map(|(rank, (at, share))| {
                let photos = in_cities * share;
                let spots = ((photos / config.photos_per_spot as f64).round() as usize).max(1);
                city(config.seed, rank, at, share, spots, &land)
            })
            .collect::<Result<_>>()?;
        Ok(Self { land, cities })
    }
}

/// Shares of the ranks 1 to `n`, falling as rank^-0.75, adding up to 1.
fn zipf(n: usize) -> Vec<f64> {
    let weights: Vec<f64> = (1..=n).map(|rank| (rank as f64).powf(-0.75)).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Places cities on the land, crowded where a population field is high and on coasts, empty towards the poles.
fn city_centres(config: &PlanetConfig, land: &Land) -> Result<Vec<Vector>> {
    let mut random = Random::new(config.seed, 0xC171E5);
    let population = Field::new(config.seed, 0x9E09, 2_500.0);
    let mut candidates: Vec<(f64, Vector)> = Vec::new();
    for _ in 0..CANDIDATES {
        let at = Vector::random(&mut random);
        if at.absolute_latitude() > LAST_CITY_LATITUDE || land.height(at) < 0.03 {
            continue;
        }
        let attraction = 2.2 * population.value(at) + 2.0 * land.seaside(at);
        // The largest of Gumbel-perturbed attractions is a draw by exp(attraction), without replacement.
        let gumbel = -(-(1.0 - random.unit()).ln()).ln();
        candidates.push((attraction + gumbel, at));
    }
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut centres: Vec<Vector> = Vec::with_capacity(config.cities);
    for (_, at) in candidates {
        if centres.len() == config.cities {
            break;
        }
        if centres
            .iter()
            .all(|other| other.distance_km(at) > CITY_SPACING_KM)
        {
            centres.push(at);
        }
    }
    if centres.len() < config.cities {
        return Err(Error::NoRoom {
            wanted: config.cities,
            found: centres.len(),
        });
    }
    Ok(centres)
}

fn city(seed: u64, rank: usize, at: Vector, share: f64, spots: usize, land: &Land) -> Result<City> {
    let mut random = Random::new(seed, mix(0x5907, rank as u64));
    let name = city_name(&mut random);
    let mut radius = SPOT_SPACING_KM * (spots as f64).sqrt();
    let mut centres: Vec<Vector> = vec![at];
    while centres.len() < spots {
        let centre = at.travel(
            radius * random.unit().sqrt(),
            random.range(0.0, std::f64::consts::TAU),
        );
        let free = centres
            .iter()
            .all(|other| other.distance_km(centre) > SPOT_SPACING_KM);
        if free && land.height(centre) > 0.0 {
            centres.push(centre);
        } else {
            // The disc grows until every spot has its room.
            radius *= 1.002;
        }
    }
    let weights: Vec<f64> = (0..spots).map(|_| random.range(0.75, 1.4)).collect();
    let total: f64 = weights.iter().sum();
    let spots = centres
        .into_iter()
        .zip(weights)
        .map(|(at, weight)| {
            Ok(Spot {
                location: at.to_latlng()?,
                share: weight / total,
                at,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(City {
        name,
        location: at.to_latlng()?,
        share,
        radius_km: radius,
        spots,
        at,
    })
}
