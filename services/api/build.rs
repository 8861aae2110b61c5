//! Embeds the page that `make web` has put into services/web/dist, file by file.

use std::path::{Path, PathBuf};
use std::{env, error::Error};

/// What a whole build of the page has at least.
const NEEDED: [&str; 3] = ["index.html", "icon.svg", "graphiql/index.html"];

fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let dist = crate_folder.join("../web/dist");
    // A folder that is not there yet cannot be watched by itself, so its parent is.
    let watched = if dist.exists() {
        dist.clone()
    } else {
        crate_folder.join("../web")
    };
    println!("cargo::rerun-if-changed={}", watched.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut names = Vec::new();
    if NEEDED.iter().all(|name| dist.join(name).is_file()) {
        list(&dist, "", &mut names)?;
        names.sort();
    }
    let entries: String = names.iter().map(|name| entry(&dist, name)).collect();
    let code = format!(
        "/// The page's files by their path below `/`, in order; empty when they were not built.\n\
         static FILES: &[(&str, &[u8])] = &[{entries}];\n"
    );
    fs_err::write(PathBuf::from(env::var("OUT_DIR")?).join("web_files.rs"), code)?;
    Ok(())
}

fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for item in fs_err::read_dir(folder)? {
        let item = item?;
        let name = item.file_name();
        let name = name
            .to_str()
            .ok_or("a file of services/web/dist has a name that is not UTF-8")?;
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if item.file_type()?.is_dir() {
            list(&item.path(), &format!("{path}/"), names)?;
        } else {
            names.push(path);
        }
    }
    Ok(())
}

fn entry(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    format!(
        "({name:?}, include_bytes!({:?}) as &[u8]),",
        path.display().to_string()
    )
}
