//! What is read off the methods that ours is compared with.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use candle_core::Tensor;
use geocells::{Hierarchy, LatLng};

use super::super::trial::{Levels, Outcome, Trial, reading};
use super::Bench;
use crate::Result;
use crate::baselines::gps_gallery::GpsHead;
use crate::baselines::kernel_density::{Density, Neighbours, densest, neighbours};
use crate::baselines::learner::Learnt;
use crate::baselines::reference_clusters::{ReferenceClusters, Refinement};
use crate::baselines::{best_setting, errors_of};
use crate::labels::CellLabels;
use crate::progress::Report;

impl Bench {
    /// Features of the training, validation and test photos.
    fn features(&self, learnt: &Learnt) -> Result<[Tensor; 3]> {
        let workers = &self.workers;
        Ok([
            learnt.encode(&self.training_cache, &self.learn, workers)?,
            learnt.encode(&self.training_cache, &self.validation, workers)?,
            learnt.encode(&self.test_cache, &self.test_photos, workers)?,
        ])
    }

    fn at(&self, photos: &[usize]) -> Vec<LatLng> {
        photos.iter().map(|i| self.places[*i]).collect()
    }

    pub(super) fn classified(
        &self,
        trial: &Trial,
        levels: Levels,
        smoothing_km: Option<f64>,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<BTreeMap<String, Outcome>> {
        let hierarchy = self.partition(&trial.config)?;
        let labels = CellLabels::new(&hierarchy, &self.places);
        let head = self.classifier(&trial.config, &hierarchy, &labels, levels, smoothing_km);
        let learnt = self.learn(&trial.config, &head, progress, cancel)?;
        let [references, held_out, test] = self.features(&learnt)?;
        let (places, truths) = (self.at(&self.learn), self.at(&self.validation));
        let product = levels == Levels::All;
        let log = |visual: &Tensor| head.log_probabilities(&learnt.parameters, visual, product);
        let (log_held_out, log_test) = (log(&held_out)?, log(&test)?);
        let mut answers = vec![(reading::ANSWER, head.answers(&log_test), None)];

        let most = Density::TRIED.iter().map(|d| d.neighbours).max().unwrap_or(1);
        let by_density = |found: &[Neighbours], density: Density| -> Result<Vec<LatLng>> {
            Ok(found.iter().filter_map(|near| densest(near, density)).collect())
        };
        let near = neighbours(&held_out, &references, &places, most)?;
        if let Some(density) = best_setting(&Density::TRIED, &truths, |d| by_density(&near, d))? {
            let near = neighbours(&test, &references, &places, most)?;
            let said = format!("{} neighbours, sigma {} km", density.neighbours, density.sigma_km);
            answers.push((reading::DENSITY, by_density(&near, density)?, Some(said)));
        }
        let clusters = ReferenceClusters::new(&hierarchy, &references, &places)?;
        let refined = |refinement| clusters.answers(&log_held_out, &held_out, refinement);
        if let Some(refinement) = best_setting(&Refinement::TRIED, &truths, refined)? {
            let said = format!(
                "{} cells, temperature {}",
                refinement.cells, refinement.temperature
            );
            answers.push((
                reading::CLUSTERS,
                clusters.answers(&log_test, &test, refinement)?,
                Some(said),
            ));
        }
        self.outcomes(answers, &hierarchy, &learnt)
    }

    pub(super) fn matched(
        &self,
        trial: &Trial,
        progress: Report<'_>,
        cancel: &AtomicBool,
    ) -> Result<BTreeMap<String, Outcome>> {
        let head = GpsHead {
            places: &self.places,
            train: &self.learn,
            width: trial.config.model.embedding,
            seed: trial.config.seed,
        };
        let learnt = self.learn(&trial.config, &head, progress, cancel)?;
        let test = learnt.encode(&self.test_cache, &self.test_photos, &self.workers)?;
        let answers = vec![(reading::ANSWER, head.answers(&learnt.parameters, &test)?, None)];
        self.outcomes(answers, &self.partition(&trial.config)?, &learnt)
    }

    fn outcomes(
        &self,
        answers: Vec<(&str, Vec<LatLng>, Option<String>)>,
        hierarchy: &Hierarchy,
        learnt: &Learnt,
    ) -> Result<BTreeMap<String, Outcome>> {
        answers
            .into_iter()
            .map(|(reading, answers, setting)| {
                let outcome = Outcome {
                    setting,
                    cells: hierarchy.levels().iter().map(|l| l.len()).collect(),
                    samples: learnt.samples,
                    learning_seconds: learnt.seconds,
                    ..Outcome::of_errors(&errors_of(&answers, &self.truths))?
                };
                Ok((reading.to_owned(), outcome))
            })
            .collect()
    }
}
