//! Embeds GraphiQL's browser files when `make web` has put them into services/web/dist.

use std::path::{Path, PathBuf};
use std::{env, error::Error};

const FILES: [&str; 8] = [
    "index.html",
    "start.js",
    "start.css",
    "graphiql.js",
    "graphiql.css",
    "react.js",
    "react-dom.js",
    "LICENSES.txt",
];

fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let dist = crate_folder.join("../web/dist");
    let folder = dist.join("graphiql");
    // A folder that is not there yet cannot be watched by itself, so its parent is.
    let watched = if dist.exists() {
        dist
    } else {
        crate_folder.join("../web")
    };
    println!("cargo::rerun-if-changed={}", watched.display());
    println!("cargo::rerun-if-changed=build.rs");

    let complete = FILES.iter().all(|name| folder.join(name).is_file());
    let names: &[&str] = if complete { &FILES } else { &[] };
    let entries: String = names.iter().map(|name| entry(&folder, name)).collect();
    let code = format!(
        "/// GraphiQL's files by name; empty when they were not built.\n\
         pub(super) const GRAPHIQL_FILES: &[(&str, &[u8])] = &[{entries}];\n"
    );
    fs_err::write(
        PathBuf::from(env::var("OUT_DIR")?).join("graphiql_files.rs"),
        code,
    )?;
    Ok(())
}

fn entry(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    format!(
        "({name:?}, include_bytes!({:?}) as &[u8]),",
        path.display().to_string()
    )
}
