//! A Postgres server for tests, and a database for each of them.
#![allow(dead_code, reason = "each test program uses the part that it needs")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub mod cluster;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use geocells::{GeocellId, LatLng};
use geosurge_storage::conformance::catalog::CatalogPlace;
use geosurge_storage::{
    Candidate, Catalog, CredibleRegion, LevelCell, NewRelease, PostgresCatalog, PostgresConfig, Prediction,
    ReleaseStatus, Result,
};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use uuid::{NoContext, Timestamp, Uuid};

/// Names the server for tests.
const VARIABLE: &str = "GEOSURGE_TEST_POSTGRES_URL";

/// The server that is tried without it.
const USUAL: &str = "postgres://postgres@127.0.0.1:5432";

/// A database of its own on the server for tests; dropped with it.
pub struct Database {
    server: PgConnectOptions,
    name: String,
    url: String,
}

impl Database {
    /// An empty database, or none where no server answers; then a line says so. Where the server is named by the environment it
    /// has to answer.
    pub async fn create() -> Option<Self> {
        let named = std::env::var(VARIABLE).ok();
        let url = named.as_deref().unwrap_or(USUAL);
        match Self::create_on(url).await {
            Ok(database) => Some(database),
            Err(error) if named.is_some() => {
                panic!("{VARIABLE} is set and the server does not answer: {error}")
            }
            Err(error) => {
                println!("skipped: no Postgres at {USUAL} ({error}); name one with {VARIABLE}");
                None
            }
        }
    }

    /// An empty database on a server.
    pub async fn create_on(url: &str) -> sqlx::Result<Self> {
        let base = url.trim_end_matches('/');
        let server: PgConnectOptions = format!("{base}/postgres").parse()?;
        let server = server.disable_statement_logging();
        let mut connection = PgConnection::connect_with(&server).await?;
        let name = format!("geosurge_test_{}", Uuid::new_v4().simple());
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self {
            server,
            url: format!("{base}/{name}"),
            name,
        })
    }

    /// An empty database that is migrated.
    pub async fn migrated() -> Option<Self> {
        let database = Self::create().await?;
        PostgresCatalog::migrate(&database.config()).await.unwrap();
        Some(database)
    }

    /// How the catalog connects to it: few connections, for many tests share a server.
    pub fn config(&self) -> PostgresConfig {
        let mut config = PostgresConfig::new(&self.url).unwrap();
        config.max_connections = 4;
        config
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A catalog of it.
    pub async fn catalog(&self) -> PostgresCatalog {
        PostgresCatalog::open(&self.config()).await.unwrap()
    }

    /// A connection beside the catalog's.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }
}

impl Drop for Database {
    /// Drops the database, whoever is still connected. A thread of its own, for a test's runtime cannot be waited for here.
    fn drop(&mut self) {
        let server = self.server.clone();
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&server).await?;
                sqlx::query(AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await?;
                connection.close().await
            })
        });
        if let Ok(Err(error)) = dropping.join() {
            println!("the database {} is left behind: {error}", self.name);
        }
    }
}

#[async_trait]
impl CatalogPlace for Database {
    async fn open(&self) -> Result<Arc<dyn Catalog>> {
        Ok(Arc::new(PostgresCatalog::open(&self.config()).await?))
    }
}

/// A release that is ready.
pub async fn ready_release(catalog: &dyn Catalog, name: &str) {
    let release = NewRelease {
        id: name.parse().unwrap(),
        checkpoint_id: "c0ffee".into(),
        checkpoint_path: "checkpoints/one".into(),
        embedding_dimension: 64,
        levels: 3,
        dataset_digest: "da7a".into(),
        store: serde_json::json!({}),
    };
    let release = catalog.create_release(release).await.unwrap().id;
    catalog
        .set_status(&release, ReleaseStatus::Ready, None)
        .await
        .unwrap();
}

/// A prediction of a release, made at a moment.
pub fn prediction_at(release: &str, at: DateTime<Utc>) -> Prediction {
    let location = LatLng::new(48.857, 2.352).unwrap();
    let token = GeocellId::containing(location, 10).unwrap();
    let time = Timestamp::from_unix(
        NoContext,
        at.timestamp().unsigned_abs(),
        at.timestamp_subsec_nanos(),
    );
    Prediction {
        id: Uuid::new_v7(time),
        shadow_of: None,
        release: release.parse().unwrap(),
        created_at: at.trunc_subsecs(6),
        photo_sha256: "00".repeat(32),
        file_name: None,
        location,
        place: None,
        confidence: 0.5,
        within: [0.1, 0.25, 0.5, 0.75, 1.0],
        entropy: 1.0,
        cannot_tell: None,
        credible_region: CredibleRegion {
            probability: 0.9,
            geocells: vec![token],
            area_km2: 10.0,
        },
        candidates: vec![Candidate {
            token,
            probability: 0.5,
            location,
        }],
        levels: vec![LevelCell {
            level: 0,
            token,
            probability: 0.75,
            location,
        }],
        references: vec![],
        timings: BTreeMap::from([("total".into(), 41.5)]),
        client: Some("someone".into()),
    }
}
