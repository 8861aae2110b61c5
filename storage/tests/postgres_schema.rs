//! What the schema of Postgres refuses, whoever writes; migrations, and the months of predictions.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use geosurge_storage::{
    Catalog, Error, PostgresCatalog, PostgresConfig, Prediction, PredictionFilter, PredictionSelection,
};
use sqlx::postgres::PgConnection;
use support::{Database, prediction_at, ready_release};

async fn code_of(connection: &mut PgConnection, statement: &'static str) -> String {
    let error = sqlx::query(statement).execute(connection).await.unwrap_err();
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

async fn partition_of(connection: &mut PgConnection, prediction: &Prediction) -> String {
    sqlx::query_scalar("SELECT tableoid::regclass::text FROM predictions WHERE id = $1")
        .bind(prediction.id)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn wrong_states_are_refused() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    for name in ["one", "two"] {
        ready_release(&catalog, name).await;
    }
    catalog.activate(&"one".parse().unwrap()).await.unwrap();
    let mut connection = database.connection().await;
    let refused = [
        // A second active release, however it is written.
        ("UPDATE releases SET status = 'active' WHERE id = 'two'", "23505"),
        // A step that the life of a release does not have.
        (
            "UPDATE releases SET status = 'building' WHERE id = 'one'",
            "23514",
        ),
        ("UPDATE releases SET status = 'pruned' WHERE id = 'one'", "23514"),
        ("UPDATE releases SET status = 'gone' WHERE id = 'one'", "23514"),
        (
            "INSERT INTO releases SELECT 'A b', 'ready', checkpoint_id, checkpoint_path, 1, 1, dataset_digest, store, NULL, NULL, NULL, now() FROM releases LIMIT 1",
            "23514",
        ),
        (
            "INSERT INTO geocells VALUES ('nowhere', 0, 0, '89c', NULL, 1, 0, 0)",
            "23503",
        ),
        (
            "INSERT INTO geocells VALUES ('one', 0, 0, '89c', NULL, 1, 90.5, 0)",
            "23514",
        ),
        (
            "INSERT INTO geocells VALUES ('one', 0, 0, '89c', NULL, 1, 'NaN', 0)",
            "23514",
        ),
        (
            "INSERT INTO prediction_candidates VALUES (geosurge_id_from(now()), 1, '89c', 0.5, 0, 0)",
            "23503",
        ),
        (
            "INSERT INTO ground_truth VALUES (geosurge_id_from(now()), 0, 0, 'exif', now())",
            "23503",
        ),
        (
            "INSERT INTO audit_log VALUES (gen_random_uuid(), now(), NULL, 'a', 'b', '[]')",
            "23514",
        ),
    ];
    for (statement, code) in refused {
        assert_eq!(code_of(&mut connection, statement).await, code, "{statement}");
    }
    let id = "INSERT INTO audit_log VALUES (gen_random_uuid(), now(), NULL, 'a', 'b', '{}')";
    sqlx::query(id).execute(&mut connection).await.unwrap();
    for statement in [
        "UPDATE audit_log SET action = 'nothing'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ] {
        assert_eq!(code_of(&mut connection, statement).await, "23001", "{statement}");
    }
}

#[tokio::test]
async fn an_unmigrated_or_newer_database_is_refused() {
    let Some(database) = Database::create().await else {
        return;
    };
    let config = database.config();
    let error = PostgresCatalog::open(&config).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("geosurge migrate"),
        "{error}"
    );
    let before = PostgresCatalog::migration_state(&config).await.unwrap();
    assert!(before.applied.is_empty() && !before.pending.is_empty());
    // Several at once: one works, the others wait, and all agree.
    let migrations = futures_of_four(&config).await;
    let applied: usize = migrations.iter().map(|migration| migration.applied.len()).sum();
    assert!(applied >= before.pending.len());
    let after = PostgresCatalog::migration_state(&config).await.unwrap();
    assert_eq!(after.applied, before.pending);
    assert!(after.pending.is_empty());
    PostgresCatalog::open(&config).await.unwrap().close().await;
    let again = PostgresCatalog::migrate(&config).await.unwrap();
    assert_eq!((again.applied.len(), again.months_made, again.strays), (0, 0, 0));

    let mut connection = database.connection().await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '\\x00', 0)")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = PostgresCatalog::open(&config).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("newer version"),
        "{error}"
    );
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 9999")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = '\\x00'")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = PostgresCatalog::open(&config).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("differs"),
        "{error}"
    );
}

async fn futures_of_four(config: &PostgresConfig) -> Vec<geosurge_storage::PostgresMigration> {
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { PostgresCatalog::migrate(&config).await.unwrap() })
        })
        .collect();
    let mut migrations = Vec::new();
    for task in tasks {
        migrations.push(task.await.unwrap());
    }
    migrations
}

#[tokio::test]
async fn a_database_that_is_not_there_or_not_ours_is_named() {
    let Some(database) = Database::create().await else {
        return;
    };
    let config = PostgresConfig::new(&format!("{}_missing", database.url())).unwrap();
    let error = PostgresCatalog::open(&config).await.unwrap_err();
    assert!(
        error.is_not_found() && error.to_string().contains("_missing"),
        "{error}"
    );
    // Nothing listens on port 9 of this machine.
    let mut config = PostgresConfig::new("postgres://me:s3cret@127.0.0.1:9/geo").unwrap();
    config.acquire_timeout = std::time::Duration::from_millis(300);
    let error = PostgresCatalog::open(&config).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(
        error.to_string().contains("127.0.0.1:9") && !error.to_string().contains("s3cret"),
        "{error}"
    );
}

/// Predictions of the last and first second of a year lie in the right months, also those that came before their month.
#[tokio::test]
async fn months_are_made_over_the_turn_of_a_year() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    ready_release(&catalog, "a").await;
    let mut connection = database.connection().await;
    let midnight = Utc.with_ymd_and_hms(2031, 1, 1, 0, 0, 0).unwrap();
    let times = [
        midnight - TimeDelta::milliseconds(1),
        midnight,
        midnight + TimeDelta::days(31),
    ];
    let mut recorded: Vec<Prediction> = times.map(|at| prediction_at("a", at)).into();
    // An id of the old year with a time of the new one, as when a photo takes long.
    let mut slow = prediction_at("a", midnight - TimeDelta::seconds(1));
    slow.created_at = midnight + TimeDelta::seconds(1);
    recorded.push(slow);
    for prediction in &recorded {
        catalog.record_prediction(prediction).await.unwrap();
        assert_eq!(
            partition_of(&mut connection, prediction).await,
            "predictions_other"
        );
    }
    let report = PostgresCatalog::migrate(&database.config()).await.unwrap();
    assert_eq!(report.strays, 4);

    for month in [midnight - TimeDelta::days(1), midnight] {
        let made: bool = sqlx::query_scalar("SELECT geosurge_make_month($1)")
            .bind(month)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(made);
    }
    let mut partitions = Vec::new();
    for prediction in &recorded {
        partitions.push(partition_of(&mut connection, prediction).await);
        // Moved whole: what belongs to it went along.
        assert_eq!(catalog.prediction(prediction.id).await.unwrap(), *prediction);
    }
    assert_eq!(
        partitions,
        [
            "predictions_y2030m12",
            "predictions_y2031m01",
            "predictions_other",
            "predictions_y2030m12"
        ]
    );
    let since = PredictionFilter {
        since: Some(midnight),
        until: Some(midnight + TimeDelta::seconds(1)),
        ..PredictionFilter::default()
    };
    let found = catalog.predictions(&since, None, 10).await.unwrap();
    assert_eq!(found, [recorded[1].clone(), recorded[3].clone()]);
}

/// Retention drops months that are wholly old, deletes the rest row by row, and takes shadows in later months along.
#[tokio::test]
async fn retention_drops_whole_months() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    ready_release(&catalog, "a").await;
    let mut connection = database.connection().await;
    let at = |month, day| Utc.with_ymd_and_hms(2020, month, day, 12, 0, 0).unwrap();
    for month in 1..=4 {
        let made: bool = sqlx::query_scalar("SELECT geosurge_make_month($1)")
            .bind(at(month, 1))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(made);
    }
    let times: [DateTime<Utc>; 6] = [at(1, 3), at(2, 5), at(2, 28), at(3, 1), at(3, 20), at(4, 1)];
    let mut recorded: Vec<Prediction> = times.map(|time| prediction_at("a", time)).into();
    // The answer of February is shadowed in April.
    let mut shadow = prediction_at("a", at(4, 2));
    shadow.shadow_of = Some(recorded[2].id);
    recorded.push(shadow);
    for prediction in &recorded {
        catalog.record_prediction(prediction).await.unwrap();
    }
    let which = PredictionSelection {
        before: Some(at(3, 10)),
        ..PredictionSelection::default()
    };
    for dry_run in [true, false] {
        let deleted = catalog.delete_predictions(&which, dry_run, None).await.unwrap();
        assert_eq!(
            (deleted.predictions, deleted.shadows, deleted.months_dropped),
            (4, 1, 2),
            "dry run {dry_run}"
        );
    }
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relname ~ '_y2020m\\d+$' AND relkind = 'r' ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(left.len(), 8, "{left:?}");
    assert!(
        left.iter()
            .all(|name| name.ends_with("m03") || name.ends_with("m04"))
    );
    let found = catalog
        .predictions(&PredictionFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(found, [recorded[5].clone(), recorded[4].clone()]);
    let candidates: i64 = sqlx::query_scalar("SELECT count(DISTINCT prediction) FROM prediction_candidates")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(candidates, 2);
    // A client's deletion never drops a month of others.
    let which = PredictionSelection {
        before: Some(at(12, 1)),
        client: Some("someone".into()),
        ..PredictionSelection::default()
    };
    let deleted = catalog.delete_predictions(&which, false, None).await.unwrap();
    assert_eq!(deleted.months_dropped, 0);
}

/// Postgres cannot hold what no text may have; that is the caller's error, and nothing of it is left.
#[tokio::test]
async fn texts_with_a_nul_are_invalid() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    ready_release(&catalog, "a").await;
    let mut prediction = prediction_at("a", Utc::now());
    prediction.file_name = Some("a\0b.jpg".into());
    let error = catalog.record_prediction(&prediction).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}
