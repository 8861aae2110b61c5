//! A checked place on the Earth, and the distance between two.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Kilometres, Result};

/// Radius of the sphere that every distance and area is measured on, in kilometres.
///
/// The field's published accuracies use 6371 (the mean Earth radius, rounded), so ours are comparable with them.
pub const EARTH_RADIUS_KM: f64 = 6371.0;

/// A place on the Earth in degrees (WGS 84): latitude in `[-90, 90]`, longitude in `[-180, 180]`.
///
/// Serialised as `{"latitude": …, "longitude": …}` and checked again when read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct LatLng {
    latitude: f64,
    longitude: f64,
}

#[derive(Deserialize)]
struct Unchecked {
    latitude: f64,
    longitude: f64,
}

impl TryFrom<Unchecked> for LatLng {
    type Error = Error;

    fn try_from(place: Unchecked) -> Result<Self> {
        Self::new(place.latitude, place.longitude)
    }
}

impl LatLng {
    /// The place at `latitude` and `longitude`, in degrees.
    ///
    /// # Errors
    /// [`Error::InvalidLatitude`] or [`Error::InvalidLongitude`] when one is not a number, infinite or out of range.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(Error::InvalidLatitude { latitude });
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(Error::InvalidLongitude { longitude });
        }
        Ok(Self { latitude, longitude })
    }

    /// Degrees north of the equator.
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east of Greenwich.
    pub const fn longitude(self) -> f64 {
        self.longitude
    }

    /// Great-circle distance by the haversine formula on a sphere of [`EARTH_RADIUS_KM`].
    pub fn distance(self, other: Self) -> Kilometres {
        let (lat_a, lat_b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_dlat = ((lat_b - lat_a) / 2.0).sin();
        let half_dlng = ((other.longitude - self.longitude).to_radians() / 2.0).sin();
        let haversine = half_dlat * half_dlat + lat_a.cos() * lat_b.cos() * half_dlng * half_dlng;
        // Rounding can push antipodes a hair over one, where the arcsine has no value.
        let angle = 2.0 * haversine.clamp(0.0, 1.0).sqrt().asin();
        Kilometres::from_checked(EARTH_RADIUS_KM * angle)
    }

    /// The unit vector `[x, y, z]` from the Earth's centre: x to (0°, 0°), y to (0°, 90° E), z to the north pole.
    pub fn unit_vector(self) -> [f64; 3] {
        let (sin_lat, cos_lat) = self.latitude.to_radians().sin_cos();
        let (sin_lng, cos_lng) = self.longitude.to_radians().sin_cos();
        [cos_lng * cos_lat, sin_lng * cos_lat, sin_lat]
    }

    /// The place under the direction `[x, y, z]` (any length); `None` for the zero vector or a non-finite one.
    pub fn from_direction([x, y, z]: [f64; 3]) -> Option<Self> {
        let horizontal = x.hypot(y);
        if !(horizontal.is_finite() && z.is_finite()) || (horizontal == 0.0 && z == 0.0) {
            return None;
        }
        let latitude = z.atan2(horizontal).to_degrees().clamp(-90.0, 90.0);
        let longitude = y.atan2(x).to_degrees().clamp(-180.0, 180.0);
        Some(Self { latitude, longitude })
    }

    /// From the S2 library, whose angles are right but may exceed the range by rounding.
    pub(crate) fn from_s2_point(point: s2::point::Point) -> Self {
        let place = s2::latlng::LatLng::from(point);
        Self {
            latitude: place.lat.deg().clamp(-90.0, 90.0),
            longitude: place.lng.deg().clamp(-180.0, 180.0),
        }
    }
}

/// `latitude, longitude` with six decimals (about 10 cm).
impl fmt::Display for LatLng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.6}, {:.6}", self.latitude, self.longitude))
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
    fn accepts_the_closed_range_and_nothing_else() {
        for (lat, lng) in [(90.0, 180.0), (-90.0, -180.0), (0.0, 0.0)] {
            assert!(LatLng::new(lat, lng).is_ok());
        }
        let beyond = 90.0_f64.next_up();
        for lat in [beyond, -beyond, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(
                matches!(LatLng::new(lat, 0.0), Err(Error::InvalidLatitude { .. })),
                "{lat}"
            );
        }
        let beyond = 180.0_f64.next_up();
        for lng in [beyond, -beyond, f64::NAN, f64::INFINITY, 360.0] {
            assert!(
                matches!(LatLng::new(0.0, lng), Err(Error::InvalidLongitude { .. })),
                "{lng}"
            );
        }
    }

    #[test]
    fn distances_known_by_heart() {
        let quarter = EARTH_RADIUS_KM * std::f64::consts::FRAC_PI_2;
        let close = |a: Kilometres, b: f64| (a.get() - b).abs() < 1e-6;
        assert!(close(place(0.0, 0.0).distance(place(90.0, 12.0)), quarter));
        assert!(close(place(0.0, 0.0).distance(place(0.0, 180.0)), 2.0 * quarter));
        assert!(close(place(37.5, -180.0).distance(place(37.5, 180.0)), 0.0));
        assert!(close(
            place(-12.3, 45.6).distance(place(12.3, -134.4)),
            2.0 * quarter
        ));
        // Paris to New York, from scikit-learn's haversine_distances with a radius of 6371 km.
        let error = place(48.8566, 2.3522).distance(place(40.7128, -74.006)).get() - 5837.241;
        assert!(error.abs() < 0.01, "{error}");
        // One metre north: no cancellation.
        let metre = 1e-3 / EARTH_RADIUS_KM;
        let north = place(45.0 + metre.to_degrees(), 7.0);
        assert!((place(45.0, 7.0).distance(north).get() - 1e-3).abs() < 1e-9);
    }

    #[test]
    fn directions_round_trip() {
        for (lat, lng) in [(0.0, 0.0), (90.0, 0.0), (-45.0, 170.0), (12.5, -179.99)] {
            let back = LatLng::from_direction(place(lat, lng).unit_vector()).unwrap();
            assert!(back.distance(place(lat, lng)).get() < 1e-6);
        }
        assert!(LatLng::from_direction([0.0; 3]).is_none());
        assert!(LatLng::from_direction([f64::NAN, 0.0, 1.0]).is_none());
    }

    #[test]
    fn json_is_checked() {
        let json = r#"{"latitude":48.5,"longitude":-2.25}"#;
        let read: LatLng = serde_json::from_str(json).unwrap();
        assert_eq!(read, place(48.5, -2.25));
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        let error = serde_json::from_str::<LatLng>(r#"{"latitude":95,"longitude":0}"#).unwrap_err();
        assert!(error.to_string().contains("latitude 95"), "{error}");
    }
}
