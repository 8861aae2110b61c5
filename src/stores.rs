//! Opens the vector store and the catalog of the data folder.

use std::sync::Arc;

use anyhow::{Context, Result};
use retrieval::Checkpoints;
use storage::{
    Catalog, EmbeddedVectorStore, PostgresCatalog, QdrantVectorStore, ReleaseId, SqliteCatalog, VectorStore,
};

use crate::settings::Settings;

/// The stores that hold releases.
pub struct Stores {
    /// Vectors.
    pub vectors: Arc<dyn VectorStore>,
    /// Records.
    pub catalog: Arc<dyn Catalog>,
}

/// Opens both, making them when they are new, and completes or undoes what an interrupted command left half done.
pub async fn open(settings: &Settings) -> Result<Stores> {
    let stores = Stores {
        vectors: vectors(settings).await?,
        catalog: catalog(settings).await?,
    };
    let (store, catalog) = (stores.vectors.as_ref(), stores.catalog.as_ref());
    indexer::reconcile(&settings.references_dir(), store, catalog, &checkpoints(settings)).await?;
    Ok(stores)
}

/// Opens the catalog, and the vector store unless a running service has an embedded one open. What the catalog alone decides
/// can be done beside that service.
pub async fn open_beside_service(
    settings: &Settings,
) -> Result<(Option<Arc<dyn VectorStore>>, Arc<dyn Catalog>)> {
    match open(settings).await {
        Ok(stores) => Ok((Some(stores.vectors), stores.catalog)),
        Err(error) if is_locked(&error) => Ok((None, catalog(settings).await?)),
        Err(error) => Err(error),
    }
}

/// Settles what was interrupted in a release's gallery, for one that is about to be opened and need not be the active one.
pub async fn settle(
    settings: &Settings,
    store: &dyn VectorStore,
    catalog: &dyn Catalog,
    release: &ReleaseId,
) -> Result<()> {
    indexer::references::settle_if_built(release, &settings.references_dir(), store, catalog).await?;
    Ok(())
}

/// Whether an error is that another process has the embedded vector store open.
pub fn is_locked(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(storage::Error::Locked { .. }))
}

/// How checkpoints are found: folders, and object stores as the environment configures them (`AWS_…`, `GOOGLE_…`).
pub fn checkpoints(settings: &Settings) -> Checkpoints {
    let configures = |name: &str| name.starts_with("AWS_") || name.starts_with("GOOGLE_");
    let options = std::env::vars().filter(|(name, _)| configures(name));
    Checkpoints::new(settings.checkpoints_dir(), options)
}

/// Opens the vector store: the Qdrant server's where there is one, otherwise the data folder's, which one process has at a time.
async fn vectors(settings: &Settings) -> Result<Arc<dyn VectorStore>> {
    Ok(match &settings.qdrant {
        Some(server) => Arc::new(QdrantVectorStore::connect(server).await?),
        None => {
            fs_err::create_dir_all(&settings.data_dir)
                .context("the data folder cannot be made; choose another with --data-dir")?;
            Arc::new(EmbeddedVectorStore::open(settings.vectors_dir()).await?)
        }
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
