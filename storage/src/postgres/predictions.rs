//! Predictions with their candidates and levels.

use sqlx::{Postgres, QueryBuilder, query, query_as};
use uuid::Uuid;

use super::attempt::{Failure, Repeat, attempt};
use super::error::{Violation, violation};
use super::prediction_row::{CellRow, PredictionRow, assemble, within_by_km};
use super::releases::missing as missing_release;
use super::row::{stored, to_json};
use super::store::PostgresCatalog;
use crate::{Error, Prediction, PredictionFilter, Result, Shadows};

impl PostgresCatalog {
    /// One statement, so that all of it is there or nothing. Repeated after a lost connection; where the first attempt was done
    /// after all, the second finds the same prediction there and is content.
    pub(super) async fn insert_prediction(&self, prediction: &Prediction) -> Result<()> {
        prediction.check()?;
        let mut first = true;
        attempt!(self, Repeat::Always, {
            let again = !std::mem::take(&mut first);
            let Err(error) = self.insert_once(prediction).await else {
                return Ok(());
            };
            let Failure::Commit(error) = error else {
                return Err(error);
            };
            match violation(&error) {
                Some(Violation::Unique) if again && self.is_recorded(prediction).await? => Ok(()),
                Some(Violation::Unique) => Err(Failure::Ours(Error::Conflict(format!(
                    "prediction {} is recorded already",
                    prediction.id
                )))),
                Some(Violation::ForeignKey(Some(constraint))) if constraint.contains("release") => {
                    Err(Failure::Ours(missing_release(&prediction.release)))
                }
                Some(Violation::ForeignKey(_)) => Err(Failure::Ours(missing(
                    prediction.shadow_of.unwrap_or(prediction.id),
                ))),
                None => Err(Failure::Commit(error)),
            }
        })
    }

    async fn is_recorded(&self, prediction: &Prediction) -> Result<bool> {
        Ok(self.one_prediction(prediction.id).await? == *prediction)
    }

    async fn insert_once(&self, prediction: &Prediction) -> Result<(), Failure> {
        let place = prediction.place.as_ref();
        let mut ranks = Vec::new();
        let mut tokens = Vec::new();
        let mut numbers: [Vec<f64>; 3] = Default::default();
        for (rank, candidate) in (1_i64..).zip(&prediction.candidates) {
            ranks.push(rank);
            tokens.push(candidate.token.token());
            numbers[0].push(candidate.probability);
            numbers[1].push(candidate.location.latitude());
            numbers[2].push(candidate.location.longitude());
        }
        let mut levels = Vec::new();
        let mut level_tokens = Vec::new();
        let mut level_numbers: [Vec<f64>; 3] = Default::default();
        for level in &prediction.levels {
            levels.push(stored(level.level)?);
            level_tokens.push(level.token.token());
            level_numbers[0].push(level.probability);
            level_numbers[1].push(level.location.latitude());
            level_numbers[2].push(level.location.longitude());
        }
        query!(
            r#"WITH prediction AS (
                 INSERT INTO predictions
                     (id, release, created_at, photo_sha256, file_name, latitude, longitude, confidence, within, entropy,
                      cannot_tell, credible_region, "references", timings, client, shadow_of, continent, country_code,
                      country, region, locality)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
             ), candidates AS (
                 INSERT INTO prediction_candidates (prediction, rank, token, probability, latitude, longitude)
                 SELECT $1, c.* FROM unnest($22::bigint[], $23::text[], $24::float8[], $25::float8[], $26::float8[]) AS c
             )
             INSERT INTO prediction_levels (prediction, level, token, probability, latitude, longitude)
             SELECT $1, l.* FROM unnest($27::bigint[], $28::text[], $29::float8[], $30::float8[], $31::float8[]) AS l"#,
            prediction.id,
            prediction.release.as_str(),
            prediction.created_at,
            prediction.photo_sha256,
            prediction.file_name,
            prediction.location.latitude(),
            prediction.location.longitude(),
            prediction.confidence,
            to_json(&within_by_km(prediction.within))?,
            prediction.entropy,
            prediction.cannot_tell,
            to_json(&prediction.credible_region)?,
            to_json(&prediction.references)?,
            to_json(&prediction.timings)?,
            prediction.client,
            prediction.shadow_of,
            place.map(|place| place.continent.as_str()),
            place.map(|place| place.country_code.as_str()),
            place.map(|place| place.country.as_str()),
            place.and_then(|place| place.region.as_deref()),
            place.and_then(|place| place.locality.as_deref()),
            &ranks,
            &tokens,
            &numbers[0],
            &numbers[1],
            &numbers[2],
            &levels,
            &level_tokens,
            &level_numbers[0],
            &level_numbers[1],
            &level_numbers[2],
        )
        .execute(&self.pool)
        .await
        .map_err(Failure::Commit)?;
        Ok(())
    }

    pub(super) async fn one_prediction(&self, id: Uuid) -> Result<Prediction> {
        attempt!(self, Repeat::Always, {
            let row = query_as!(PredictionRow, "SELECT * FROM predictions WHERE id = $1", id)
                .fetch_optional(&self.pool)
                .await?
                .ok_or_else(|| missing(id))?;
            let mut found = self.whole(vec![row]).await?;
            Ok(found.pop().ok_or_else(|| missing(id))?)
        })
    }

    pub(super) async fn page_of_predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Prediction>> {
        let limit = stored(limit)?;
        attempt!(self, Repeat::Always, {
            let mut select = QueryBuilder::<Postgres>::new("SELECT * FROM predictions WHERE TRUE");
            push_filter(&mut select, filter);
            if let Some(after) = after {
                select.push(" AND id < ").push_bind(after);
            }
            select.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
            let rows: Vec<PredictionRow> = select.build_query_as().fetch_all(&self.pool).await?;
            self.whole(rows).await
        })
    }

    /// Reads, in a query each, the candidates and levels of predictions.
    async fn whole(&self, rows: Vec<PredictionRow>) -> Result<Vec<Prediction>, Failure> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let candidates = query_as!(
            CellRow,
            "SELECT prediction, rank AS place, token, probability, latitude, longitude FROM prediction_candidates
             WHERE prediction = ANY($1) ORDER BY prediction, rank",
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let levels = query_as!(
            CellRow,
            "SELECT prediction, level AS place, token, probability, latitude, longitude FROM prediction_levels
             WHERE prediction = ANY($1) ORDER BY prediction, level",
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(assemble(rows, candidates, levels)?)
    }
}

fn push_filter(select: &mut QueryBuilder<Postgres>, filter: &PredictionFilter) {
    if let Some(release) = &filter.release {
        select
            .push(" AND release = ")
            .push_bind(release.as_str().to_owned());
    }
    if let Some(photo) = &filter.photo_sha256 {
        select.push(" AND photo_sha256 = ").push_bind(photo.clone());
    }
    if let Some(since) = filter.since {
        select.push(" AND created_at >= ").push_bind(since);
        // Of an hour before, so that only the months that can hold such predictions are looked at.
        select.push(" AND id >= geosurge_id_from(").push_bind(since);
        select.push("::timestamptz - interval '1 hour')");
    }
    if let Some(until) = filter.until {
        select.push(" AND created_at <= ").push_bind(until);
        select.push(" AND id < geosurge_id_from(").push_bind(until);
        select.push("::timestamptz + interval '1 hour 1 second')");
    }
    if let Some(cannot_tell) = filter.cannot_tell {
        select
            .push(" AND (cannot_tell IS NOT NULL) = ")
            .push_bind(cannot_tell);
    }
    if let Some(known) = filter.with_ground_truth {
        select
            .push(" AND EXISTS (SELECT FROM ground_truth WHERE prediction = predictions.id) = ")
            .push_bind(known);
    }
    if let Some(client) = &filter.client {
        select.push(" AND client = ").push_bind(client.clone());
    }
    match filter.shadows {
        Shadows::With => {}
        Shadows::Without => drop(select.push(" AND shadow_of IS NULL")),
        Shadows::Only => drop(select.push(" AND shadow_of IS NOT NULL")),
        Shadows::Of(id) => drop(select.push(" AND shadow_of = ").push_bind(id)),
    }
}

/// The error of a prediction that is not there.
pub(super) fn missing(id: Uuid) -> Error {
    Error::not_found(format!("prediction {id}"))
}
