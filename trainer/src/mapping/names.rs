//! Names of the files that are written for photos, so that none overwrites another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A name for each file, without `.png`: its stem, where no other file has it; else with as many of its folders as tell
/// it apart, and at last with its extension. They are distinct whatever a file system makes of capitals, and
/// no map has the name of another photo's overlay.
#[must_use]
pub fn distinct_names(files: &[PathBuf]) -> Vec<String> {
    let mut depth = vec![0; files.len()];
    loop {
        let names: Vec<String> = files
            .iter()
            .zip(&depth)
            .map(|(file, depth)| name(file, *depth))
            .collect();
        let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            for written in [format!("{name}.png"), format!("{name}.overlay.png")] {
                owners.entry(written.to_lowercase()).or_default().push(index);
            }
        }
        let mut clashing: Vec<usize> = owners
            .into_values()
            .filter(|owners| owners.len() > 1)
            .flatten()
            .collect();
        clashing.sort_unstable();
        clashing.dedup();
        // The last kind of name is a digest: files that still clash are one file named twice.
        clashing.retain(|index| depth[*index] <= last_depth(&files[*index]));
        if clashing.is_empty() {
            return names;
        }
        for index in clashing {
            depth[index] += 1;
        }
    }
}

fn folders(file: &Path) -> Vec<String> {
    let parent = file.parent().unwrap_or(Path::new(""));
    parent
        .components()
        .filter_map(|component| match component {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect()
}

/// The depth at which a name holds all folders and the extension.
fn last_depth(file: &Path) -> usize {
    folders(file).len() + 1
}

/// The name with `depth` folders; beyond them the extension, and at last a digest of the path.
fn name(file: &Path, depth: usize) -> String {
    let folders = folders(file);
    let stem = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let whole = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if depth > last_depth(file) {
        let digest = Sha256::digest(file.as_os_str().as_encoded_bytes());
        let digest: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        return format!("{stem}-{digest}");
    }
    let shown = depth.min(folders.len());
    let last = if depth > folders.len() { whole } else { stem };
    let mut parts = folders[folders.len() - shown..].to_vec();
    parts.push(last);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str]) -> Vec<String> {
        distinct_names(&files.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_stem_is_enough_where_it_is_the_only_one() {
        assert_eq!(names(&["/a/x.jpg", "/a/b/y.png"]), ["x", "y"]);
    }

    #[test]
    fn folders_tell_apart_what_has_one_stem() {
        assert_eq!(
            names(&["/p/a/x.jpg", "/p/b/x.jpg", "/p/z.jpg"]),
            ["a/x", "b/x", "z"]
        );
        assert_eq!(names(&["/p/a/1/x.jpg", "/p/b/1/x.jpg"]), ["a/1/x", "b/1/x"]);
        // Capitals do not tell apart.
        assert_eq!(names(&["/p/a/X.jpg", "/p/b/x.jpg"]), ["a/X", "b/x"]);
    }

    #[test]
    fn extensions_tell_apart_what_lies_in_one_folder() {
        assert_eq!(names(&["a/x.jpg", "a/x.png"]), ["a/x.jpg", "a/x.png"]);
        assert_eq!(names(&["x.jpg", "x.jpeg"]), ["x.jpg", "x.jpeg"]);
    }

    #[test]
    fn an_overlay_is_no_other_photos_map() {
        let names = names(&["/a/x.jpg", "/a/x.overlay.jpg"]);
        let mut written: Vec<String> = names
            .iter()
            .flat_map(|name| [format!("{name}.png"), format!("{name}.overlay.png")])
            .collect();
        written.sort();
        written.dedup();
        assert_eq!(written.len(), 4, "{names:?}");
    }

    #[test]
    fn whatever_the_files_are_called_nothing_is_written_twice() {
        let files = [
            "/a/x.jpg",
            "/a/x.png",
            "/b/x.jpg",
            "/b/X.PNG",
            "/c/x.jpg.png",
            "/b/x.jpg.overlay.gif",
            "/x.jpg",
            "/a/b/x.jpg",
        ];
        let names = names(&files);
        let mut written: Vec<String> = names
            .iter()
            .flat_map(|name| [format!("{name}.png"), format!("{name}.overlay.png")])
            .map(|name| name.to_lowercase())
            .collect();
        written.sort();
        written.dedup();
        assert_eq!(written.len(), 2 * files.len(), "{names:?}");
    }
}
