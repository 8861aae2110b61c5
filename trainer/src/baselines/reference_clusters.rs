//! The best cluster of reference photos inside the most probable cells (PIGEOTTO, Haas et al. 2024).
//!
//! The reference photos of a cell are grouped by place, and a cluster's prototype is the mean of its photos' features. Among the K most
//! probable cells the one with the highest product of probability and closeness of its best cluster wins, and the answer is the
//! spherical mean of that cluster's places. The original clusters by OPTICS; here a photo joins the first cluster whose first photo is
//! within a kilometre.

use std::collections::HashMap;

use candle_core::Tensor;
use geocells::{Hierarchy, LatLng, spherical_mean};
use rayon::prelude::*;

use crate::Result;

/// A photo joins a cluster whose first photo is so near, km.
pub const CLUSTER_KM: f64 = 1.0;

/// How many cells are looked into, and how sharply closeness counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refinement {
    /// The most probable cells that are looked into.
    pub cells: usize,
    /// Temperature of the softmax over the cells' distances.
    pub temperature: f64,
}

impl Refinement {
    /// The settings that are tried on validation photos: PIGEON's five and PIGEOTTO's forty cells, from sharp to soft.
    pub const TRIED: [Self; 8] = {
        const fn of(cells: usize, temperature: f64) -> Refinement {
            Refinement { cells, temperature }
        }
        [
            of(5, 0.05),
            of(5, 0.2),
            of(5, 0.6),
            of(5, 1.6),
            of(40, 0.05),
            of(40, 0.2),
            of(40, 0.6),
            of(40, 1.6),
        ]
    };
}

/// Photos of one spot.
#[derive(Debug, Clone, PartialEq)]
struct Cluster {
    prototype: Vec<f32>,
    location: LatLng,
}

/// The clusters of every finest cell.
#[derive(Debug, Clone)]
pub struct ReferenceClusters {
    by_cell: HashMap<usize, Vec<Cluster>>,
    locations: Vec<LatLng>,
}

impl ReferenceClusters {
    /// Groups reference photos, `features` `[photos, width]` in the order of `places`.
    ///
    /// # Errors
    /// A tensor operation's.
    pub fn new(hierarchy: &Hierarchy, features: &Tensor, places: &[LatLng]) -> Result<Self> {
        struct Open {
            first: LatLng,
            places: Vec<LatLng>,
            sum: Vec<f32>,
        }
        let features: Vec<Vec<f32>> = features.to_vec2()?;
        let mut open: HashMap<usize, Vec<Open>> = HashMap::new();
        for (feature, place) in features.iter().zip(places) {
            let Some(cell) = hierarchy.finest().locate(*place) else {
                continue;
            };
            let clusters = open.entry(cell).or_default();
            match clusters
                .iter_mut()
                .find(|c| c.first.distance(*place).get() <= CLUSTER_KM)
            {
                Some(cluster) => {
                    cluster.places.push(*place);
                    cluster.sum.iter_mut().zip(feature).for_each(|(sum, x)| *sum += x);
                }
                None => clusters.push(Open {
                    first: *place,
                    places: vec![*place],
                    sum: feature.clone(),
                }),
            }
        }
        let close = |cluster: Open| {
            let count = cluster.places.len() as f32;
            Cluster {
                prototype: cluster.sum.into_iter().map(|x| x / count).collect(),
                location: spherical_mean(cluster.places.iter().copied()).unwrap_or(cluster.first),
            }
        };
        Ok(Self {
            by_cell: open
                .into_iter()
                .map(|(cell, clusters)| (cell, clusters.into_iter().map(close).collect()))
                .collect(),
            locations: hierarchy.finest().cells().iter().map(|c| c.location).collect(),
        })
    }

    /// The answer to each photo from the logarithms of its finest cells' probabilities and its feature.
    ///
    /// # Errors
    /// A tensor operation's.
    pub fn answers(
        &self,
        log_probabilities: &[Vec<f32>],
        features: &Tensor,
        refinement: Refinement,
    ) -> Result<Vec<LatLng>> {
        let features: Vec<Vec<f32>> = features.to_vec2()?;
        Ok(log_probabilities
            .par_iter()
            .zip(&features)
            .map(|(log, feature)| self.answer(log, feature, refinement))
            .collect())
    }

    fn answer(&self, log: &[f32], feature: &[f32], refinement: Refinement) -> LatLng {
        let mut order: Vec<usize> = (0..log.len()).collect();
        let by = |a: &usize, b: &usize| log[*b].total_cmp(&log[*a]).then(a.cmp(b));
        let most = refinement.cells.min(order.len());
        if most < order.len() && most > 0 {
            order.select_nth_unstable_by(most - 1, by);
            order.truncate(most);
        }
        order.sort_unstable_by(by);
        // The softmax's denominator over the cells is the same for all of them, so it does not matter which is highest.
        let scored = order.iter().map(|cell| {
            let nearest = self
                .by_cell
                .get(cell)
                .into_iter()
                .flatten()
                .map(|cluster| (distance(&cluster.prototype, feature), cluster.location))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            // Unit features are at most 2 apart: a cell without reference photos counts as that far.
            let (distance, location) = nearest.unwrap_or((2.0, self.locations[*cell]));
            (
                f64::from(log[*cell]) - distance / refinement.temperature,
                location,
            )
        });
        let mut best = (f64::NEG_INFINITY, self.locations[order[0]]);
        for (score, location) in scored {
            if score > best.0 {
                best = (score, location);
            }
        }
        best.1
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    f64::from(squares).sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use candle_core::Device;
    use geocells::PartitionConfig;

    use super::*;

    #[test]
    fn clusters_move_the_answer_inside_the_cell_and_between_cells() {
        // Two cells far apart; the first has two spots 5 km apart.
        let spot = |latitude, longitude| LatLng::new(latitude, longitude).unwrap();
        let (a, b, c) = (spot(10.0, 10.0), spot(10.045, 10.0), spot(-30.0, 120.0));
        let places: Vec<LatLng> = [a, b, c].into_iter().flat_map(|p| [p; 10]).collect();
        let config = PartitionConfig {
            t_min: 3,
            t_max: vec![25],
            ..PartitionConfig::default()
        };
        let hierarchy = Hierarchy::build(&places, &config).unwrap();
        assert_eq!(hierarchy.finest().len(), 2);
        let (first, second) = (
            hierarchy.finest().locate(a).unwrap(),
            hierarchy.finest().locate(c).unwrap(),
        );
        assert_eq!(hierarchy.finest().locate(b), Some(first));
        let unit = |angle: f32| [angle.cos(), angle.sin()];
        let rows: Vec<f32> = [0.0, 1.0, 2.5]
            .into_iter()
            .flat_map(|angle| [unit(angle); 10])
            .flatten()
            .collect();
        let features = Tensor::from_vec(rows, (30, 2), &Device::Cpu).unwrap();
        let clusters = ReferenceClusters::new(&hierarchy, &features, &places).unwrap();
        assert_eq!(clusters.by_cell[&first].len(), 2);

        let mut log = vec![0.0; 2];
        (log[first], log[second]) = (0.6_f32.ln(), 0.4_f32.ln());
        let answer = |angle: f32, temperature| {
            let query = Tensor::from_vec(unit(angle).to_vec(), (1, 2), &Device::Cpu).unwrap();
            let refinement = Refinement {
                cells: 2,
                temperature,
            };
            clusters
                .answers(std::slice::from_ref(&log), &query, refinement)
                .unwrap()[0]
        };
        let near = |x: LatLng, y: LatLng| x.distance(y).get() < 0.01;
        assert!(near(answer(0.1, 1.0), a), "the spot that looks like it");
        assert!(near(answer(0.9, 1.0), b));
        // Looks like the second cell's photos: a sharp temperature follows the likeness, a soft one the probability.
        assert!(near(answer(2.4, 0.2), c));
        assert!(near(answer(2.4, 50.0), b));
    }
}
