//! What a collection is called and what it holds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, ReleaseId, Result};

/// The checked name of a collection: lower-case letters, digits, `-` and `_`, at most 120 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CollectionName(String);

impl CollectionName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty or long name, or one with other characters.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 120 || !name.chars().all(allowed) {
            return Err(Error::Invalid(format!(
                "{name:?} cannot name a collection: use 1 to 120 lower-case letters, digits, '-' and '_'"
            )));
        }
        Ok(Self(name))
    }

    /// The geocells of one level of a release: `geosurge_{release}_level_{level}`.
    pub fn level(release: &ReleaseId, level: usize) -> Self {
        Self(format!("geosurge_{release}_level_{level}"))
    }

    /// The reference images of a release: `geosurge_{release}_references`.
    pub fn references(release: &ReleaseId) -> Self {
        Self(format!("geosurge_{release}_references"))
    }

    /// The alias of the active release's level: `geosurge_active_level_{level}`.
    pub fn active_level(level: usize) -> Self {
        Self(format!("geosurge_active_level_{level}"))
    }

    /// The alias of the active release's reference images: `geosurge_active_references`.
    pub fn active_references() -> Self {
        Self("geosurge_active_references".to_owned())
    }

    /// True for a collection that belongs to the release.
    pub fn belongs_to(&self, release: &ReleaseId) -> bool {
        *self == Self::references(release)
            || self
                .0
                .strip_prefix(&format!("geosurge_{release}_level_"))
                .is_some_and(|level| level.parse::<usize>().is_ok())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CollectionName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<CollectionName> for String {
    fn from(name: CollectionName) -> Self {
        name.0
    }
}

/// How a vector of a collection may be searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorIndex {
    /// No index: every search compares with every point, and is exact.
    #[default]
    Flat,
    /// A graph built by [`finish_load`](crate::VectorStore::finish_load) for searches that need not be exact. Collections
    /// below about 10 MB of vectors get none: comparing with every point is faster.
    Graph,
}

/// One named vector of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorSpec {
    /// The name that searches use, e.g. `path`.
    pub name: String,
    /// Number of components.
    pub dimension: usize,
    /// How it may be searched.
    #[serde(default)]
    pub index: VectorIndex,
}

impl VectorSpec {
    /// A vector searched exactly: geocells, and every gallery up to some hundred thousand photos.
    pub fn flat(name: impl Into<String>, dimension: usize) -> Self {
        let name = name.into();
        Self {
            name,
            dimension,
            index: VectorIndex::Flat,
        }
    }

    /// A vector with a graph for approximate searches of a large gallery.
    pub fn graph(name: impl Into<String>, dimension: usize) -> Self {
        let name = name.into();
        Self {
            name,
            dimension,
            index: VectorIndex::Graph,
        }
    }
}

/// The kind of an indexed payload field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A string, or an array of strings, compared whole.
    Keyword,
    /// A 64-bit integer, or an array of them.
    Integer,
    /// `{"lat": degrees, "lon": degrees}`.
    Geo,
    /// An RFC 3339 time.
    Datetime,
}

/// A payload field that filters may use fast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedField {
    /// The payload key.
    pub field: String,
    /// What it holds.
    pub kind: FieldKind,
}

/// What a collection holds; fixed at its creation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionSpec {
    /// Named vectors; every point has all of them.
    pub vectors: Vec<VectorSpec>,
    /// Indexed payload fields.
    pub indexed: Vec<IndexedField>,
}

impl CollectionSpec {
    /// A collection of these vectors, without indexed fields.
    pub fn new(vectors: impl IntoIterator<Item = VectorSpec>) -> Self {
        Self {
            vectors: vectors.into_iter().collect(),
            indexed: Vec::new(),
        }
    }

    /// With one more indexed payload field.
    #[must_use]
    pub fn with_index(mut self, field: impl Into<String>, kind: FieldKind) -> Self {
        self.indexed.push(IndexedField {
            field: field.into(),
            kind,
        });
        self
    }

    /// The vector of this name.
    pub fn vector(&self, name: &str) -> Option<&VectorSpec> {
        self.vectors.iter().find(|vector| vector.name == name)
    }

    /// Checks that names are plain and unique, and dimensions between 1 and 65,536.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the offender.
    pub fn check(&self) -> Result<()> {
        if self.vectors.is_empty() {
            return Err(Error::Invalid("a collection needs at least one vector".into()));
        }
        for (i, vector) in self.vectors.iter().enumerate() {
            check_identifier("vector", &vector.name)?;
            if !(1..=65_536).contains(&vector.dimension) {
                return Err(Error::Invalid(format!(
                    "vector {:?} has dimension {}: it must lie between 1 and 65536",
                    vector.name, vector.dimension
                )));
            }
            if self.vectors[..i].iter().any(|other| other.name == vector.name) {
                return Err(Error::Invalid(format!(
                    "vector {:?} is declared twice",
                    vector.name
                )));
            }
        }
        for (i, index) in self.indexed.iter().enumerate() {
            check_identifier("field", &index.field)?;
            if self.indexed[..i].iter().any(|other| other.field == index.field) {
                return Err(Error::Invalid(format!(
                    "field {:?} is indexed twice",
                    index.field
                )));
            }
        }
        Ok(())
    }

    /// True where both hold the same vectors and indexes, in any order.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.vectors.len() == other.vectors.len()
            && self.indexed.len() == other.indexed.len()
            && self.vectors.iter().all(|vector| other.vectors.contains(vector))
            && self.indexed.iter().all(|index| other.indexed.contains(index))
    }
}

/// Vector and field names are identifiers, so that no backend reads a path into them.
pub(crate) fn check_identifier(kind: &str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(Error::Invalid(format!(
            "{name:?} cannot name a {kind}: use 1 to 64 letters, digits and '_'"
        )));
    }
    Ok(())
}

/// No alias may have two targets.
pub(crate) fn check_distinct(aliases: &[(CollectionName, CollectionName)]) -> Result<()> {
    for (i, (alias, _)) in aliases.iter().enumerate() {
        if aliases[..i].iter().any(|(other, _)| other == alias) {
            return Err(Error::Invalid(format!("the alias {alias} is given twice")));
        }
    }
    Ok(())
}

/// Whether everything that was written to a collection is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectionState {
    /// Being written: created or changed since the last finished load, by a process that is alive.
    Loading,
    /// The last load was finished: everything is on disk.
    Complete,
    /// A load was interrupted. Load again what is missing, then finish.
    Incomplete,
}

/// A collection as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionInfo {
    /// What it was created for.
    pub spec: CollectionSpec,
    /// How many points it holds.
    pub points: u64,
    /// Whether everything that was written is there.
    pub state: CollectionState,
    /// Whether it can be searched. A collection whose load was finished once stays searchable on a server while another process
    /// changes it, though that process alone knows whether the change is whole.
    pub searchable: bool,
}

/// A store that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The engine, e.g. `qdrant-edge 0.7.2`.
    pub engine: String,
    /// How many collections it has.
    pub collections: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_follow_the_release() {
        let release = ReleaseId::new("2026-11").unwrap();
        assert_eq!(
            CollectionName::level(&release, 6).as_str(),
            "geosurge_2026-11_level_6"
        );
        assert_eq!(
            CollectionName::references(&release).as_str(),
            "geosurge_2026-11_references"
        );
        assert!(CollectionName::level(&release, 6).belongs_to(&release));
        let other = ReleaseId::new("2026-1").unwrap();
        assert!(!CollectionName::level(&release, 1).belongs_to(&other));
        assert_eq!(
            CollectionName::active_level(3).as_str(),
            "geosurge_active_level_3"
        );
        assert_eq!(
            CollectionName::active_references().as_str(),
            "geosurge_active_references"
        );
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        for name in ["", "..", "a/b", "A", "a b", "é"] {
            assert!(CollectionName::new(name).is_err(), "{name:?}");
        }
        assert!(serde_json::from_str::<CollectionName>("\"../x\"").is_err());
    }

    #[test]
    fn specifications_are_checked() {
        assert!(CollectionSpec::new([]).check().is_err());
        assert!(CollectionSpec::new([VectorSpec::flat("a", 0)]).check().is_err());
        assert!(CollectionSpec::new([VectorSpec::flat("a.b", 2)]).check().is_err());
        let twice = CollectionSpec::new([VectorSpec::flat("a", 2), VectorSpec::flat("a", 3)]);
        assert!(twice.check().is_err());
        let one = CollectionSpec::new([VectorSpec::flat("a", 2), VectorSpec::flat("b", 3)]);
        let two = CollectionSpec::new([VectorSpec::flat("b", 3), VectorSpec::flat("a", 2)]);
        assert!(one.is_equivalent(&two));
        assert!(!one.is_equivalent(&two.with_index("token", FieldKind::Keyword)));
    }
}
