//! The SQLite catalog passes the conformance suite, and tells what is wrong with a file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use geosurge_storage::conformance::catalog::CatalogPlace;
use geosurge_storage::{
    AuditEntry, AuditFilter, Catalog, Error, PredictionFilter, PredictionSelection, ReleaseStatus, Result,
    SqliteCatalog,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
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

/// A catalog as version 1 wrote it, in a file. Its rows come in the order of a dump, which foreign keys would not take.
async fn version_1(dir: &TempDir) -> std::path::PathBuf {
    let path = dir.path().join("catalog.sqlite");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(include_str!("data/catalog_v1.sql"))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    path
}

/// Every row of the tables that version 1 had, with the columns that it had.
async fn rows_of_version_1(path: &Path) -> Vec<String> {
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let mut rows = Vec::new();
    for (table, columns) in [
        (
            "releases",
            "id, status, checkpoint_id, levels, store, geocells, message, created_at, activated_at",
        ),
        (
            "geocells",
            "release, level, position, token, parent_token, photos, latitude, longitude",
        ),
        (
            "reference_images",
            "release, id, path, latitude, longitude, token, sha256, captured_at, uploader",
        ),
        (
            "predictions",
            "id, release, created_at, photo_sha256, latitude, longitude, confidence, within, client",
        ),
        (
            "prediction_candidates",
            "prediction, rank, token, probability, latitude, longitude",
        ),
        (
            "ground_truth",
            "prediction, latitude, longitude, source, created_at",
        ),
        ("release_changes", "changes"),
    ] {
        let statement = format!("SELECT json_array({columns}) FROM {table} ORDER BY 1");
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert!(!found.is_empty(), "{table}");
        rows.extend(found);
    }
    rows
}

#[tokio::test]
async fn a_catalog_of_version_1_is_refused_then_migrated_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = version_1(&dir).await;
    let before = rows_of_version_1(&path).await;
    let error = SqliteCatalog::open(&path).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("geosurge migrate"),
        "{error}"
    );
    assert_eq!(rows_of_version_1(&path).await, before);
    let state = SqliteCatalog::migration_state(&path).await.unwrap();
    assert_eq!(state.applied.len(), 1);
    assert!(!state.pending.is_empty());

    // Two processes at once do it once.
    let (one, other) = tokio::join!(SqliteCatalog::migrate(&path), SqliteCatalog::migrate(&path));
    one.unwrap();
    other.unwrap();
    assert_eq!(rows_of_version_1(&path).await, before);
    assert!(
        SqliteCatalog::migration_state(&path)
            .await
            .unwrap()
            .pending
            .is_empty()
    );
    assert_eq!(SqliteCatalog::migrate(&path).await.unwrap(), []);

    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let active = catalog.active_release().await.unwrap().unwrap();
    assert_eq!(active.id.as_str(), "first");
    let found = catalog
        .predictions(&PredictionFilter::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(found.len(), 5);
    for prediction in &found {
        assert_eq!((&prediction.place, prediction.shadow_of), (&None, None));
        assert_eq!((prediction.candidates.len(), prediction.levels.len()), (3, 0));
        prediction.check().unwrap();
    }
    let known = found.iter().map(|prediction| prediction.id).collect::<Vec<_>>();
    assert_eq!(catalog.ground_truths(&known).await.unwrap().len(), 1);
    // What refers to the copied table still does: the release cannot go under its predictions, and changes are counted.
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let error = sqlx::query("DELETE FROM releases")
        .execute(&pool)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
    let changes = catalog.changes().await.unwrap();
    catalog
        .set_status(&active.id, ReleaseStatus::Retired, None)
        .await
        .unwrap();
    assert!(catalog.changes().await.unwrap() > changes);
    let deleted = catalog.delete_release_contents(&active.id, None).await.unwrap();
    assert_eq!((deleted.geocells, deleted.reference_images), (20, 6));
    assert_eq!(catalog.prediction(known[0]).await.unwrap(), found[0]);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("CREATE TABLE releases (title TEXT)")
        .execute(&mut connection)
        .await
        .unwrap();
    for error in [
        SqliteCatalog::open(&path).await.map(drop).unwrap_err(),
        SqliteCatalog::migrate(&path).await.map(drop).unwrap_err(),
    ] {
        assert!(
            error.is_conflict() && error.to_string().contains("another program"),
            "{error}"
        );
    }
    let error = SqliteCatalog::migration_state(dir.path().join("nothing"))
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn the_schema_refuses_illegal_steps_and_changes_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let entry = AuditEntry::new("release.prune", "release a", serde_json::json!({}));
    catalog.record_audit(&entry).await.unwrap();
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query(
        "INSERT INTO releases (id, status, checkpoint_id, checkpoint_path, embedding_dimension, levels,
                               dataset_digest, store, created_at)
         VALUES ('a', 'building', 'c', 'p', 1, 1, 'd', '{}', '2026-11-22T00:00:00.000000Z')",
    )
    .execute(&pool)
    .await
    .unwrap();
    for (statement, reason) in [
        ("UPDATE releases SET status = 'active'", "cannot become"),
        ("UPDATE releases SET status = 'pruned'", "cannot become"),
        ("UPDATE releases SET status = 'gone'", "cannot become"),
        ("UPDATE audit_log SET action = 'nothing'", "only be added to"),
        ("DELETE FROM audit_log", "only be added to"),
    ] {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{statement}: {error}");
    }
    let log = catalog.audit(&AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(log, [entry]);
}

/// What was deleted is overwritten: nothing of it can be found in the file.
#[tokio::test]
async fn deleted_predictions_leave_no_trace_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = version_1(&dir).await;
    SqliteCatalog::migrate(&path).await.unwrap();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let photo = b"7bcd6f4835996c76f31686456a5e350011d17393bfa5b9fd5100c2d34cd324ae";
    let holds = |bytes: &[u8]| bytes.windows(photo.len()).any(|window| window == photo);
    assert!(holds(&fs_err::read(&path).unwrap()));
    let which = PredictionSelection {
        client: Some("api".into()),
        ..PredictionSelection::default()
    };
    let deleted = catalog.delete_predictions(&which, false, None).await.unwrap();
    assert_eq!((deleted.predictions, deleted.ground_truth), (5, 1));
    // Closing brings the log of writes into the file.
    catalog.close().await;
    for entry in fs_err::read_dir(dir.path()).unwrap() {
        let file = entry.unwrap().path();
        assert!(!holds(&fs_err::read(&file).unwrap()), "{}", file.display());
    }
}
