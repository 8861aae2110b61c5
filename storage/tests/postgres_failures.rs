//! What the Postgres catalog does when several processes write, connections die and the server goes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use geocells::LatLng;
use geosurge_storage::{
    Catalog, Error, PostgresCatalog, PostgresConfig, PredictionFilter, ReferenceImage, ReleaseStatus,
};
use support::cluster::Cluster;
use support::{Database, prediction_at, ready_release};

/// Tells a process of this test program to activate releases in the database that it names.
const CHILD: &str = "GEOSURGE_TEST_ACTIVATE_IN";

fn image(index: usize) -> ReferenceImage {
    let path = format!("photos/{index}\t\\ä\n.jpg");
    let sha256 = format!("{index:064x}");
    ReferenceImage {
        id: ReferenceImage::id_of(&sha256, &path),
        path,
        location: LatLng::new(-60.0 + index as f64 * 1e-4, 0.1 + 0.2).unwrap(),
        geocell: None,
        sha256,
        captured_at: Some(Utc::now()),
        uploader: Some("N".into()),
    }
}

/// Three processes switch among releases; one is active at every moment, and in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_activate_at_once_leave_one_active() {
    if let Ok(url) = std::env::var(CHILD) {
        let catalog = PostgresCatalog::open(&PostgresConfig::new(&url).unwrap())
            .await
            .unwrap();
        for step in 0..20 {
            catalog
                .activate(&format!("r{}", step % 3).parse().unwrap())
                .await
                .unwrap();
        }
        return;
    }
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    for index in 0..3 {
        ready_release(&catalog, &format!("r{index}")).await;
    }
    catalog.activate(&"r0".parse().unwrap()).await.unwrap();
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "processes_that_activate_at_once_leave_one_active"])
                .env(CHILD, database.url())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut reads = 0;
    while children
        .iter_mut()
        .any(|child| child.try_wait().unwrap().is_none())
    {
        let releases = catalog.releases().await.unwrap();
        let active = releases
            .iter()
            .filter(|release| release.status == ReleaseStatus::Active)
            .count();
        assert_eq!(active, 1);
        reads += 1;
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert!(reads > 1);
    assert!(catalog.active_release().await.unwrap().is_some());
}

/// The life of a connection while connections are killed.
const KILLING_EVERY: Duration = Duration::from_millis(200);

/// Ends all connections of the catalog to this database, again and again, until told to stop.
fn kill_connections(database: &Database, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<usize> {
    let (url, stop) = (database.url().to_owned(), stop.clone());
    tokio::spawn(async move {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        let mut killed = 0;
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(KILLING_EVERY).await;
            let ended: Vec<bool> = sqlx::query_scalar(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'geosurge'",
            )
            .fetch_all(&mut connection)
            .await
            .unwrap();
            killed += ended.len();
        }
        killed
    })
}

/// Writes whose connections are killed are done once, all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_survive_the_end_of_their_connection() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    ready_release(&catalog, "a").await;
    let release = "a".parse().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let killer = kill_connections(&database, &stop);
    let images: Vec<ReferenceImage> = (0..2000).map(image).collect();
    let (mut recorded, mut failed) = (Vec::new(), 0);
    let started = Instant::now();
    while started.elapsed() < 40 * KILLING_EVERY {
        let prediction = prediction_at("a", Utc::now());
        match catalog.record_prediction(&prediction).await {
            Ok(()) => recorded.push(prediction.id),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                failed += 1;
            }
        }
        if recorded.len() % 10 == 0 {
            match catalog.insert_reference_images(&release, &images).await {
                Ok(()) => {}
                // A load that takes longer than a connection lives is given up, and leaves nothing half done.
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let killed = killer.await.unwrap();
    assert!(killed > 3, "{killed} connections were killed");
    catalog.insert_reference_images(&release, &images).await.unwrap();
    assert_eq!(catalog.counts(&release).await.unwrap().reference_images, 2000);
    let found = catalog
        .predictions(&PredictionFilter::default(), None, 100_000)
        .await
        .unwrap();
    let ids: Vec<_> = found.iter().map(|prediction| prediction.id).collect();
    assert!(recorded.iter().all(|id| ids.contains(id)));
    assert!((recorded.len()..=recorded.len() + failed).contains(&found.len()));
    assert!(found.iter().all(|prediction| prediction.candidates.len() == 1));
    println!(
        "{} predictions recorded and {failed} refused while {killed} connections were killed",
        recorded.len()
    );
}

/// A waiter learns of a switch in less than a second, also after its connection was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_wake_within_a_second() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    let waiter = database.catalog().await;
    for round in 0..4 {
        let seen = waiter.changes().await.unwrap();
        let waiting = tokio::spawn({
            let waiter = waiter.clone();
            async move {
                let found = waiter
                    .wait_for_change(seen, Duration::from_secs(30))
                    .await
                    .unwrap();
                (found, Instant::now())
            }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        if round == 2 {
            let stop = Arc::new(AtomicBool::new(false));
            let killer = kill_connections(&database, &stop);
            tokio::time::sleep(Duration::from_millis(300)).await;
            stop.store(true, Ordering::Relaxed);
            assert!(killer.await.unwrap() > 0);
            // Time to listen again; what happens meanwhile is found by asking.
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        let changed = Instant::now();
        ready_release(&catalog, &format!("r{round}")).await;
        let (found, woken) = waiting.await.unwrap();
        assert!(found > seen);
        let took = woken.saturating_duration_since(changed);
        assert!(took < Duration::from_secs(1), "round {round}: {took:?}");
        println!("round {round}: woken after {took:?}");
    }
}

/// A hundred thousand reference images by COPY, twice, with every character that needs care.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_reference_images_are_loaded_by_copy() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    ready_release(&catalog, "a").await;
    let release = "a".parse().unwrap();
    let mut images: Vec<ReferenceImage> = (0..100_000).map(image).collect();
    for image in &mut images {
        image.captured_at = None;
    }
    for load in 0..2 {
        let started = Instant::now();
        catalog.insert_reference_images(&release, &images).await.unwrap();
        println!(
            "load {load}: 100,000 reference images in {:.1?}",
            started.elapsed()
        );
        assert_eq!(catalog.counts(&release).await.unwrap().reference_images, 100_000);
    }
    // The last of several rows of one image stands.
    let mut twice = [images[7].clone(), images[7].clone()];
    twice[1].uploader = None;
    catalog.insert_reference_images(&release, &twice).await.unwrap();
    let ids: Vec<_> = [7, 99_999].map(|index: usize| images[index].id).into();
    let found = catalog.reference_images(&release, &ids).await.unwrap();
    assert_eq!(found, [twice[1].clone(), images[99_999].clone()]);
}

/// Many more writers than connections: each waits for its turn, none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_few_connections() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let catalog = database.catalog().await;
    ready_release(&catalog, "a").await;
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let catalog = catalog.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    catalog
                        .record_prediction(&prediction_at("a", Utc::now()))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let found = catalog
        .predictions(&PredictionFilter::default(), None, 1000)
        .await
        .unwrap();
    assert_eq!(found.len(), 320);
}

/// A lock that is held too long, and a database that takes no writes, are errors that say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_and_read_only_databases_are_named() {
    let Some(database) = Database::migrated().await else {
        return;
    };
    let mut config = database.config();
    config.lock_timeout = Duration::from_millis(50);
    let catalog = PostgresCatalog::open(&config).await.unwrap();
    ready_release(&catalog, "a").await;
    let mut connection = database.connection().await;
    for statement in ["BEGIN", "LOCK TABLE release_changes IN ACCESS EXCLUSIVE MODE"] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    let error = catalog.activate(&"a".parse().unwrap()).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("lock"),
        "{error}"
    );
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
    catalog.activate(&"a".parse().unwrap()).await.unwrap();
    catalog.close().await;

    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let statement = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
    let catalog = PostgresCatalog::open(&config).await.unwrap();
    assert!(catalog.active_release().await.unwrap().is_some());
    let error = catalog
        .record_prediction(&prediction_at("a", Utc::now()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
}

/// The server crashes and comes back while it is written to: what was reported as done is there, and the catalog goes on with
/// new connections, its waiters too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_is_survived() {
    let Some(cluster) = Cluster::start() else { return };
    let database = Database::create_on(&cluster.url()).await.unwrap();
    PostgresCatalog::migrate(&database.config()).await.unwrap();
    let catalog = database.catalog().await;
    ready_release(&catalog, "a").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (catalog, stop) = (catalog.clone(), stop.clone());
        async move {
            let (mut done, mut failed) = (Vec::new(), 0);
            while !stop.load(Ordering::Relaxed) {
                let prediction = prediction_at("a", Utc::now());
                match catalog.record_prediction(&prediction).await {
                    Ok(()) => done.push(prediction.id),
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        failed += 1;
                    }
                }
            }
            (done, failed)
        }
    });
    let seen = catalog.changes().await.unwrap();
    let waiting = tokio::spawn({
        let catalog = catalog.clone();
        async move {
            loop {
                match catalog.wait_for_change(seen, Duration::from_secs(60)).await {
                    Ok(changes) => return changes,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..2 {
        cluster.crash();
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.start_again();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (done, failed) = writer.await.unwrap();
    catalog.activate(&"a".parse().unwrap()).await.unwrap();
    assert!(waiting.await.unwrap() > seen);
    let found = catalog
        .predictions(&PredictionFilter::default(), None, 100_000)
        .await
        .unwrap();
    let found: Vec<_> = found.iter().map(|prediction| prediction.id).collect();
    assert!(done.iter().all(|id| found.contains(id)));
    // What was reported as failed may be there: nobody knows whether a commit without an answer happened.
    assert!(found.len() <= done.len() + failed);
    println!(
        "{} predictions over two crashes, {failed} calls failed",
        done.len()
    );
    catalog.close().await;
    drop(database);
}
