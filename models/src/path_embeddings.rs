//! Path embeddings: hierarchical inference over all levels as one inner product (paper III-D).
//!
//! The product over the levels of a path's softmax probabilities is, up to a constant of the query,
//! `exp(v · p(c))` with `p(c) = Σ g_k(ancestor_k(c)) / τ_k`. The same holds for every prefix of the path.

use geocells::Hierarchy;

use crate::geographic::GeographicEmbeddings;
use crate::{Error, Result};

/// The path embeddings of every geocell of every level, coarsest first.
#[derive(Clone, Debug, PartialEq)]
pub struct PathEmbeddings {
    /// One entry a level.
    pub levels: Vec<PathLevel>,
}

/// The path embeddings of one level's geocells.
#[derive(Clone, Debug, PartialEq)]
pub struct PathLevel {
    /// Width of a row.
    pub dimension: usize,
    /// `[cells, dimension]`, row-major, in the order of the level's partition.
    pub rows: Vec<f32>,
}

impl PathLevel {
    /// Number of geocells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / self.dimension.max(1)
    }

    /// Whether the level has no geocell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The path embedding of a geocell.
    #[must_use]
    pub fn row(&self, cell: usize) -> &[f32] {
        &self.rows[cell * self.dimension..(cell + 1) * self.dimension]
    }
}

impl PathEmbeddings {
    /// Sums the embeddings along every path of the hierarchy.
    ///
    /// # Errors
    /// [`Error::Hierarchy`] when the tables have other sizes than the hierarchy's levels.
    pub fn new(geographic: &GeographicEmbeddings, hierarchy: &Hierarchy) -> Result<Self> {
        agree(geographic, hierarchy)?;
        let dimension = geographic.dimension();
        let tables = geographic.tables()?;
        let mut levels: Vec<PathLevel> = Vec::with_capacity(tables.len());
        for (level, (table, partition)) in tables.iter().zip(hierarchy.levels()).enumerate() {
            let inverse = (1.0 / geographic.temperature(level)?) as f32;
            let mut rows = Vec::with_capacity(table.len());
            for (embedding, cell) in table.chunks_exact(dimension).zip(partition.cells()) {
                match (levels.last(), cell.parent) {
                    (Some(coarser), Some(parent)) => {
                        rows.extend(
                            embedding
                                .iter()
                                .zip(coarser.row(parent))
                                .map(|(g, p)| p + g * inverse),
                        );
                    }
                    (None, _) => rows.extend(embedding.iter().map(|g| g * inverse)),
                    (Some(_), None) => {
                        let token = cell.id.token();
                        return Err(Error::Hierarchy(format!(
                            "geocell {token} of level {level} has no parent; rebuild the hierarchy"
                        )));
                    }
                }
            }
            levels.push(PathLevel { dimension, rows });
        }
        Ok(Self { levels })
    }

    /// The path embedding of a geocell.
    #[must_use]
    pub fn row(&self, level: usize, cell: usize) -> &[f32] {
        self.levels[level].row(cell)
    }

    /// The level with the most geocells.
    ///
    /// # Errors
    /// [`Error::Hierarchy`] when there is no level.
    pub fn finest(&self) -> Result<&PathLevel> {
        self.levels
            .last()
            .ok_or_else(|| Error::Hierarchy("there is no level; train with at least one".to_owned()))
    }
}

/// Checks that there is a table for every level, with a row for every geocell.
pub(crate) fn agree(geographic: &GeographicEmbeddings, hierarchy: &Hierarchy) -> Result<()> {
    let tables: Vec<usize> = (0..geographic.levels())
        .map(|level| geographic.cells(level))
        .collect();
    let cells: Vec<usize> = hierarchy.levels().iter().map(geocells::Partition::len).collect();
    if tables == cells && !cells.is_empty() {
        return Ok(());
    }
    Err(Error::Hierarchy(format!(
        "the tables hold {tables:?} geocells a level, the hierarchy {cells:?}; they come from different trainings"
    )))
}
