//! Names of the files that are written for photos, so that none overwrites another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A name for each file, without `.png`: its stem, where no other file has it; else with its extension where the other lies in
/// the same folder, and with as many folders as tell it apart where it lies in another. They are distinct whatever a
/// file system makes of capitals, and no map has the name of another photo's overlay.
#[must_use]
pub fn distinct_names(files: &[PathBuf]) -> Vec<String> {
    let mut forms: Vec<Form> = files.iter().map(|file| Form::shortest(file)).collect();
    loop {
        let names: Vec<String> = forms.iter().map(Form::name).collect();
        let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            for written in [format!("{name}.png"), format!("{name}.overlay.png")] {
                owners.entry(written.to_lowercase()).or_default().push(index);
            }
        }
        let mut clashes: BTreeMap<usize, Clash> = BTreeMap::new();
        for clashing in owners.values().filter(|owners| owners.len() > 1) {
            for index in clashing {
                let clash = clashes.entry(*index).or_default();
                for other in clashing.iter().filter(|other| *other != index) {
                    let beside = files[*other].parent() == files[*index].parent();
                    clash.beside |= beside;
                    clash.elsewhere |= !beside;
                }
            }
        }
        // What is a digest and clashes still is one file named twice.
        clashes.retain(|index, _| !forms[*index].digest);
        if clashes.is_empty() {
            return names;
        }
        for (index, clash) in clashes {
            forms[index].lengthen(clash);
        }
    }
}

/// Where the files lie that a name clashes with.
#[derive(Default)]
struct Clash {
    beside: bool,
    elsewhere: bool,
}

/// How much of a path its name holds.
struct Form<'a> {
    file: &'a Path,
    folders: Vec<String>,
    depth: usize,
    extension: bool,
    digest: bool,
}

impl<'a> Form<'a> {
    fn shortest(file: &'a Path) -> Self {
        let parent = file.parent().unwrap_or(Path::new(""));
        let folders = parent.components().filter_map(|component| match component {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        });
        Self {
            file,
            folders: folders.collect(),
            depth: 0,
            extension: false,
            digest: false,
        }
    }

    fn lengthen(&mut self, clash: Clash) {
        let (depth, extension) = (self.depth, self.extension);
        if clash.beside {
            self.extension = true;
        }
        if clash.elsewhere {
            self.depth = (depth + 1).min(self.folders.len());
        }
        if (self.depth, self.extension) != (depth, extension) {
            return;
        }
        if depth < self.folders.len() {
            self.depth += 1;
        } else if !extension {
            self.extension = true;
        } else {
            self.digest = true;
        }
    }

    fn name(&self) -> String {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (stem, whole) = (text(self.file.file_stem()), text(self.file.file_name()));
        if self.digest {
            let digest = Sha256::digest(self.file.as_os_str().as_encoded_bytes());
            let digest: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            return format!("{stem}-{digest}");
        }
        let mut parts = self.folders[self.folders.len() - self.depth..].to_vec();
        parts.push(if self.extension { whole } else { stem });
        parts.join("/")
    }
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
        assert_eq!(names(&["a/x.jpg", "a/x.png"]), ["x.jpg", "x.png"]);
        assert_eq!(
            names(&["/p/a/x.png", "/p/b/x.png", "/p/b/x.jpg"]),
            ["a/x", "b/x.png", "b/x.jpg"]
        );
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
