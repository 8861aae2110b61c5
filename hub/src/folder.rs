//! Where published models lie on this machine.
//!
//! ```text
//! models/openai--clip-vit-large-patch14-336/config.json …   the files, each put here only when it is whole
//! models/openai--clip-vit-large-patch14-336/pulled.json     the record, written last: without it the model is not whole
//! models/.downloads/                                        what is being fetched
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const RECORD: &str = "pulled.json";

/// A folder of published models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelsFolder {
    root: PathBuf,
}

/// The record of a fetched model (`pulled.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// Its name, `owner/model`.
    pub repository: String,
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that this was, if a hub said.
    pub commit: Option<String>,
    /// The hub or the folder that it came from.
    pub source: String,
    /// When, RFC 3339.
    pub at: String,
    /// Its files by name.
    pub files: BTreeMap<String, FileRecord>,
}

/// The record of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its length.
    pub bytes: u64,
    /// Its content's SHA-256.
    pub sha256: String,
}

/// A model in the folder.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// Its record; `None` for a model that is not whole.
    pub record: Option<Pulled>,
}

impl ModelsFolder {
    /// The folder at `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a model, there or not.
    ///
    /// # Errors
    /// [`Error::Name`] for what is no name.
    pub fn of(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.root.join(name.replacen('/', "--", 1)))
    }

    /// Where files are fetched to.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.root.join(".downloads")
    }

    /// The folder of a model that is here, whole: `wanted` is a folder, or the name of a pulled model.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Absent`], [`Error::Unfinished`].
    pub fn locate(&self, wanted: &str) -> Result<PathBuf> {
        let path = Path::new(wanted);
        if path.is_dir() {
            return Ok(fs_err::canonicalize(path)?);
        }
        let folder = self.of(wanted)?;
        if !folder.is_dir() {
            return Err(Error::Absent {
                name: wanted.to_owned(),
                folder: self.root.clone(),
            });
        }
        if self.record(wanted)?.is_none() {
            return Err(Error::Unfinished {
                name: wanted.to_owned(),
                folder,
            });
        }
        Ok(fs_err::canonicalize(folder)?)
    }

    /// The record of a model; `None` where there is none, or where a file that it names is gone or has another length.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Record`].
    pub fn record(&self, name: &str) -> Result<Option<Pulled>> {
        let folder = self.of(name)?;
        let file = folder.join(RECORD);
        if !file.is_file() {
            return Ok(None);
        }
        let pulled: Pulled =
            serde_json::from_slice(&fs_err::read(&file)?).map_err(|source| Error::Record {
                file: file.clone(),
                source,
            })?;
        let is_there = |(name, record): (&String, &FileRecord)| {
            fs_err::metadata(folder.join(name))
                .is_ok_and(|found| found.is_file() && found.len() == record.bytes)
        };
        Ok(pulled.files.iter().all(is_there).then_some(pulled))
    }

    pub(crate) fn write_record(&self, pulled: &Pulled) -> Result<()> {
        let folder = self.of(&pulled.repository)?;
        let file = folder.join(RECORD);
        let mut text = serde_json::to_vec_pretty(pulled).map_err(|source| Error::Record {
            file: file.clone(),
            source,
        })?;
        text.push(b'\n');
        let partial = folder.join(".pulled.json.partial");
        fs_err::write(&partial, text)?;
        fs_err::rename(partial, file)?;
        Ok(())
    }

    /// Forgets that a model is whole, while it is changed.
    pub(crate) fn remove_record(&self, name: &str) -> Result<()> {
        match fs_err::remove_file(self.of(name)?.join(RECORD)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Every model in the folder, by name. An absent folder holds none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list(&self) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        if !self.root.is_dir() {
            return Ok(held);
        }
        for entry in fs_err::read_dir(&self.root)? {
            let entry = entry?;
            let folder = entry.path();
            let file_name = entry.file_name().to_string_lossy().into_owned();
            let name = file_name.replacen("--", "/", 1);
            if !folder.is_dir() || check_name(&name).is_err() {
                continue;
            }
            let mut bytes = 0;
            for file in fs_err::read_dir(&folder)? {
                bytes += file?.metadata()?.len();
            }
            let record = self.record(&name).unwrap_or_default();
            held.push(Held {
                name,
                folder,
                bytes,
                record,
            });
        }
        held.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(held)
    }
}

/// `owner/model`, of the characters that a hub permits, so that it is safe as a folder's name and in an address.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match name.split_once('/') {
        Some((owner, model)) if part(owner) && !owner.contains("--") && part(model) => Ok(()),
        _ => Err(Error::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe() {
        for good in ["openai/clip-vit-large-patch14-336", "a/b.c_d"] {
            check_name(good).unwrap();
        }
        for bad in [
            "clip", "", "/", "a/", "../b", "a/..", "a/b/c", "a/b c", "-a/b", "a/b?c", "a--b/c", ".a/b",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_model_is_whole_with_its_record_and_all_files_in_it() {
        let root = tempfile::tempdir().unwrap();
        let models = ModelsFolder::new(root.path());
        assert!(
            models
                .locate("a/b")
                .unwrap_err()
                .to_string()
                .contains("geosurge models pull a/b")
        );
        let folder = models.of("a/b").unwrap();
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("config.json"), "{}").unwrap();
        assert!(matches!(models.locate("a/b"), Err(Error::Unfinished { .. })));
        let record = FileRecord {
            bytes: 2,
            sha256: String::new(),
        };
        let pulled = Pulled {
            repository: "a/b".into(),
            revision: "main".into(),
            commit: None,
            source: "test".into(),
            at: String::new(),
            files: [("config.json".to_owned(), record)].into(),
        };
        models.write_record(&pulled).unwrap();
        assert!(models.locate("a/b").unwrap().ends_with("a--b"));
        assert_eq!(models.list().unwrap()[0].record, Some(pulled));
        fs_err::write(folder.join("config.json"), "{").unwrap();
        assert!(matches!(models.locate("a/b"), Err(Error::Unfinished { .. })));
        assert_eq!(models.list().unwrap()[0].record, None);
        // A folder is taken as it is, whatever it holds.
        models.locate(root.path().to_str().unwrap()).unwrap();
    }
}
