//! Exact inference in memory: every geocell of every level is scored.

use candle_core::{DType, Device, Tensor};
use geocells::Hierarchy;
use models::Calibration;

use crate::cells::CellTable;
use crate::inference::{Answer, Evidence, InferenceOptions, infer};
use crate::{Error, Result};

/// A cell of a level and its score for one query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Index of the cell in its level.
    pub cell: usize,
    /// Inner product with the cell's path embedding.
    pub score: f32,
}

/// All embeddings of a trained model in memory: a query costs one matrix product a level.
#[derive(Debug, Clone)]
pub struct ExactIndex {
    cells: CellTable,
    matches: LevelMatches,
    paths: Vec<Tensor>,
}

impl ExactIndex {
    /// From the tables of a model.
    ///
    /// `embeddings`: per level, coarsest first, unit geographic embeddings `[cells, dimension]`; `paths`: per level the path
    /// embeddings `[cells, dimension]`; `temperatures`: one a level.
    ///
    /// # Errors
    /// [`Error::Shape`] where tables and hierarchy disagree.
    pub fn new(
        hierarchy: Hierarchy,
        embeddings: &[Tensor],
        paths: &[Tensor],
        temperatures: &[f64],
    ) -> Result<Self> {
        check_rows(&hierarchy, paths)?;
        let matches = LevelMatches::new(&hierarchy, embeddings, temperatures)?;
        let paths = paths.iter().map(prepared).collect::<Result<_>>()?;
        Ok(Self {
            cells: CellTable::new(hierarchy),
            matches,
            paths,
        })
    }

    /// With the spread of the finest cells taken from places (see [`CellTable::with_places`]).
    #[must_use]
    pub fn with_places(mut self, places: impl IntoIterator<Item = geocells::LatLng>) -> Self {
        self.cells = self.cells.with_places(places);
        self
    }

    /// The cells.
    #[must_use]
    pub fn cells(&self) -> &CellTable {
        &self.cells
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.matches.dimension
    }

    /// Path scores v · p(c) of all cells of a level, for queries `[n, dimension]`: one row a query.
    ///
    /// # Errors
    /// Queries of another dimension.
    pub fn path_scores(&self, level: usize, queries: &Tensor) -> Result<Vec<Vec<f32>>> {
        products(&self.paths[level], queries, self.dimension())
    }

    /// Path scores v · p(c) of all cells of a level, for one query.
    ///
    /// # Errors
    /// A query of another dimension or with a number that is not finite.
    pub fn path_scores_of(&self, level: usize, query: &[f32]) -> Result<Vec<f32>> {
        let query = query_tensor(query, self.dimension())?;
        Ok(self.path_scores(level, &query)?.into_iter().flatten().collect())
    }

    /// The path embeddings of a level, one row a cell.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn path_rows(&self, level: usize) -> Result<Vec<Vec<f32>>> {
        Ok(self.paths[level].to_vec2()?)
    }

    /// The geographic embeddings of a level, one unit row a cell.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn embedding_rows(&self, level: usize) -> Result<Vec<Vec<f32>>> {
        Ok(self.matches.embeddings[level].to_vec2()?)
    }

    /// Cosines v · g(c) of all cells of a level, for unit queries `[n, dimension]`: one row a query.
    ///
    /// # Errors
    /// Queries of another dimension.
    pub fn cosines(&self, level: usize, queries: &Tensor) -> Result<Vec<Vec<f32>>> {
        products(&self.matches.embeddings[level], queries, self.dimension())
    }

    /// The `count` best cells of a level for each query, best first; equal scores in the order of cell ids.
    ///
    /// # Errors
    /// Queries of another dimension.
    pub fn top(&self, level: usize, queries: &Tensor, count: usize) -> Result<Vec<Vec<Scored>>> {
        Ok(self
            .path_scores(level, queries)?
            .iter()
            .map(|scores| highest(scores, count))
            .collect())
    }

    /// The finest cell with the highest product of similarities, for each query.
    ///
    /// # Errors
    /// Queries of another dimension.
    pub fn best(&self, queries: &Tensor) -> Result<Vec<Scored>> {
        let finest = self.cells.depth() - 1;
        Ok(self.top(finest, queries, 1)?.into_iter().flatten().collect())
    }

    /// The whole answer to one query, with every cell scored unless `options.searched` is smaller than a level.
    ///
    /// # Errors
    /// A query of another dimension or with a number that is not finite; an unusable calibration.
    pub fn infer(
        &self,
        query: &[f32],
        calibration: &Calibration,
        options: &InferenceOptions,
    ) -> Result<Answer> {
        let queries = query_tensor(query, self.dimension())?;
        let mut tops = Vec::with_capacity(self.cells.depth());
        for level in 0..self.cells.depth() {
            tops.extend(self.top(level, &queries, options.searched)?);
        }
        let cosines = self.matches.cosines(query)?;
        infer(
            &self.cells,
            &Evidence {
                tops: &tops,
                cosines: &cosines,
                matches: &self.matches,
                restriction: None,
            },
            calibration,
            options,
        )
    }
}

/// The geographic embeddings of all levels: what explains a match level by level.
#[derive(Debug, Clone)]
pub struct LevelMatches {
    embeddings: Vec<Tensor>,
    temperatures: Vec<f64>,
    dimension: usize,
}

impl LevelMatches {
    /// From tables `[cells, dimension]` of unit rows and temperatures, coarsest level first.
    ///
    /// # Errors
    /// [`Error::Shape`] where tables and hierarchy disagree, [`Error::Invalid`] for a temperature that is not positive.
    pub fn new(hierarchy: &Hierarchy, embeddings: &[Tensor], temperatures: &[f64]) -> Result<Self> {
        check_rows(hierarchy, embeddings)?;
        if temperatures.len() != embeddings.len() {
            let level = temperatures.len().min(embeddings.len());
            return Err(Error::Shape {
                level,
                embeddings: temperatures.len(),
                cells: embeddings.len(),
            });
        }
        let usable = |t: f64| t.is_finite() && t > 0.0;
        if let Some(bad) = temperatures.iter().find(|t| !usable(**t)) {
            return Err(Error::Invalid {
                name: "temperature",
                value: bad.to_string(),
                remedy: "it must be a positive number; the checkpoint is damaged, so train or copy it again",
            });
        }
        let dimension = embeddings[0].dim(1)?;
        let embeddings = embeddings.iter().map(prepared).collect::<Result<_>>()?;
        Ok(Self {
            embeddings,
            temperatures: temperatures.to_vec(),
            dimension,
        })
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Temperatures, coarsest level first.
    #[must_use]
    pub fn temperatures(&self) -> &[f64] {
        &self.temperatures
    }

    /// Cosines of one unit query with every cell of every level, coarsest level first.
    ///
    /// # Errors
    /// A query of another dimension or with a number that is not finite.
    pub fn cosines(&self, query: &[f32]) -> Result<Vec<Vec<f32>>> {
        let query = query_tensor(query, self.dimension)?;
        let mut all = Vec::with_capacity(self.embeddings.len());
        for table in &self.embeddings {
            all.extend(products(table, &query, self.dimension)?);
        }
        Ok(all)
    }

    /// How far two correct f32 evaluations of one path score can lie apart: twice n·u·Σ|v_i p_i|, with |p| ≤ Σ 1/τ.
    #[must_use]
    pub fn rounding_slack(&self) -> f64 {
        let longest_path: f64 = self.temperatures.iter().map(|t| 1.0 / t).sum();
        self.dimension as f64 * f64::from(f32::EPSILON) * longest_path
    }
}

/// The `count` highest of a row of scores, best first; equal scores in order of index.
fn highest(scores: &[f32], count: usize) -> Vec<Scored> {
    let mut all: Vec<Scored> = scores
        .iter()
        .enumerate()
        .map(|(cell, &score)| Scored { cell, score })
        .collect();
    let order = |a: &Scored, b: &Scored| b.score.total_cmp(&a.score).then(a.cell.cmp(&b.cell));
    if count < all.len() {
        if count > 0 {
            all.select_nth_unstable_by(count - 1, order);
        }
        all.truncate(count);
    }
    all.sort_unstable_by(order);
    all
}

fn check_rows(hierarchy: &Hierarchy, tables: &[Tensor]) -> Result<()> {
    for level in 0..hierarchy.depth().max(tables.len()) {
        let cells = hierarchy
            .levels()
            .get(level)
            .map_or(0, |partition| partition.cells().len());
        let embeddings = tables.get(level).map_or(Ok(0), |table| table.dim(0))?;
        if cells != embeddings {
            return Err(Error::Shape {
                level,
                embeddings,
                cells,
            });
        }
    }
    Ok(())
}

/// On the CPU in f32, contiguous and cut from any graph.
fn prepared(table: &Tensor) -> Result<Tensor> {
    Ok(table
        .detach()
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F32)?
        .contiguous()?)
}

fn query_tensor(query: &[f32], dimension: usize) -> Result<Tensor> {
    if query.len() != dimension {
        return Err(Error::Dimension {
            expected: dimension,
            found: query.len(),
        });
    }
    if query.iter().any(|x| !x.is_finite()) {
        return Err(Error::NotFinite);
    }
    Ok(Tensor::from_slice(query, (1, dimension), &Device::Cpu)?)
}

fn products(table: &Tensor, queries: &Tensor, dimension: usize) -> Result<Vec<Vec<f32>>> {
    let found = queries.dim(1)?;
    if found != dimension {
        return Err(Error::Dimension {
            expected: dimension,
            found,
        });
    }
    Ok(prepared(queries)?.matmul(&table.t()?)?.to_vec2()?)
}
