//! The S2 leaf cell under a direction.
//!
//! The same arithmetic as the `s2` crate, bit for bit (the tests compare them), with the Hilbert curve's table made at compile time and
//! without its calls to `floor`: about half its time. [`leaf_ids`](crate::leaf_ids) is faster still for many places at once.

/// Levels of the S2 tree below a face: a leaf's index along an axis has as many bits.
pub(crate) const SIDE_BITS: u32 = 30;

/// Cells along one side of a face at the deepest level.
const SIDE: i32 = 1 << SIDE_BITS;

const SWAP: u16 = 1;
const INVERT: u16 = 2;

/// By orientation and (i, j) quadrant: the position along the curve.
const IJ_TO_POSITION: [[u16; 4]; 4] = [[0, 1, 3, 2], [0, 3, 1, 2], [2, 3, 1, 0], [2, 1, 3, 0]];
/// By position along the curve: how the orientation changes inside.
const POSITION_TO_ORIENTATION: [u16; 4] = [SWAP, 0, 0, INVERT | SWAP];

/// Steps of the curve taken at once: a divisor of the thirty.
const STEPS: u32 = 5;
const STEP_MASK: usize = (1 << STEPS) - 1;
const TABLE_LEN: usize = 4 << (2 * STEPS);

/// Five steps of the curve at once. Index: five bits of i, five of j, two of orientation; value: ten of position, two of orientation.
static FIVE_STEPS: [u16; TABLE_LEN] = five_steps();

const fn five_steps() -> [u16; TABLE_LEN] {
    let mut table = [0; TABLE_LEN];
    let mut index = 0;
    while index < TABLE_LEN {
        let (i, j) = (index >> (STEPS + 2), (index >> 2) & STEP_MASK);
        let mut orientation = (index & 3) as u16;
        let mut position = 0;
        let mut bit = STEPS;
        while bit > 0 {
            bit -= 1;
            let quadrant = ((i >> bit) & 1) << 1 | ((j >> bit) & 1);
            let step = IJ_TO_POSITION[orientation as usize][quadrant];
            position = position << 2 | step;
            orientation ^= POSITION_TO_ORIENTATION[step as usize];
        }
        table[index] = position << 2 | orientation;
        index += 1;
    }
    table
}

/// The raw id of the leaf cell under the unit vector `[x, y, z]`.
pub(crate) fn leaf_id(vector: [f64; 3]) -> u64 {
    let (face, u, v) = face_and_uv(vector);
    curve_id(face, leaf_index(u), leaf_index(v))
}

/// The raw id of leaf `(i, j)` of a face; both indices have [`SIDE_BITS`] bits.
#[inline]
pub(crate) fn curve_id(face: u16, i: usize, j: usize) -> u64 {
    let mut position = 0;
    let mut orientation = usize::from(face & SWAP);
    let mut shift = SIDE_BITS;
    while shift > 0 {
        shift -= STEPS;
        let index = ((i >> shift) & STEP_MASK) << (STEPS + 2) | ((j >> shift) & STEP_MASK) << 2 | orientation;
        let steps = FIVE_STEPS[index % TABLE_LEN];
        position = position << (2 * STEPS) | u64::from(steps >> 2);
        orientation = usize::from(steps & (SWAP | INVERT));
    }
    (u64::from(face) << 60 | position) << 1 | 1
}

/// The face of the cube that the direction passes, and where on it, both coordinates in [-1, 1].
fn face_and_uv([x, y, z]: [f64; 3]) -> (u16, f64, f64) {
    let (ax, ay, az) = (x.abs(), y.abs(), z.abs());
    if az > ax.max(ay) {
        if z < 0.0 {
            (5, -y / z, -x / z)
        } else {
            (2, -x / z, -y / z)
        }
    } else if ay > ax {
        if y < 0.0 {
            (4, z / y, -x / y)
        } else {
            (1, -x / y, z / y)
        }
    } else if x < 0.0 {
        (3, z / x, y / x)
    } else {
        (0, y / x, z / x)
    }
}

/// S2's quadratic projection, which evens out the areas of cells, then the index of the leaf along that axis.
fn leaf_index(u: f64) -> usize {
    let s = if u >= 0.0 {
        0.5 * (1.0 + 3.0 * u).sqrt()
    } else {
        1.0 - 0.5 * (1.0 - 3.0 * u).sqrt()
    };
    let index = (f64::from(SIDE) * s) as i32;
    index.clamp(0, SIDE - 1) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use s2::cellid::CellID;

    use super::*;
    use crate::LatLng;

    fn agrees(latitude: f64, longitude: f64) {
        let place = LatLng::new(latitude, longitude).unwrap();
        let theirs = CellID::from(s2::latlng::LatLng::from_degrees(latitude, longitude)).0;
        assert_eq!(leaf_id(place.unit_vector()), theirs, "{latitude} {longitude}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_everywhere(latitude in -90.0..=90.0_f64, longitude in -180.0..=180.0_f64) {
            agrees(latitude, longitude);
        }
    }

    #[test]
    fn agrees_on_a_grid_with_edges_and_corners() {
        let corner = (0.5_f64).sqrt().atan().to_degrees();
        for eighth in -1440..=1440 {
            let longitude = f64::from(eighth) / 8.0;
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
                agrees(latitude, longitude);
            }
        }
    }
}
