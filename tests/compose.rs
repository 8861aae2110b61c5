//! `docker-compose.yml` without containers: its files are consistent, and its commands run natively with the same configuration
//! files, against a Postgres server that its own command starts (and a Qdrant server, where `GEOSURGE_TEST_QDRANT_BINARY` names one).
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use support::tiny_config;

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    configs: BTreeMap<String, Source>,
    secrets: BTreeMap<String, Source>,
    volumes: BTreeMap<String, Option<serde_json::Value>>,
}

#[derive(Deserialize)]
struct Source {
    file: PathBuf,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    command: Option<Vec<String>>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    secrets: Vec<Mount>,
    #[serde(default)]
    configs: Vec<Mount>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    ports: Vec<String>,
    healthcheck: Option<HealthCheck>,
    #[serde(default)]
    depends_on: BTreeMap<String, serde_json::Value>,
    restart: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Mount {
    Name(String),
    At { source: String },
}

impl Mount {
    fn source(&self) -> &str {
        match self {
            Mount::Name(source) | Mount::At { source } => source,
        }
    }
}

#[derive(Deserialize)]
struct HealthCheck {
    test: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compose() -> Compose {
    let text = fs_err::read_to_string(root().join("docker-compose.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn everything_that_is_mounted_exists_and_nothing_is_published_beyond_this_machine() {
    let compose = compose();
    for (name, service) in &compose.services {
        assert!(service.image.contains(':'), "{name}: the image has no version");
        for port in &service.ports {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
        for mount in &service.secrets {
            assert!(
                compose.secrets.contains_key(mount.source()),
                "{name}: {}",
                mount.source()
            );
        }
        for mount in &service.configs {
            assert!(
                compose.configs.contains_key(mount.source()),
                "{name}: {}",
                mount.source()
            );
        }
        for volume in &service.volumes {
            let volume = volume.split(':').next().unwrap();
            assert!(compose.volumes.contains_key(volume), "{name}: {volume}");
        }
        for needed in service.depends_on.keys() {
            assert!(compose.services.contains_key(needed), "{name}: {needed}");
        }
        // What stays up says how it does; what ends says so by its exit code.
        assert_eq!(service.restart == "no", service.healthcheck.is_none(), "{name}");
        for secret in service
            .environment
            .keys()
            .filter(|key| key.contains("PASSWORD") || key.contains("KEY"))
        {
            assert!(secret.ends_with("_FILE"), "{name}: {secret} is no file");
        }
    }
    for source in compose.configs.values() {
        assert!(root().join(&source.file).is_file(), "{}", source.file.display());
    }
    for source in compose.secrets.values() {
        assert!(
            source.file.starts_with("deploy/secrets"),
            "{}",
            source.file.display()
        );
    }
    let image = fs_err::read_to_string(root().join("Dockerfile")).unwrap();
    let user = image
        .lines()
        .filter_map(|line| line.strip_prefix("USER "))
        .next_back();
    assert!(user.is_some_and(|user| user != "root" && user != "0"), "{user:?}");
    assert!(image.contains("ENTRYPOINT [\"geosurge\"]"));
}

#[test]
fn secrets_are_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let read = |name: &str| fs_err::read_to_string(secrets.join(name)).unwrap();
    let (password, key) = (read("postgres_password"), read("qdrant_api_key"));
    assert_eq!((password.len(), key.len()), (64, 64));
    assert_ne!(password, key);
    assert!(read("qdrant_server.yaml").contains(&key));
    self::secrets(dir.path());
    assert_eq!(
        (read("postgres_password"), read("qdrant_api_key")),
        (password, key)
    );
}

/// Runs `deploy/make-secrets` on a copy in `dir`; gives the folder of the secrets.
fn secrets(dir: &Path) -> PathBuf {
    fs_err::copy(root().join("deploy/make-secrets"), dir.join("make-secrets")).unwrap();
    let made = Command::new("bash")
        .arg(dir.join("make-secrets"))
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    dir.join("secrets")
}

#[test]
fn the_containers_commands_run_natively() {
    let Some(programs) = postgres_programs() else {
        println!("skipped: no postgres under /usr/lib/postgresql/*/bin or in PATH");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let native = Native::new(dir.path(), programs);
    let compose = compose();

    let _postgres = native.start_postgres(&compose.services["postgres"]);
    let _qdrant = native.start_qdrant(&compose.services["qdrant"]);
    // What `depends_on` orders: the schema, then a release, then the service.
    let migrate = &compose.services["migrate"];
    native.succeed(migrate, &[]);
    native.succeed(migrate, &[]);
    let tiny = tiny_config();
    let small = [
        "--photos",
        "400",
        "--size",
        "64",
        "--config",
        tiny.to_str().unwrap(),
    ];
    native.succeed(&compose.services["demo"], &small);

    let api = &compose.services["api"];
    let mut service = Stopped(native.geosurge(api, &[]).spawn().unwrap());
    native.wait_healthy(api);
    let ready = native
        .command("geosurge", &["health".into()], api)
        .output()
        .unwrap();
    assert!(
        ready.status.success(),
        "{}",
        String::from_utf8_lossy(&ready.stderr)
    );
    assert!(String::from_utf8_lossy(&ready.stdout).contains("ready"));

    // `docker compose stop` sends SIGTERM and expects an orderly end within the grace period.
    terminate(&service.0);
    let end = wait(&mut service.0, Duration::from_secs(30));
    assert!(end.is_some_and(|status| status.success()), "{end:?}");
    let gone = native
        .command("geosurge", &["health".into(), "--live".into()], api)
        .output()
        .unwrap();
    assert!(!gone.status.success());
    assert!(String::from_utf8_lossy(&gone.stderr).contains("geosurge serve"));

    // A wrong password is told as such, and never printed.
    fs_err::write(native.secrets.join("postgres_password"), "wrong-password\n").unwrap();
    let refused = native
        .geosurge(migrate, &[])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("password"), "{said}");
    assert!(!said.contains("wrong-password"), "{said}");
}

/// This machine in place of the containers: paths, addresses and ports of its own.
struct Native {
    programs: PathBuf,
    dir: PathBuf,
    secrets: PathBuf,
    /// What stands in the files for containers, and what stands for it here.
    places: Vec<(String, String)>,
    postgres_port: u16,
    qdrant: Option<(PathBuf, u16)>,
}

impl Native {
    fn new(dir: &Path, programs: PathBuf) -> Self {
        let [postgres_port, api_port, qdrant_grpc, qdrant_http] = free_ports();
        let secrets = secrets(dir);
        let at = |name: &str| dir.join(name).display().to_string();
        let places = [
            ("/var/lib/geosurge", at("data")),
            ("/etc/geosurge", at("etc-geosurge")),
            ("/etc/postgresql", at("etc-postgresql")),
            ("/run/secrets", secrets.display().to_string()),
            ("@postgres:5432", format!("@127.0.0.1:{postgres_port}")),
            ("0.0.0.0:8080", format!("127.0.0.1:{api_port}")),
            ("http://qdrant:6334", format!("http://127.0.0.1:{qdrant_grpc}")),
            (
                "/dev/tcp/127.0.0.1/6333",
                format!("/dev/tcp/127.0.0.1/{qdrant_http}"),
            ),
            ("http_port: 6333", format!("http_port: {qdrant_http}")),
            ("grpc_port: 6334", format!("grpc_port: {qdrant_grpc}")),
            ("host: 0.0.0.0", "host: 127.0.0.1".to_owned()),
            ("$$", "$".to_owned()),
        ];
        let qdrant = std::env::var_os("GEOSURGE_TEST_QDRANT_BINARY");
        let native = Self {
            programs,
            dir: dir.to_owned(),
            secrets,
            places: places.map(|(from, to)| (from.to_owned(), to)).into(),
            postgres_port,
            qdrant: qdrant.map(|binary| (binary.into(), qdrant_http)),
        };
        for folder in [
            "data",
            "etc-geosurge",
            "etc-postgresql",
            "postgres",
            "qdrant/config",
        ] {
            fs_err::create_dir_all(dir.join(folder)).unwrap();
        }
        native.copy(
            "deploy/postgres/postgresql.conf",
            "etc-postgresql/postgresql.conf",
        );
        native.copy("deploy/qdrant/production.yaml", "qdrant/config/production.yaml");
        native.copy("deploy/geosurge.toml", "etc-geosurge/geosurge.toml");
        if native.qdrant.is_none() {
            eprintln!(
                "GEOSURGE_TEST_QDRANT_BINARY is not set: vectors stay in the data folder, and Qdrant's own command is not run"
            );
            let settings = dir.join("etc-geosurge/geosurge.toml");
            let text = fs_err::read_to_string(&settings).unwrap();
            let (without, _) = text.split_once("[qdrant]").unwrap();
            fs_err::write(settings, without).unwrap();
        }
        native
    }

    /// A file of the project as a container would see it, with this machine's places in it.
    fn copy(&self, from: &str, to: &str) {
        let text = fs_err::read_to_string(root().join(from)).unwrap();
        fs_err::write(self.dir.join(to), self.here(&text)).unwrap();
    }

    fn here(&self, text: &str) -> String {
        self.places
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// A command as the container of `service` runs it.
    fn command(&self, program: &str, arguments: &[String], service: &Service) -> Command {
        let mut command = Command::new(match program {
            "geosurge" => PathBuf::from(env!("CARGO_BIN_EXE_geosurge")),
            "postgres" | "pg_isready" => self.programs.join(program),
            other => PathBuf::from(other),
        });
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GEOSURGE_")) {
            command.env_remove(name);
        }
        for (name, value) in &service.environment {
            command.env(name, self.here(value));
        }
        if self.qdrant.is_none() {
            command.env_remove("GEOSURGE_QDRANT_API_KEY_FILE");
        }
        command
            .args(arguments.iter().map(|argument| self.here(argument)))
            .env("PGPORT", self.postgres_port.to_string())
            .current_dir(&self.dir);
        command
    }

    fn geosurge(&self, service: &Service, more: &[&str]) -> Command {
        let mut arguments = service.command.clone().unwrap();
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let mut command = self.command("geosurge", &arguments, service);
        command.stdout(Stdio::null());
        command
    }

    fn succeed(&self, service: &Service, more: &[&str]) {
        let output = self
            .geosurge(service, more)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {said}", service.command);
    }

    /// Runs the health check of `service` until it passes.
    fn wait_healthy(&self, service: &Service) {
        let test = &service.healthcheck.as_ref().unwrap().test;
        assert_eq!(test[0], "CMD");
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let output = self.command(&test[1], &test[2..], service).output().unwrap();
            if output.status.success() {
                return;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(Instant::now() < deadline, "{test:?} still fails: {said}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// What the image's entry point does before the command: a cluster, its user and its database.
    fn start_postgres(&self, service: &Service) -> Stopped {
        let data = self.dir.join("postgres/data");
        let environment = &service.environment;
        let owner = is_root();
        if owner {
            for folder in ["postgres", "etc-postgresql", "secrets"] {
                let owned = Command::new("chown")
                    .arg("-R")
                    .arg("postgres")
                    .arg(self.dir.join(folder))
                    .status();
                assert!(
                    owned.unwrap().success(),
                    "run as root, Postgres needs a user postgres"
                );
            }
            let open = Command::new("chmod")
                .arg("755")
                .arg(&self.dir)
                .arg(&self.secrets)
                .status();
            assert!(open.unwrap().success());
        }
        let as_owner = |program: &str| {
            let program = self.programs.join(program);
            let mut command = Command::new(if owner { Path::new("setpriv") } else { &program });
            if owner {
                command
                    .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
                    .arg(&program);
            }
            command
                .current_dir(self.dir.join("postgres"))
                .stdout(Stdio::null());
            command
        };
        let password = self.here(&environment["POSTGRES_PASSWORD_FILE"]);
        let made = as_owner("initdb")
            .args(environment["POSTGRES_INITDB_ARGS"].split(' '))
            .arg(format!("--username={}", environment["POSTGRES_USER"]))
            .arg(format!("--pwfile={password}"))
            .args(["--auth-local=trust", "--no-sync", "-D"])
            .arg(&data)
            .status();
        assert!(made.unwrap().success(), "initdb failed");

        let command = service.command.as_ref().unwrap();
        let sockets = self.dir.join("postgres");
        let server = as_owner(&command[0])
            .args(command[1..].iter().map(|argument| self.here(argument)))
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "shared_buffers=32MB",
                "-c",
            ])
            .arg(format!("unix_socket_directories={}", sockets.display()))
            .args(["-p", &self.postgres_port.to_string()])
            .stderr(Stdio::null())
            .spawn();
        let server = Stopped(server.unwrap());
        self.wait_healthy(service);
        let created = as_owner("createdb")
            .arg(format!("--host={}", sockets.display()))
            .arg(format!("--port={}", self.postgres_port))
            .arg(format!("--username={}", environment["POSTGRES_USER"]))
            .arg(&environment["POSTGRES_DB"])
            .status();
        assert!(created.unwrap().success(), "createdb failed");
        server
    }

    fn start_qdrant(&self, service: &Service) -> Option<Stopped> {
        let (binary, _) = self.qdrant.as_ref()?;
        let folder = self.dir.join("qdrant");
        fs_err::copy(
            self.secrets.join("qdrant_server.yaml"),
            folder.join("config/local.yaml"),
        )
        .unwrap();
        let server = Command::new(binary)
            .current_dir(&folder)
            .env("RUN_MODE", "production")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Stopped(server.unwrap());
        self.wait_healthy(service);
        Some(server)
    }
}

/// A process that is stopped with the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        terminate(&self.0);
        if wait(&mut self.0, Duration::from_secs(10)).is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn terminate(child: &Child) {
    let _ = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
}

fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The folder of the newest installed server, as Debian lays it out, or the one in PATH.
fn postgres_programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = fs_err::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH")?;
    folders
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}
