//! Holding a release: an advisory lock of a connection of its own.

use std::sync::Mutex;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, query_scalar};

use super::error::translate;
use super::store::PostgresCatalog;
use crate::catalog::Hold;
use crate::{Error, ReleaseId, Result};

/// How often a lock is asked for. The server learns of a connection that was closed a moment after its owner.
const TRIES: u32 = 10;

/// The wait between two tries.
const WAIT: Duration = Duration::from_millis(50);

impl PostgresCatalog {
    /// Locks the release's name for as long as a connection lives that nothing else uses. The server gives the lock back when that
    /// connection ends, however it ends: also when the server itself is stopped, after which another process can take it.
    pub(super) async fn hold_release(&self, release: &ReleaseId) -> Result<Hold> {
        let failed = |error| translate(&self.name, error);
        let mut connection = self.pool.connect_options().connect().await.map_err(failed)?;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(WAIT).await;
            }
            let held: bool =
                query_scalar("SELECT pg_try_advisory_lock(hashtextextended('geosurge release ' || $1, 0))")
                    .bind(release.as_str())
                    .fetch_one(&mut connection)
                    .await
                    .map_err(failed)?;
            if held {
                // A connection can be sent but not shared between threads, which a guard must permit.
                return Ok(Hold::new(Mutex::new(connection)));
            }
        }
        Err(Error::Held {
            what: format!("release {release}"),
            holder: holder(&mut connection, release)
                .await
                .map_err(failed)?
                .unwrap_or_else(|| "another process".to_owned()),
        })
    }
}

/// Who has the lock, as far as the server lets this user see.
async fn holder(connection: &mut PgConnection, release: &ReleaseId) -> Result<Option<String>, sqlx::Error> {
    let holder: Option<Option<String>> = query_scalar(
        "SELECT activity.application_name || ' (server process ' || activity.pid || coalesce(' for ' || host(activity.client_addr), '') || ')'
         FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
         CROSS JOIN (SELECT hashtextextended('geosurge release ' || $1, 0) AS key) AS wanted
         WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
           AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (lock.classid::bigint << 32 | lock.objid::bigint) = wanted.key
         LIMIT 1",
    )
    .bind(release.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(holder.flatten())
}
