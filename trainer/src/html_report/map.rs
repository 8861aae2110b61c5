//! Where the held-out photos were taken, coloured by how far off the answer was.

use std::fmt::Write;

use geocells::{LatLng, THRESHOLDS};
use maud::{Markup, PreEscaped, html};
use places::PlaceNamer;

use super::Case;

/// Units a degree.
const SCALE: f64 = 2.0;
/// Colours of errors within 1, 25, 200, 750, 2,500 km and beyond: from blue to red, apart also without colour vision.
const COLOURS: [&str; 6] = ["#08306b", "#2171b5", "#6baed6", "#fdae61", "#e6550d", "#a50f15"];

/// The map and its key.
pub(super) fn errors(cases: &[Case]) -> Markup {
    let mut by_error: Vec<&Case> = cases.iter().collect();
    // The worst are drawn last, so that nothing hides them.
    by_error.sort_by(|a, b| a.km.total_cmp(&b.km));
    let x = |place: LatLng| format!("{:.1}", (place.longitude() + 180.0) * SCALE);
    let y = |place: LatLng| format!("{:.1}", (90.0 - place.latitude()) * SCALE);
    html! {
        svg class="map" viewBox="0 0 720 360" role="img" aria-label="map of errors" {
            rect width="720" height="360" fill="#eef3f7" {}
            path d=(PreEscaped(land())) fill="#d3d8d0" {}
            @for case in by_error {
                circle cx=(x(case.truth)) cy=(y(case.truth)) r="2" fill=(COLOURS[bucket(case.km)]) fill-opacity="0.8" {
                    title { (format!("{:.0} km off", case.km)) }
                }
            }
        }
        p class="key" {
            @for (k, colour) in COLOURS.iter().enumerate() {
                span style=(format!("--c:{colour}")) { (name(k)) }
            }
        }
    }
}

/// The first threshold that holds an error; one past the last beyond all.
fn bucket(km: f64) -> usize {
    THRESHOLDS
        .iter()
        .position(|threshold| km <= threshold.km.get())
        .unwrap_or(THRESHOLDS.len())
}

fn name(bucket: usize) -> String {
    match THRESHOLDS.get(bucket) {
        Some(threshold) => format!("within {} km", threshold.km.get()),
        None => "farther".to_owned(),
    }
}

/// The countries' land, coastal waters included, as runs of half a degree: an SVG path.
fn land() -> String {
    let namer = PlaceNamer::shared();
    let mut path = String::new();
    for row in 0..360u32 {
        let latitude = 90.0 - (f64::from(row) + 0.5) / SCALE;
        let is_land = |column: u32| {
            let longitude = (f64::from(column) + 0.5) / SCALE - 180.0;
            LatLng::new(latitude, longitude).is_ok_and(|place| namer.is_in_a_country(place))
        };
        let mut column = 0;
        while column < 720 {
            if !is_land(column) {
                column += 1;
                continue;
            }
            let start = column;
            while column < 720 && is_land(column) {
                column += 1;
            }
            // Writing to a string cannot fail.
            let _ = write!(path, "M{start} {row}h{}v1H{start}z", column - start);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fall_into_their_thresholds() {
        assert_eq!(
            [0.5, 25.0, 199.0, 700.0, 2_000.0, 9_000.0].map(bucket),
            [0, 1, 2, 3, 4, 5]
        );
        assert_eq!(name(5), "farther");
    }

    #[test]
    fn the_land_is_where_it_is() {
        let path = land();
        // Row 90 is 45 N: the run that holds 5 E (France) begins west of it.
        assert!(path.matches(" 90h").count() >= 3, "45 N crosses three continents");
        assert!(path.len() < 400_000, "{}", path.len());
    }
}
