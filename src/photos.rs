//! Photos named on the command line: files, or folders of them.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The files of `sources` in order; folders are searched recursively for files that bear an image's extension.
pub fn find(sources: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for source in sources {
        ensure!(source.exists(), "{} does not exist", source.display());
        if source.is_dir() {
            let before = files.len();
            walk(source, &mut files)?;
            ensure!(
                files.len() > before,
                "the folder {} holds no photographs",
                source.display()
            );
        } else {
            files.push(source.clone());
        }
    }
    Ok(files)
}

/// The same files, each once, by its absolute path; without those in `out`, which would be maps that an earlier run wrote.
pub fn distinct(files: &[PathBuf], out: &Path) -> Result<Vec<PathBuf>> {
    let out = fs_err::canonicalize(out).ok();
    let mut seen = std::collections::BTreeSet::new();
    let mut kept = Vec::with_capacity(files.len());
    for file in files {
        // Links lead to one file by many names; one that is not there is told later, with the others that cannot be read.
        let real = fs_err::canonicalize(file).unwrap_or_else(|_| file.clone());
        let is_ours = out.as_ref().is_some_and(|out| real.starts_with(out));
        if !is_ours && seen.insert(real) {
            kept.push(std::path::absolute(file)?);
        }
    }
    ensure!(
        !kept.is_empty(),
        "there is no photograph outside of the output folder"
    );
    Ok(kept)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs_err::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            walk(&entry, files)?;
        } else if is_image(&entry) {
            files.push(entry);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "gif", "bmp", "heic"];
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_once_and_maps_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("maps");
        fs_err::create_dir(&out).unwrap();
        let (photo, map) = (dir.path().join("a.jpg"), out.join("a.png"));
        for file in [&photo, &map] {
            fs_err::write(file, b"").unwrap();
        }
        let again = dir.path().join("maps/../a.jpg");
        assert_eq!(
            distinct(&[photo.clone(), map.clone(), again], &out).unwrap(),
            [photo]
        );
        assert!(
            distinct(&[map], &out)
                .unwrap_err()
                .to_string()
                .contains("outside")
        );
    }

    #[test]
    fn folders_are_searched_and_empty_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = find(&[dir.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no photographs"), "{error}");
        fs_err::create_dir(dir.path().join("a")).unwrap();
        for name in ["b.JPG", "a/c.png", "notes.txt"] {
            fs_err::write(dir.path().join(name), b"").unwrap();
        }
        let found = find(&[dir.path().to_owned()]).unwrap();
        assert_eq!(found, [dir.path().join("a/c.png"), dir.path().join("b.JPG")]);
    }
}
