//! Where predicted photos were really taken.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::attempt::{Failure, Repeat, attempt};
use super::predictions::missing;
use super::row::{location, place};
use super::store::PostgresCatalog;
use crate::catalog::leaf_of;
use crate::{GroundTruth, Result};

/// A row of `ground_truth`.
struct TruthRow {
    prediction: Uuid,
    latitude: f64,
    longitude: f64,
    source: String,
    created_at: DateTime<Utc>,
    continent: Option<String>,
    country_code: Option<String>,
    country: Option<String>,
    region: Option<String>,
    locality: Option<String>,
}

impl PostgresCatalog {
    pub(super) async fn put_ground_truth(&self, truth: &GroundTruth) -> Result<()> {
        let name = truth.place.as_ref();
        if let Some(name) = name {
            name.check()?;
        }
        attempt!(self, Repeat::Always, {
            let done = query!(
                "INSERT INTO ground_truth (prediction, latitude, longitude, source, created_at, continent, country_code,
                     country, region, locality, leaf)
                 SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM predictions WHERE id = $1
                 ON CONFLICT (prediction) DO UPDATE SET latitude = excluded.latitude,
                     longitude = excluded.longitude, source = excluded.source, created_at = excluded.created_at,
                     continent = excluded.continent, country_code = excluded.country_code, country = excluded.country,
                     region = excluded.region, locality = excluded.locality, leaf = excluded.leaf",
                truth.prediction,
                truth.location.latitude(),
                truth.location.longitude(),
                truth.source,
                truth.created_at,
                name.map(|name| name.continent.as_str()),
                name.map(|name| name.country_code.as_str()),
                name.map(|name| name.country.as_str()),
                name.and_then(|name| name.region.as_deref()),
                name.and_then(|name| name.locality.as_deref()),
                leaf_of(truth.location),
            )
            .execute(&self.pool)
            .await
            .map_err(Failure::Commit)?;
            match done.rows_affected() {
                0 => Err(Failure::Ours(missing(truth.prediction))),
                _ => Ok(()),
            }
        })
    }

    pub(super) async fn one_ground_truth(&self, prediction: Uuid) -> Result<Option<GroundTruth>> {
        Ok(self.many_ground_truths(&[prediction]).await?.pop())
    }

    pub(super) async fn many_ground_truths(&self, predictions: &[Uuid]) -> Result<Vec<GroundTruth>> {
        attempt!(self, Repeat::Always, {
            let rows = query_as!(
                TruthRow,
                "SELECT prediction, latitude, longitude, source, created_at, continent, country_code, country, region,
                     locality
                 FROM ground_truth WHERE prediction = ANY($1)",
                predictions
            )
            .fetch_all(&self.pool)
            .await?;
            Ok(rows
                .into_iter()
                .map(GroundTruth::try_from)
                .collect::<Result<_, sqlx::Error>>()?)
        })
    }
}

impl TryFrom<TruthRow> for GroundTruth {
    type Error = sqlx::Error;

    fn try_from(row: TruthRow) -> Result<Self, sqlx::Error> {
        Ok(GroundTruth {
            prediction: row.prediction,
            location: location(row.latitude, row.longitude)?,
            place: place(
                row.continent,
                row.country_code,
                row.country,
                row.region,
                row.locality,
            ),
            source: row.source,
            created_at: row.created_at,
        })
    }
}
