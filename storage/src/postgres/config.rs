//! Where the database is, and how it is used.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};

use super::error::translate;
use crate::{Error, Result};

/// Where the database is, and how it is used. Its password is never shown.
#[derive(Clone)]
pub struct PostgresConfig {
    options: PgConnectOptions,
    /// Connections that a process keeps at most; one more listens for changes. The server's `max_connections` has to hold
    /// those of all processes.
    pub max_connections: u32,
    /// How long a statement may take. Loads, pruning and retention set their own, longer limit.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
    /// How long a caller waits for a connection, also while the server starts.
    pub acquire_timeout: Duration,
    /// What the server calls this process in `pg_stat_activity`.
    pub application_name: String,
}

impl PostgresConfig {
    /// Reads a URL, `postgres://user:password@host:port/database?sslmode=verify-full`, and sets the usual limits. What the URL
    /// leaves out comes from `PGHOST`, `PGUSER`, `PGPASSWORD`, `PGSSLMODE` and the password file, as with every client.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another text, which is not repeated: it may hold a password.
    pub fn new(url: &str) -> Result<Self> {
        let url = url.trim();
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(Error::Invalid(
                "the database URL does not begin with postgres://".to_owned(),
            ));
        }
        let options: PgConnectOptions = url.parse().map_err(|_| {
            Error::Invalid(
                "the database URL is not of the form postgres://user:password@host:port/database: percent-encode what is special in the password"
                    .to_owned(),
            )
        })?;
        Ok(Self {
            options: options.disable_statement_logging(),
            max_connections: 10,
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(10),
            application_name: "geosurge".to_owned(),
        })
    }

    /// The same with a password, as read from a file of its own.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.options = self.options.password(password);
        self
    }

    /// The database in words, without the password.
    pub fn name(&self) -> String {
        let host = match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        };
        let user = self.options.get_username();
        format!(
            "postgres://{user}@{host}/{}",
            self.options.get_database().unwrap_or(user)
        )
    }

    /// How every connection is opened. An abandoned transaction is ended, so that it holds no lock for ever.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        let milliseconds = |duration: Duration| duration.as_millis().max(1).to_string();
        self.options
            .clone()
            .application_name(&self.application_name)
            .options([
                ("statement_timeout", milliseconds(self.statement_timeout)),
                ("lock_timeout", milliseconds(self.lock_timeout)),
                ("idle_in_transaction_session_timeout", "60000".to_owned()),
                ("timezone", "UTC".to_owned()),
            ])
    }

    /// Connects. A server that is starting is waited for.
    pub(super) async fn connect(&self) -> Result<PgPool> {
        PgPoolOptions::new()
            .max_connections(self.max_connections.max(1) + 1)
            .acquire_timeout(self.acquire_timeout)
            .connect_with(self.connect_options())
            .await
            .map_err(|error| translate(&self.name(), error))
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("database", &self.name())
            .field("max_connections", &self.max_connections)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("application_name", &self.application_name)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let config = PostgresConfig::new("postgres://me:s3cret@db.example:5433/geo").unwrap();
        assert_eq!(config.name(), "postgres://me@db.example:5433/geo");
        assert!(!format!("{config:?}").contains("s3cret"));
        let config = config.with_password("an0ther");
        assert!(!format!("{config:?}").contains("an0ther"));
        for bad in [
            "mysql://me:s3cret@db",
            "postgres://me:s3cret@db:port/geo",
            "s3cret",
            "",
        ] {
            let error = PostgresConfig::new(bad).unwrap_err();
            assert!(
                matches!(error, Error::Invalid(_)) && !error.to_string().contains("s3cret"),
                "{error}"
            );
        }
    }
}
