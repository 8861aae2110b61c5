//! The SQLite catalog passes the conformance suite, and tells what is wrong with a file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use geosurge_storage::conformance::catalog::CatalogPlace;
use geosurge_storage::{Catalog, Error, Result, SqliteCatalog};
use tempfile::TempDir;

struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl CatalogPlace for File {
    async fn open(&self) -> Result<Arc<dyn Catalog>> {
        Ok(Arc::new(
            SqliteCatalog::open(self.0.path().join("data/catalog.sqlite")).await?,
        ))
    }
}

geosurge_storage::catalog_conformance!(File::new());

#[tokio::test]
async fn a_file_that_is_no_catalog_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    fs_err::write(
        &path,
        "this is a text, and long enough to be taken for a database's header\n".repeat(50),
    )
    .unwrap();
    let error = SqliteCatalog::open(&path).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("catalog.sqlite"), "{error}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs_err::write(&file, "").unwrap();
    for path in [file.join("catalog.sqlite"), dir.path().to_owned()] {
        let error = SqliteCatalog::open(&path).await.unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(
            error.to_string().contains(&file.display().to_string()) || path == dir.path(),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_catalog_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    SqliteCatalog::open(&path).await.unwrap().close().await;
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let error = SqliteCatalog::open(&path).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("newer version"),
        "{error}"
    );
}

#[tokio::test]
async fn the_schema_refuses_a_second_active_release() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let insert = |id: &'static str| {
        sqlx::query(
            "INSERT INTO releases (id, status, checkpoint_id, checkpoint_path, embedding_dimension, levels,
                                   dataset_digest, store, created_at)
             VALUES (?1, 'active', 'c', 'p', 1, 1, 'd', '{}', '2026-11-22T00:00:00.000000Z')",
        )
        .bind(id)
        .execute(&pool)
    };
    insert("one").await.unwrap();
    let error = insert("two").await.unwrap_err();
    assert!(error.to_string().contains("UNIQUE"), "{error}");
    assert_eq!(
        catalog.active_release().await.unwrap().unwrap().id.as_str(),
        "one"
    );
}
