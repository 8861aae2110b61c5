//! A Postgres server of a test's own, which may be crashed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A server in a folder of its own; stopped and deleted with it.
pub struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// A running server, or none where Postgres is not installed; then a line says so.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: no initdb under /usr/lib/postgresql/*/bin or in PATH");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let cluster = Self {
            programs,
            folder,
            port,
        };
        if is_root() {
            // The server refuses to run as root, so the folder belongs to its usual user.
            let owned = Command::new("chown")
                .arg("postgres")
                .arg(cluster.folder.path())
                .status();
            if !owned.is_ok_and(|status| status.success()) {
                eprintln!("skipped: run as root, and there is no user postgres to run the server as");
                return None;
            }
        }
        let made = cluster
            .program("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(cluster.data())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        cluster.start_again();
        Some(cluster)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    /// Ends it at once, as a crash does.
    pub fn crash(&self) {
        assert!(
            self.control(&["stop", "--mode=immediate"]),
            "the server could not be stopped"
        );
    }

    /// Starts it and waits until it answers.
    pub fn start_again(&self) {
        let options = format!(
            "--port={} --listen-addresses=127.0.0.1 --unix-socket-directories={}",
            self.port,
            self.folder.path().display()
        );
        assert!(
            self.control(&["start", "--wait", "--options", &options]),
            "the server did not start"
        );
    }

    fn control(&self, arguments: &[&str]) -> bool {
        self.program("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .arg("-l")
            .arg(self.folder.path().join("log"))
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
                command.arg(program);
                command
            }
            false => Command::new(program),
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.control(&["stop", "--mode=immediate"]);
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The folder of the newest installed version, as Debian lays it out, or the one of `initdb` in PATH.
fn programs() -> Option<PathBuf> {
    let versions = fs_err::read_dir("/usr/lib/postgresql").ok();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH")?;
    folders
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(std::env::split_paths(&path))
        .find(|folder| Path::new(&folder.join("initdb")).is_file())
}
