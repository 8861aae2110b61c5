//! A small random world: a hierarchy, unit embeddings a level, temperatures and their path embeddings.
#![allow(dead_code, reason = "each test binary uses its own part")]

use candle_core::{Device, Tensor};
use geocells::{Hierarchy, LatLng, PartitionConfig};
use geosurge_retrieval::{CellTable, ExactIndex, LevelMatches, SearchModel};
use models::Calibration;

pub const DIMENSION: usize = 16;
pub const TEMPERATURES: [f64; 3] = [0.07, 0.1, 0.2];

/// Small deterministic numbers in 0..1 (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn unit(&mut self, dimension: usize) -> Vec<f32> {
        let row: Vec<f64> = (0..dimension)
            .map(|_| self.next() + self.next() + self.next() - 1.5)
            .collect();
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.into_iter().map(|x| (x / norm) as f32).collect()
    }
}

pub struct World {
    pub hierarchy: Hierarchy,
    pub embeddings: Vec<Vec<Vec<f32>>>,
    pub paths: Vec<Vec<Vec<f32>>>,
    pub queries: Vec<Vec<f32>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let mut points = Vec::new();
        for _ in 0..40 {
            let (latitude, longitude) = (numbers.next() * 140.0 - 70.0, numbers.next() * 358.0 - 179.0);
            for _ in 0..25 {
                let jitter = |n: &mut Numbers| (n.next() - 0.5) * 1.5;
                points.push(
                    LatLng::new(latitude + jitter(&mut numbers), longitude + jitter(&mut numbers)).unwrap(),
                );
            }
        }
        let config = PartitionConfig {
            t_min: 2,
            t_max: vec![200, 50, 12],
            ..PartitionConfig::default()
        };
        let hierarchy = Hierarchy::build(&points, &config).unwrap();
        let embeddings: Vec<Vec<Vec<f32>>> = hierarchy
            .levels()
            .iter()
            .map(|partition| {
                partition
                    .cells()
                    .iter()
                    .map(|_| numbers.unit(DIMENSION))
                    .collect()
            })
            .collect();
        let paths = paths(&hierarchy, &embeddings);
        let queries = (0..50).map(|_| numbers.unit(DIMENSION)).collect();
        Self {
            hierarchy,
            embeddings,
            paths,
            queries,
        }
    }

    pub fn tensors(rows: &[Vec<Vec<f32>>]) -> Vec<Tensor> {
        rows.iter()
            .map(|level| Tensor::new(level.clone(), &Device::Cpu).unwrap())
            .collect()
    }

    pub fn exact(&self) -> ExactIndex {
        let (embeddings, paths) = (Self::tensors(&self.embeddings), Self::tensors(&self.paths));
        ExactIndex::new(self.hierarchy.clone(), &embeddings, &paths, &TEMPERATURES).unwrap()
    }

    pub fn search_model(&self, calibration: Calibration) -> SearchModel {
        let matches =
            LevelMatches::new(&self.hierarchy, &Self::tensors(&self.embeddings), &TEMPERATURES).unwrap();
        SearchModel {
            cells: CellTable::new(self.hierarchy.clone()),
            matches,
            calibration,
        }
    }
}

/// p_l(c) = sum over k ≤ l of g_k(ancestor of c) / τ_k.
fn paths(hierarchy: &Hierarchy, embeddings: &[Vec<Vec<f32>>]) -> Vec<Vec<Vec<f32>>> {
    let mut paths: Vec<Vec<Vec<f32>>> = Vec::new();
    for (level, partition) in hierarchy.levels().iter().enumerate() {
        let row = |(index, cell): (usize, &geocells::Geocell)| -> Vec<f32> {
            let own = embeddings[level][index]
                .iter()
                .map(|x| x / TEMPERATURES[level] as f32);
            match cell.parent {
                Some(parent) => own.zip(&paths[level - 1][parent]).map(|(x, y)| x + y).collect(),
                None => own.collect(),
            }
        };
        let rows = partition.cells().iter().enumerate().map(row).collect();
        paths.push(rows);
    }
    paths
}

pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}
