//! Predictions with their candidates and levels.

use std::collections::{BTreeMap, HashMap};

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::row::{Columns, json_text, time_text, undecodable};
use super::store::SqliteCatalog;
use super::write::Write;
use crate::{
    Candidate, CredibleRegion, Error, LevelCell, Prediction, PredictionFilter, ReleaseId, Result, Shadows,
};

/// Kilometres of the five thresholds, which name the probabilities of `within`.
const WITHIN_KM: [u32; 5] = [1, 25, 200, 750, 2500];

impl SqliteCatalog {
    pub(super) async fn insert_prediction(&self, prediction: &Prediction) -> Result<()> {
        prediction.check()?;
        let within: BTreeMap<u32, f64> = WITHIN_KM.into_iter().zip(prediction.within).collect();
        let mut transaction = self.begin().await?;
        self.require_release(&mut transaction, &prediction.release)
            .await?;
        if let Some(shadowed) = prediction.shadow_of {
            self.require_given(&mut transaction, shadowed).await?;
        }
        let place = prediction.place.as_ref();
        let inserted = sqlx::query(
            "INSERT INTO predictions
             (id, release, created_at, photo_sha256, file_name, latitude, longitude, confidence, within, entropy,
              cannot_tell, credible_region, \"references\", timings, client, shadow_of, continent, country_code,
              country, region, locality)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(prediction.id.to_string())
        .bind(prediction.release.as_str())
        .bind(time_text(prediction.created_at))
        .bind(&prediction.photo_sha256)
        .bind(&prediction.file_name)
        .bind(prediction.location.latitude())
        .bind(prediction.location.longitude())
        .bind(prediction.confidence)
        .bind(json_text(&within)?)
        .bind(prediction.entropy)
        .bind(&prediction.cannot_tell)
        .bind(json_text(&prediction.credible_region)?)
        .bind(json_text(&prediction.references)?)
        .bind(json_text(&prediction.timings)?)
        .bind(&prediction.client)
        .bind(prediction.shadow_of.map(|shadowed| shadowed.to_string()))
        .bind(place.map(|place| &place.continent))
        .bind(place.map(|place| &place.country_code))
        .bind(place.map(|place| &place.country))
        .bind(place.and_then(|place| place.region.as_ref()))
        .bind(place.and_then(|place| place.locality.as_ref()))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.error(error))?;
        if inserted.rows_affected() == 0 {
            return Err(Error::Conflict(format!(
                "prediction {} is recorded already",
                prediction.id
            )));
        }
        let ranked: Vec<(i64, &Candidate)> = (1..).zip(&prediction.candidates).collect();
        for chunk in ranked.chunks(500) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO prediction_candidates (prediction, rank, token, probability, latitude, longitude) ",
            );
            insert.push_values(chunk, |mut row, (rank, candidate)| {
                row.push_bind(prediction.id.to_string())
                    .push_bind(*rank)
                    .push_bind(candidate.token.token())
                    .push_bind(candidate.probability)
                    .push_bind(candidate.location.latitude())
                    .push_bind(candidate.location.longitude());
            });
            insert
                .build()
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
        }
        for chunk in prediction.levels.chunks(500) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO prediction_levels (prediction, level, token, probability, latitude, longitude) ",
            );
            insert.push_values(chunk, |mut row, level| {
                row.push_bind(prediction.id.to_string())
                    .push_bind(level.level as i64)
                    .push_bind(level.token.token())
                    .push_bind(level.probability)
                    .push_bind(level.location.latitude())
                    .push_bind(level.location.longitude());
            });
            insert
                .build()
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
        }
        self.commit(transaction).await
    }

    /// Only an answer that was given can be shadowed.
    async fn require_given(&self, transaction: &mut Write, id: Uuid) -> Result<()> {
        sqlx::query("SELECT 1 FROM predictions WHERE id = ?1 AND shadow_of IS NULL")
            .bind(id.to_string())
            .fetch_optional(&mut **transaction)
            .await
            .map_err(|error| self.error(error))?
            .map(drop)
            .ok_or_else(|| missing(id))
    }

    pub(super) async fn one_prediction(&self, id: Uuid) -> Result<Prediction> {
        let row = sqlx::query("SELECT * FROM predictions WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.error(error))?
            .ok_or_else(|| missing(id))?;
        let mut found = self.whole(&[row]).await?;
        found.pop().ok_or_else(|| missing(id))
    }

    pub(super) async fn page_of_predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Prediction>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM predictions WHERE TRUE");
        if let Some(after) = after {
            query.push(" AND id < ").push_bind(after.to_string());
        }
        if let Some(release) = &filter.release {
            query.push(" AND release = ").push_bind(release.as_str());
        }
        if let Some(photo) = &filter.photo_sha256 {
            query.push(" AND photo_sha256 = ").push_bind(photo);
        }
        if let Some(since) = filter.since {
            query.push(" AND created_at >= ").push_bind(time_text(since));
        }
        if let Some(until) = filter.until {
            query.push(" AND created_at <= ").push_bind(time_text(until));
        }
        if let Some(cannot_tell) = filter.cannot_tell {
            query
                .push(" AND (cannot_tell IS NOT NULL) = ")
                .push_bind(cannot_tell);
        }
        if let Some(known) = filter.with_ground_truth {
            query
                .push(" AND EXISTS (SELECT 1 FROM ground_truth WHERE prediction = predictions.id) = ")
                .push_bind(known);
        }
        if let Some(client) = &filter.client {
            query.push(" AND client = ").push_bind(client);
        }
        match filter.shadows {
            Shadows::With => {}
            Shadows::Without => drop(query.push(" AND shadow_of IS NULL")),
            Shadows::Only => drop(query.push(" AND shadow_of IS NOT NULL")),
            Shadows::Of(id) => drop(query.push(" AND shadow_of = ").push_bind(id.to_string())),
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
        let rows = query
            .build()
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        self.whole(&rows).await
    }

    /// Reads predictions and, in a query each, the candidates and levels of all of them.
    async fn whole(&self, rows: &[SqliteRow]) -> Result<Vec<Prediction>> {
        let mut predictions: Vec<Prediction> = rows
            .iter()
            .map(read_prediction)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(error))?;
        let ids: Vec<Uuid> = predictions.iter().map(|prediction| prediction.id).collect();
        let candidates = sqlx::query(
            "SELECT * FROM prediction_candidates
             WHERE prediction IN (SELECT value FROM json_each(?1)) ORDER BY prediction, rank",
        );
        let mut candidates = self.by_prediction(candidates, &ids, read_candidate).await?;
        let levels = sqlx::query(
            "SELECT * FROM prediction_levels
             WHERE prediction IN (SELECT value FROM json_each(?1)) ORDER BY prediction, level",
        );
        let mut levels = self.by_prediction(levels, &ids, read_level).await?;
        for prediction in &mut predictions {
            prediction.candidates = candidates.remove(&prediction.id).unwrap_or_default();
            prediction.levels = levels.remove(&prediction.id).unwrap_or_default();
        }
        Ok(predictions)
    }

    async fn by_prediction<T>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        ids: &[Uuid],
        read: fn(&SqliteRow) -> Result<T, sqlx::Error>,
    ) -> Result<HashMap<Uuid, Vec<T>>> {
        let rows = query
            .bind(json_text(&ids)?)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        let mut found: HashMap<Uuid, Vec<T>> = HashMap::new();
        for row in &rows {
            let (prediction, item) = row
                .uuid("prediction")
                .and_then(|id| Ok((id, read(row)?)))
                .map_err(|error| self.error(error))?;
            found.entry(prediction).or_default().push(item);
        }
        Ok(found)
    }
}

pub(super) fn missing(id: Uuid) -> Error {
    Error::not_found(format!("prediction {id}"))
}

fn read_prediction(row: &SqliteRow) -> Result<Prediction, sqlx::Error> {
    let release: String = row.try_get("release")?;
    let probabilities: BTreeMap<u32, f64> = row.json("within")?;
    let mut within = [0.0; 5];
    for (probability, km) in within.iter_mut().zip(WITHIN_KM) {
        *probability = *probabilities
            .get(&km)
            .ok_or_else(|| undecodable("within", format!("no probability within {km} km")))?;
    }
    let credible_region: CredibleRegion = row.json("credible_region")?;
    Ok(Prediction {
        id: row.uuid("id")?,
        shadow_of: row.optional_uuid("shadow_of")?,
        release: ReleaseId::new(release).map_err(|error| undecodable("release", error.to_string()))?,
        created_at: row.time("created_at")?,
        photo_sha256: row.try_get("photo_sha256")?,
        file_name: row.try_get("file_name")?,
        location: row.location()?,
        place: row.place()?,
        confidence: row.try_get("confidence")?,
        within,
        entropy: row.try_get("entropy")?,
        cannot_tell: row.try_get("cannot_tell")?,
        credible_region,
        candidates: Vec::new(),
        levels: Vec::new(),
        references: row.json("references")?,
        timings: row.json("timings")?,
        client: row.try_get("client")?,
    })
}

fn read_candidate(row: &SqliteRow) -> Result<Candidate, sqlx::Error> {
    Ok(Candidate {
        token: row.geocell("token")?,
        probability: row.try_get("probability")?,
        location: row.location()?,
    })
}

fn read_level(row: &SqliteRow) -> Result<LevelCell, sqlx::Error> {
    Ok(LevelCell {
        level: row.number("level")?,
        token: row.geocell("token")?,
        probability: row.try_get("probability")?,
        location: row.location()?,
    })
}
