//! Repeating what failed for a passing reason, where that cannot do a thing twice.

use std::time::Duration;

use uuid::Uuid;

use super::error::{lost_the_server, translate, was_in_the_way};
use crate::Error;

/// How often a thing is tried.
const ATTEMPTS: u32 = 6;

/// The wait after the first failure; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Why an attempt failed.
pub(super) enum Failure {
    /// A statement; nothing of the transaction is left.
    Statement(sqlx::Error),
    /// The end of the transaction, so that nobody knows whether it happened.
    Commit(sqlx::Error),
    /// An error of ours, which trying again does not change.
    Ours(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Failure::Statement(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Ours(error)
    }
}

/// Whether a thing may be done again that perhaps was done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Doing it twice is as doing it once.
    Always,
    /// Only where it was surely not done.
    IfUndone,
}

/// The attempts at one thing.
pub(super) struct Attempts<'a> {
    store: &'a str,
    repeat: Repeat,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(store: &'a str, repeat: Repeat) -> Self {
        Self {
            store,
            repeat,
            failed: 0,
        }
    }

    /// Waits and returns nothing where the thing should be tried again, otherwise the error to give up with.
    pub(super) async fn after(&mut self, failure: Failure) -> Option<Error> {
        self.failed += 1;
        let (error, again) = match failure {
            Failure::Ours(error) => return Some(error),
            Failure::Statement(error) => {
                let again = lost_the_server(&error) || was_in_the_way(&error);
                (error, again)
            }
            Failure::Commit(error) => {
                let again =
                    was_in_the_way(&error) || (self.repeat == Repeat::Always && lost_the_server(&error));
                (error, again)
            }
        };
        if !again || self.failed >= ATTEMPTS {
            return Some(translate(self.store, error));
        }
        let wait = FIRST_WAIT * 2_u32.pow(self.failed - 1);
        tracing::warn!(%error, attempt = self.failed, "the catalog failed for now; trying again");
        tokio::time::sleep(wait + jitter(wait / 2)).await;
        None
    }
}

/// A random part of a wait, so that writers that met once do not meet again.
fn jitter(most: Duration) -> Duration {
    let random = (Uuid::new_v4().as_u128() & 0xffff) as u32;
    most * random / 0xffff
}

/// Evaluates a block until it succeeds or fails for good. In the block, `?` takes errors of sqlx and of this crate.
macro_rules! attempt {
    ($catalog:expr, $repeat:expr, $block:block) => {{
        let mut attempts = $crate::postgres::attempt::Attempts::new(&$catalog.name, $repeat);
        loop {
            let outcome: ::std::result::Result<_, $crate::postgres::attempt::Failure> =
                async { $block }.await;
            match outcome {
                Ok(done) => break Ok(done),
                Err(failure) => {
                    if let Some(error) = attempts.after(failure).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

pub(super) use attempt;
