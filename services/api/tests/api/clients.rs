//! The examples of clients, against a real service. Without an interpreter on this machine they are passed over, aloud.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{World, config, shared};
use geosurge_api::{ServeConfig, Server};
use storage::{ApiKey, Scope};
use tokio::sync::oneshot;

/// A service that asks for keys, with a key for it.
async fn listen(world: &World) -> (String, String, oneshot::Sender<()>) {
    let (text, sha256) = geosurge_api::new_key();
    world
        .catalog
        .insert_api_key(&ApiKey::new("example", sha256, Scope::Analyst), None)
        .await
        .unwrap();
    let config = ServeConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        require_keys: true,
        ..config()
    };
    let server = Server::bind(world.service(config).await).await.unwrap();
    let url = format!("http://{}", server.address());
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    (url, text, stop)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a program while the service goes on answering.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

fn version(program: &str) -> Option<(u32, u32)> {
    let told = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let number = text.trim().trim_start_matches("Python ").trim_start_matches('v');
    let mut parts = number.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn check(output: &Output, photo: &str) {
    let (told, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(
        output.status.code(),
        Some(1),
        "one of the photos is none\n{told}\n{error}"
    );
    let answer = told
        .lines()
        .find(|line| line.contains(photo))
        .unwrap_or_else(|| panic!("{told}\n{error}"));
    assert!(answer.contains('(') && answer.contains(','), "{answer}");
    assert_eq!(told.matches("within").count(), 5, "{told}");
    assert!(error.contains("BAD_IMAGE"), "{error}");
}

/// A photo and a file that is none.
fn files(world: &World) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (photo, broken) = (folder.path().join("street.jpg"), folder.path().join("broken.jpg"));
    fs_err::write(&photo, &world.photo).unwrap();
    fs_err::write(&broken, b"no photo").unwrap();
    (folder, photo, broken)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_answers() {
    let Some(found) = version("python3") else {
        eprintln!("passed over: there is no python3 on this machine");
        return;
    };
    assert!(found >= (3, 8), "python3 {found:?} is older than the example");
    let world = shared().await;
    let (url, key, _stop) = listen(world).await;
    let (_folder, photo, broken) = files(world);
    let mut python = Command::new("python3");
    python
        .arg(root().join("examples/clients/python/geosurge.py"))
        .args([&photo, &broken])
        .env("GEOSURGE_URL", &url)
        .env("GEOSURGE_API_KEY", &key);
    let output = run(python).await;
    check(&output, "street.jpg");

    // The class, used as a library: pages, and errors with codes.
    let program = "import sys; sys.path.insert(0, sys.argv[1])\nimport geosurge\nclient = geosurge.Client()\n\
        assert len(list(client.predictions())) >= 1\n\
        try:\n    client.query('{ geocells(level: 99) { nodes { token } } }')\n    sys.exit(3)\n\
        except geosurge.ServiceError as error:\n    assert error.code == 'INVALID_ARGUMENT', error.code\n\
        try:\n    geosurge.Client(key='gsk_wrong').query('{ releases { id } }')\n    sys.exit(4)\n\
        except geosurge.ServiceError as error:\n    assert error.code == 'UNAUTHENTICATED', error.code\n";
    let mut python = Command::new("python3");
    python
        .args(["-c", program])
        .arg(root().join("examples/clients/python"))
        .env("GEOSURGE_URL", &url)
        .env("GEOSURGE_API_KEY", &key);
    let output = run(python).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_example_answers() {
    let Some(found) = version("node") else {
        eprintln!("passed over: there is no node on this machine");
        return;
    };
    let world = shared().await;
    let (url, key, _stop) = listen(world).await;
    let (folder, photo, broken) = files(world);
    let source = root().join("examples/clients/typescript/geosurge.ts");
    let compiler = root().join("services/web/node_modules/.bin/tsc");
    // From 22.6 node reads TypeScript by itself; before, the map's compiler turns it into JavaScript.
    let mut arguments: Vec<std::ffi::OsString> = Vec::new();
    if found >= (22, 6) {
        arguments.push("--experimental-strip-types".into());
        arguments.push(source.into());
    } else if compiler.is_file() {
        let mut build = Command::new(compiler);
        build.arg(source).arg("--outDir").arg(folder.path()).args([
            "--ignoreConfig",
            "--noCheck",
            "--target",
            "es2022",
            "--module",
            "esnext",
            "--moduleResolution",
            "bundler",
        ]);
        let made = run(build).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let script = folder.path().join("geosurge.mjs");
        fs_err::rename(folder.path().join("geosurge.js"), &script).unwrap();
        arguments.push("--experimental-websocket".into());
        arguments.push("--no-warnings".into());
        arguments.push(script.into());
    } else {
        eprintln!(
            "passed over: node {found:?} does not read TypeScript, and services/web has no compiler (run `make web`)"
        );
        return;
    }
    let mut node = Command::new("node");
    node.args(arguments)
        .args([&photo, &broken])
        .env("GEOSURGE_URL", &url)
        .env("GEOSURGE_API_KEY", &key);
    let output = run(node).await;
    check(&output, "street.jpg");
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 of 2"));
}
