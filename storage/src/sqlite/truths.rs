//! Where predicted photos were really taken.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::predictions::missing;
use super::row::{Columns, json_text, time_text};
use super::store::SqliteCatalog;
use crate::catalog::leaf_of;
use crate::{GroundTruth, Result};

impl SqliteCatalog {
    pub(super) async fn put_ground_truth(&self, truth: &GroundTruth) -> Result<()> {
        let place = truth.place.as_ref();
        if let Some(place) = place {
            place.check()?;
        }
        let done = sqlx::query(
            "INSERT INTO ground_truth (prediction, latitude, longitude, source, created_at, continent, country_code,
                 country, region, locality, leaf)
             SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM predictions WHERE id = ?1
             ON CONFLICT (prediction) DO UPDATE SET latitude = excluded.latitude,
                 longitude = excluded.longitude, source = excluded.source, created_at = excluded.created_at,
                 continent = excluded.continent, country_code = excluded.country_code, country = excluded.country,
                 region = excluded.region, locality = excluded.locality, leaf = excluded.leaf",
        )
        .bind(truth.prediction.to_string())
        .bind(truth.location.latitude())
        .bind(truth.location.longitude())
        .bind(&truth.source)
        .bind(time_text(truth.created_at))
        .bind(place.map(|place| &place.continent))
        .bind(place.map(|place| &place.country_code))
        .bind(place.map(|place| &place.country))
        .bind(place.and_then(|place| place.region.as_ref()))
        .bind(place.and_then(|place| place.locality.as_ref()))
        .bind(leaf_of(truth.location))
        .execute(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        match done.rows_affected() {
            0 => Err(missing(truth.prediction)),
            _ => Ok(()),
        }
    }

    pub(super) async fn one_ground_truth(&self, prediction: Uuid) -> Result<Option<GroundTruth>> {
        let row = sqlx::query("SELECT * FROM ground_truth WHERE prediction = ?1")
            .bind(prediction.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        row.map(|row| read_truth(&row))
            .transpose()
            .map_err(|error| self.error(error))
    }

    pub(super) async fn many_ground_truths(&self, predictions: &[Uuid]) -> Result<Vec<GroundTruth>> {
        let rows =
            sqlx::query("SELECT * FROM ground_truth WHERE prediction IN (SELECT value FROM json_each(?1))")
                .bind(json_text(&predictions)?)
                .fetch_all(&self.pool)
                .await
                .map_err(|error| self.error(error))?;
        let truths: Result<_, _> = rows.iter().map(read_truth).collect();
        truths.map_err(|error| self.error(error))
    }
}

fn read_truth(row: &SqliteRow) -> Result<GroundTruth, sqlx::Error> {
    Ok(GroundTruth {
        prediction: row.uuid("prediction")?,
        location: row.location()?,
        place: row.place()?,
        source: row.try_get("source")?,
        created_at: row.time("created_at")?,
    })
}
