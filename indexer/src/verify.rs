//! A release is ready only when it answers as its checkpoint does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use datasets::DecodeLimits;
use geocells::Hierarchy;
use models::{Calibration, Encoder};
use retrieval::{Answer, ExactIndex, InferenceOptions, SearchModel, Searcher, references};
use serde::Serialize;
use storage::{CollectionName, PointId, ReleaseCounts, VectorStore};
use uuid::Uuid;

use crate::levels::{LevelVectors, Target};
use crate::progress::Stage;
use crate::{Error, Result};

/// Stored numbers may differ from the checkpoint's by this much.
const VECTOR_TOLERANCE: f32 = 1e-6;

/// Path scores of store and memory may differ by this much, relative to the larger of 1 and the score.
const SCORE_TOLERANCE: f32 = 1e-4;

/// Cells a level whose vectors are compared.
const SAMPLED_CELLS: usize = 64;

/// Numbers of an embedding may differ by this much when its photo is encoded again, in another batch.
const EMBEDDING_TOLERANCE: f32 = 2e-3;

/// Queries answered at once.
const BATCH: usize = 50;

/// What was compared, and how near store and checkpoint came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Geocells counted in store and catalog.
    pub geocells: u64,
    /// Reference images counted in store and catalog.
    pub reference_images: u64,
    /// Stored vectors compared with the checkpoint's.
    pub vectors: usize,
    /// Largest difference of one of their numbers.
    pub largest_vector_error: f32,
    /// Reference images whose visual embedding was asked as a query.
    pub queries: usize,
    /// Queries that store and exact inference answered with the same finest cell; the others were ties within the tolerance.
    pub same_cell: usize,
    /// Largest difference of the answers' path scores.
    pub largest_score_error: f32,
    /// Reference images whose stored vector has the checksum that it was written with.
    pub checksums: usize,
    /// Reference images whose file was read and encoded again.
    pub photos: usize,
    /// Largest difference of a number of their embeddings from the stored one.
    pub largest_embedding_error: f32,
}

/// What a release must agree with.
pub(crate) struct Expected<'a> {
    pub hierarchy: &'a Hierarchy,
    pub vectors: &'a [LevelVectors],
    pub images: &'a BTreeSet<Uuid>,
    pub model: SearchModel,
    pub exact: Arc<ExactIndex>,
    pub calibration: Calibration,
    pub store: Arc<dyn VectorStore>,
    pub queries: usize,
    pub encoder: Arc<Encoder>,
    pub photos: usize,
    pub limits: DecodeLimits,
}

/// Compares counts, sampled vectors and answers.
pub(crate) async fn verify(target: Target<'_>, expected: Expected<'_>) -> Result<Verification> {
    let mut verification = Verification::default();
    counts(target, &expected, &mut verification).await?;
    vectors(target, &expected, &mut verification).await?;
    photos(target, &expected, &mut verification).await?;
    answers(target, expected, &mut verification).await?;
    Ok(verification)
}

fn failed(target: Target<'_>, reason: String) -> Error {
    Error::Verification {
        release: target.release.clone(),
        reason,
    }
}

async fn counts(target: Target<'_>, expected: &Expected<'_>, verification: &mut Verification) -> Result<()> {
    for (level, partition) in expected.hierarchy.levels().iter().enumerate() {
        let collection = CollectionName::level(target.release, level);
        let found = target.store.count(&collection, None).await?;
        let wanted = partition.cells().len() as u64;
        if found != wanted {
            return Err(failed(
                target,
                format!("collection {collection} holds {found} cells instead of {wanted}"),
            ));
        }
        verification.geocells += found;
    }
    let collection = CollectionName::references(target.release);
    verification.reference_images = target.store.count(&collection, None).await?;
    let wanted = ReleaseCounts {
        geocells: verification.geocells,
        reference_images: expected.images.len() as u64,
    };
    if verification.reference_images != wanted.reference_images {
        let (found, wanted) = (verification.reference_images, wanted.reference_images);
        return Err(failed(
            target,
            format!("collection {collection} holds {found} reference images instead of {wanted}"),
        ));
    }
    let found = target.catalog.counts(target.release).await?;
    if found != wanted {
        return Err(failed(
            target,
            format!("the catalog counts {found:?} instead of {wanted:?}"),
        ));
    }
    Ok(())
}

async fn vectors(target: Target<'_>, expected: &Expected<'_>, verification: &mut Verification) -> Result<()> {
    for (level, partition) in expected.hierarchy.levels().iter().enumerate() {
        let collection = CollectionName::level(target.release, level);
        let sample = evenly(partition.cells().len(), SAMPLED_CELLS);
        let ids: Vec<PointId> = sample
            .iter()
            .map(|&index| partition.cells()[index].id.as_u64().into())
            .collect();
        let stored = target.store.get(&collection, &ids, true).await?;
        if stored.len() != ids.len() {
            return Err(failed(
                target,
                format!("collection {collection} lacks cells of the hierarchy"),
            ));
        }
        for (&index, point) in sample.iter().zip(&stored) {
            let source = &expected.vectors[level];
            for (name, wanted) in [
                (retrieval::EMBEDDING, &source.embedding),
                (retrieval::PATH, &source.path),
            ] {
                let found = point.vectors.get(name).map_or(&[][..], Vec::as_slice);
                let error = difference(found, &wanted[index]);
                if error.is_nan() || error > VECTOR_TOLERANCE {
                    let token = partition.cells()[index].id.token();
                    return Err(failed(
                        target,
                        format!("{name} of cell {token} in {collection} differs by {error}"),
                    ));
                }
                verification.vectors += 1;
                verification.largest_vector_error = verification.largest_vector_error.max(error);
            }
        }
    }
    Ok(())
}

/// Reads and encodes a few photos again: the stored embedding must be theirs.
async fn photos(target: Target<'_>, expected: &Expected<'_>, verification: &mut Verification) -> Result<()> {
    let all: Vec<Uuid> = expected.images.iter().copied().collect();
    let ids: Vec<Uuid> = evenly(all.len(), expected.photos)
        .into_iter()
        .map(|index| all[index])
        .collect();
    let records = target.catalog.reference_images(target.release, &ids).await?;
    let points: Vec<PointId> = records.iter().map(|record| record.id.into()).collect();
    let collection = CollectionName::references(target.release);
    let stored = target.store.get(&collection, &points, true).await?;
    if stored.len() != ids.len() {
        return Err(failed(
            target,
            format!("collection {collection} or the catalog lacks reference images that were loaded"),
        ));
    }
    let (encoder, limits) = (Arc::clone(&expected.encoder), expected.limits);
    let paths: Vec<PathBuf> = records.iter().map(|record| PathBuf::from(&record.path)).collect();
    let encode = move || -> Result<Vec<(usize, Vec<f32>)>> {
        let (mut indices, mut images) = (Vec::new(), Vec::new());
        for (index, path) in paths.iter().enumerate() {
            // A file that went away meanwhile is no fault of the index.
            match datasets::decode_image(path, &limits) {
                Ok(image) => {
                    indices.push(index);
                    images.push(image);
                }
                Err(error) => tracing::warn!(%error, "reference image cannot be read again"),
            }
        }
        let encoded = encoder.encode(&images)?;
        let embeddings = encoded.into_iter().map(|encoded| encoded.embedding);
        Ok(indices.into_iter().zip(embeddings).collect())
    };
    let encoded = tokio::task::spawn_blocking(encode)
        .await
        .map_err(|_| Error::Interrupted)??;
    for (index, wanted) in encoded {
        let found = stored[index].vectors.get(references::VISUAL);
        let error = difference(found.map_or(&[][..], Vec::as_slice), &wanted);
        if error.is_nan() || error > EMBEDDING_TOLERANCE {
            let path = &records[index].path;
            return Err(failed(
                target,
                format!("the stored embedding of {path} differs by {error} from its photo's"),
            ));
        }
        verification.photos += 1;
        verification.largest_embedding_error = verification.largest_embedding_error.max(error);
    }
    Ok(())
}

/// Reference images' own embeddings as queries: the store's answer against exact inference in memory.
async fn answers(target: Target<'_>, expected: Expected<'_>, verification: &mut Verification) -> Result<()> {
    let collection = CollectionName::references(target.release);
    let all: Vec<Uuid> = expected.images.iter().copied().collect();
    let sample: Vec<PointId> = evenly(all.len(), expected.queries)
        .into_iter()
        .map(|index| all[index].into())
        .collect();
    let searcher = Searcher::new(target.release.clone(), expected.store, expected.model);
    let options = InferenceOptions::default();
    for ids in sample.chunks(BATCH) {
        target.go_on(Stage::Verify)?;
        let points = target.store.get(&collection, ids, true).await?;
        if points.len() != ids.len() {
            return Err(failed(
                target,
                format!("collection {collection} lacks reference images that were loaded"),
            ));
        }
        if let Some(changed) = points.iter().find(|point| !references::is_as_written(point)) {
            return Err(failed(
                target,
                format!(
                    "the vector of reference image {} has another checksum than when it was written",
                    changed.id
                ),
            ));
        }
        verification.checksums += points.len();
        let queries: Vec<Vec<f32>> = points
            .into_iter()
            .filter_map(|mut point| point.vectors.remove(references::VISUAL))
            .collect();
        if let Some(bad) = queries
            .iter()
            .map(|query| norm(query))
            .find(|norm| norm.is_nan() || (norm - 1.0).abs() > 1e-3)
        {
            return Err(failed(
                target,
                format!("a reference image's embedding has length {bad} instead of 1"),
            ));
        }
        let stored = searcher.answer(&queries, &options).await?;
        let (exact, calibration) = (Arc::clone(&expected.exact), expected.calibration);
        let infer = move || -> retrieval::Result<Vec<(Answer, Vec<f32>)>> {
            let finest = exact.cells().depth() - 1;
            let answer = |query: &Vec<f32>| {
                let scores = exact.path_scores_of(finest, query)?;
                Ok((exact.infer(query, &calibration, &options)?, scores))
            };
            queries.iter().map(answer).collect()
        };
        let exact = tokio::task::spawn_blocking(infer)
            .await
            .map_err(|_| Error::Interrupted)??;
        for (stored, (exact, scores)) in stored.iter().zip(&exact) {
            compare(target, stored, exact, scores, verification)?;
        }
        target.tell(Stage::Verify, verification.queries, sample.len());
    }
    Ok(())
}

fn compare(
    target: Target<'_>,
    stored: &Answer,
    exact: &Answer,
    scores: &[f32],
    verification: &mut Verification,
) -> Result<()> {
    let tolerance = SCORE_TOLERANCE * exact.path_score.abs().max(1.0);
    let error = (stored.path_score - exact.path_score).abs();
    let tie = scores[exact.cell] - scores[stored.cell] <= tolerance;
    let same_score = error <= tolerance;
    let same_cell = stored.cell == exact.cell || tie;
    if !(same_score && same_cell) {
        let reason = format!(
            "the store answers cell {} with score {}, exact inference cell {} with score {}",
            stored.candidates[0].token, stored.path_score, exact.candidates[0].token, exact.path_score
        );
        return Err(failed(target, reason));
    }
    verification.queries += 1;
    verification.same_cell += usize::from(stored.cell == exact.cell);
    verification.largest_score_error = verification.largest_score_error.max(error);
    Ok(())
}

/// At most `count` indices below `length`, evenly spread, the first and the last among them.
pub(crate) fn evenly(length: usize, count: usize) -> Vec<usize> {
    match (length, count) {
        (0, _) | (_, 0) => Vec::new(),
        (length, count) if count >= length => (0..length).collect(),
        (_, 1) => vec![0],
        (length, count) => (0..count).map(|step| step * (length - 1) / (count - 1)).collect(),
    }
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_even_and_complete() {
        assert_eq!(evenly(0, 5), [0_usize; 0]);
        assert_eq!(evenly(3, 5), [0, 1, 2]);
        assert_eq!(evenly(101, 5), [0, 25, 50, 75, 100]);
        assert_eq!(evenly(10, 1), [0]);
    }

    #[test]
    fn another_length_is_an_infinite_difference() {
        assert_eq!(difference(&[1.0], &[]), f32::INFINITY);
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
    }
}
