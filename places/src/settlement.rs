//! The nearest settlement of a country.

use geocells::{EARTH_RADIUS_KM, LatLng};
use reverse_geocoder::{Record, ReverseGeocoder};

/// Kilometres round the place at which settlements are looked for when the nearest one is abroad.
const RINGS_KM: [f64; 6] = [3.0, 7.0, 15.0, 30.0, 60.0, 120.0];
/// Directions in which they are looked for.
const BEARINGS: usize = 12;

/// A settlement and its distance.
pub(crate) struct Settlement<'a> {
    pub(crate) record: &'a Record,
    pub(crate) km: f64,
}

/// The nearest settlement that lies in the country, as far as is known.
///
/// The index answers with the nearest settlement of any country. Where that one is abroad, places on rings around are
/// asked for their nearest settlements, and the nearest of those that are in the country is taken: near borders this can
/// miss the very nearest one, and never takes one across the border.
pub(crate) fn nearest<'a>(
    settlements: &'a ReverseGeocoder,
    place: LatLng,
    country: &str,
) -> Option<Settlement<'a>> {
    let at = |around: LatLng| {
        let record = settlements.search((around.latitude(), around.longitude())).record;
        let location = LatLng::new(record.lat, record.lon).ok()?;
        let km = place.distance(location).get();
        (record.cc == country).then_some(Settlement { record, km })
    };
    if let Some(found) = at(place) {
        return Some(found);
    }
    for km in RINGS_KM {
        let nearest = (0..BEARINGS)
            .filter_map(|step| at(moved(place, km, step as f64 / BEARINGS as f64)?))
            .min_by(|a, b| a.km.total_cmp(&b.km));
        if nearest.is_some() {
            return nearest;
        }
    }
    None
}

/// The place at a distance in a direction, which is given in turns.
fn moved(from: LatLng, km: f64, turn: f64) -> Option<LatLng> {
    let (sin_lat, cos_lat) = from.latitude().to_radians().sin_cos();
    let (sin_lng, cos_lng) = from.longitude().to_radians().sin_cos();
    let up = [cos_lat * cos_lng, cos_lat * sin_lng, sin_lat];
    let east = [-sin_lng, cos_lng, 0.0];
    let north = [-sin_lat * cos_lng, -sin_lat * sin_lng, cos_lat];
    let (sin_turn, cos_turn) = (turn * std::f64::consts::TAU).sin_cos();
    let (sin_way, cos_way) = (km / EARTH_RADIUS_KM).sin_cos();
    LatLng::from_direction(
        [0, 1, 2].map(|axis| cos_way * up[axis] + sin_way * (cos_turn * north[axis] + sin_turn * east[axis])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_goes_as_far_as_asked() {
        for (latitude, longitude) in [(0.0, 0.0), (51.5, -0.1), (-89.9, 12.0), (12.0, 179.99)] {
            let from = LatLng::new(latitude, longitude).unwrap();
            for turn in [0.0, 0.25, 0.7] {
                let to = moved(from, 60.0, turn).unwrap();
                assert!((from.distance(to).get() - 60.0).abs() < 1e-6);
            }
        }
        let north = moved(LatLng::new(10.0, 20.0).unwrap(), 60.0, 0.0).unwrap();
        assert!(north.latitude() > 10.5 && (north.longitude() - 20.0).abs() < 1e-9);
        let east = moved(LatLng::new(10.0, 20.0).unwrap(), 60.0, 0.25).unwrap();
        assert!(east.longitude() > 20.5 && (east.latitude() - 10.0).abs() < 0.01);
    }
}
