//! What SQLite's errors mean here.

use std::path::Path;

use crate::Error;

/// Names the file, and sorts the error by what a person can do about it.
pub(super) fn translate(path: &Path, error: sqlx::Error) -> Error {
    let path = path.to_owned();
    match error {
        sqlx::Error::Database(database) => {
            let reason = database.message().to_owned();
            // The primary result code is the low byte of the extended one: https://www.sqlite.org/rescode.html
            let code = database.code().and_then(|code| code.parse::<u32>().ok());
            match code.map(|code| code & 0xff) {
                Some(5 | 6) => Error::Locked {
                    path,
                    holder: "another writer".to_owned(),
                },
                Some(8 | 10 | 14) => Error::Io {
                    path,
                    source: std::io::Error::other(reason),
                },
                Some(11 | 26) => Error::Corrupt { path, reason },
                Some(13) => Error::DiskFull { path },
                Some(19) => Error::Conflict(format!("{}: {reason}", path.display())),
                _ => Error::Unavailable(format!("{}: {reason}", path.display())),
            }
        }
        sqlx::Error::Io(source) => Error::io(path, source),
        sqlx::Error::PoolTimedOut => {
            Error::Unavailable(format!("{}: all connections are busy", path.display()))
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Error::Corrupt {
            path,
            reason: error.to_string(),
        },
        other => Error::Unavailable(format!("{}: {other}", path.display())),
    }
}
