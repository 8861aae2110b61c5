//! The mean of places.

use crate::{LatLng, LocationKind};

/// Direction of the mean unit vector of `places`.
///
/// `None` when there are none, or when they cancel out exactly (antipodes), as then every place is as good.
pub fn spherical_mean(places: impl IntoIterator<Item = LatLng>) -> Option<LatLng> {
    sum_of(places).mean(LocationKind::Spherical)
}

/// Mean latitude and mean longitude in degrees, as the field's reference files have it. `None` when there are no places.
///
/// Wrong across the antimeridian: the mean of 179° and -179° is 0°.
pub fn plain_mean(places: impl IntoIterator<Item = LatLng>) -> Option<LatLng> {
    sum_of(places).mean(LocationKind::Plain)
}

fn sum_of(places: impl IntoIterator<Item = LatLng>) -> PlaceSum {
    let mut sum = PlaceSum::default();
    for place in places {
        sum.add(place);
    }
    sum
}

/// What is needed of a set of places for either mean; sums of disjoint sets merge.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlaceSum {
    pub(crate) count: u64,
    vector: [f64; 3],
    latitude: f64,
    longitude: f64,
}

impl PlaceSum {
    pub(crate) fn add(&mut self, place: LatLng) {
        self.add_with_vector(place, place.unit_vector());
    }

    pub(crate) fn add_with_vector(&mut self, place: LatLng, [x, y, z]: [f64; 3]) {
        self.count += 1;
        self.vector[0] += x;
        self.vector[1] += y;
        self.vector[2] += z;
        self.latitude += place.latitude();
        self.longitude += place.longitude();
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (sum, term) in self.vector.iter_mut().zip(other.vector) {
            *sum += term;
        }
        self.latitude += other.latitude;
        self.longitude += other.longitude;
    }

    pub(crate) fn mean(&self, kind: LocationKind) -> Option<LatLng> {
        if self.count == 0 {
            return None;
        }
        match kind {
            LocationKind::Spherical => LatLng::from_direction(self.vector),
            LocationKind::Plain => {
                let count = self.count as f64;
                // A mean of values in range is in range but for the last bit.
                let latitude = (self.latitude / count).clamp(-90.0, 90.0);
                let longitude = (self.longitude / count).clamp(-180.0, 180.0);
                LatLng::new(latitude, longitude).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn place(latitude: f64, longitude: f64) -> LatLng {
        LatLng::new(latitude, longitude).unwrap()
    }

    #[test]
    fn the_antimeridian_tells_the_two_means_apart() {
        let fiji = [place(-17.0, 179.0), place(-17.0, -179.0)];
        let spherical = spherical_mean(fiji).unwrap();
        assert!(spherical.distance(place(-17.0, 180.0)).get() < 1.0, "{spherical}");
        assert_eq!(plain_mean(fiji).unwrap(), place(-17.0, 0.0));
    }

    #[test]
    fn around_a_pole_the_mean_is_the_pole() {
        let ring = (0..8).map(|i| place(89.0, f64::from(i) * 45.0 - 180.0));
        assert!(spherical_mean(ring).unwrap().distance(place(90.0, 0.0)).get() < 1e-6);
    }

    #[test]
    fn nothing_has_no_mean() {
        assert!(spherical_mean([]).is_none() && plain_mean([]).is_none());
    }

    #[test]
    fn sums_merge() {
        let places = [place(1.0, 2.0), place(3.0, -4.0), place(-5.0, 6.0)];
        let mut left = sum_of(places[..1].iter().copied());
        left.merge(&sum_of(places[1..].iter().copied()));
        assert_eq!(left.count, 3);
        let apart = left.mean(LocationKind::Spherical).unwrap();
        assert!(apart.distance(spherical_mean(places).unwrap()).get() < 1e-9);
    }
}
