//! API keys: how they look, and who holds the one of a request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{SubsecRound, Utc};
use sha2::{Digest, Sha256};
use storage::{ApiKey, Catalog, Scope};
use uuid::Uuid;

use crate::caller::Caller;
use crate::request_error::{Code, RequestError};

/// What every key begins with, so that people and scanners of leaked secrets know it.
const PREFIX: &str = "gsk_";
/// A key that was looked up is not looked up again for so long; a revocation is noticed after at most this time.
const KNOWN_FOR: Duration = Duration::from_secs(5);
/// Keys and refused texts remembered.
const MOST_KNOWN: usize = 4096;
/// The last use of a key is written once in this time.
const USE_WRITTEN_EVERY: Duration = Duration::from_secs(60);

/// Makes a key of 256 random bits: its text, to be shown once, and the digest to be kept.
#[must_use]
pub fn new_key() -> (String, String) {
    let random: [u8; 32] = rand::random();
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let digest = digest(&text);
    (text, digest)
}

/// The digest of a key's text, as catalogs keep it. The text has 256 random bits, so that a plain digest cannot be turned back.
fn digest(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

/// Knows the holders of keys.
pub(crate) struct Keys {
    catalog: Arc<dyn Catalog>,
    required: bool,
    /// What callers without a key may do where none is asked for.
    keyless: Scope,
    known: Mutex<HashMap<String, Known>>,
    uses: Mutex<HashMap<Uuid, Instant>>,
}

#[derive(Clone)]
struct Known {
    key: Option<Arc<ApiKey>>,
    since: Instant,
}

impl Keys {
    pub(crate) fn new(catalog: Arc<dyn Catalog>, required: bool, keyless: Scope) -> Self {
        Self {
            catalog,
            required,
            keyless,
            known: Mutex::default(),
            uses: Mutex::default(),
        }
    }

    /// Whether callers need a key.
    pub(crate) fn required(&self) -> bool {
        self.required
    }

    /// Who asks, by the `Authorization` header of the request.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` without a key that works, where one is asked for, and for a key that does not work anywhere.
    pub(crate) async fn caller(&self, authorization: Option<&str>) -> Result<Caller, RequestError> {
        let Some(authorization) = authorization else {
            if self.required {
                return Err(unauthenticated("this service asks for an API key"));
            }
            return Ok(Caller::keyless(self.keyless));
        };
        let text = authorization
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, text)| text.trim())
            .ok_or_else(|| unauthenticated("the Authorization header must be `Bearer` and an API key"))?;
        // Anything else is not worth a look-up.
        if !text.starts_with(PREFIX) || text.len() > 100 {
            return Err(unauthenticated("this is no API key of this program"));
        }
        let key = self.find(&digest(text)).await?;
        let key = key
            .filter(|key| key.revoked_at.is_none())
            .ok_or_else(|| unauthenticated("this API key is unknown or was revoked"))?;
        self.mark_used(&key);
        Ok(Caller::holder(key))
    }

    async fn find(&self, digest: &str) -> Result<Option<Arc<ApiKey>>, RequestError> {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known
                .get(digest)
                .filter(|known| known.since.elapsed() < KNOWN_FOR)
            {
                return Ok(known.key.clone());
            }
        }
        let key = self.catalog.api_key_by_sha256(digest).await?.map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, known| known.since.elapsed() < KNOWN_FOR);
        }
        if known.len() < MOST_KNOWN {
            let found = Known {
                key: key.clone(),
                since: Instant::now(),
            };
            known.insert(digest.to_owned(), found);
        }
        Ok(key)
    }

    /// Writes the key's last use now and then, off the request's path.
    fn mark_used(&self, key: &ApiKey) {
        {
            let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            let written = uses.get(&key.id);
            if written.is_some_and(|written| written.elapsed() < USE_WRITTEN_EVERY) {
                return;
            }
            uses.insert(key.id, Instant::now());
        }
        let (catalog, id) = (self.catalog.clone(), key.id);
        tokio::spawn(async move {
            let now = Utc::now().trunc_subsecs(6);
            if let Err(error) = catalog.touch_api_key(id, now).await {
                tracing::warn!(%error, key = %id, "the use of an API key could not be recorded");
            }
        });
    }
}

fn unauthenticated(reason: &str) -> RequestError {
    RequestError::new(
        Code::Unauthenticated,
        format!(
            "{reason}; send the header `Authorization: Bearer gsk_…` (`geosurge keys create` makes keys)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_kept_as_digests() {
        let (text, kept) = new_key();
        let random = URL_SAFE_NO_PAD
            .decode(text.strip_prefix(PREFIX).unwrap())
            .unwrap();
        assert_eq!(random.len() * 8, 256);
        assert_eq!(kept, digest(&text));
        assert!(!kept.contains(&text[4..]));
        assert_ne!(new_key().0, text);
    }
}
