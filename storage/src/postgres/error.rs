//! What Postgres's errors mean here.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

use crate::Error;

/// Names the database, and sorts the error by what a person can do about it.
pub(super) fn translate(store: &str, error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(database) => {
            let reason = database.message().to_owned();
            let code = database.code().unwrap_or_default().into_owned();
            by_code(store, &code, &reason)
        }
        sqlx::Error::PoolTimedOut => Error::Unavailable(format!(
            "{store}: no connection in time; the server is down, or all connections are busy"
        )),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            Error::Corrupt {
                path: PathBuf::from(store),
                reason: error.to_string(),
            }
        }
        sqlx::Error::Encode(error) => Error::Invalid(error.to_string()),
        sqlx::Error::Tls(error) => Error::Unavailable(format!(
            "{store}: no encrypted connection: {error}; check sslmode and the server's certificate"
        )),
        other => Error::Unavailable(format!("{store}: {other}")),
    }
}

/// Sorts by SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn by_code(store: &str, code: &str, reason: &str) -> Error {
    match code {
        "53100" => Error::DiskFull {
            path: PathBuf::from(store),
        },
        "53300" => Error::Unavailable(format!(
            "{store}: too many connections: raise max_connections of the server or lower those of the clients"
        )),
        "25006" => Error::ReadOnly {
            store: store.to_owned(),
        },
        "57014" => Error::Unavailable(format!("{store}: a statement took too long and was cancelled")),
        "55P03" => Error::Unavailable(format!("{store}: a lock was not free in time")),
        "40001" | "40P01" => {
            Error::Unavailable(format!("{store}: writers were in one another's way: {reason}"))
        }
        "28000" | "28P01" => Error::Denied {
            store: store.to_owned(),
            reason: format!("{reason}: check user and password of the database URL"),
        },
        "42501" => Error::Denied {
            store: store.to_owned(),
            reason: format!("{reason}: connect as the owner of the tables, or ask for the privilege"),
        },
        "3D000" => Error::NotFound {
            what: format!("database {store}"),
        },
        "3F000" | "42P01" | "42703" | "42883" => Error::Conflict(format!(
            "{store} has another schema ({reason}): run `geosurge migrate`"
        )),
        "XX001" | "XX002" => Error::Corrupt {
            path: PathBuf::from(store),
            reason: reason.to_owned(),
        },
        _ => match code.get(..2) {
            // Data exceptions: a text with a NUL, a number out of range.
            Some("22") => Error::Invalid(reason.to_owned()),
            Some("23") => Error::Conflict(format!("{store}: {reason}")),
            // Lost connections, resources, shutdowns and the rest.
            _ => Error::Unavailable(format!("{store}: {reason}")),
        },
    }
}

/// True where the server says that it took the whole transaction back because others were in its way.
pub(super) fn was_in_the_way(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|database| database.code())
        .is_some_and(|code| matches!(code.as_ref(), "40001" | "40P01" | "55P03"))
}

/// True where a connection was lost, so that another one may do. Waiting for a connection was already done.
pub(super) fn lost_the_server(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            // 57P01 shut down by an administrator, 57P02 crash, 57P03 starting; 08 connection; 53300 too many connections.
            code.starts_with("57P") || code.starts_with("08") || code == "53300"
        }),
        _ => false,
    }
}

/// The name of the constraint that was violated, with the kind of violation.
pub(super) fn violation(error: &sqlx::Error) -> Option<Violation<'_>> {
    let database = error.as_database_error()?;
    match database.code()?.as_ref() {
        "23505" => Some(Violation::Unique),
        "23503" => Some(Violation::ForeignKey(database.constraint())),
        _ => None,
    }
}

/// A constraint that a write met.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Violation<'a> {
    /// The row is there already.
    Unique,
    /// What the row refers to is not there; the constraint's name, if it is one.
    ForeignKey(Option<&'a str>),
}

/// Migrations fail for their own reasons.
pub(super) fn translate_migration(store: &str, error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => translate(store, error),
        other => Error::Conflict(format!("{store} cannot be migrated: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_can_be_done() {
        let of = |code| by_code("postgres://me@db/geo", code, "reason");
        assert!(matches!(of("53100"), Error::DiskFull { .. }));
        assert!(matches!(of("25006"), Error::ReadOnly { .. }));
        assert!(matches!(of("28P01"), Error::Denied { .. }));
        assert!(matches!(of("23514"), Error::Conflict(_)));
        assert!(matches!(of("22021"), Error::Invalid(_)));
        assert!(of("3D000").is_not_found());
        for transient in [
            "53300", "57P01", "57P03", "08006", "40001", "40P01", "55P03", "57014",
        ] {
            assert!(of(transient).is_transient(), "{transient}");
        }
        for code in ["53100", "25006", "28P01", "3D000", "53300"] {
            assert!(of(code).to_string().contains("postgres://me@db/geo"), "{code}");
        }
    }
}
