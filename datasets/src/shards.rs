//! WebDataset shards: tar files whose members are photos, their metadata and their maps.
//!
//! ```text
//! shard-000000.tar:  one.jpg  one.json  one.seg.png  two.jpg  two.json …
//! ```
//!
//! Members that share a name up to the first dot are one sample. `.json` holds place and more under the names that manifests
//! use (`latitude`, `LON`, `AUTHOR`…), `.seg.png` the segmentation map. Only headers are read when shards are opened; a photo
//! is then read by its position, so that shards can be read in any order and a dataset of any size needs no unpacking.
//!
//! A photo inside a shard is named as if the shard were a folder: `shard-000000.tar/one.jpg`. A manifest may use such names too.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::table::{Cell, Columns, ManifestRow, Position};
use crate::{DecodeLimits, Error, Photo, Result};

/// Where the members of some shards lie.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Shards {
    files: Vec<PathBuf>,
    members: HashMap<PathBuf, Span>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    shard: u32,
    offset: u64,
    bytes: u64,
}

/// Whether a file name looks like a shard's.
pub(crate) fn is_shard(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("tar"))
}

/// The shards that lie in a folder, by name.
pub(crate) fn shards_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut shards = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if is_shard(&path) && path.is_file() {
            shards.push(path);
        }
    }
    shards.sort();
    Ok(shards)
}

/// The part of a path that names a shard: up to the first component that ends in `.tar`.
pub(crate) fn shard_of(path: &Path) -> Option<PathBuf> {
    let mut shard = PathBuf::new();
    for component in path.components() {
        shard.push(component);
        if is_shard(&shard) {
            return (shard != path).then_some(shard);
        }
    }
    None
}

impl Shards {
    /// Reads the headers of shard files; `root` is what photos' names are relative to.
    ///
    /// # Errors
    /// A file that cannot be read, is no tar file or ends early.
    pub(crate) fn index(root: &Path, files: Vec<PathBuf>) -> Result<Self> {
        let mut shards = Self::default();
        for file in files {
            shards.add(root, file)?;
        }
        Ok(shards)
    }

    fn add(&mut self, root: &Path, file: PathBuf) -> Result<()> {
        let bad = |detail: String| Error::BadManifest {
            path: file.clone(),
            detail: format!("{detail}; copy the shard again from its source"),
        };
        let name = file.strip_prefix(root).unwrap_or(&file).to_path_buf();
        let shard = u32::try_from(self.files.len()).map_err(|_| bad("one shard too many".to_owned()))?;
        let reader = fs_err::File::open(&file).map_err(Error::io("read", &file))?;
        let length = reader.metadata().map_err(Error::io("read", &file))?.len();
        let mut archive = tar::Archive::new(reader);
        let entries = archive
            .entries_with_seek()
            .map_err(|error| bad(format!("it is no tar file: {error}")))?;
        for entry in entries {
            let entry = entry.map_err(|error| bad(format!("it is damaged: {error}")))?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let member = entry
                .path()
                .map_err(|error| bad(format!("a member's name cannot be read: {error}")))?;
            let span = Span {
                shard,
                offset: entry.raw_file_position(),
                bytes: entry.size(),
            };
            if span.offset + span.bytes > length {
                return Err(bad(format!("it ends inside {}", member.display())));
            }
            let inner = member.strip_prefix("./").unwrap_or(&member);
            self.members.insert(name.join(inner), span);
        }
        self.files.push(file);
        Ok(())
    }

    /// Whether a name is that of a member.
    pub(crate) fn holds(&self, name: &Path) -> bool {
        self.members.contains_key(name)
    }

    /// The shard file that holds a member.
    pub(crate) fn file(&self, name: &Path) -> Option<&Path> {
        let span = self.members.get(name)?;
        Some(&self.files[span.shard as usize])
    }

    /// A member's bytes; `None` for a name that is no member's.
    ///
    /// # Errors
    /// A shard that can no longer be read, or a member above the limit.
    pub(crate) fn read(&self, name: &Path, limits: &DecodeLimits) -> Result<Option<Vec<u8>>> {
        let Some(span) = self.members.get(name) else {
            return Ok(None);
        };
        if span.bytes > limits.max_bytes {
            return Err(Error::TooManyBytes {
                path: name.to_path_buf(),
                bytes: span.bytes,
                max_bytes: limits.max_bytes,
            });
        }
        let path = &self.files[span.shard as usize];
        let file = fs_err::File::open(path).map_err(Error::io("read", path))?;
        let mut bytes = vec![0; span.bytes as usize];
        file.file()
            .read_exact_at(&mut bytes, span.offset)
            .map_err(Error::io("read", name))?;
        Ok(Some(bytes))
    }

    /// The photos of all samples, shard by shard and in the order within each.
    ///
    /// # Errors
    /// A sample with a photo but without a usable place, no sample at all.
    pub(crate) fn photos(&self) -> Result<Vec<Photo>> {
        let mut members: Vec<(&PathBuf, &Span)> = self.members.iter().collect();
        members.sort_by_key(|(_, span)| (span.shard, span.offset));
        let mut photos = Vec::new();
        for (path, span) in members {
            if !is_photo(path) {
                continue;
            }
            photos.push(self.photo(path, &self.files[span.shard as usize])?);
        }
        Ok(photos)
    }

    fn photo(&self, path: &Path, shard: &Path) -> Result<Photo> {
        let beside = |extension: &str| path.with_file_name(format!("{}.{extension}", key(path)));
        let bad = |detail: String| Error::BadRow {
            path: shard.to_path_buf(),
            position: format!("sample {}", key(path)),
            detail,
        };
        let name = beside("json");
        let text = self.read(&name, &DecodeLimits::default())?.ok_or_else(|| {
            bad(
                "has no .json with its place; write one beside the photo, or name the photo in a manifest"
                    .to_owned(),
            )
        })?;
        let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(&text) else {
            return Err(bad("its .json holds no JSON object".to_owned()));
        };
        let mut headers = vec!["path".to_owned()];
        let mut cells = vec![Cell::Text(path.to_string_lossy().into_owned())];
        for (field, value) in fields {
            headers.push(field);
            cells.push(cell(value));
        }
        let columns = Columns::find(&headers, &name)?;
        let table: Arc<Path> = Arc::from(name.as_path());
        let mut photo = ManifestRow::new(&table, Position::Row(1), &columns, &mut cells).photo()?;
        photo.path = path.to_path_buf();
        let map = beside("seg.png");
        photo.segmentation = self.holds(&map).then_some(map);
        Ok(photo)
    }
}

/// A member's name up to the first dot of its last component: what the members of a sample share.
fn key(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Whether a member is a photo, by its name: everything after the first dot must be an image's extension.
fn is_photo(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = name.split_once('.').map_or("", |(_, rest)| rest);
    let known = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "gif", "bmp"];
    known.iter().any(|one| extension.eq_ignore_ascii_case(one))
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Empty,
        Value::String(text) => Cell::from_text(&text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Cell::Integer(integer),
            (None, Some(number)) => Cell::Number(number),
            (None, None) => Cell::Strange("a number beyond all others".to_owned()),
        },
        Value::Bool(_) => Cell::Strange("true or false".to_owned()),
        Value::Array(_) => Cell::Strange("a list".to_owned()),
        Value::Object(_) => Cell::Strange("an object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shards_and_samples() {
        assert_eq!(
            shard_of(Path::new("a/b.tar/c/d.jpg")),
            Some(PathBuf::from("a/b.tar"))
        );
        assert_eq!(shard_of(Path::new("a/b.tar")), None);
        assert_eq!(shard_of(Path::new("a/d.jpg")), None);
        assert_eq!(key(Path::new("x.tar/in/one.seg.png")), "one");
        assert!(is_photo(Path::new("x.tar/one.JPG")) && !is_photo(Path::new("x.tar/one.seg.png")));
    }
}
