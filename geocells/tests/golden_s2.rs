//! Cell ids and their geometry against the C++ S2 library (`golden/generate.py` wrote what it says).

#![allow(clippy::unwrap_used, reason = "tests")]

use geosurge_geocells::{EARTH_RADIUS_KM, GeocellId, LatLng};

fn rows() -> Vec<csv::StringRecord> {
    let rows: Vec<_> = csv::Reader::from_reader(include_bytes!("golden/s2.csv").as_slice())
        .records()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(rows.len() >= 300);
    rows
}

fn id(hex: &str) -> GeocellId {
    GeocellId::from_u64(u64::from_str_radix(hex, 16).unwrap()).unwrap()
}

fn places(field: &str) -> Vec<LatLng> {
    let numbers: Vec<f64> = field.split(' ').map(|number| number.parse().unwrap()).collect();
    numbers
        .chunks(2)
        .map(|pair| LatLng::new(pair[0], pair[1]).unwrap())
        .collect()
}

/// Within a tenth of a micrometre, which a leaf cell of a centimetre is never mistaken by.
fn same_place(ours: LatLng, theirs: LatLng) -> bool {
    ours.distance(theirs).get() < 1e-10
}

#[test]
fn leaves_and_their_ancestors_agree() {
    for row in rows() {
        let place = LatLng::new(row[0].parse().unwrap(), row[1].parse().unwrap()).unwrap();
        let s2_level: u8 = row[3].parse().unwrap();
        let leaf = GeocellId::leaf(place);
        assert_eq!(leaf, id(&row[2]), "leaf of {place:?}");
        let cell = GeocellId::containing(place, s2_level).unwrap();
        assert_eq!(cell, id(&row[4]), "level {s2_level} of {place:?}");
        assert_eq!(leaf.parent(s2_level), Some(cell));
        assert_eq!(cell.s2_level(), s2_level);
        assert!(cell.contains_point(place) && cell.contains_id(leaf));
    }
}

#[test]
fn tokens_agree_both_ways() {
    for row in rows() {
        let cell = id(&row[4]);
        assert_eq!(cell.token(), &row[5]);
        assert_eq!(GeocellId::from_token(&row[5]).unwrap(), cell);
    }
}

#[test]
fn ranges_and_children_agree() {
    for row in rows() {
        let cell = id(&row[4]);
        assert_eq!(cell.range_min(), id(&row[6]));
        assert_eq!(cell.range_max(), id(&row[7]));
        let theirs: Vec<_> = row[8].split_terminator(' ').map(id).collect();
        let ours: Vec<_> = cell.children().into_iter().flatten().collect();
        assert_eq!(ours, theirs);
        for child in ours {
            assert_eq!(child.parent(cell.s2_level()), Some(cell));
        }
    }
}

#[test]
fn centres_corners_and_areas_agree() {
    for row in rows() {
        let cell = id(&row[4]);
        let centre = places(&row[9])[0];
        assert!(
            same_place(cell.center(), centre),
            "{cell}: {:?} {centre:?}",
            cell.center()
        );
        let corners = places(&row[10]);
        for (ours, theirs) in std::iter::zip(cell.vertices(), &corners) {
            assert!(same_place(ours, *theirs), "{cell}: {ours:?} {theirs:?}");
        }
        let steradians: f64 = row[11].parse().unwrap();
        let area = steradians * EARTH_RADIUS_KM * EARTH_RADIUS_KM;
        assert!(
            (cell.area_km2() / area - 1.0).abs() < 1e-12,
            "{cell}: {} {area}",
            cell.area_km2()
        );
    }
}
