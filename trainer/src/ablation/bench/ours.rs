//! What is read off a training of ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::Tensor;
use geocells::{Kilometres, LatLng};
use models::{Checkpoint, Crops, Encoder, SegmenterChoice};
use rayon::prelude::*;
use retrieval::{ExactIndex, InferenceOptions, Scoring};

use super::super::trial::{Outcome, Trial, reading};
use super::Bench;
use crate::baselines::errors_of;
use crate::benchmark::Bootstrap;
use crate::benchmark::encode::{Views, encode};
use crate::config::SegmenterConfig;
use crate::evaluate::{Judged, flat_errors, judge};
use crate::progress::Report;
use crate::{Result, RunFolder, TrainingOptions, train, validation};

impl Bench {
    pub(super) fn ours(
        &self,
        trial: &Trial,
        readings: &[String],
        folder: &Path,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<BTreeMap<String, Outcome>> {
        let run = RunFolder::new(folder.join("run"));
        let options = TrainingOptions {
            resume: run.is_started(),
            ..TrainingOptions::new(self.out.join("cache"), self.device.clone())
        };
        let report = train(&self.training, &trial.config, &run, &options, progress, cancel)?;
        // What a finished run would go on from is three times its weights.
        if run.state().is_dir() {
            fs_err::remove_dir_all(run.state())?;
        }
        let checkpoint = Checkpoint::open(&run.checkpoint())?;
        let model = checkpoint.model(&self.device)?;
        let index = ExactIndex::of_model(&model.geographic, checkpoint.hierarchy())?
            .with_places(self.learn.iter().map(|i| self.places[*i]));
        let visual = |maps: bool| -> Result<Tensor> {
            let segmenter = if maps {
                SegmenterChoice::Own
            } else {
                SegmenterChoice::None
            };
            let encoder = Encoder::open(&checkpoint, &self.device, segmenter)?;
            let views = Views {
                crops: Crops::One,
                dataset_maps: maps && trial.config.segmenter == SegmenterConfig::Precomputed,
            };
            Ok(encode(&encoder, &self.test, &self.test_photos, views, progress, cancel)?.visual)
        };
        let seen = visual(true)?;
        let judged = Judged {
            index: &index,
            visual: &seen,
            truths: &self.truths,
            calibration: checkpoint.calibration(),
        };
        let no_intervals = Bootstrap {
            resamples: 0,
            ..Bootstrap::default()
        };
        let mut found = BTreeMap::new();
        for wanted in readings {
            let outcome = match wanted.as_str() {
                reading::COSINE => Outcome::of_errors(&self.by_cosine(&index, &seen, &checkpoint)?)?,
                reading::FINEST => Outcome::of_errors(&flat_errors(&index, &seen, &self.truths)?)?,
                reading::NO_MAPS => {
                    Outcome::of_errors(&validation::errors(&index, &visual(false)?, &self.truths)?)?
                }
                _ => {
                    let judged = judge(judged, &no_intervals)?;
                    let errors: Vec<Kilometres> = judged.answers.iter().map(|a| a.error).collect();
                    Outcome {
                        calibration_error: Some(judged.calibration_error),
                        region_coverage: Some(judged.region.coverage),
                        ..Outcome::of_errors(&errors)?
                    }
                }
            };
            let outcome = Outcome {
                cells: report.cells.clone(),
                samples: report.samples,
                learning_seconds: report.seconds.get("learn").copied().unwrap_or_default(),
                ..outcome
            };
            found.insert(wanted.clone(), outcome);
        }
        Ok(found)
    }

    fn by_cosine(
        &self,
        index: &ExactIndex,
        visual: &Tensor,
        checkpoint: &Checkpoint,
    ) -> Result<Vec<Kilometres>> {
        let options = InferenceOptions {
            scoring: Scoring::Cosine,
            searched: usize::MAX,
            candidates: 1,
            ..InferenceOptions::default()
        };
        let queries: Vec<Vec<f32>> = visual.to_vec2()?;
        let answers = queries
            .par_iter()
            .map(|query| Ok(index.infer(query, checkpoint.calibration(), &options)?.location))
            .collect::<Result<Vec<LatLng>>>()?;
        Ok(errors_of(&answers, &self.truths))
    }
}
