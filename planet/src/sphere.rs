//! Points on the unit sphere.

use geocells::LatLng;

use crate::random::Random;

/// Mean radius of the Earth in kilometres.
pub(crate) const RADIUS_KM: f64 = 6371.0;

/// A vector in three dimensions; a place when its length is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Vector(pub(crate) [f64; 3]);

impl Vector {
    pub(crate) fn of(place: LatLng) -> Self {
        let (lat, lng) = (place.latitude().to_radians(), place.longitude().to_radians());
        Self([lat.cos() * lng.cos(), lat.cos() * lng.sin(), lat.sin()])
    }

    pub(crate) fn to_latlng(self) -> geocells::Result<LatLng> {
        let [x, y, z] = self.0;
        LatLng::new(z.atan2(x.hypot(y)).to_degrees(), y.atan2(x).to_degrees())
    }

    /// Uniform on the unit sphere.
    pub(crate) fn random(random: &mut Random) -> Self {
        let z = random.range(-1.0, 1.0);
        let angle = random.range(0.0, std::f64::consts::TAU);
        let r = (1.0 - z * z).sqrt();
        Self([r * angle.cos(), r * angle.sin(), z])
    }

    pub(crate) fn dot(self, other: Self) -> f64 {
        self.0[0] * other.0[0] + self.0[1] * other.0[1] + self.0[2] * other.0[2]
    }

    /// Degrees from the equator, without sign.
    pub(crate) fn absolute_latitude(self) -> f64 {
        self.0[2].clamp(-1.0, 1.0).asin().abs().to_degrees()
    }

    /// Great-circle distance, precise for near and far points.
    pub(crate) fn distance_km(self, other: Self) -> f64 {
        let chord: f64 = (0..3)
            .map(|i| (self.0[i] - other.0[i]).powi(2))
            .sum::<f64>()
            .sqrt();
        2.0 * RADIUS_KM * (chord / 2.0).min(1.0).asin()
    }

    /// The place `km` away towards `bearing` (radians, any fixed origin).
    pub(crate) fn travel(self, km: f64, bearing: f64) -> Self {
        let [x, y, z] = self.0;
        // Any axis that isn't nearly parallel to the place spans its tangent plane.
        let axis = if z.abs() < 0.9 {
            [0.0, 0.0, 1.0]
        } else {
            [1.0, 0.0, 0.0]
        };
        let east = cross(axis, [x, y, z]);
        let length = (east[0].powi(2) + east[1].powi(2) + east[2].powi(2)).sqrt();
        let east = east.map(|c| c / length);
        let north = cross([x, y, z], east);
        let angle = km / RADIUS_KM;
        let mut moved = [0.0; 3];
        for i in 0..3 {
            moved[i] =
                self.0[i] * angle.cos() + (east[i] * bearing.sin() + north[i] * bearing.cos()) * angle.sin();
        }
        Self(moved)
    }
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn travelling_goes_as_far_as_asked() {
        let mut random = Random::new(3, 0);
        for km in [0.1, 5.0, 900.0, 9000.0] {
            let from = Vector::random(&mut random);
            let to = from.travel(km, random.range(0.0, 6.0));
            assert!((from.distance_km(to) - km).abs() < 1e-6 * km.max(1.0));
            let by_latlng = from.to_latlng().unwrap().distance(to.to_latlng().unwrap()).get();
            assert!((by_latlng - km).abs() < 1e-3 * km, "{by_latlng} {km}");
        }
    }
}
