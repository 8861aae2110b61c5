//! What people call a place.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of a place, from the continent down. Stored as plain columns, because analytics group by them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlaceName {
    /// The continent, e.g. `Europe`.
    pub continent: String,
    /// The country's code of two capital letters (ISO 3166-1 alpha-2), e.g. `FR`.
    pub country_code: String,
    /// The country, e.g. `France`.
    pub country: String,
    /// The first division of the country, e.g. `Île-de-France`.
    pub region: Option<String>,
    /// The town or city, e.g. `Paris`.
    pub locality: Option<String>,
}

impl PlaceName {
    /// Checks that the continent and the country are named and the code is two capital letters.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field.
    pub fn check(&self) -> Result<()> {
        let code = self.country_code.as_bytes();
        if code.len() != 2 || !code.iter().all(u8::is_ascii_uppercase) {
            return Err(Error::Invalid(format!(
                "country code {:?} is not two capital letters",
                self.country_code
            )));
        }
        for (field, name) in [("continent", &self.continent), ("country", &self.country)] {
            if name.is_empty() {
                return Err(Error::Invalid(format!(
                    "the {field} of {} has no name",
                    self.country_code
                )));
            }
        }
        Ok(())
    }
}
