//! The database or the Qdrant server is killed while a release is loaded and while it is asked, and comes back.
//!
//! Postgres is started where its programs are installed, Qdrant where `GEOSURGE_TEST_QDRANT_BINARY` names one; without it the
//! vectors stay in the data folder.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use retrieval::{LocalizeOptions, Localizer, OpenOptions, Photo};
use sqlx::{Connection, Executor};
use storage::{
    Catalog, EmbeddedVectorStore, PostgresCatalog, PostgresConfig, QdrantOptions, QdrantVectorStore,
    ReleaseId, VectorStore,
};

use crate::cluster::Cluster;
use crate::snapshot::{Snapshot, block};
use crate::world::{World, geosurge, start, succeed};
use crate::{points, seed};

/// How long a server stays away.
const AWAY: Duration = Duration::from_millis(700);

#[test]
fn servers_that_are_killed_while_a_release_is_loaded_lose_nothing() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let Some(mut servers) = Servers::start(folder.path()) else {
        return;
    };
    let undisturbed = servers.place(folder.path(), "undisturbed");
    let started = Instant::now();
    succeed(&mut world.index(&undisturbed.data, "r"));
    let whole = started.elapsed();
    let expected = undisturbed.snapshot(world);
    assert_eq!(expected.status, "ready");

    let mut random = StdRng::seed_from_u64(seed());
    let builds = points().div_ceil(4);
    let (mut waited, mut gave_up) = (0, 0);
    for build in 0..builds {
        let place = servers.place(folder.path(), &format!("build_{build}"));
        let said = place.data.join("said");
        let mut child = start(&mut world.index(&place.data, "r"), &said);
        std::thread::sleep(whole.mul_f64(random.random_range(0.05..0.9)));
        servers.kill_and_restart(build);
        let ended = child.wait().unwrap();
        let text = fs_err::read_to_string(&said).unwrap();
        assert!(!text.contains("panicked"), "{text}");
        if ended.success() {
            waited += 1;
        } else {
            assert!(
                ["postgres", "database", "Qdrant"]
                    .iter()
                    .any(|name| text.contains(name)),
                "{text}"
            );
            gave_up += 1;
            succeed(&mut world.index(&place.data, "r"));
        }
        expected.assert_same(&place.snapshot(world), &format!("build {build}"));
    }
    println!(
        "seed {}: servers killed during {builds} builds ({}): {waited} waited and went on, {gave_up} said which server was away \
         and were whole after the next run",
        seed(),
        servers.kinds()
    );
}

#[test]
fn servers_that_are_killed_while_a_release_is_asked_answer_right_or_not_at_all() {
    let world = World::shared();
    let folder = tempfile::tempdir().unwrap();
    let Some(mut servers) = Servers::start(folder.path()) else {
        return;
    };
    let place = servers.place(folder.path(), "asked");
    succeed(&mut world.index(&place.data, "r"));
    let (mut right, mut refused) = (0, 0);
    block(async {
        let (store, catalog) = place.open().await;
        let release = ReleaseId::new("r").unwrap();
        let localizer = Localizer::open(
            Some(&release),
            store,
            Arc::clone(&catalog),
            &OpenOptions::default(),
        )
        .await
        .unwrap();
        let photo = || Photo::from(image::open(&world.queries[0]).unwrap().to_rgb8());
        let ask = async || {
            let answers = localizer
                .localize(vec![photo()], &LocalizeOptions::default())
                .await?;
            let answer = &answers[0];
            let references: Vec<_> = answer.references.iter().map(|reference| reference.id).collect();
            Ok::<_, retrieval::Error>((answer.candidates[0].token, references))
        };
        let expected = ask().await.unwrap();
        for round in 0..points().div_ceil(4) {
            let killing = tokio::task::block_in_place(|| servers.kill(round));
            let until = Instant::now() + AWAY;
            while Instant::now() < until {
                match ask().await {
                    Ok(answer) => {
                        assert_eq!(answer, expected);
                        right += 1;
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("Qdrant"), "{error}");
                        refused += 1;
                    }
                }
                let rows = catalog.release(&release).await;
                if let Err(error) = rows {
                    assert!(matches!(error, storage::Error::Unavailable(_)), "{error}");
                }
            }
            tokio::task::block_in_place(|| servers.restart(killing));
            assert_eq!(ask().await.unwrap(), expected, "after the server came back");
            assert_eq!(catalog.release(&release).await.unwrap().id, release);
        }
    });
    println!(
        "servers killed while asked ({}): {right} right answers and {refused} clear errors meanwhile, right answers afterwards",
        servers.kinds()
    );
}

/// Which server was killed.
#[derive(Clone, Copy)]
enum Killed {
    Postgres,
    Qdrant,
}

struct Servers {
    cluster: Cluster,
    qdrant: Option<Qdrant>,
}

impl Servers {
    fn start(folder: &Path) -> Option<Self> {
        let cluster = Cluster::start()?;
        let qdrant = std::env::var_os("GEOSURGE_TEST_QDRANT_BINARY");
        let qdrant = qdrant.map(|binary| Qdrant::start(binary.into(), folder.join("qdrant")));
        Some(Self { cluster, qdrant })
    }

    fn kinds(&self) -> &'static str {
        match self.qdrant {
            Some(_) => "Postgres and Qdrant in turn",
            None => "Postgres; no Qdrant server was named",
        }
    }

    /// A database, a prefix of collections and a data folder of their own.
    fn place(&self, folder: &Path, name: &str) -> Place {
        let data = folder.join(name);
        fs_err::create_dir(&data).unwrap();
        block(async {
            let url = format!("{}/postgres", self.cluster.url());
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            let create = format!("CREATE DATABASE {name}");
            connection.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
        });
        let database = format!("{}/{name}", self.cluster.url());
        let mut settings = format!("database_url = \"{database}\"\n");
        let qdrant = self.qdrant.as_ref().map(|qdrant| {
            let mut options = QdrantOptions::new(qdrant.url());
            options.prefix = format!("{name}_");
            settings += &format!("[qdrant]\nurl = \"{}\"\nprefix = \"{name}_\"\n", options.url);
            options
        });
        fs_err::write(data.join("geosurge.toml"), settings).unwrap();
        succeed(geosurge(&data).arg("migrate"));
        Place {
            data,
            database,
            qdrant,
        }
    }

    /// Kills one server after the other, round by round.
    fn kill(&mut self, round: usize) -> Killed {
        match &mut self.qdrant {
            Some(qdrant) if round.is_multiple_of(2) => {
                qdrant.kill();
                Killed::Qdrant
            }
            _ => {
                self.cluster.crash();
                Killed::Postgres
            }
        }
    }

    fn restart(&mut self, killed: Killed) {
        match (killed, &mut self.qdrant) {
            (Killed::Qdrant, Some(qdrant)) => qdrant.run(),
            _ => self.cluster.start_again(),
        }
    }

    fn kill_and_restart(&mut self, round: usize) {
        let killed = self.kill(round);
        std::thread::sleep(AWAY);
        self.restart(killed);
    }
}

/// Where one release is built.
struct Place {
    data: PathBuf,
    database: String,
    qdrant: Option<QdrantOptions>,
}

impl Place {
    async fn open(&self) -> (Arc<dyn VectorStore>, Arc<dyn Catalog>) {
        let store: Arc<dyn VectorStore> = match &self.qdrant {
            Some(options) => Arc::new(QdrantVectorStore::connect(options).await.unwrap()),
            None => Arc::new(
                EmbeddedVectorStore::open(self.data.join("vectors"))
                    .await
                    .unwrap(),
            ),
        };
        let config = PostgresConfig::new(&self.database).unwrap();
        (store, Arc::new(PostgresCatalog::open(&config).await.unwrap()))
    }

    fn snapshot(&self, world: &World) -> Snapshot {
        block(async {
            let (store, catalog) = self.open().await;
            Snapshot::of(store, catalog, "r", &world.queries).await
        })
    }
}

/// A Qdrant server of a test's own.
struct Qdrant {
    binary: PathBuf,
    folder: PathBuf,
    ports: [u16; 2],
    child: Option<Child>,
}

impl Qdrant {
    fn start(binary: PathBuf, folder: PathBuf) -> Self {
        fs_err::create_dir(&folder).unwrap();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners
            .each_ref()
            .map(|listener| listener.local_addr().unwrap().port());
        drop(listeners);
        let mut qdrant = Self {
            binary,
            folder,
            ports,
            child: None,
        };
        qdrant.run();
        qdrant
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Starts it and waits until it answers.
    fn run(&mut self) {
        let child = Command::new(&self.binary)
            .current_dir(&self.folder)
            .env("QDRANT__SERVICE__HOST", "127.0.0.1")
            .env("QDRANT__SERVICE__GRPC_PORT", self.ports[0].to_string())
            .env("QDRANT__SERVICE__HTTP_PORT", self.ports[1].to_string())
            .env("QDRANT__TELEMETRY_DISABLED", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        let ready = format!("http://127.0.0.1:{}/readyz", self.ports[1]);
        let started = Instant::now();
        while ureq::get(&ready).call().is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the Qdrant server did not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Qdrant {
    fn drop(&mut self) {
        self.kill();
    }
}
