//! Waiting for a release to change, by NOTIFY.
//!
//! One task a catalog listens, from the first time that someone waits. It tells the waiters of every notification, and of every
//! time that it has begun to listen: what happened while it did not listen, they find by asking.

use std::sync::Mutex;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::store::PostgresCatalog;
use crate::Result;

/// The channel that the triggers of `releases` notify.
const CHANNEL: &str = "geosurge_releases";

/// How long a waiter trusts the listener. A connection that died without a word brings no notification.
const ASK_ANYWAY: Duration = Duration::from_secs(15);

/// How long the listener waits after a failure.
const RECONNECT: Duration = Duration::from_millis(500);

/// The task that listens, and what it tells.
#[derive(Default)]
pub(super) struct Listener {
    running: Mutex<Option<(watch::Receiver<u64>, JoinHandle<()>)>>,
}

impl Listener {
    /// A receiver that changes whenever a waiter should ask.
    fn subscribe(&self, pool: &PgPool) -> watch::Receiver<u64> {
        let mut running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((receiver, task)) = running.as_ref()
            && !task.is_finished()
        {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(0);
        let task = tokio::spawn(listen(pool.clone(), sender));
        *running = Some((receiver.clone(), task));
        receiver
    }

    /// Ends the task.
    pub(super) fn stop(&self) {
        let mut running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, task)) = running.take() {
            task.abort();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(pool: PgPool, sender: watch::Sender<u64>) {
    while !pool.is_closed() {
        if let Err(error) = listen_once(&pool, &sender).await {
            tracing::warn!(%error, "no notifications from the catalog for now; it is asked instead");
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Listens until the connection is lost.
async fn listen_once(pool: &PgPool, sender: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    sender.send_modify(|told| *told += 1);
    while listener.try_recv().await?.is_some() {
        sender.send_modify(|told| *told += 1);
    }
    Ok(())
}

impl PostgresCatalog {
    pub(super) async fn wait_for_other_changes(&self, seen: u64, limit: Duration) -> Result<u64> {
        let deadline = Instant::now() + limit;
        let mut told = self.listener.subscribe(&self.pool);
        loop {
            // From here on nothing is missed: what is told after this makes `changed` return at once.
            told.borrow_and_update();
            let changes = self.count_changes().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if changes != seen || left.is_zero() {
                return Ok(changes);
            }
            // A listener that has ended is started again the next time round.
            if let Ok(Err(_)) = timeout(left.min(ASK_ANYWAY), told.changed()).await {
                tokio::time::sleep(RECONNECT.min(left)).await;
                told = self.listener.subscribe(&self.pool);
            }
        }
    }
}
