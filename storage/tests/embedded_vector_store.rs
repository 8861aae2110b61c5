//! The embedded vector store passes the conformance suite.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use geosurge_storage::conformance::vector_store::VectorStorePlace;
use geosurge_storage::{EmbeddedVectorStore, Result, VectorStore};
use tempfile::TempDir;

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl VectorStorePlace for Directory {
    async fn open(&self) -> Result<Arc<dyn VectorStore>> {
        Ok(Arc::new(
            EmbeddedVectorStore::open(self.0.path().join("vectors")).await?,
        ))
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}

geosurge_storage::vector_store_conformance!(Directory::new());
