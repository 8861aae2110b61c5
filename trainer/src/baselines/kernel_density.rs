//! The densest place among the most alike reference photos (\[L\]kNN, Vo, Jacobs and Hays 2017).
//!
//! The k most alike reference photos put a Gaussian kernel on the sphere each, weighted by their likeness to a power; the answer is the
//! neighbour's place where the sum of kernels is highest.

use candle_core::Tensor;
use geocells::LatLng;
use rayon::prelude::*;

use crate::Result;

/// Likenesses are weighted by this power (negative ones by nothing).
const POWER: i32 = 10;
/// Queries compared with the references at a time.
const CHUNK: usize = 64;

/// How many neighbours, and how wide their kernels are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Density {
    /// Neighbours; 1 is the nearest neighbour's place.
    pub neighbours: usize,
    /// Standard deviation of a kernel, km.
    pub sigma_km: f64,
}

impl Density {
    /// The settings that are tried on validation photos.
    pub const TRIED: [Self; 9] = {
        const fn of(neighbours: usize, sigma_km: f64) -> Density {
            Density { neighbours, sigma_km }
        }
        [
            of(1, 4.0),
            of(5, 1.0),
            of(5, 4.0),
            of(5, 30.0),
            of(20, 1.0),
            of(20, 4.0),
            of(20, 30.0),
            of(100, 4.0),
            of(100, 30.0),
        ]
    };
}

/// The places of a query's most alike reference photos with their likeness, most alike first.
pub type Neighbours = Vec<(LatLng, f32)>;

/// The `most` most alike references of each query. Rows of both `[photos, width]` are of length 1.
///
/// # Errors
/// Rows of different widths.
pub fn neighbours(
    queries: &Tensor,
    references: &Tensor,
    places: &[LatLng],
    most: usize,
) -> Result<Vec<Neighbours>> {
    let transposed = references.t()?.contiguous()?;
    let count = queries.dim(0)?;
    let mut all = Vec::with_capacity(count);
    for start in (0..count).step_by(CHUNK) {
        let part = queries.narrow(0, start, CHUNK.min(count - start))?.contiguous()?;
        let likeness: Vec<Vec<f32>> = part.matmul(&transposed)?.to_vec2()?;
        all.par_extend(likeness.into_par_iter().map(|likeness| {
            let mut order: Vec<usize> = (0..likeness.len()).collect();
            let by = |a: &usize, b: &usize| likeness[*b].total_cmp(&likeness[*a]).then(a.cmp(b));
            if most < order.len() {
                order.select_nth_unstable_by(most - 1, by);
                order.truncate(most);
            }
            order.sort_unstable_by(by);
            order
                .into_iter()
                .map(|i| (places[i], likeness[i]))
                .collect::<Neighbours>()
        }));
    }
    Ok(all)
}

/// The neighbour's place where the kernels of the nearest `density.neighbours` are densest; the more alike of equals.
/// `None` without neighbours.
pub fn densest(neighbours: &[(LatLng, f32)], density: Density) -> Option<LatLng> {
    let taken = &neighbours[..density.neighbours.min(neighbours.len())];
    let at = |place: LatLng| -> f64 {
        taken
            .iter()
            .map(|(other, likeness)| {
                let z = place.distance(*other).get() / density.sigma_km;
                f64::from(likeness.max(0.0)).powi(POWER) * (-0.5 * z * z).exp()
            })
            .sum()
    };
    let mut best: Option<(f64, LatLng)> = None;
    for (place, _) in taken {
        let value = at(*place);
        if best.is_none_or(|(highest, _)| value > highest) {
            best = Some((value, *place));
        }
    }
    best.map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use candle_core::Device;

    use super::*;

    #[test]
    fn three_that_agree_outweigh_one_that_is_more_alike() {
        let place = |km: f64| LatLng::new(km / 111.195, 0.0).unwrap();
        // By hand: kernels of sigma 4 km at 0, 500, 502 and 505 km with weights 0.9^10, 0.8^10, 0.8^10, 0.8^10 have the values
        // 0.3487, 0.2513, 0.2832 and 0.2376: the lonely, most alike one wins.
        let all = [
            (place(0.0), 0.9),
            (place(500.0), 0.8),
            (place(502.0), 0.8),
            (place(505.0), 0.8),
        ];
        let density = |neighbours, sigma_km| Density { neighbours, sigma_km };
        assert_eq!(densest(&all, density(4, 4.0)), Some(place(0.0)));
        // With 0.88 the three have 0.6518, 0.7345, 0.6162 in the place of those values, against 0.3487.
        let closer = all.map(|(p, likeness)| (p, if likeness < 0.9 { 0.88 } else { likeness }));
        assert_eq!(densest(&closer, density(4, 4.0)), Some(place(502.0)));
        assert_eq!(densest(&closer, density(1, 4.0)), Some(place(0.0)));
        assert_eq!(densest(&[], density(4, 4.0)), None);
    }

    #[test]
    fn neighbours_are_the_most_alike_in_order() {
        let rows = |values: &[f32]| {
            let rows: Vec<f32> = values.iter().flat_map(|a| [a.cos(), a.sin()]).collect();
            Tensor::from_vec(rows, (values.len(), 2), &Device::Cpu).unwrap()
        };
        let places: Vec<LatLng> = (0..5).map(|k| LatLng::new(f64::from(k), 0.0).unwrap()).collect();
        let found = neighbours(&rows(&[0.0, 2.0]), &rows(&[1.0, 0.1, -0.2, 2.1, 3.2]), &places, 2).unwrap();
        let found: Vec<Vec<f64>> = found
            .iter()
            .map(|n| n.iter().map(|(place, _)| place.latitude()).collect())
            .collect();
        assert_eq!(found, [[1.0, 2.0], [3.0, 0.0]]);
    }
}
