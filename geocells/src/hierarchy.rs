//! All granularities of geocells, each nested in the next coarser one.

use std::ops::Range;

use crate::{Error, GeocellId, LatLng, Partition, PartitionConfig, Result, build};

/// Partitions from the coarsest (level 0) to the finest; every cell lies in exactly one cell of each coarser level.
///
/// The converse does not hold: a place may lie in a coarse cell and in no finer one, where photos are too few.
#[derive(Debug, Clone, PartialEq)]
pub struct Hierarchy {
    levels: Vec<Partition>,
}

impl Hierarchy {
    /// Partitions the places of a training set (paper III-A), in parallel.
    ///
    /// At each level, a cell with more than `t_max` photos is split into its four children, recursively, down to S2 level 30;
    /// a cell that ends with `t_min` photos or fewer is dropped. The result depends on `points` only, not on threads;
    /// with [`LocationKind::Spherical`](crate::LocationKind::Spherical) not on their order either.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]; [`Error::NoPoints`]; [`Error::EmptyLevel`] when there are too few photos for a cell.
    pub fn build(points: &[LatLng], config: &PartitionConfig) -> Result<Self> {
        Self::from_partitions(build::partitions(points, config)?)
    }

    /// A hierarchy of partitions that exist already, coarsest first. Checks the nesting and links parents.
    ///
    /// # Errors
    /// [`Error::EmptyHierarchy`], [`Error::LevelsOutOfOrder`], [`Error::NotNested`].
    pub fn from_partitions(mut levels: Vec<Partition>) -> Result<Self> {
        if levels.is_empty() {
            return Err(Error::EmptyHierarchy);
        }
        for (level, pair) in levels.windows(2).enumerate() {
            let (coarse, fine) = (pair[0].t_max(), pair[1].t_max());
            if coarse <= fine {
                return Err(Error::LevelsOutOfOrder { level, coarse, fine });
            }
        }
        for cell in levels[0].cells_mut() {
            cell.parent = None;
        }
        for level in 1..levels.len() {
            let (coarser, finer) = levels.split_at_mut(level);
            let coarse = &coarser[level - 1];
            for cell in finer[0].cells_mut() {
                let parent = coarse.locate_id(cell.id);
                cell.parent = Some(parent.ok_or(Error::NotNested { level, cell: cell.id })?);
            }
        }
        Ok(Self { levels })
    }

    /// The partitions, coarsest first.
    pub fn levels(&self) -> &[Partition] {
        &self.levels
    }

    /// How many levels there are; at least one.
    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The partition of the last level.
    pub fn finest(&self) -> &Partition {
        &self.levels[self.levels.len() - 1]
    }

    /// Index of the cell that contains `place` at every level, coarsest first; `None` where there is none.
    ///
    /// From some level on all entries are `None`, as cells are nested.
    pub fn locate(&self, place: LatLng) -> Vec<Option<usize>> {
        let leaf = GeocellId::leaf(place);
        self.levels.iter().map(|level| level.locate_id(leaf)).collect()
    }

    /// Index at every level, coarsest first, of the finest cell `finest_index` and its ancestors: its path. Length [`depth`](Self::depth).
    ///
    /// # Panics
    /// When `finest_index` is not below the finest partition's length.
    pub fn path(&self, finest_index: usize) -> Vec<usize> {
        self.path_at(self.depth() - 1, finest_index)
    }

    /// As [`path`](Self::path), for cell `index` of any `level`. Length `level + 1`.
    ///
    /// # Panics
    /// When there is no such level or cell.
    pub fn path_at(&self, level: usize, index: usize) -> Vec<usize> {
        let mut path = vec![index; level + 1];
        for at in (0..level).rev() {
            let cell = &self.levels[at + 1].cells()[path[at + 1]];
            path[at] = cell
                .parent
                .unwrap_or_else(|| unreachable!("every cell below level 0 is linked to its parent"));
        }
        path
    }

    /// Indices, in the next finer partition, of the cells inside cell `index` of `level`: a contiguous range, empty when none
    /// has enough photos or `level` is the finest.
    ///
    /// # Panics
    /// When there is no such level or cell.
    pub fn children(&self, level: usize, index: usize) -> Range<usize> {
        let (first, last) = self.levels[level].cells()[index].id.range();
        let Some(finer) = self.levels.get(level + 1) else {
            return 0..0;
        };
        let cells = finer.cells();
        let start = cells.partition_point(|cell| cell.id.as_u64() < first);
        let end = cells.partition_point(|cell| cell.id.as_u64() <= last);
        start..end
    }

    /// How many of the photos that each level was built from lie in none of its cells; `None` where that is unknown.
    pub fn unlocated(&self) -> Vec<Option<u64>> {
        self.levels.iter().map(Partition::unlocated).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::Geocell;

    fn partition(t_max: u64, ids: &[GeocellId]) -> Partition {
        let cell = |id: &GeocellId| Geocell {
            id: *id,
            photos: 60,
            location: id.center(),
            parent: None,
        };
        Partition::new(50, t_max, ids.iter().map(cell).collect()).unwrap()
    }

    fn faces() -> [GeocellId; 6] {
        GeocellId::faces()
    }

    #[test]
    fn links_parents_paths_and_children() {
        let [first, .., last] = faces()[4].children().unwrap();
        let grandchild = last.children().unwrap()[1];
        let hierarchy = Hierarchy::from_partitions(vec![
            partition(1000, &[faces()[1], faces()[4]]),
            partition(500, &[first, last]),
            partition(200, &[grandchild]),
        ])
        .unwrap();
        assert_eq!(hierarchy.depth(), 3);
        assert_eq!(hierarchy.path(0), [1, 1, 0]);
        assert_eq!(hierarchy.path_at(1, 0), [1, 0]);
        assert_eq!(hierarchy.children(0, 0), 0..0);
        assert_eq!(hierarchy.children(0, 1), 0..2);
        assert_eq!(hierarchy.children(1, 1), 0..1);
        assert_eq!(hierarchy.children(2, 0), 0..0);
        assert_eq!(hierarchy.locate(grandchild.center()), [Some(1), Some(1), Some(0)]);
        assert_eq!(hierarchy.locate(first.center()), [Some(1), Some(0), None]);
        assert_eq!(hierarchy.locate(faces()[0].center()), [None; 3]);
        assert_eq!(hierarchy.unlocated(), [None; 3]);
    }

    #[test]
    fn refuses_what_is_not_a_hierarchy() {
        assert!(matches!(
            Hierarchy::from_partitions(vec![]),
            Err(Error::EmptyHierarchy)
        ));
        let backwards = vec![partition(500, &faces()), partition(1000, &faces())];
        assert!(matches!(
            Hierarchy::from_partitions(backwards),
            Err(Error::LevelsOutOfOrder { level: 0, .. })
        ));
        let apart = vec![partition(1000, &faces()[..3]), partition(500, &faces()[2..])];
        let error = Hierarchy::from_partitions(apart).unwrap_err();
        assert!(
            matches!(error, Error::NotNested { level: 1, cell } if cell == faces()[3]),
            "{error}"
        );
        let coarser_below = vec![
            partition(1000, &faces()[0].children().unwrap()),
            partition(500, &faces()[..1]),
        ];
        assert!(matches!(
            Hierarchy::from_partitions(coarser_below),
            Err(Error::NotNested { .. })
        ));
    }
}
