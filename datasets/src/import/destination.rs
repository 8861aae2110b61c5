//! Where an import's photos end up: named where they are, or copied into the dataset.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use image::ImageFormat;
use rayon::prelude::*;

use super::prepare::Prepared;
use crate::{Error, MANIFEST, Photo, Result, atomic};

/// The folder of copied photos inside a dataset.
const IMAGES: &str = "images";

/// The folder of copied segmentation maps inside a dataset.
const MAPS: &str = "maps";

/// The dataset that an import writes.
pub(super) struct Destination {
    /// The dataset's directory, absolute and without symbolic links.
    root: PathBuf,
    copy: bool,
}

impl Destination {
    pub(super) fn new(out: &Path, copy: bool) -> Result<Self> {
        if out.is_file() {
            return Err(Error::io("write a dataset into", out)(std::io::Error::other(
                "it is a file, not a directory",
            )));
        }
        Ok(Self {
            root: resolve(out)?,
            copy,
        })
    }

    /// Whether `table` is the manifest that this import will replace.
    pub(super) fn is_manifest(&self, table: &Path) -> bool {
        table
            .canonicalize()
            .is_ok_and(|table| table == self.root.join(MANIFEST))
    }

    /// Whether `path` is a folder that this import copies into.
    pub(super) fn is_copies(&self, path: &Path) -> bool {
        let is = |name| {
            path.file_name() == Some(std::ffi::OsStr::new(name))
                && path.canonicalize().is_ok_and(|path| path == self.root.join(name))
        };
        self.copy && (is(IMAGES) || is(MAPS))
    }

    /// The photos as the manifest will hold them, after copying them where that was asked for.
    pub(super) fn place(&self, prepared: Vec<Prepared>) -> Result<Vec<Photo>> {
        prepared
            .into_par_iter()
            .map(|prepared| {
                if self.copy {
                    self.copied(prepared)
                } else {
                    self.referred(prepared)
                }
            })
            .collect()
    }

    fn referred(&self, prepared: Prepared) -> Result<Photo> {
        Ok(Photo {
            path: self.name_of(&prepared.image)?,
            segmentation: prepared
                .segmentation
                .as_deref()
                .map(|map| self.name_of(map))
                .transpose()?,
            ..prepared.photo
        })
    }

    /// A file's path relative to the dataset when it lies inside, else its absolute path.
    fn name_of(&self, file: &Path) -> Result<PathBuf> {
        let file = resolve(file)?;
        match file.strip_prefix(&self.root) {
            Ok(relative) => Ok(relative.to_path_buf()),
            Err(_) => Ok(file),
        }
    }

    /// Copies by content: `images/ab/abcdef….jpg`, so that the same photo always gets the same name.
    fn copied(&self, prepared: Prepared) -> Result<Photo> {
        let (folder, name) = (&prepared.sha256[..2], &prepared.sha256[..32]);
        let path = Path::new(IMAGES)
            .join(folder)
            .join(format!("{name}.{}", extension(prepared.format)));
        copy(&prepared.image, &self.root.join(&path))?;
        let segmentation = match &prepared.segmentation {
            None => None,
            Some(map) => {
                let extension = map
                    .extension()
                    .and_then(|extension| extension.to_str())
                    .unwrap_or("png");
                let path = Path::new(MAPS).join(folder).join(format!("{name}.{extension}"));
                copy(map, &self.root.join(&path))?;
                Some(path)
            }
        };
        Ok(Photo {
            path,
            segmentation,
            ..prepared.photo
        })
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = fs_err::File::open(from).map_err(Error::io("read", from))?;
    atomic::write(to, |target| {
        let mut chunk = vec![0; 1 << 16];
        loop {
            let read = source.read(&mut chunk).map_err(Error::io("read", from))?;
            if read == 0 {
                return Ok(());
            }
            target.write_all(&chunk[..read]).map_err(Error::io("write", to))?;
        }
    })
}

fn extension(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "jpg",
        other => other.extensions_str().first().copied().unwrap_or("image"),
    }
}

/// The absolute path without symbolic links; of a path that does not exist yet, as far as it exists.
fn resolve(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(Error::io("find", path))?;
    for ancestor in absolute.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            // Joining an empty path would add a trailing separator.
            return Ok(if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            });
        }
    }
    Ok(absolute)
}
