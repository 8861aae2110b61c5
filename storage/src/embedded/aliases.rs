//! `aliases.json`: which collection each alias names.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::atomic_file;
use crate::{CollectionName, Error, Result};

/// The file's name in the store's directory; no collection can have it, for its dot.
const ALIASES_FILE: &str = "aliases.json";

/// The format written here; a reader refuses any other.
const FORMAT: u32 = 1;

/// The content of `aliases.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aliases {
    format: u32,
    aliases: BTreeMap<CollectionName, CollectionName>,
}

impl Default for Aliases {
    fn default() -> Self {
        Self {
            format: FORMAT,
            aliases: BTreeMap::new(),
        }
    }
}

impl Aliases {
    /// Reads a store's aliases; a store without the file has none.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(ALIASES_FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(|error| Error::io(&path, error))?,
        };
        let corrupt = |reason: String| Error::Corrupt {
            path: path.clone(),
            reason,
        };
        let aliases: Self = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        if aliases.format != FORMAT {
            return Err(corrupt(format!(
                "its format is {}, this version reads {FORMAT}",
                aliases.format
            )));
        }
        Ok(aliases)
    }

    /// Changes a copy, writes it, and only then takes it.
    pub(super) fn change(
        &mut self,
        root: &Path,
        change: impl FnOnce(&mut BTreeMap<CollectionName, CollectionName>),
    ) -> Result<()> {
        let mut changed = self.clone();
        change(&mut changed.aliases);
        if changed != *self {
            atomic_file::write_json(root, ALIASES_FILE, &changed)?;
            *self = changed;
        }
        Ok(())
    }

    /// The collection that an alias names.
    pub(super) fn target(&self, alias: &CollectionName) -> Option<&CollectionName> {
        self.aliases.get(alias)
    }

    /// The first alias that names a collection.
    pub(super) fn of(&self, collection: &CollectionName) -> Option<&CollectionName> {
        let mut named = self.aliases.iter().filter(|(_, target)| *target == collection);
        named.next().map(|(alias, _)| alias)
    }

    /// All pairs, sorted by alias.
    pub(super) fn pairs(&self) -> Vec<(CollectionName, CollectionName)> {
        let pairs = self.aliases.iter();
        pairs
            .map(|(alias, target)| (alias.clone(), target.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn version_one_still_opens() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Aliases::read(dir.path()).unwrap(), Aliases::default());
        let stored = r#"{"format":1,"aliases":{"geosurge_active_references":"geosurge_a_references"}}"#;
        fs::write(dir.path().join(ALIASES_FILE), stored).unwrap();
        let mut aliases = Aliases::read(dir.path()).unwrap();
        let target = aliases.target(&CollectionName::active_references()).unwrap();
        assert_eq!(target.as_str(), "geosurge_a_references");
        aliases.change(dir.path(), BTreeMap::clear).unwrap();
        assert_eq!(Aliases::read(dir.path()).unwrap(), Aliases::default());
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for bad in [
            "",
            "{\"format\":1",
            r#"{"format":2,"aliases":{}}"#,
            r#"{"format":1,"aliases":{"a/b":"c"}}"#,
        ] {
            fs::write(dir.path().join(ALIASES_FILE), bad).unwrap();
            let error = Aliases::read(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains(ALIASES_FILE), "{error}");
        }
    }
}
