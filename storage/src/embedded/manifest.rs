//! `collection.json`: what a collection is for and whether its last load was finished.

use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::atomic_file;
use crate::{CollectionSpec, Error, Result};

/// The file's name within a collection's directory.
pub(super) const MANIFEST_FILE: &str = "collection.json";

/// The format written here; a reader refuses any other.
const FORMAT: u32 = 1;

/// What was begun and not finished when the manifest was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Nothing: every point is on disk.
    Complete,
    /// Points are being written.
    Loading,
    /// Indexes are being built; an interruption may leave points in two segments.
    Optimizing,
}

/// The content of `collection.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    pub(super) spec: CollectionSpec,
    pub(super) phase: Phase,
    /// Points when the last load was finished.
    pub(super) points: u64,
    /// Points when graphs were last built.
    #[serde(default)]
    pub(super) indexed: u64,
}

impl Manifest {
    /// Of an empty collection.
    pub(super) fn new(spec: CollectionSpec) -> Self {
        Self {
            format: FORMAT,
            spec,
            phase: Phase::Loading,
            points: 0,
            indexed: 0,
        }
    }

    /// Reads the manifest of a collection's directory.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_FILE);
        let bytes = fs::read(&path).map_err(|error| Error::io(&path, error))?;
        let corrupt = |reason: String| Error::Corrupt {
            path: path.clone(),
            reason,
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(corrupt(format!(
                "its format is {}, this version reads {FORMAT}",
                manifest.format
            )));
        }
        manifest
            .spec
            .check()
            .map_err(|error| corrupt(error.to_string()))?;
        Ok(manifest)
    }

    /// Replaces the manifest of a collection's directory; durable when it returns.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        atomic_file::write_json(dir, MANIFEST_FILE, self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::VectorSpec;

    #[test]
    fn version_one_still_opens() {
        let dir = tempfile::tempdir().unwrap();
        let stored = r#"{"format":1,"spec":{"vectors":[{"name":"path","dimension":3,"index":"flat"}],
            "indexed":[{"field":"token","kind":"keyword"}]},"phase":"complete","points":7}"#;
        fs::write(dir.path().join(MANIFEST_FILE), stored).unwrap();
        let manifest = Manifest::read(dir.path()).unwrap();
        assert_eq!((manifest.phase, manifest.points), (Phase::Complete, 7));
        assert_eq!(manifest.spec.vectors, [VectorSpec::flat("path", 3)]);
        manifest.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), manifest);
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for bad in [
            "",
            "{\"format\":1",
            r#"{"format":2,"spec":{"vectors":[],"indexed":[]},"phase":"complete","points":0}"#,
        ] {
            fs::write(dir.path().join(MANIFEST_FILE), bad).unwrap();
            let error = Manifest::read(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains(MANIFEST_FILE), "{error}");
        }
    }
}
