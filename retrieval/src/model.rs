//! What search and exact inference take from a trained model.

use candle_core::{Device, Tensor};
use geocells::Hierarchy;
use models::{Calibration, Checkpoint, GeographicEmbeddings, Parameters, PathEmbeddings};

use crate::cells::CellTable;
use crate::exact::{ExactIndex, LevelMatches};
use crate::searcher::SearchModel;
use crate::{Error, Result};

impl ExactIndex {
    /// The index of a model's embeddings as they are now: take a new one after training on.
    ///
    /// # Errors
    /// Tables and hierarchy of different sizes, a temperature that is not positive, or those of the tensor library.
    pub fn of_model(geographic: &GeographicEmbeddings, hierarchy: &Hierarchy) -> Result<Self> {
        let paths = PathEmbeddings::new(geographic, hierarchy)?;
        let path = |level: &models::PathLevel| {
            Ok(Tensor::from_slice(
                &level.rows,
                (level.len(), level.dimension),
                &Device::Cpu,
            )?)
        };
        let paths = paths.levels.iter().map(path).collect::<Result<Vec<_>>>()?;
        Self::new(
            hierarchy.clone(),
            &embeddings(geographic)?,
            &paths,
            &temperatures(geographic)?,
        )
    }
}

impl SearchModel {
    /// What a searcher takes from a model.
    ///
    /// # Errors
    /// Tables and hierarchy of different sizes, a temperature that is not positive, or those of the tensor library.
    pub fn of_model(
        geographic: &GeographicEmbeddings,
        hierarchy: &Hierarchy,
        calibration: Calibration,
    ) -> Result<Self> {
        let matches = LevelMatches::new(hierarchy, &embeddings(geographic)?, &temperatures(geographic)?)?;
        Ok(Self {
            cells: CellTable::new(hierarchy.clone()),
            matches,
            calibration,
        })
    }
}

/// The geographic embeddings of a checkpoint, on the CPU and without the rest of its model.
///
/// # Errors
/// Those of reading the checkpoint's tensors.
pub fn geographic_of(checkpoint: &Checkpoint) -> Result<GeographicEmbeddings> {
    let config = checkpoint.config();
    let specs = GeographicEmbeddings::specs(&checkpoint.cells(), config.embedding, config.temperature);
    let wanted = specs.len();
    let mut parameters = Parameters::initialise(specs, 0, &Device::Cpu)?;
    let file = checkpoint.directory().join("model.safetensors");
    let copied = parameters.load_partial(&file)?.len();
    if copied != wanted {
        return Err(Error::Tables { file, copied, wanted });
    }
    Ok(
        GeographicEmbeddings::new(&parameters.freeze(), checkpoint.hierarchy().depth())?
            .with_head(config.head),
    )
}

fn embeddings(geographic: &GeographicEmbeddings) -> Result<Vec<Tensor>> {
    (0..geographic.levels())
        .map(|level| Ok(geographic.all(level)?))
        .collect()
}

fn temperatures(geographic: &GeographicEmbeddings) -> Result<Vec<f64>> {
    (0..geographic.levels())
        .map(|level| Ok(geographic.temperature(level)?))
        .collect()
}
