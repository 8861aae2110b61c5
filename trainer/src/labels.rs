//! The geocell of every photo at every level.

use geocells::{Hierarchy, LatLng};
use rayon::prelude::*;

/// The geocells of a list of photos; `None` where a photo lies in no cell of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellLabels {
    by_level: Vec<Vec<Option<u32>>>,
}

impl CellLabels {
    /// Locates every place at every level.
    pub fn new(hierarchy: &Hierarchy, places: &[LatLng]) -> Self {
        let located: Vec<Vec<Option<usize>>> =
            places.par_iter().map(|place| hierarchy.locate(*place)).collect();
        let level = |l: usize| located.iter().map(|path| path[l].map(|c| c as u32)).collect();
        Self {
            by_level: (0..hierarchy.depth()).map(level).collect(),
        }
    }

    /// Levels, coarsest first.
    pub fn depth(&self) -> usize {
        self.by_level.len()
    }

    /// Every photo's cell at `level`.
    pub fn level(&self, level: usize) -> &[Option<u32>] {
        &self.by_level[level]
    }

    /// Every photo's finest cell.
    pub fn finest(&self) -> &[Option<u32>] {
        &self.by_level[self.depth() - 1]
    }

    /// Share of the photos that lie in some cell of `level`.
    pub fn coverage(&self, level: usize) -> f64 {
        let cells = self.level(level);
        cells.iter().flatten().count() as f64 / cells.len().max(1) as f64
    }
}
