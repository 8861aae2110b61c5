//! Judging the weights after an epoch.

use std::time::Instant;

use candle_core::Tensor;
use geocells::{Accuracy, LatLng};

use super::Learner;
use crate::augmentation::Change;
use crate::average;
use crate::inputs::{Inputs, Source};
use crate::metrics::Line;
use crate::model::LearningModel;
use crate::parallel::Workers;
use crate::progress::Report;
use crate::{Error, Progress, Result, Stage, validation};

/// What a validation found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Accuracy by exact hierarchical inference.
    pub accuracy: Accuracy,
    /// The mean of its five shares.
    pub score: f64,
}

impl Learner<'_> {
    /// Judges the weights, or their moving average where one is kept, and keeps them if they are the best so far.
    pub(super) fn validate(&mut self, progress: Report<'_>) -> Result<()> {
        let started = Instant::now();
        let photos = self.material.validation;
        progress(&Progress {
            accuracy: self.position.accuracy.map(|a| a.within),
            ..Progress::counted(Stage::Validate, 0, photos.len() as u64)
        });
        let parameters = self.pupil.optimizer.parameters();
        let own = match &self.average {
            None => None,
            Some(average) => {
                let own = average::copy(parameters)?;
                average::put(parameters, average.values())?;
                Some(own)
            }
        };
        let judged = self.judge();
        let best = judged
            .as_ref()
            .is_ok_and(|judged| self.position.best_score.is_none_or(|b| judged.score > b));
        let kept = if best {
            Some(average::copy(parameters)?)
        } else {
            None
        };
        let temperatures = self.pupil.model.temperatures();
        if let Some(own) = own {
            average::put(parameters, &own)?;
        }
        let Judgement { accuracy, score } = judged?;
        let temperatures = temperatures?;
        if let Some(kept) = kept {
            self.position.best_score = Some(score);
            self.position.validations_without_improvement = 0;
            self.best = kept;
            self.best_is_new = true;
        } else {
            self.position.validations_without_improvement += 1;
        }
        self.position.accuracy = Some(accuracy);
        self.position.seconds += started.elapsed().as_secs_f64();
        self.journal.write(&Line::Validation {
            step: self.position.steps,
            epoch: self.position.epoch,
            samples: self.position.samples,
            accuracy,
            score,
            best,
            temperatures: &temperatures,
            seconds: self.position.seconds,
        })?;
        tracing::info!(epoch = self.position.epoch, score, best, within = ?accuracy.within, median_km = accuracy.median_km, "validated");
        progress(&Progress {
            accuracy: Some(accuracy.within),
            ..Progress::counted(Stage::Validate, photos.len() as u64, photos.len() as u64)
        });
        Ok(())
    }

    fn judge(&self) -> Result<Judgement> {
        let photos = self.material.validation;
        let visual = encode(&self.pupil.model, self.workers, self.material.source, photos)?;
        let truths: Vec<LatLng> = photos.iter().map(|p| self.material.places[*p]).collect();
        let index = self.pupil.model.index(self.material.hierarchy)?;
        let accuracy = Accuracy::from_errors(&validation::errors(&index, &visual, &truths)?)?;
        Ok(Judgement {
            accuracy,
            score: validation::score(&accuracy),
        })
    }
}

/// Unit visual embeddings `[photos, width]` without a graph, shared between the workers.
///
/// # Errors
/// A photo that cannot be read, a tensor operation.
pub fn encode(
    model: &LearningModel,
    workers: &Workers,
    source: Source<'_>,
    photos: &[usize],
) -> Result<Tensor> {
    const CHUNK: usize = 64;
    let parts = workers.map(|k| {
        let share = &photos[workers.share(photos.len(), k)];
        let chunk = |photos: &[usize]| {
            let photos: Vec<(usize, Change)> = photos.iter().map(|p| (*p, Change::NONE)).collect();
            let inputs = Inputs::read(source, &photos)?;
            match inputs.skipped().first() {
                Some(skipped) => Err(Error::Photo(skipped.clone())),
                None => Ok(model.embed(&inputs, 0..inputs.len())?.detach()),
            }
        };
        share.chunks(CHUNK).map(chunk).collect::<Result<Vec<Tensor>>>()
    })?;
    let parts: Vec<Tensor> = parts.into_iter().flatten().collect();
    Ok(Tensor::cat(&parts, 0)?)
}
