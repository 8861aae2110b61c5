//! A writing transaction.

use std::ops::{Deref, DerefMut};

use sqlx::SqliteTransaction;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::OwnedMutexGuard;

/// A transaction that holds the file's write lock, in its turn among the writers of this process.
///
/// SQLite lets those who find the lock taken sleep and try again, longer each time, so that of many writers most would sleep while
/// nobody writes. Here they queue, and only writers of other processes are met by sleeping.
pub(super) struct Write {
    // Ends before the turn does.
    transaction: SqliteTransaction<'static>,
    _turn: OwnedMutexGuard<()>,
}

impl Write {
    pub(super) fn new(transaction: SqliteTransaction<'static>, turn: OwnedMutexGuard<()>) -> Self {
        Self {
            transaction,
            _turn: turn,
        }
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        self.transaction.commit().await
    }

    pub(super) async fn rollback(self) -> sqlx::Result<()> {
        self.transaction.rollback().await
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}
