//! The mean direction of leaf cells.
//!
//! A leaf id holds its place: its digits along the curve lead to its row and column on a face of the cube, and those, by S2's quadratic
//! projection, to the direction of its centre. All without trigonometry, tables or branches, and in the order of memory.

/// Leaves summed side by side, always the same number, so that the rounding of a sum is the same in every run.
const LANES: usize = 8;

/// Every second bit of the sixty of a position along the curve.
const EVEN: u64 = 0x0555_5555_5555_5555;

/// The sum of the unit vectors to the centres of `leaves`: raw leaf ids, all on one face of the cube.
///
/// A leaf reaches at most 1.2e-9 radians (7 mm, 7e-8 degrees) from its centre.
pub(crate) fn sum_directions(leaves: &[u64]) -> [f64; 3] {
    let Some(&first) = leaves.first() else {
        return [0.0; 3];
    };
    let face = first >> 61;
    let mut sums = [[0.0; LANES]; 3];
    let (blocks, rest) = leaves.as_chunks::<LANES>();
    for block in blocks {
        let directions = block.map(|leaf| direction(leaf, face));
        for (lane, direction) in directions.into_iter().enumerate() {
            for (sum, term) in sums.iter_mut().zip(direction) {
                sum[lane] += term;
            }
        }
    }
    for (lane, &leaf) in rest.iter().enumerate() {
        for (sum, term) in sums.iter_mut().zip(direction(leaf, face)) {
            sum[lane] += term;
        }
    }
    out_of_face(face, sums.map(|lanes| lanes.iter().sum()))
}

/// Unit vector to the centre of `leaf` in the frame of its face: outwards, along i, along j.
#[inline]
fn direction(leaf: u64, face: u64) -> [f64; 3] {
    let (i, j) = row_and_column(leaf, face);
    let (u, v) = (coordinate(i), coordinate(j));
    let scale = 1.0 / (1.0 + u * u + v * v).sqrt();
    [scale, u * scale, v * scale]
}

/// The indices of `leaf` along the two axes of its face.
///
/// Each pair of bits along the curve is a quadrant, seen through the orientation that the pairs above it leave: the pairs 0 and 3 exchange
/// the axes, 3 also inverts them. So the orientations of all pairs together are running parities, taken in five steps.
#[inline]
fn row_and_column(leaf: u64, face: u64) -> (u64, u64) {
    let position = leaf >> 1;
    let (high, low) = ((position >> 1) & EVEN, position & EVEN);
    let mut turns = (!(high ^ low) & EVEN) | (high & low) << 1;
    turns ^= turns >> 2;
    turns ^= turns >> 4;
    turns ^= turns >> 8;
    turns ^= turns >> 16;
    turns ^= turns >> 32;
    let above = turns >> 2;
    // Odd faces begin with their axes exchanged.
    let exchanged = above ^ (face & 1).wrapping_neg();
    let inverted = above >> 1;
    let i = (high ^ inverted ^ (exchanged & low)) & EVEN;
    (gather_even_bits(i), gather_even_bits(i ^ low))
}

#[inline]
fn gather_even_bits(mut bits: u64) -> u64 {
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) & 0xffff_ffff
}

/// Coordinate on the face, in [-1, 1], of the middle of the leaf with this index along an axis.
#[inline]
fn coordinate(index: u64) -> f64 {
    // The bits of 2^52 + index, which makes a float of an integer faster than a conversion, two at a time.
    const TWO_52: f64 = (1_u64 << 52) as f64;
    const LEAF: f64 = 2.0 / (1_u64 << 30) as f64;
    let t = (f64::from_bits(TWO_52.to_bits() | index) - TWO_52) * LEAF + (0.5 * LEAF - 1.0);
    t * (2.0 + t.abs()) * (1.0 / 3.0)
}

/// A vector in the frame of a face, in the Earth's frame.
fn out_of_face(face: u64, [out, u, v]: [f64; 3]) -> [f64; 3] {
    match face {
        0 => [out, u, v],
        1 => [-u, out, v],
        2 => [-u, -v, out],
        3 => [-out, -v, -u],
        4 => [v, -out, -u],
        _ => [v, u, -out],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use s2::cellid::CellID;
    use s2::point::Point;

    use super::*;
    use crate::GeocellId;

    #[test]
    fn directions_are_those_of_the_leaves_centres() {
        let mut rng = SmallRng::seed_from_u64(5);
        let ends =
            GeocellId::all_at(1).flat_map(|cell| [cell.range_min().as_u64(), cell.range_max().as_u64()]);
        let random = (0..20_000).map(|_| rng.random_range(0..6 << 61) | 1);
        for leaf in ends.chain(random) {
            let centre = Point::from(CellID(leaf)).0;
            let sum = sum_directions(&[leaf]);
            for (ours, theirs) in sum.into_iter().zip([centre.x, centre.y, centre.z]) {
                assert!((ours - theirs).abs() < 1e-15, "{leaf:x}: {ours} {theirs}");
            }
        }
    }

    #[test]
    fn sums_of_any_length_count_every_leaf_once() {
        let mut rng = SmallRng::seed_from_u64(6);
        for face in 0..6_u64 {
            let leaves: Vec<u64> = (0..3 * LANES)
                .map(|_| face << 61 | rng.random_range(0..1 << 61) | 1)
                .collect();
            let mut expected = [0.0; 3];
            for count in 0..=leaves.len() {
                let sum = sum_directions(&leaves[..count]);
                for (ours, theirs) in sum.into_iter().zip(expected) {
                    assert!((ours - theirs).abs() < 1e-13, "{count}: {ours} {theirs}");
                }
                if let Some(&next) = leaves.get(count) {
                    let next = sum_directions(&[next]);
                    expected = std::array::from_fn(|axis| expected[axis] + next[axis]);
                }
            }
        }
    }
}
