//! A part of the Earth that a client names: a box, a polygon, or countries.

use geo::{BoundingRect, Contains, InteriorPoint, MultiPolygon, Point, Rect};
use geocells::{GeocellId, LatLng};
use places::PlaceNamer;
use storage::Condition;

use crate::request_error::RequestError;

/// Most corners of a polygon.
const MOST_VERTICES: usize = 10_000;
/// Most countries.
const MOST_COUNTRIES: usize = 250;

/// A box in degrees. With `west` above `east` it crosses the 180th meridian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GeoBox {
    pub(crate) south_west: LatLng,
    pub(crate) north_east: LatLng,
}

impl GeoBox {
    /// Checks the corners that a client sent.
    pub(crate) fn new(south: f64, west: f64, north: f64, east: f64) -> Result<Self, RequestError> {
        let corner = |latitude, longitude| {
            LatLng::new(latitude, longitude).map_err(|error| RequestError::invalid(format!("box: {error}")))
        };
        let (south_west, north_east) = (corner(south, west)?, corner(north, east)?);
        if south > north {
            return Err(RequestError::invalid(format!(
                "the box has its south ({south}) above its north ({north}); swap them"
            )));
        }
        Ok(Self {
            south_west,
            north_east,
        })
    }

    /// Whether a place lies in it, borders included.
    pub(crate) fn contains(&self, place: LatLng) -> bool {
        let (west, east) = (self.south_west.longitude(), self.north_east.longitude());
        let between = if west <= east {
            (west..=east).contains(&place.longitude())
        } else {
            place.longitude() >= west || place.longitude() <= east
        };
        between && (self.south_west.latitude()..=self.north_east.latitude()).contains(&place.latitude())
    }

    /// Degrees from west to east.
    pub(crate) fn width(&self) -> f64 {
        let width = self.north_east.longitude() - self.south_west.longitude();
        if width < 0.0 { width + 360.0 } else { width }
    }

    fn middle(&self) -> Option<LatLng> {
        let latitude = f64::midpoint(self.south_west.latitude(), self.north_east.latitude());
        let longitude = self.south_west.longitude() + self.width() / 2.0;
        let wrapped = if longitude > 180.0 {
            longitude - 360.0
        } else {
            longitude
        };
        LatLng::new(latitude, wrapped).ok()
    }
}

/// A box that holds a geocell's outline; for a cell over a pole or wider than half the Earth, all longitudes.
pub(crate) fn bounds_of(cell: GeocellId) -> GeoBoxDegrees {
    let mut west = f64::INFINITY;
    let mut east = f64::NEG_INFINITY;
    let (mut south, mut north) = (f64::INFINITY, f64::NEG_INFINITY);
    let outline = retrieval::cell_polygon(cell);
    // Longitudes relative to the centre, so that a cell on the 180th meridian is not as wide as the Earth.
    let centre = cell.center().longitude();
    visit_positions(&outline["coordinates"], &mut |longitude, latitude| {
        let turned = longitude - 360.0 * ((longitude - centre) / 360.0).round();
        (west, east) = (west.min(turned), east.max(turned));
        (south, north) = (south.min(latitude), north.max(latitude));
    });
    let wrap = |longitude: f64| longitude - 360.0 * (longitude / 360.0).round();
    if east - west >= 359.0 || north >= 90.0 || south <= -90.0 {
        (west, east) = (-180.0, 180.0);
    } else {
        (west, east) = (wrap(west), wrap(east));
    }
    GeoBoxDegrees {
        south,
        west,
        north,
        east,
    }
}

/// The sides of a box, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GeoBoxDegrees {
    pub(crate) south: f64,
    pub(crate) west: f64,
    pub(crate) north: f64,
    pub(crate) east: f64,
}

impl GeoBoxDegrees {
    /// Whether it and a box have a place in common.
    pub(crate) fn meets(&self, other: &GeoBox) -> bool {
        let (south, north) = (other.south_west.latitude(), other.north_east.latitude());
        if self.north < south || self.south > north {
            return false;
        }
        let unrolled = |west: f64, east: f64| (west, if east < west { east + 360.0 } else { east });
        let (a_west, a_east) = unrolled(self.west, self.east);
        let (b_west, b_east) = unrolled(other.south_west.longitude(), other.north_east.longitude());
        [-360.0, 0.0, 360.0]
            .iter()
            .any(|turn| a_west + turn <= b_east && a_east + turn >= b_west)
    }
}

fn visit_positions(value: &serde_json::Value, visit: &mut impl FnMut(f64, f64)) {
    let Some(items) = value.as_array() else { return };
    if let [longitude, latitude, ..] = items.as_slice()
        && let (Some(longitude), Some(latitude)) = (longitude.as_f64(), latitude.as_f64())
    {
        visit(longitude, latitude);
        return;
    }
    for item in items {
        visit_positions(item, visit);
    }
}

/// A part of the Earth.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Area {
    /// A box.
    Box(GeoBox),
    /// Polygons, and the box that holds them; longitudes may run past 180 degrees.
    Polygon { polygons: MultiPolygon, around: Rect },
    /// Countries by their codes.
    Countries(Vec<&'static str>),
}

impl Area {
    /// A GeoJSON geometry: a Polygon or MultiPolygon.
    pub(crate) fn of_geojson(value: serde_json::Value) -> Result<Self, RequestError> {
        let wrong = |reason: String| RequestError::invalid(format!("polygon: {reason}"));
        let geometry: geojson::Geometry = serde_json::from_value(value)
            .map_err(|error| wrong(format!("it is no GeoJSON geometry ({error})")))?;
        let geometry = geo::Geometry::<f64>::try_from(geometry)
            .map_err(|error| wrong(format!("it is no geometry ({error})")))?;
        let polygons = match geometry {
            geo::Geometry::Polygon(polygon) => MultiPolygon::new(vec![polygon]),
            geo::Geometry::MultiPolygon(polygons) => polygons,
            _ => return Err(wrong("it must be a Polygon or a MultiPolygon".to_owned())),
        };
        let mut vertices = 0;
        for ring in polygons
            .iter()
            .flat_map(|polygon| std::iter::once(polygon.exterior()).chain(polygon.interiors()))
        {
            vertices += ring.0.len();
            for corner in &ring.0 {
                let possible = (-90.0..=90.0).contains(&corner.y) && (-540.0..=540.0).contains(&corner.x);
                if !possible {
                    return Err(wrong(format!(
                        "{}, {} is no place (longitude comes first)",
                        corner.x, corner.y
                    )));
                }
            }
        }
        if vertices > MOST_VERTICES {
            return Err(wrong(format!("{vertices} corners are more than {MOST_VERTICES}")));
        }
        let around = polygons
            .bounding_rect()
            .filter(|around| around.width() > 0.0 && around.height() > 0.0)
            .ok_or_else(|| wrong("it holds no area".to_owned()))?;
        Ok(Self::Polygon { polygons, around })
    }

    /// Countries by code or English name.
    pub(crate) fn of_countries(names: &[String]) -> Result<Self, RequestError> {
        if names.is_empty() || names.len() > MOST_COUNTRIES {
            return Err(RequestError::invalid(format!(
                "countries: name 1 to {MOST_COUNTRIES} of them"
            )));
        }
        let mut codes = Vec::with_capacity(names.len());
        for name in names {
            let code = places::country_code(name).ok_or_else(|| {
                let name: String = name.chars().take(60).collect();
                RequestError::invalid(format!(
                    "countries: {name:?} is no country; give its ISO 3166-1 code, such as FR, or its English name"
                ))
            })?;
            codes.push(code);
        }
        codes.sort_unstable();
        codes.dedup();
        Ok(Self::Countries(codes))
    }

    /// Whether a place lies in it.
    pub(crate) fn contains(&self, place: LatLng) -> bool {
        match self {
            Self::Box(sides) => sides.contains(place),
            Self::Polygon { polygons, around } => [-360.0, 0.0, 360.0].iter().any(|turn| {
                let point = Point::new(place.longitude() + turn, place.latitude());
                around.contains(&point) && polygons.contains(&point)
            }),
            Self::Countries(codes) => PlaceNamer::shared()
                .country(place)
                .is_some_and(|code| codes.contains(&code)),
        }
    }

    /// Places that are surely inside, where it is so small that no photo may be known of it.
    pub(crate) fn anchors(&self) -> Vec<LatLng> {
        match self {
            Self::Box(sides) => sides.middle().into_iter().collect(),
            Self::Polygon { polygons, .. } => polygons
                .iter()
                .filter_map(InteriorPoint::interior_point)
                .filter_map(|point| {
                    LatLng::new(point.y(), point.x() - 360.0 * (point.x() / 360.0).round()).ok()
                })
                .collect(),
            Self::Countries(_) => Vec::new(),
        }
    }

    /// The condition of a vector store on a field, where it can say this area.
    pub(crate) fn condition(&self, field: &str) -> Option<Condition> {
        match self {
            Self::Box(sides) => Some(Condition::GeoBox {
                field: field.to_owned(),
                south_west: sides.south_west,
                north_east: sides.north_east,
            }),
            Self::Polygon { .. } | Self::Countries(_) => None,
        }
    }

    /// The same text for the same area.
    pub(crate) fn key(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(latitude: f64, longitude: f64) -> LatLng {
        LatLng::new(latitude, longitude).unwrap()
    }

    #[test]
    fn boxes_cross_the_antimeridian() {
        let fiji = GeoBox::new(-20.0, 175.0, -15.0, -178.0).unwrap();
        assert!(fiji.contains(place(-17.0, 179.0)) && fiji.contains(place(-17.0, -179.0)));
        assert!(!fiji.contains(place(-17.0, 0.0)) && !fiji.contains(place(0.0, 179.0)));
        assert!((fiji.width() - 7.0).abs() < 1e-9);
        assert!(GeoBox::new(10.0, 0.0, -10.0, 1.0).is_err() && GeoBox::new(0.0, 0.0, 91.0, 1.0).is_err());
        assert!(GeoBox::new(f64::NAN, 0.0, 1.0, 1.0).is_err());
        let cell = GeocellId::containing(place(-17.0, 179.999), 6).unwrap();
        assert!(bounds_of(cell).meets(&fiji));
        assert!(!bounds_of(GeocellId::containing(place(48.0, 2.0), 6).unwrap()).meets(&fiji));
    }

    #[test]
    fn polygons_may_have_holes_and_run_past_180_degrees() {
        let ring = |west: f64, east: f64| {
            json!([
                [west, -20.0],
                [east, -20.0],
                [east, -10.0],
                [west, -10.0],
                [west, -20.0]
            ])
        };
        let hole = json!([
            [178.0, -16.0],
            [179.0, -16.0],
            [179.0, -14.0],
            [178.0, -14.0],
            [178.0, -16.0]
        ]);
        let area =
            Area::of_geojson(json!({"type": "Polygon", "coordinates": [ring(175.0, 185.0), hole]})).unwrap();
        assert!(area.contains(place(-15.0, 176.0)) && area.contains(place(-15.0, -177.0)));
        assert!(!area.contains(place(-15.0, 178.5)) && !area.contains(place(-15.0, -170.0)));
        assert!(area.anchors().iter().all(|anchor| area.contains(*anchor)));
        for bad in [
            json!({"type": "Point", "coordinates": [0.0, 0.0]}),
            json!({"type": "Polygon", "coordinates": [[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]}),
            json!({"type": "Polygon", "coordinates": [ring(0.0, 900.0)]}),
            json!({"type": "Polygon", "coordinates": []}),
            json!("somewhere"),
            json!({}),
        ] {
            assert!(Area::of_geojson(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn countries_are_known_by_code_and_name() {
        let area = Area::of_countries(&["fr".to_owned(), "Spain".to_owned()]).unwrap();
        assert_eq!(area, Area::Countries(vec!["ES", "FR"]));
        assert!(area.contains(place(48.85, 2.35)) && area.contains(place(40.4, -3.7)));
        assert!(!area.contains(place(52.5, 13.4)) && !area.contains(place(45.0, -30.0)));
        let error = Area::of_countries(&["Atlantis".to_owned()]).unwrap_err();
        assert!(error.message.contains("Atlantis") && error.message.contains("ISO 3166-1"));
        assert!(places::countries().count() > 240);
    }
}
