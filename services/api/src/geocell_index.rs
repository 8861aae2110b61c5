//! The geocells of a release in memory, so that parents and children cost no store call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use geocells::GeocellId;
use storage::{Catalog, GeocellRecord, ReleaseId};
use tokio::sync::Mutex;

use crate::request_error::RequestError;

/// Geocells asked of the catalog at once.
const PAGE: usize = 5_000;
/// Releases kept; a release's geocells never change once it is ready.
const KEPT: usize = 3;

/// All geocells of one release.
#[derive(Debug)]
pub(crate) struct GeocellIndex {
    levels: Vec<Vec<Arc<GeocellRecord>>>,
    /// Position by level and token: a small cell may belong to several levels.
    positions: HashMap<(usize, GeocellId), usize>,
    /// Children by their parent's level and token, in order of index.
    children: HashMap<(usize, GeocellId), Vec<usize>>,
}

impl GeocellIndex {
    async fn load(catalog: &dyn Catalog, release: &ReleaseId, levels: usize) -> storage::Result<Self> {
        let mut all = Vec::with_capacity(levels);
        for level in 0..levels {
            let mut cells: Vec<Arc<GeocellRecord>> = Vec::new();
            loop {
                let after = cells.last().map(|cell| cell.index);
                let page = catalog.geocells(release, level, after, PAGE).await?;
                let last = page.len() < PAGE;
                cells.extend(page.into_iter().map(Arc::new));
                if last {
                    break;
                }
            }
            all.push(cells);
        }
        Ok(Self::new(all))
    }

    fn new(levels: Vec<Vec<Arc<GeocellRecord>>>) -> Self {
        let mut positions = HashMap::new();
        let mut children: HashMap<_, Vec<usize>> = HashMap::new();
        for (level, cells) in levels.iter().enumerate() {
            for (position, cell) in cells.iter().enumerate() {
                positions.insert((level, cell.token), position);
                if let (Some(parent), Some(above)) = (cell.parent, level.checked_sub(1)) {
                    children.entry((above, parent)).or_default().push(position);
                }
            }
        }
        Self {
            levels,
            positions,
            children,
        }
    }

    /// How many levels the release has.
    pub(crate) fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The geocells of a level in order of index; empty beyond the finest.
    pub(crate) fn level(&self, level: usize) -> &[Arc<GeocellRecord>] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// A geocell at a level, or at the finest level that has it.
    pub(crate) fn find(&self, token: GeocellId, level: Option<usize>) -> Option<Arc<GeocellRecord>> {
        let at = |level: usize| {
            let position = *self.positions.get(&(level, token))?;
            self.level(level).get(position).cloned()
        };
        match level {
            Some(level) => at(level),
            None => (0..self.levels.len()).rev().find_map(at),
        }
    }

    /// The geocell that contains this one at the next coarser level.
    pub(crate) fn parent(&self, cell: &GeocellRecord) -> Option<Arc<GeocellRecord>> {
        self.find(cell.parent?, Some(cell.level.checked_sub(1)?))
    }

    /// The geocells of the next finer level inside this one.
    pub(crate) fn children(&self, cell: &GeocellRecord) -> Vec<Arc<GeocellRecord>> {
        let positions = self
            .children
            .get(&(cell.level, cell.token))
            .map_or(&[][..], Vec::as_slice);
        positions
            .iter()
            .map(|&position| self.levels[cell.level + 1][position].clone())
            .collect()
    }
}

/// The indices of the releases that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct GeocellIndices {
    kept: Mutex<VecDeque<(ReleaseId, Arc<GeocellIndex>)>>,
}

impl GeocellIndices {
    /// The index of a release, read from the catalog the first time. Several requests that ask at once read it once.
    pub(crate) async fn of(
        &self,
        catalog: &dyn Catalog,
        release: &ReleaseId,
    ) -> Result<Arc<GeocellIndex>, RequestError> {
        let mut kept = self.kept.lock().await;
        if let Some((_, index)) = kept.iter().find(|(id, _)| id == release) {
            return Ok(index.clone());
        }
        let record = catalog.release(release).await?;
        let index = Arc::new(GeocellIndex::load(catalog, release, record.levels).await?);
        // A release that is still being built changes; it is answered and forgotten.
        if record.counts.is_some() {
            kept.push_back((release.clone(), index.clone()));
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geocells::LatLng;

    #[test]
    fn parents_and_children_by_level() {
        let place = LatLng::new(48.85, 2.35).unwrap();
        let cell = |level, index, token: GeocellId, parent| {
            Arc::new(GeocellRecord {
                level,
                index,
                token,
                parent,
                photos: 9,
                location: place,
            })
        };
        let coarse = GeocellId::containing(place, 4).unwrap();
        let fine = GeocellId::containing(place, 8).unwrap();
        // A cell that is small enough already stays as it is on the finer level.
        let index = GeocellIndex::new(vec![
            vec![cell(0, 0, coarse, None)],
            vec![cell(1, 0, coarse, Some(coarse))],
            vec![cell(2, 0, fine, Some(coarse))],
        ]);
        let found = index.find(coarse, None).unwrap();
        assert_eq!(found.level, 1);
        assert_eq!(index.parent(&found).unwrap().level, 0);
        assert_eq!(index.children(&found)[0].token, fine);
        assert_eq!(index.find(coarse, Some(0)).unwrap().level, 0);
        assert!(index.find(coarse, Some(2)).is_none() && index.find(coarse, Some(7)).is_none());
        assert!(index.level(9).is_empty());
    }
}
