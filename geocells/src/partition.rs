//! The geocells of one granularity.

use serde::{Deserialize, Serialize};

use crate::{Error, GeocellId, LatLng, Result};

/// One S2 cell of a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Geocell {
    /// Which S2 cell it is.
    pub id: GeocellId,
    /// How many photos of the training set lie in it.
    pub photos: u64,
    /// Where an answer "in this cell" is placed: the mean of those photos' places, to [`LocationKind`](crate::LocationKind)'s precision.
    pub location: LatLng,
    /// Index of the cell that contains it in the next coarser partition; `None` at level 0 and outside a hierarchy.
    pub parent: Option<usize>,
}

/// The geocells of one granularity, sorted by id and disjoint; some of the Earth lies in none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    t_min: u64,
    t_max: u64,
    cells: Vec<Geocell>,
    /// `labels[index]` is the class label of `cells[index]` in the field's CSV file.
    labels: Vec<u64>,
    total_photos: Option<u64>,
}

impl Partition {
    /// A partition of `cells`, whose class labels are their positions in the given order. Sorts them by id.
    ///
    /// # Errors
    /// [`Error::EmptyPartition`] without cells, [`Error::OverlappingCells`] when one lies in another.
    pub fn new(t_min: u64, t_max: u64, cells: Vec<Geocell>) -> Result<Self> {
        let labelled = (0..).zip(cells).collect();
        Self::with_labels(t_min, t_max, labelled)
    }

    /// A partition of cells that carry class labels already. Sorts them by id.
    pub(crate) fn with_labels(t_min: u64, t_max: u64, mut cells: Vec<(u64, Geocell)>) -> Result<Self> {
        if cells.is_empty() {
            return Err(Error::EmptyPartition);
        }
        cells.sort_by_key(|(_, cell)| cell.id);
        for pair in cells.windows(2) {
            let (first, second) = (pair[0].1.id, pair[1].1.id);
            if second.range().0 <= first.range().1 {
                return Err(Error::OverlappingCells { first, second });
            }
        }
        let (labels, cells) = cells.into_iter().unzip();
        Ok(Self {
            t_min,
            t_max,
            cells,
            labels,
            total_photos: None,
        })
    }

    /// The same partition, knowing that it was built from `total` photos, of which some may lie in no cell.
    pub fn with_total_photos(mut self, total: u64) -> Self {
        self.total_photos = Some(total);
        self
    }

    /// Every cell has more photos than this.
    pub fn t_min(&self) -> u64 {
        self.t_min
    }

    /// No cell has more photos than this, but for cells at the deepest S2 level.
    pub fn t_max(&self) -> u64 {
        self.t_max
    }

    /// The cells, sorted by id.
    pub fn cells(&self) -> &[Geocell] {
        &self.cells
    }

    /// How many cells there are; at least one.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Always false: a partition has at least one cell.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Index of the cell that contains `place`, or `None` where there is none.
    pub fn locate(&self, place: LatLng) -> Option<usize> {
        self.locate_id(GeocellId::leaf(place))
    }

    /// Index of the cell that is `id` or contains it, or `None` where there is none.
    pub fn locate_id(&self, id: GeocellId) -> Option<usize> {
        let index = self.cells.partition_point(|cell| cell.id.range().1 < id.as_u64());
        let cell = self.cells.get(index)?;
        cell.id.contains_id(id).then_some(index)
    }

    /// Index of the cell with exactly this id.
    pub fn index_of(&self, id: GeocellId) -> Option<usize> {
        self.cells.binary_search_by_key(&id, |cell| cell.id).ok()
    }

    /// The class label of the cell at `index` in the field's CSV file; the index itself when the partition was built here.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn class_label(&self, index: usize) -> u64 {
        self.labels[index]
    }

    /// How many photos lie in the cells.
    pub fn photos(&self) -> u64 {
        self.cells.iter().map(|cell| cell.photos).sum()
    }

    /// How many photos the partition was built from, where that is known.
    pub fn total_photos(&self) -> Option<u64> {
        self.total_photos
    }

    /// How many photos lie in no cell, where that is known.
    pub fn unlocated(&self) -> Option<u64> {
        Some(self.total_photos?.saturating_sub(self.photos()))
    }

    pub(crate) fn cells_mut(&mut self) -> &mut [Geocell] {
        &mut self.cells
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn cell(token: &str) -> Geocell {
        let id = GeocellId::from_token(token).unwrap();
        Geocell {
            id,
            photos: 60,
            location: id.center(),
            parent: None,
        }
    }

    #[test]
    fn sorts_and_keeps_the_labels() {
        let partition = Partition::new(50, 500, vec![cell("89c25"), cell("3"), cell("89c27")]).unwrap();
        let tokens: Vec<_> = partition.cells().iter().map(|cell| cell.id.token()).collect();
        assert_eq!(tokens, ["3", "89c25", "89c27"]);
        assert_eq!(partition.class_label(0), 1);
        for (index, cell) in partition.cells().iter().enumerate() {
            assert_eq!(partition.locate(cell.id.center()), Some(index));
            assert_eq!(partition.index_of(cell.id), Some(index));
        }
        let elsewhere = GeocellId::from_token("5").unwrap();
        assert_eq!(partition.locate(elsewhere.center()), None);
        assert_eq!(partition.index_of(elsewhere), None);
    }

    #[test]
    fn refuses_none_and_overlaps() {
        assert!(matches!(
            Partition::new(50, 500, vec![]),
            Err(Error::EmptyPartition)
        ));
        let child = cell("3").id.children().unwrap()[2];
        let inside = Geocell {
            id: child,
            ..cell("3")
        };
        for pair in [
            vec![cell("3"), inside.clone()],
            vec![inside, cell("3")],
            vec![cell("3"), cell("3")],
        ] {
            assert!(matches!(
                Partition::new(50, 500, pair),
                Err(Error::OverlappingCells { .. })
            ));
        }
    }
}
