//! A hierarchy as large as MP-16's, and embeddings in which neighbours are alike.

use candle_core::{Device, Tensor};
use geocells::{Hierarchy, LatLng, PartitionConfig};
use retrieval::{CellTable, ExactIndex, LevelMatches, SearchModel};

use super::DIMENSION;

/// Photographs that the hierarchy is cut from.
const PHOTOS: usize = 4_723_695;
const TEMPERATURE: f64 = 0.07;

/// Numbers that look random and are the same everywhere (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, of variance 1: the sum of four 16-bit numbers.
    pub fn normal(&mut self) -> f32 {
        let z = self.next();
        let sum = (z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48);
        (sum as f32 / 65_535.0 - 2.0) * 1.732
    }

    /// A vector of length about 1.
    pub fn noise(&mut self) -> Vec<f32> {
        let scale = 1.0 / (DIMENSION as f32).sqrt();
        (0..DIMENSION).map(|_| self.normal() * scale).collect()
    }
}

pub struct World {
    pub hierarchy: Hierarchy,
    /// Per level, one row a cell.
    pub embeddings: Vec<Vec<Vec<f32>>>,
    pub paths: Vec<Vec<Vec<f32>>>,
    /// 32 directions in which photographs of one cell differ most.
    directions: Vec<Vec<f32>>,
}

impl World {
    pub fn new() -> Self {
        let hierarchy = Hierarchy::build(&places(), &PartitionConfig::default()).unwrap();
        let mut numbers = Numbers(2);
        let mut embeddings: Vec<Vec<Vec<f32>>> = Vec::new();
        let mut paths: Vec<Vec<Vec<f32>>> = Vec::new();
        for (level, partition) in hierarchy.levels().iter().enumerate() {
            let (mut own, mut path) = (Vec::new(), Vec::new());
            for cell in partition.cells() {
                let mut row = numbers.noise();
                if let Some(parent) = cell.parent {
                    add(&mut row, 1.2, &embeddings[level - 1][parent]);
                }
                unit(&mut row);
                let mut sum = vec![0.0; DIMENSION];
                add(&mut sum, 1.0 / TEMPERATURE as f32, &row);
                if let Some(parent) = cell.parent {
                    add(&mut sum, 1.0, &paths[level - 1][parent]);
                }
                own.push(row);
                path.push(sum);
            }
            embeddings.push(own);
            paths.push(path);
        }
        let directions = (0..32).map(|_| numbers.noise()).collect();
        let cells: Vec<usize> = embeddings.iter().map(Vec::len).collect();
        println!("cells by level {cells:?}, {} in all", cells.iter().sum::<usize>());
        Self {
            hierarchy,
            embeddings,
            paths,
            directions,
        }
    }

    /// The visual embedding of image `number`, and its finest cell.
    pub fn image(&self, number: u64) -> (Vec<f32>, usize) {
        let mut numbers = Numbers(number.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(7));
        let finest = self.paths.len() - 1;
        let cell = numbers.next() as usize % self.paths[finest].len();
        let mut v = self.paths[finest][cell].clone();
        unit(&mut v);
        for direction in &self.directions {
            add(&mut v, 0.12 * numbers.normal(), direction);
        }
        add(&mut v, 0.4, &numbers.noise());
        unit(&mut v);
        (v, cell)
    }

    /// Queries, which are images that no store holds.
    pub fn queries(&self, count: usize) -> Vec<(Vec<f32>, usize)> {
        (0..count as u64)
            .map(|number| self.image(u64::MAX - number))
            .collect()
    }

    pub fn exact(&self) -> ExactIndex {
        let (embeddings, paths) = (tensors(&self.embeddings), tensors(&self.paths));
        ExactIndex::new(self.hierarchy.clone(), &embeddings, &paths, &self.temperatures()).unwrap()
    }

    pub fn search_model(&self) -> SearchModel {
        let matches =
            LevelMatches::new(&self.hierarchy, &tensors(&self.embeddings), &self.temperatures()).unwrap();
        SearchModel {
            cells: CellTable::new(self.hierarchy.clone()),
            matches,
            calibration: models::Calibration {
                scale: 1.0,
                prior_weight: 0.0,
                cannot_tell_below: 0.0,
                ..models::Calibration::default()
            },
        }
    }

    fn temperatures(&self) -> Vec<f64> {
        vec![TEMPERATURE; self.paths.len()]
    }
}

/// Photographs round 4,000 cities, larger and smaller.
fn places() -> Vec<LatLng> {
    let mut numbers = Numbers(1);
    let cities: Vec<(f64, f64, f64)> = (0..4000)
        .map(|_| {
            let latitude = (numbers.share() * 1.7 - 0.75).asin().to_degrees();
            (
                latitude,
                numbers.share() * 360.0 - 180.0,
                0.05 + numbers.share().powi(3) * 2.0,
            )
        })
        .collect();
    (0..PHOTOS)
        .map(|_| {
            // The square makes some cities much larger than others.
            let (latitude, longitude, spread) = cities[(numbers.share().powi(2) * 4000.0) as usize];
            let north = f64::from(numbers.normal()) * spread;
            let east = f64::from(numbers.normal()) * spread / latitude.to_radians().cos().max(0.1);
            let longitude = (longitude + east + 540.0).rem_euclid(360.0) - 180.0;
            LatLng::new((latitude + north).clamp(-90.0, 90.0), longitude).unwrap()
        })
        .collect()
}

fn tensors(rows: &[Vec<Vec<f32>>]) -> Vec<Tensor> {
    rows.iter()
        .map(|level| {
            let flat: Vec<f32> = level.concat();
            Tensor::from_vec(flat, (level.len(), DIMENSION), &Device::Cpu).unwrap()
        })
        .collect()
}

fn add(row: &mut [f32], factor: f32, other: &[f32]) {
    for (x, y) in row.iter_mut().zip(other) {
        *x += factor * y;
    }
}

fn unit(row: &mut [f32]) {
    let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter_mut().for_each(|x| *x /= norm);
}
