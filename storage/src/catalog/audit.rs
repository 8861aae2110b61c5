//! Who did what that cannot be undone.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// One line of the audit log, which can be added to and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// A UUID of version 7, so that ids are in order of time.
    pub id: Uuid,
    /// When, to the microsecond.
    pub at: DateTime<Utc>,
    /// Who did it, as far as is known.
    pub actor: Option<String>,
    /// What was done, e.g. `references.remove`.
    pub action: String,
    /// What it was done to, e.g. `release 2026-11`. Never a person: the log outlives what it tells of.
    pub subject: String,
    /// More about it: a JSON object.
    pub details: serde_json::Value,
}

impl AuditEntry {
    /// An entry of now, with no actor.
    pub fn new(action: impl Into<String>, subject: impl Into<String>, details: serde_json::Value) -> Self {
        Self {
            id: Uuid::now_v7(),
            at: Utc::now().trunc_subsecs(6),
            actor: None,
            action: action.into(),
            subject: subject.into(),
            details,
        }
    }

    /// The same entry with who did it.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// The same entry with what came of it under `result` in its details.
    pub(crate) fn with_result(&self, result: &impl Serialize) -> Result<Self> {
        let mut entry = self.clone();
        let result = serde_json::to_value(result).map_err(|error| Error::Invalid(error.to_string()))?;
        entry.check()?;
        if let Some(details) = entry.details.as_object_mut() {
            details.insert("result".to_owned(), result);
        }
        Ok(entry)
    }

    /// Checks that the id is of version 7, action and subject are named and the details are an object.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field.
    pub fn check(&self) -> Result<()> {
        if self.id.get_version_num() != 7 {
            return Err(Error::Invalid(format!(
                "audit id {} is no UUID of version 7",
                self.id
            )));
        }
        if self.action.is_empty() || self.subject.is_empty() {
            return Err(Error::Invalid(
                "an audit entry needs an action and a subject".to_owned(),
            ));
        }
        if !self.details.is_object() {
            return Err(Error::Invalid(format!(
                "the details of audit entry {} are no JSON object",
                self.action
            )));
        }
        Ok(())
    }
}

/// Which audit entries to list; an empty filter lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// About this subject.
    pub subject: Option<String>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Not after.
    pub until: Option<DateTime<Utc>>,
}
