//! The mean of places.

use crate::{LatLng, LocationKind};

/// Direction of the mean unit vector of `places`.
///
/// `None` when there are none, or when they cancel out exactly (antipodes), as then every place is as good.
pub fn spherical_mean(places: impl IntoIterator<Item = LatLng>) -> Option<LatLng> {
    mean(LocationKind::Spherical, places)
}

/// Mean latitude and mean longitude in degrees, as the field's reference files have it. `None` when there are no places.
///
/// Wrong across the antimeridian: the mean of 179° and -179° is 0°.
pub fn plain_mean(places: impl IntoIterator<Item = LatLng>) -> Option<LatLng> {
    mean(LocationKind::Plain, places)
}

fn mean(kind: LocationKind, places: impl IntoIterator<Item = LatLng>) -> Option<LatLng> {
    let mut sum = PlaceSum::default();
    for place in places {
        sum.add(kind.terms(place));
    }
    kind.mean(&sum)
}

/// A sum of places in whichever [terms](LocationKind::terms) are averaged; sums of disjoint sets merge.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlaceSum {
    count: u64,
    terms: [f64; 3],
}

impl PlaceSum {
    /// Of `count` places, whose terms add up to `terms`.
    pub(crate) fn new(count: usize, terms: [f64; 3]) -> Self {
        Self {
            count: count as u64,
            terms,
        }
    }

    pub(crate) fn add(&mut self, terms: [f64; 3]) {
        self.merge(&Self { count: 1, terms });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (sum, term) in self.terms.iter_mut().zip(other.terms) {
            *sum += term;
        }
    }
}

impl LocationKind {
    /// The numbers of a place whose mean is taken: its unit vector, or its latitude and longitude in degrees.
    pub(crate) fn terms(self, place: LatLng) -> [f64; 3] {
        match self {
            Self::Spherical => place.unit_vector(),
            Self::Plain => [place.latitude(), place.longitude(), 0.0],
        }
    }

    /// The mean of summed places, if they have one.
    pub(crate) fn mean(self, sum: &PlaceSum) -> Option<LatLng> {
        if sum.count == 0 {
            return None;
        }
        let [latitude, longitude, _] = sum.terms.map(|term| term / sum.count as f64);
        match self {
            Self::Spherical => LatLng::from_direction(sum.terms),
            // A mean of values in range is in range but for the last bit.
            Self::Plain => LatLng::new(latitude.clamp(-90.0, 90.0), longitude.clamp(-180.0, 180.0)).ok(),
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
        for kind in [LocationKind::Spherical, LocationKind::Plain] {
            let [mut all, second] = [&places[..1], &places[1..]].map(|part| {
                let mut sum = PlaceSum::default();
                part.iter().for_each(|&place| sum.add(kind.terms(place)));
                sum
            });
            all.merge(&second);
            assert_eq!(all.count, 3);
            let apart = kind.mean(&all).unwrap();
            assert!(apart.distance(mean(kind, places).unwrap()).get() < 1e-9);
        }
    }
}
