//! Opens the vector store and the catalog of the data folder.

use std::sync::Arc;

use anyhow::{Context, Result};
use storage::{Catalog, EmbeddedVectorStore, PostgresCatalog, SqliteCatalog, VectorStore};

use crate::settings::Settings;

/// The stores that hold releases.
pub struct Stores {
    /// Vectors.
    pub vectors: Arc<dyn VectorStore>,
    /// Records.
    pub catalog: Arc<dyn Catalog>,
}

/// Opens both, making them when they are new.
pub async fn open(settings: &Settings) -> Result<Stores> {
    fs_err::create_dir_all(&settings.data_dir)
        .context("the data folder cannot be made; choose another with --data-dir")?;
    let vectors = EmbeddedVectorStore::open(settings.vectors_dir()).await?;
    Ok(Stores {
        vectors: Arc::new(vectors),
        catalog: catalog(settings).await?,
    })
}

/// Opens the catalog alone, which several processes may do at once: the database where one is set, else the file of the data
/// folder.
pub async fn catalog(settings: &Settings) -> Result<Arc<dyn Catalog>> {
    if let Some(database) = &settings.database {
        return Ok(Arc::new(PostgresCatalog::open(database).await?));
    }
    fs_err::create_dir_all(&settings.data_dir)
        .context("the data folder cannot be made; choose another with --data-dir")?;
    Ok(Arc::new(SqliteCatalog::open(settings.catalog_file()).await?))
}

/// The runtime that asynchronous subcommands run in.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime could not start")
}
