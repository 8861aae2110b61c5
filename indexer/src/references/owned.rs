//! Photographs that were copied into the data folder for a release. They are deleted with their reference image; files elsewhere
//! belong to somebody else and are never touched.

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err as fs;
use storage::ReleaseId;

use crate::{Error, Result};

/// The folder of a release's copies.
#[must_use]
pub fn folder(photos: &Path, release: &ReleaseId) -> PathBuf {
    photos.join(release.as_str())
}

/// Copies a photo's bytes, named by their SHA-256, and returns the file's absolute path. The file is there whole or not at all.
///
/// # Errors
/// [`Error::Photos`] where it cannot be written.
pub fn keep(
    photos: &Path,
    release: &ReleaseId,
    sha256: &str,
    extension: &str,
    bytes: &[u8],
) -> Result<PathBuf> {
    let folder = folder(photos, release);
    let failed = |source| Error::Photos {
        path: folder.clone(),
        source,
    };
    fs::create_dir_all(&folder).map_err(failed)?;
    let folder = std::path::absolute(&folder).map_err(failed)?;
    let path = folder.join(format!("{sha256}.{extension}"));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(failed)?;
    Ok(path)
}

/// Deletes a reference image's file if it is one of the release's copies; returns whether it was.
pub(crate) fn remove(photos: &Path, release: &ReleaseId, file: &str) -> Result<bool> {
    let folder = folder(photos, release);
    let file = Path::new(file);
    let absolute = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
    if file.parent() != Some(absolute.as_path()) {
        return Ok(false);
    }
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Photos {
            path: file.to_owned(),
            source,
        }),
    }
}

/// The copies of a release with the SHA-256 that names each.
pub(crate) fn list(photos: &Path, release: &ReleaseId) -> Result<Vec<(PathBuf, String)>> {
    let folder = folder(photos, release);
    let failed = |source| Error::Photos {
        path: folder.clone(),
        source,
    };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut copies = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        copies.push((path, stem.unwrap_or_default()));
    }
    Ok(copies)
}

/// Deletes all copies of a release.
pub(crate) fn remove_all(photos: &Path, release: &ReleaseId) -> Result<()> {
    let folder = folder(photos, release);
    match fs::remove_dir_all(&folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Photos { path: folder, source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_copies_are_ever_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let photos = dir.path().join("references");
        let release = ReleaseId::new("a").unwrap();
        let path = keep(&photos, &release, "00ff", "jpg", b"photo").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"photo");
        let original = dir.path().join("original.jpg");
        fs::write(&original, b"photo").unwrap();
        let outside = folder(&photos, &release).join("../../original.jpg");
        for file in [&original, &outside] {
            assert!(!remove(&photos, &release, &file.to_string_lossy()).unwrap());
        }
        assert!(original.exists());
        let other = ReleaseId::new("b").unwrap();
        assert!(!remove(&photos, &other, &path.to_string_lossy()).unwrap());
        assert!(remove(&photos, &release, &path.to_string_lossy()).unwrap());
        assert!(!path.exists());
        remove_all(&photos, &release).unwrap();
        remove_all(&photos, &release).unwrap();
        assert!(!folder(&photos, &release).exists());
    }
}
