//! Bulk loading by COPY: into a table of the connection's own, from there into the real one. So a load can be repeated.

use std::fmt::{self, Write as _};

use geocells::GeocellId;
use sqlx::postgres::{PgConnection, PgCopyIn};
use sqlx::{query, query_scalar};

use super::attempt::{Failure, Repeat, attempt};
use super::releases::get;
use super::store::PostgresCatalog;
use crate::catalog::check_loadable;
use crate::{GeocellRecord, ReferenceImage, ReleaseId, Result};

/// Bytes sent at a time.
const CHUNK: usize = 256 * 1024;

impl PostgresCatalog {
    pub(super) async fn put_geocells(&self, release: &ReleaseId, geocells: &[GeocellRecord]) -> Result<()> {
        attempt!(self, Repeat::Always, {
            let mut transaction = self.begin_long().await?;
            require_loadable(&mut transaction, release).await?;
            query("CREATE TEMPORARY TABLE IF NOT EXISTS loading_geocells (row bigint, level bigint, position bigint, token text, parent_token text, photos bigint, latitude double precision, longitude double precision) ON COMMIT DELETE ROWS")
                .execute(&mut *transaction)
                .await?;
            let mut copy = Copy::begin(&mut transaction, "COPY loading_geocells FROM STDIN").await?;
            for (index, geocell) in geocells.iter().enumerate() {
                copy.number(index);
                copy.number(geocell.level);
                copy.number(geocell.index);
                copy.text(&geocell.token.token());
                copy.optional(geocell.parent.map(GeocellId::token).as_deref());
                copy.number(geocell.photos);
                copy.number(geocell.location.latitude());
                copy.number(geocell.location.longitude());
                copy.end_row().await?;
            }
            copy.finish().await?;
            // The last of rows with one key stands, also where a token has moved to another position.
            query("DELETE FROM geocells AS old USING loading_geocells AS new WHERE old.release = $1 AND old.level = new.level AND old.token = new.token AND old.position <> new.position")
                .bind(release.as_str())
                .execute(&mut *transaction)
                .await?;
            query(
                "INSERT INTO geocells (release, level, position, token, parent_token, photos, latitude, longitude)
                 SELECT DISTINCT ON (level, position) $1, level, position, token, parent_token, photos, latitude, longitude
                 FROM loading_geocells ORDER BY level, position, row DESC
                 ON CONFLICT (release, level, position) DO UPDATE SET token = excluded.token,
                     parent_token = excluded.parent_token, photos = excluded.photos, latitude = excluded.latitude,
                     longitude = excluded.longitude",
            )
            .bind(release.as_str())
            .execute(&mut *transaction)
            .await?;
            self.commit(transaction).await
        })
    }

    pub(super) async fn put_reference_images(
        &self,
        release: &ReleaseId,
        images: &[ReferenceImage],
    ) -> Result<()> {
        attempt!(self, Repeat::Always, {
            let mut transaction = self.begin_long().await?;
            require_loadable(&mut transaction, release).await?;
            query("CREATE TEMPORARY TABLE IF NOT EXISTS loading_reference_images (row bigint, id uuid, path text, latitude double precision, longitude double precision, token text, sha256 text, captured_at timestamptz, uploader text) ON COMMIT DELETE ROWS")
                .execute(&mut *transaction)
                .await?;
            let mut copy = Copy::begin(&mut transaction, "COPY loading_reference_images FROM STDIN").await?;
            for (index, image) in images.iter().enumerate() {
                copy.number(index);
                copy.text(&image.id.to_string());
                copy.text(&image.path);
                copy.number(image.location.latitude());
                copy.number(image.location.longitude());
                copy.optional(image.geocell.map(GeocellId::token).as_deref());
                copy.text(&image.sha256);
                copy.optional(image.captured_at.map(|at| at.to_rfc3339()).as_deref());
                copy.optional(image.uploader.as_deref());
                copy.end_row().await?;
            }
            copy.finish().await?;
            query(
                "INSERT INTO reference_images
                     (release, id, path, latitude, longitude, token, sha256, captured_at, uploader)
                 SELECT DISTINCT ON (id) $1, id, path, latitude, longitude, token, sha256, captured_at, uploader
                 FROM loading_reference_images ORDER BY id, row DESC
                 ON CONFLICT (release, id) DO UPDATE SET path = excluded.path, latitude = excluded.latitude,
                     longitude = excluded.longitude, token = excluded.token, sha256 = excluded.sha256,
                     captured_at = excluded.captured_at, uploader = excluded.uploader",
            )
            .bind(release.as_str())
            .execute(&mut *transaction)
            .await?;
            self.commit(transaction).await
        })
    }
}

/// A release that is there and was not pruned, and is not while the transaction lasts.
async fn require_loadable(connection: &mut PgConnection, release: &ReleaseId) -> Result<(), Failure> {
    query_scalar!(
        "SELECT status FROM releases WHERE id = $1 FOR KEY SHARE",
        release.as_str()
    )
    .fetch_optional(&mut *connection)
    .await?;
    check_loadable(&get(connection, release).await?)?;
    Ok(())
}

/// Rows in COPY's text format.
struct Copy<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    buffer: String,
    begun: bool,
}

impl<'c> Copy<'c> {
    async fn begin(connection: &'c mut PgConnection, statement: &'static str) -> Result<Self, Failure> {
        Ok(Self {
            copy: connection.copy_in_raw(statement).await?,
            buffer: String::with_capacity(CHUNK + 1024),
            begun: false,
        })
    }

    fn next_column(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            self.buffer.push('\t');
        }
    }

    /// A number, in the shortest form that reads back as the same one.
    fn number(&mut self, value: impl fmt::Display) {
        self.next_column();
        // Writing to a string cannot fail.
        let _ = write!(self.buffer, "{value}");
    }

    fn text(&mut self, value: &str) {
        self.next_column();
        for character in value.chars() {
            match character {
                '\\' => self.buffer.push_str("\\\\"),
                '\t' => self.buffer.push_str("\\t"),
                '\n' => self.buffer.push_str("\\n"),
                '\r' => self.buffer.push_str("\\r"),
                other => self.buffer.push(other),
            }
        }
    }

    fn optional(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => {
                self.next_column();
                self.buffer.push_str("\\N");
            }
        }
    }

    async fn end_row(&mut self) -> Result<(), Failure> {
        self.buffer.push('\n');
        self.begun = false;
        if self.buffer.len() >= CHUNK {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        self.copy.send(self.buffer.as_bytes()).await?;
        self.buffer.clear();
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Failure> {
        self.send().await?;
        self.copy.finish().await?;
        Ok(())
    }
}
