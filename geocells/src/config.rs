//! How a hierarchy is cut.

use serde::{Deserialize, Serialize};

use crate::{Error, MAX_S2_LEVEL, Result};

/// How the location of a geocell is taken from its photographs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationKind {
    /// Direction of the mean unit vector: right everywhere, also across the antimeridian and at the poles.
    ///
    /// [`Hierarchy::build`](crate::Hierarchy::build) takes every photo at the centre of its S2 leaf cell, which is at most 7.3 mm
    /// (7e-8 degrees) away; a cell's location is then as near to the exact mean (13 mm at most for cells as large as a face).
    #[default]
    Spherical,
    /// Mean latitude and mean longitude in degrees, as in the field's reference files; wrong across the antimeridian.
    Plain,
}

/// The parameters of a [`Hierarchy`](crate::Hierarchy) (paper III-A).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionConfig {
    /// A cell that ends with this many photos or fewer is dropped.
    pub t_min: u64,
    /// A cell with more photos than this is split; one value a level, coarsest (largest) first.
    pub t_max: Vec<u64>,
    /// S2 level that splitting starts from: 0 is the paper's six faces, 2 reproduces the field's reference files.
    pub start_level: u8,
    /// How a cell's location is taken from its photos.
    pub location: LocationKind,
}

impl Default for PartitionConfig {
    /// The paper's seven levels.
    fn default() -> Self {
        Self {
            t_min: 50,
            t_max: vec![25_000, 10_000, 5_000, 2_000, 1_000, 750, 500],
            start_level: 0,
            location: LocationKind::Spherical,
        }
    }
}

impl PartitionConfig {
    /// The deepest `start_level` accepted: level 12 already has a hundred million cells.
    pub const MAX_START_LEVEL: u8 = 12;

    /// Checks the parameters against each other.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming the parameter and what to set it to.
    pub fn validate(&self) -> Result<()> {
        let invalid = |reason: String| Err(Error::InvalidConfig { reason });
        let Some(&finest) = self.t_max.last() else {
            return invalid("t_max is empty; give one value a level, coarsest first".into());
        };
        if let Some(pair) = self.t_max.windows(2).find(|pair| pair[0] <= pair[1]) {
            return invalid(format!(
                "t_max must fall from level to level, but {} is followed by {}; list the values from largest to smallest",
                pair[0], pair[1]
            ));
        }
        if finest <= self.t_min {
            return invalid(format!(
                "t_max = {finest} leaves no room above t_min = {}; lower t_min or raise t_max",
                self.t_min
            ));
        }
        if self.start_level > Self::MAX_START_LEVEL {
            return invalid(format!(
                "start_level = {} is too deep; use 0 to {} (S2 itself ends at {MAX_S2_LEVEL})",
                self.start_level,
                Self::MAX_START_LEVEL
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn reason(config: &PartitionConfig) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn names_what_is_wrong() {
        let base = PartitionConfig::default();
        base.validate().unwrap();
        let with = |t_max: &[u64]| PartitionConfig {
            t_max: t_max.to_vec(),
            ..base.clone()
        };
        assert!(reason(&with(&[])).contains("t_max is empty"));
        assert!(reason(&with(&[500, 1000])).contains("500 is followed by 1000"));
        assert!(reason(&with(&[500, 500])).contains("500 is followed by 500"));
        assert!(reason(&with(&[100, 50])).contains("lower t_min"));
        let deep = PartitionConfig {
            start_level: 13,
            ..base.clone()
        };
        assert!(reason(&deep).contains("start_level = 13"));
    }

    #[test]
    fn json_fills_in_defaults_and_refuses_typos() {
        let config: PartitionConfig = serde_json::from_str(r#"{"t_min": 5, "location": "plain"}"#).unwrap();
        assert_eq!(config.t_min, 5);
        assert_eq!(config.location, LocationKind::Plain);
        assert_eq!(config.t_max, PartitionConfig::default().t_max);
        assert!(serde_json::from_str::<PartitionConfig>(r#"{"tmin": 5}"#).is_err());
    }
}
