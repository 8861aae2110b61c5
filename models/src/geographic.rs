//! Geographic embeddings: a learned vector for every geocell of every level, and a temperature for every level.

use candle_core::Tensor;

use crate::config::Head;
use crate::ops::unit_rows;
use crate::{Error, ParameterSpec, Parameters, Result};

/// One table and one temperature a level, coarsest first.
#[derive(Clone, Debug)]
pub struct GeographicEmbeddings {
    levels: Vec<Level>,
    head: Head,
}

#[derive(Clone, Debug)]
struct Level {
    table: Tensor,
    log_temperature: Tensor,
}

impl GeographicEmbeddings {
    /// The parameters for levels of so many geocells: `geographic.{level}.table` `[cells, embedding]` and
    /// `geographic.{level}.log_temperature` (a scalar). Neither decays: rows are used at length 1.
    #[must_use]
    pub fn specs(cells: &[usize], embedding: usize, temperature: f64) -> Vec<ParameterSpec> {
        let deviation = 1.0 / (embedding as f64).sqrt();
        cells
            .iter()
            .enumerate()
            .flat_map(|(level, &cells)| {
                [
                    ParameterSpec::positions(format!("geographic.{level}.table"), &[cells, embedding])
                        .deviation(deviation),
                    ParameterSpec::constant(
                        format!("geographic.{level}.log_temperature"),
                        &[],
                        temperature.ln() as f32,
                    ),
                ]
            })
            .collect()
    }

    /// Takes the parameters of `levels` levels by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(parameters: &Parameters, levels: usize) -> Result<Self> {
        let levels = (0..levels)
            .map(|level| {
                Ok(Level {
                    table: parameters.get(&format!("geographic.{level}.table"))?,
                    log_temperature: parameters.get(&format!("geographic.{level}.log_temperature"))?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            levels,
            head: Head::Embeddings,
        })
    }

    /// The same tables, their rows taken as this head takes them. What is said below of length 1 holds for
    /// [`Head::Embeddings`]; the rows of a classifier keep their length.
    #[must_use]
    pub fn with_head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// Rows as the head takes them.
    fn headed(&self, rows: &Tensor) -> Result<Tensor> {
        match self.head {
            Head::Embeddings => unit_rows(rows),
            Head::Classifier => Ok(rows.clone()),
        }
    }

    /// Number of levels.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Geocells of a level.
    #[must_use]
    pub fn cells(&self, level: usize) -> usize {
        self.levels[level].table.dims()[0]
    }

    /// Width of an embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.levels.first().map_or(0, |level| level.table.dims()[1])
    }

    /// Embeddings of some geocells of a level, `[n, embedding]` of length 1; geocells may repeat.
    ///
    /// # Errors
    /// When a geocell is not of the level.
    pub fn rows(&self, level: usize, cells: &[u32]) -> Result<Tensor> {
        let table = &self.levels[level].table;
        let index = Tensor::new(cells, table.device())?;
        self.headed(&table.index_select(&index, 0)?)
    }

    /// Embeddings of all geocells of a level, `[cells, embedding]` of length 1.
    ///
    /// # Errors
    /// When the device fails.
    pub fn all(&self, level: usize) -> Result<Tensor> {
        self.headed(&self.levels[level].table)
    }

    /// Natural logarithm of a level's temperature, a scalar; trained.
    #[must_use]
    pub fn log_temperature(&self, level: usize) -> &Tensor {
        &self.levels[level].log_temperature
    }

    /// A level's temperature.
    ///
    /// # Errors
    /// [`Error::Hierarchy`] when training brought it to zero or beyond all numbers.
    pub fn temperature(&self, level: usize) -> Result<f64> {
        let temperature = f64::from(self.levels[level].log_temperature.to_scalar::<f32>()?).exp();
        if temperature.is_finite() && temperature > 0.0 {
            Ok(temperature)
        } else {
            Err(Error::Hierarchy(format!(
                "the temperature of level {level} is {temperature}; the training diverged"
            )))
        }
    }

    /// The rows of every level, length 1, row-major.
    ///
    /// # Errors
    /// When the device fails.
    pub fn tables(&self) -> Result<Vec<Vec<f32>>> {
        (0..self.levels())
            .map(|level| Ok(self.all(level)?.detach().flatten_all()?.to_vec1()?))
            .collect()
    }
}
