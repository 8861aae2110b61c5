//! Predictions, their candidates, and ground truth.

use std::collections::{BTreeMap, HashMap};

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::row::{Columns, json_text, time_text, undecodable};
use super::store::SqliteCatalog;
use crate::{Candidate, CredibleRegion, Error, GroundTruth, Prediction, PredictionFilter, ReleaseId, Result};

/// Kilometres of the five thresholds, which name the probabilities of `within`.
const WITHIN_KM: [u32; 5] = [1, 25, 200, 750, 2500];

impl SqliteCatalog {
    pub(super) async fn insert_prediction(&self, prediction: &Prediction) -> Result<()> {
        prediction.check()?;
        let within: BTreeMap<u32, f64> = WITHIN_KM.into_iter().zip(prediction.within).collect();
        let mut transaction = self.begin().await?;
        self.require_release(&mut transaction, &prediction.release)
            .await?;
        let inserted = sqlx::query(
            "INSERT INTO predictions
             (id, release, created_at, photo_sha256, file_name, latitude, longitude, confidence, within, entropy,
              cannot_tell, credible_region, \"references\", timings, client)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
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
        self.commit(transaction).await
    }

    pub(super) async fn one_prediction(&self, id: Uuid) -> Result<Prediction> {
        let row = sqlx::query("SELECT * FROM predictions WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.error(error))?
            .ok_or_else(|| missing(id))?;
        let mut found = self.with_candidates(&[row]).await?;
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
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
        let rows = query
            .build()
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        self.with_candidates(&rows).await
    }

    pub(super) async fn put_ground_truth(&self, truth: &GroundTruth) -> Result<()> {
        let done = sqlx::query(
            "INSERT INTO ground_truth (prediction, latitude, longitude, source, created_at)
             SELECT id, ?2, ?3, ?4, ?5 FROM predictions WHERE id = ?1
             ON CONFLICT (prediction) DO UPDATE SET latitude = excluded.latitude,
                 longitude = excluded.longitude, source = excluded.source, created_at = excluded.created_at",
        )
        .bind(truth.prediction.to_string())
        .bind(truth.location.latitude())
        .bind(truth.location.longitude())
        .bind(&truth.source)
        .bind(time_text(truth.created_at))
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

    /// Reads predictions and, in one query, the candidates of all of them.
    async fn with_candidates(&self, rows: &[SqliteRow]) -> Result<Vec<Prediction>> {
        let mut predictions: Vec<Prediction> = rows
            .iter()
            .map(read_prediction)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(error))?;
        let ids: Vec<Uuid> = predictions.iter().map(|prediction| prediction.id).collect();
        let rows = sqlx::query(
            "SELECT * FROM prediction_candidates
             WHERE prediction IN (SELECT value FROM json_each(?1)) ORDER BY prediction, rank",
        )
        .bind(json_text(&ids)?)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        let mut candidates: HashMap<Uuid, Vec<Candidate>> = HashMap::new();
        for row in &rows {
            let (prediction, candidate) = read_candidate(row).map_err(|error| self.error(error))?;
            candidates.entry(prediction).or_default().push(candidate);
        }
        for prediction in &mut predictions {
            prediction.candidates = candidates.remove(&prediction.id).unwrap_or_default();
        }
        Ok(predictions)
    }
}

fn missing(id: Uuid) -> Error {
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
        release: ReleaseId::new(release).map_err(|error| undecodable("release", error.to_string()))?,
        created_at: row.time("created_at")?,
        photo_sha256: row.try_get("photo_sha256")?,
        file_name: row.try_get("file_name")?,
        location: row.location()?,
        confidence: row.try_get("confidence")?,
        within,
        entropy: row.try_get("entropy")?,
        cannot_tell: row.try_get("cannot_tell")?,
        credible_region,
        candidates: Vec::new(),
        references: row.json("references")?,
        timings: row.json("timings")?,
        client: row.try_get("client")?,
    })
}

fn read_candidate(row: &SqliteRow) -> Result<(Uuid, Candidate), sqlx::Error> {
    let candidate = Candidate {
        token: row.geocell("token")?,
        probability: row.try_get("probability")?,
        location: row.location()?,
    };
    Ok((row.uuid("prediction")?, candidate))
}

fn read_truth(row: &SqliteRow) -> Result<GroundTruth, sqlx::Error> {
    Ok(GroundTruth {
        prediction: row.uuid("prediction")?,
        location: row.location()?,
        source: row.try_get("source")?,
        created_at: row.time("created_at")?,
    })
}
