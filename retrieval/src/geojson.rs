//! A prediction as GeoJSON (RFC 7946), for maps.

use geocells::{GeocellId, LatLng};
use serde_json::{Value, json};

use crate::prediction::Prediction;

/// A `FeatureCollection`: the place as a point, then the cells of the credible region as polygons, then the
/// reference images as points. Each feature says in its property `kind` what it is: `place`, `cell` or `reference`.
///
/// Rings run counter-clockwise; polygons that cross the 180th meridian are cut there, and those around a pole are closed
/// along it.
#[must_use]
pub fn to_geojson(prediction: &Prediction) -> Value {
    let mut features = vec![feature(
        point(prediction.location),
        json!({
            "kind": "place",
            "id": prediction.id,
            "release": prediction.release,
            "name": prediction.place.as_ref().map(ToString::to_string),
            "confidence": prediction.confidence,
            "within": prediction.within,
            "cannot_tell": prediction.cannot_tell,
        }),
    )];
    for cell in &prediction.credible_region.cells {
        let properties = json!({ "kind": "cell", "token": cell.token, "probability": cell.probability });
        features.push(feature(cell_polygon(cell.token), properties));
    }
    for reference in &prediction.references {
        let properties = json!({
            "kind": "reference",
            "id": reference.id,
            "path": reference.path,
            "likeness": reference.likeness,
            "distance_km": reference.distance_km,
        });
        features.push(feature(point(reference.location), properties));
    }
    json!({ "type": "FeatureCollection", "features": features })
}

/// The outline of a geocell as a `Polygon`, or a `MultiPolygon` where it is cut at the 180th meridian.
#[must_use]
pub fn cell_polygon(cell: GeocellId) -> Value {
    let mut polygons: Vec<Vec<Vec<[f64; 2]>>> = pieces(&outline(cell))
        .into_iter()
        .map(|ring| vec![closed(ring)])
        .collect();
    match polygons.pop() {
        Some(only) if polygons.is_empty() => json!({ "type": "Polygon", "coordinates": only }),
        Some(last) => {
            polygons.push(last);
            json!({ "type": "MultiPolygon", "coordinates": polygons })
        }
        None => json!({ "type": "MultiPolygon", "coordinates": [] }),
    }
}

fn feature(geometry: Value, properties: Value) -> Value {
    json!({ "type": "Feature", "geometry": geometry, "properties": properties })
}

fn point(place: LatLng) -> Value {
    json!({ "type": "Point", "coordinates": [place.longitude(), place.latitude()] })
}

fn closed(mut ring: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    if let Some(&first) = ring.first() {
        ring.push(first);
    }
    ring
}

/// Longitude and latitude along the cell's outline. Edges are great circles and maps draw straight lines, so that long edges get
/// points in between; longitudes are unrolled: neighbours differ by less than 180 degrees, and the ring may leave -180..180.
fn outline(cell: GeocellId) -> Vec<[f64; 2]> {
    let corners = cell.vertices();
    let steps = match cell.s2_level() {
        0..=1 => 32,
        2..=4 => 16,
        5..=8 => 4,
        _ => 1,
    };
    let mut ring: Vec<[f64; 2]> = Vec::with_capacity(4 * steps);
    for (index, corner) in corners.iter().enumerate() {
        let (from, to) = (corner.unit_vector(), corners[(index + 1) % 4].unit_vector());
        for step in 0..steps {
            let t = step as f64 / steps as f64;
            let direction = [0, 1, 2].map(|axis| from[axis] * (1.0 - t) + to[axis] * t);
            let place = LatLng::from_direction(direction).unwrap_or(*corner);
            let mut longitude = place.longitude();
            if let Some(&[previous, _]) = ring.last() {
                longitude += 360.0 * ((previous - longitude) / 360.0).round();
            }
            ring.push([longitude, place.latitude()]);
        }
    }
    close_at_pole(cell, &mut ring);
    ring
}

/// A ring around a pole runs once around all longitudes: closes it along the pole.
fn close_at_pole(cell: GeocellId, ring: &mut Vec<[f64; 2]>) {
    let (Some(&[first, start_latitude]), Some(&[last, _])) = (ring.first(), ring.last()) else {
        return;
    };
    let turn = last - first + {
        // The step from the last point back to the first, the short way round.
        let step = first - last;
        step - 360.0 * (step / 360.0).round()
    };
    if turn.abs() < 180.0 {
        return;
    }
    let pole = if cell.center().latitude() > 0.0 {
        90.0
    } else {
        -90.0
    };
    ring.push([first + turn, start_latitude]);
    ring.push([first + turn, pole]);
    ring.push([first, pole]);
}

/// Cuts an unrolled ring at every 180 + 360 k degrees and brings each piece into -180..=180.
fn pieces(ring: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
    let longitudes = || ring.iter().map(|point| point[0]);
    let (west, east) = (
        longitudes().fold(f64::INFINITY, f64::min),
        longitudes().fold(f64::NEG_INFINITY, f64::max),
    );
    let band = |longitude: f64| ((longitude + 180.0) / 360.0).floor() as i64;
    let mut pieces = Vec::new();
    for index in band(west)..=band(east) {
        let (from, to) = (-180.0 + 360.0 * index as f64, 180.0 + 360.0 * index as f64);
        let piece = clip(&clip(ring, from, 1.0), to, -1.0);
        if area(&piece) > 0.0 {
            pieces.push(
                piece
                    .into_iter()
                    .map(|[x, y]| [(x - 360.0 * index as f64).clamp(-180.0, 180.0), y])
                    .collect(),
            );
        }
    }
    pieces
}

/// The part of a ring on one side of a meridian (Sutherland and Hodgman): east of it for `side` 1, west of it for -1.
fn clip(ring: &[[f64; 2]], meridian: f64, side: f64) -> Vec<[f64; 2]> {
    let depth = |point: [f64; 2]| side * (point[0] - meridian);
    let mut kept = Vec::with_capacity(ring.len() + 2);
    for (index, &point) in ring.iter().enumerate() {
        let previous = ring[(index + ring.len() - 1) % ring.len()];
        let (before, here) = (depth(previous), depth(point));
        if (before < 0.0) != (here < 0.0) {
            let t = before / (before - here);
            kept.push([meridian, previous[1] + t * (point[1] - previous[1])]);
        }
        if here >= 0.0 {
            kept.push(point);
        }
    }
    kept
}

/// Unsigned area of a ring in square degrees.
fn area(ring: &[[f64; 2]]) -> f64 {
    signed_area(ring).abs()
}

fn signed_area(ring: &[[f64; 2]]) -> f64 {
    let cross = |index: usize| {
        let ([x0, y0], [x1, y1]) = (ring[index], ring[(index + 1) % ring.len()]);
        x0 * y1 - x1 * y0
    };
    (0..ring.len()).map(cross).sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn rings(cell: GeocellId) -> Vec<Vec<[f64; 2]>> {
        pieces(&outline(cell))
    }

    fn holds(ring: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
        let mut inside = false;
        for (index, &[x0, y0]) in ring.iter().enumerate() {
            let [x1, y1] = ring[(index + 1) % ring.len()];
            if (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0) {
                inside = !inside;
            }
        }
        inside
    }

    #[test]
    fn a_cell_on_the_180th_meridian_is_cut_in_two() {
        let cell = GeocellId::containing(LatLng::new(-17.0, 180.0).unwrap(), 2).unwrap();
        let geometry = cell_polygon(cell);
        let all: Vec<Vec<[f64; 2]>> = rings(cell);
        for ring in &all {
            let width = ring.iter().map(|p| p[0]).fold(f64::MIN, f64::max)
                - ring.iter().map(|p| p[0]).fold(f64::MAX, f64::min);
            assert!(width < 90.0, "smeared over the map: {ring:?}");
        }
        assert!(geometry["type"] == "Polygon" || all.len() == 2);
        let face = GeocellId::containing(LatLng::new(0.0, 179.0).unwrap(), 0).unwrap();
        assert_eq!(cell_polygon(face)["type"], "MultiPolygon");
        assert_eq!(rings(face).len(), 2);
    }

    #[test]
    fn a_polar_face_reaches_the_pole_and_goes_all_around() {
        for latitude in [89.0, -89.0] {
            let face = GeocellId::containing(LatLng::new(latitude, 10.0).unwrap(), 0).unwrap();
            let all = rings(face);
            for x in [-170.0, -90.0, 0.0, 90.0, 170.0] {
                assert!(
                    all.iter().any(|ring| holds(ring, [x, latitude])),
                    "{x} {latitude}: {all:?}"
                );
                assert!(!all.iter().any(|ring| holds(ring, [x, 0.0])));
            }
        }
    }

    #[test]
    fn rings_are_closed_and_counter_clockwise() {
        let cell = GeocellId::containing(LatLng::new(48.0, 11.0).unwrap(), 8).unwrap();
        let geometry = cell_polygon(cell);
        let ring: Vec<[f64; 2]> = serde_json::from_value(geometry["coordinates"][0].clone()).unwrap();
        assert_eq!(ring.first(), ring.last());
        assert!(signed_area(&ring) > 0.0);
    }

    proptest! {
        /// The centre of any cell lies in its outline, and every coordinate is one.
        #[test]
        fn outlines_hold_their_centres(latitude in -89.9_f64..89.9, longitude in -180.0_f64..180.0, level in 1_u8..14) {
            let cell = GeocellId::containing(LatLng::new(latitude, longitude).unwrap(), level).unwrap();
            let centre = cell.center();
            let all = rings(cell);
            prop_assume!(centre.latitude().abs() < 89.0 && centre.longitude().abs() < 179.9999);
            prop_assert!(all.iter().any(|ring| holds(ring, [centre.longitude(), centre.latitude()])));
            for [x, y] in all.iter().flatten() {
                prop_assert!((-180.0..=180.0).contains(x) && (-90.0..=90.0).contains(y));
            }
        }
    }
}
