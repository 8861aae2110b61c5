//! The leaf cells under many places at once.
//!
//! A leaf is a centimetre wide, so sines and cosines need not be the library's to the last bit to find it: short polynomials do, except
//! for the places that come out within [`MARGIN`] of a leaf's edge. Those few are done again by [`leaf_id`]'s exact arithmetic, so the
//! ids are the same. Without calls or branches the arithmetic of neighbouring places overlaps: half the time of one place after another.

use std::f64::consts::PI;

use rayon::prelude::*;

use crate::LatLng;
use crate::leaf_id::{SIDE_BITS, curve_id, leaf_id};

/// Places whose arithmetic is interleaved.
const BLOCK: usize = 64;
/// Places given to a thread at once.
const TASK: usize = 1 << 14;

/// Distance from a leaf's edge, in leaves, below which the quick arithmetic is not trusted.
///
/// Sines and cosines that differ by 2e-15 (the tests check it) move x, y and z by 4e-15 at most, their quotients on the face by 1.4e-14,
/// and the position along the face (0 to 1) by 1.1e-14, or 1.2e-5 leaves; this is five times as much.
const MARGIN: f64 = 1.0 / 16384.0;

/// Adding this to a number below 2^51 rounds it to an integer, which then stands in the low bits, in two's complement.
const ROUNDER: f64 = 1.5 * (1_u64 << 52) as f64;

/// The raw ids of the leaf cells that contain `places`, in their order; the same as [`leaf_id`] of each.
pub(crate) fn leaf_ids(places: &[LatLng]) -> Vec<u64> {
    let mut ids = vec![0; places.len()];
    places
        .par_chunks(TASK)
        .zip(ids.par_chunks_mut(TASK))
        .for_each(|(places, ids)| {
            for (places, ids) in places.chunks(BLOCK).zip(ids.chunks_mut(BLOCK)) {
                fill_block(places, ids);
            }
        });
    ids
}

fn fill_block(places: &[LatLng], ids: &mut [u64]) {
    let mut quick = [QuickLeaf::default(); BLOCK];
    for (quick, place) in quick.iter_mut().zip(places) {
        *quick = QuickLeaf::under(place.latitude(), place.longitude());
    }
    for ((id, quick), place) in ids.iter_mut().zip(&quick).zip(places) {
        *id = if quick.edge_distance > MARGIN {
            curve_id(quick.face as u16, quick.i as usize, quick.j as usize)
        } else {
            leaf_id(place.unit_vector())
        };
    }
}

/// Where a place lies by the quick arithmetic. Right where `edge_distance` exceeds [`MARGIN`].
#[derive(Clone, Copy, Default)]
struct QuickLeaf {
    face: u64,
    i: u64,
    j: u64,
    /// Distance from the leaf's nearest edge, in leaves. The edges of faces are edges of leaves.
    edge_distance: f64,
}

impl QuickLeaf {
    #[inline]
    fn under(latitude: f64, longitude: f64) -> Self {
        let (sin_lat, cos_lat) = sin_cos_degrees(latitude);
        let (sin_lng, cos_lng) = sin_cos_degrees(longitude);
        let (x, y, z) = (cos_lng * cos_lat, sin_lng * cos_lat, sin_lat);
        let (ax, ay, az) = (x.abs(), y.abs(), z.abs());
        let along_z = az > ax && az > ay;
        let along_y = ay > ax;
        // The three faces towards +x, +y and +z; those opposite have the same coordinates, exchanged.
        let (major, a, b, axis) = if along_z {
            (z, -x, -y, 2)
        } else if along_y {
            (y, -x, z, 1)
        } else {
            (x, y, z, 0)
        };
        let scale = 1.0 / major;
        let (i, i_edge) = index(a * scale);
        let (j, j_edge) = index(b * scale);
        let opposite = major < 0.0;
        Self {
            face: if opposite { axis + 3 } else { axis },
            i: if opposite { j } else { i },
            j: if opposite { i } else { j },
            edge_distance: if i_edge < j_edge { i_edge } else { j_edge },
        }
    }
}

/// Index of the leaf along one axis of a face, from the coordinate in [-1, 1], and its distance from that leaf's nearer edge.
#[inline]
fn index(u: f64) -> (u64, f64) {
    let root = 0.5 * (1.0 + 3.0 * u.abs()).sqrt();
    let s = if u >= 0.0 { root } else { 1.0 - root };
    let from_middle = s * (1_u64 << SIDE_BITS) as f64 - 0.5;
    let shifted = from_middle + ROUNDER;
    let offset = from_middle - (shifted - ROUNDER);
    (shifted.to_bits() & ((1 << SIDE_BITS) - 1), 0.5 - offset.abs())
}

/// Sine and cosine of an angle in degrees, within 2e-15, for at most half a turn either way.
#[inline]
fn sin_cos_degrees(angle: f64) -> (f64, f64) {
    let shifted = angle * (1.0 / 90.0) + ROUNDER;
    let quarters = shifted.to_bits();
    // At most 45 degrees remain, exactly; there the Taylor series falls fast.
    let x = (angle - 90.0 * (shifted - ROUNDER)) * (PI / 180.0);
    let x2 = x * x;
    let sin = x * (1.0 + x2 * polynomial(x2, SIN));
    let cos = 1.0 + x2 * polynomial(x2, COS);
    let (sin, cos) = if quarters & 1 == 0 { (sin, cos) } else { (cos, sin) };
    let sin_sign = (quarters & 2) << 62;
    let cos_sign = ((quarters ^ (quarters << 1)) & 2) << 62;
    (
        f64::from_bits(sin.to_bits() ^ sin_sign),
        f64::from_bits(cos.to_bits() ^ cos_sign),
    )
}

/// Taylor coefficients of the sine from x³ to x¹⁵, highest first.
const SIN: [f64; 7] = taylor(15);
/// Taylor coefficients of the cosine from x² to x¹⁴, highest first.
const COS: [f64; 7] = taylor(14);

/// `±1 / n!` for `highest`, and every second number below it; the last of the seven is negative.
const fn taylor(highest: u32) -> [f64; 7] {
    let mut coefficients = [0.0; 7];
    let mut at = 0;
    while at < 7 {
        let mut factorial = 1.0;
        let mut factor = highest - 2 * at as u32;
        while factor > 1 {
            factorial *= factor as f64;
            factor -= 1;
        }
        coefficients[at] = if at.is_multiple_of(2) { -1.0 } else { 1.0 } / factorial;
        at += 1;
    }
    coefficients
}

#[inline]
fn polynomial(x: f64, highest_first: [f64; 7]) -> f64 {
    highest_first
        .into_iter()
        .fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::GeocellId;

    fn agree(places: &[LatLng]) {
        for (place, id) in places.iter().zip(leaf_ids(places)) {
            assert_eq!(id, leaf_id(place.unit_vector()), "{place:?}");
        }
    }

    #[test]
    fn quick_sines_are_good() {
        for step in -180_000..=180_000 {
            let angle = f64::from(step) / 1000.0;
            let (sin, cos) = sin_cos_degrees(angle);
            let radians = angle.to_radians();
            let error = (sin - radians.sin()).abs().max((cos - radians.cos()).abs());
            assert!(error < 2e-15, "{angle}: {error}");
        }
    }

    #[test]
    fn the_same_ids_everywhere() {
        let mut rng = SmallRng::seed_from_u64(7);
        let places: Vec<LatLng> = (0..300_007)
            .map(|_| LatLng::new(rng.random_range(-90.0..=90.0), rng.random_range(-180.0..=180.0)).unwrap())
            .collect();
        agree(&places);
    }

    /// Where the quick arithmetic alone would err: places that are, but for rounding, on the edges of leaves, cells and faces.
    #[test]
    fn the_same_ids_on_edges() {
        let mut rng = SmallRng::seed_from_u64(8);
        let mut places = Vec::new();
        for _ in 0..20_000 {
            let place =
                LatLng::new(rng.random_range(-90.0..=90.0), rng.random_range(-180.0..=180.0)).unwrap();
            let cell = GeocellId::containing(place, rng.random_range(0..=30)).unwrap();
            let [a, b, ..] = cell.vertices();
            let (from, to) = (a.unit_vector(), b.unit_vector());
            let middle = LatLng::from_direction(std::array::from_fn(|axis| from[axis] + to[axis])).unwrap();
            places.extend([a, b, middle]);
        }
        let corner = (0.5_f64).sqrt().atan().to_degrees();
        for eighth in -1440..=1440 {
            for latitude in [
                -90.0,
                -45.0,
                -corner,
                -1e-12,
                0.0,
                12.5,
                corner,
                45.0,
                89.999_999_9,
                90.0,
            ] {
                places.push(LatLng::new(latitude, f64::from(eighth) / 8.0).unwrap());
            }
        }
        let doubtful = places
            .iter()
            .filter(|place| QuickLeaf::under(place.latitude(), place.longitude()).edge_distance <= MARGIN)
            .count();
        assert!(
            doubtful > 40_000,
            "{doubtful} of {} reach the exact path",
            places.len()
        );
        agree(&places);
    }
}
