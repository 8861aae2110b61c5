//! The catalog through the command: migrations, deletion and retention, in SQLite and in Postgres.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use support::{fail, geosurge, last_json, succeed};

/// Puts a catalog that version 1 wrote into a data folder.
fn version_1(dir: &Path) {
    let file = dir.join("catalog.sqlite");
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(false);
    run(async {
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let statements = include_str!("../storage/tests/data/catalog_v1.sql");
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn an_old_catalog_is_migrated_when_someone_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let said = fail(geosurge(dir).args(["migrate", "--check"]));
    assert!(said.contains("catalog.sqlite does not exist"), "{said}");
    version_1(dir);
    let said = fail(geosurge(dir).args(["releases", "list"]));
    assert!(
        said.contains("catalog.sqlite") && said.contains("run `geosurge migrate`"),
        "{said}"
    );
    let said = fail(geosurge(dir).args(["migrate", "--check"]));
    assert!(said.contains("pending"), "{said}");
    let done = last_json(&succeed(geosurge(dir).args(["migrate", "--json"])));
    assert_eq!(done["applied"][0]["version"], 2);
    succeed(geosurge(dir).args(["migrate", "--check"]));
    let again = succeed(geosurge(dir).arg("migrate"));
    assert!(again.contains("up to date"), "{again}");
    let releases = last_json(&succeed(geosurge(dir).args(["releases", "list", "--json"])));
    assert_eq!(releases[0]["id"], "first");
}

#[test]
fn predictions_are_deleted_only_when_it_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    version_1(dir);
    succeed(geosurge(dir).arg("migrate"));
    let said = fail(geosurge(dir).args(["predictions", "delete", "--yes"]));
    assert!(said.contains("which predictions"), "{said}");
    let said = succeed(geosurge(dir).args(["predictions", "delete", "--client", "api"]));
    assert!(
        said.contains("would delete 5 predictions") && said.contains("--yes"),
        "{said}"
    );

    let said = succeed(geosurge(dir).args(["retention", "show"]));
    assert!(said.contains("for ever"), "{said}");
    let said = fail(geosurge(dir).args(["retention", "run", "--yes"]));
    assert!(said.contains("predictions_days"), "{said}");
    let settings = dir.join("geosurge.toml");
    fs_err::write(&settings, "[retention]\npredictions_days = 100000\n").unwrap();
    let shown = last_json(&succeed(geosurge(dir).args(["retention", "show", "--json"])));
    assert_eq!(
        (&shown["predictions_days"], &shown["due"]["predictions"]),
        (&100_000.into(), &0.into())
    );
    fs_err::write(&settings, "[retention]\npredictions_days = 0\n").unwrap();
    let shown = last_json(&succeed(geosurge(dir).args(["retention", "run", "--json"])));
    assert_eq!(
        (&shown["deleted"], &shown["predictions"]),
        (&false.into(), &5.into())
    );
    let done = last_json(&succeed(geosurge(dir).args([
        "retention",
        "run",
        "--yes",
        "--json",
    ])));
    assert_eq!(
        (&done["deleted"], &done["predictions"], &done["ground_truth"]),
        (&true.into(), &5.into(), &1.into())
    );
    let done = last_json(&succeed(geosurge(dir).args([
        "predictions",
        "delete",
        "--client",
        "api",
        "--before",
        "2026-01-01",
        "--json",
    ])));
    assert_eq!(done["predictions"], 0);
}

#[test]
fn the_same_in_postgres() {
    let named = std::env::var("GEOSURGE_TEST_POSTGRES_URL").ok();
    let server = named
        .clone()
        .unwrap_or_else(|| "postgres://postgres@127.0.0.1:5432".to_owned());
    let server = server.trim_end_matches('/');
    let name = format!("geosurge_test_command_{}", std::process::id());
    let admin = |statement: String| {
        run(async {
            let mut connection = PgConnection::connect(&format!("{server}/postgres")).await?;
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
        })
    };
    if let Err(error) = admin(format!("CREATE DATABASE {name}")) {
        assert!(
            named.is_none(),
            "GEOSURGE_TEST_POSTGRES_URL is set and does not work: {error}"
        );
        println!("skipped: no Postgres at {server} ({error})");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let secret = dir.join("url");
    fs_err::write(&secret, format!("{server}/{name}\n")).unwrap();
    let postgres = |arguments: &[&str]| {
        let mut command = geosurge(dir);
        command.env("GEOSURGE_DATABASE_URL_FILE", &secret).args(arguments);
        command
    };
    let said = fail(&mut postgres(&["releases", "list"]));
    assert!(
        said.contains(&name) && said.contains("run `geosurge migrate`"),
        "{said}"
    );
    fail(&mut postgres(&["migrate", "--check"]));
    let done = last_json(&succeed(&mut postgres(&["migrate", "--json"])));
    assert_eq!(
        (&done["applied"][0]["version"], &done["months_made"]),
        (&1.into(), &13.into())
    );
    succeed(&mut postgres(&["migrate", "--check"]));
    assert!(succeed(&mut postgres(&["releases", "list"])).contains("no release yet"));
    let gone = last_json(&succeed(&mut postgres(&[
        "predictions",
        "delete",
        "--client",
        "x",
        "--yes",
        "--json",
    ])));
    assert_eq!(gone["predictions"], 0);
    assert!(!dir.join("catalog.sqlite").exists());
    admin(format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}
