//! What only a fresh answer knows, kept for a while: the whole posterior and the segmentation map.
//!
//! The record of a prediction has its best cells. Someone who looks at an answer moves a slider through the levels or asks for
//! another credible region; that is answered from here, by the service that made the prediction, as long as it remembers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use geocells::GeocellId;
use image::GrayImage;
use models::Calibration;
use retrieval::{Detailed, Scoring, SearchModel};
use storage::ReleaseId;
use uuid::Uuid;

/// Predictions remembered.
const KEPT: usize = 256;
/// For so long at most.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Best cells remembered of each level; what lies beyond counts as outside.
const CELLS_A_LEVEL: usize = 2048;

/// The best cells of a level with their probabilities, best first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LevelPosterior {
    pub(crate) cells: Vec<(GeocellId, f64)>,
    /// Probability of the cells that are not among them, at most.
    pub(crate) outside: f64,
}

impl LevelPosterior {
    /// The smallest set of finest cells that holds the truth with probability `wanted`, with the probability that it holds; all cells
    /// where they hold less.
    pub(crate) fn credible_set(&self, wanted: f64, calibration: &Calibration) -> (Vec<GeocellId>, f64) {
        let mass = calibration.region_mass(wanted);
        let mut held = 0.0;
        let mut set = Vec::new();
        for (cell, probability) in &self.cells {
            if held >= mass {
                break;
            }
            held += probability;
            set.push(*cell);
        }
        (set, calibration.region_held(held.min(1.0)))
    }
}

/// One answer's details.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) release: ReleaseId,
    pub(crate) scoring: Scoring,
    /// Whether the answer was restricted to an area.
    pub(crate) restricted: bool,
    /// What the release's probabilities are worth.
    pub(crate) calibration: Calibration,
    /// By level, coarsest first.
    pub(crate) levels: Vec<LevelPosterior>,
    /// ADE20K ids of the square that the model saw.
    pub(crate) map: Option<GrayImage>,
    /// Width and height of the photo, in pixels.
    pub(crate) photo: (u32, u32),
    made: Instant,
}

impl Details {
    pub(crate) fn new(detailed: Detailed, model: &SearchModel, photo: (u32, u32), restricted: bool) -> Self {
        let level = |(level, posterior): (usize, &retrieval::Posterior)| {
            let mut cells: Vec<(usize, f64)> = posterior.cells.clone();
            cells.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let beyond: f64 = cells.iter().skip(CELLS_A_LEVEL).map(|(_, p)| p).sum();
            cells.truncate(CELLS_A_LEVEL);
            let all = model.cells.level(level);
            LevelPosterior {
                cells: cells
                    .into_iter()
                    .filter_map(|(cell, p)| Some((all.get(cell)?.id, p)))
                    .collect(),
                outside: posterior.outside_mass + beyond,
            }
        };
        Self {
            release: detailed.prediction.release.clone(),
            scoring: detailed.prediction.scoring,
            restricted,
            calibration: model.calibration,
            levels: detailed.posteriors.iter().enumerate().map(level).collect(),
            map: detailed.photo.map,
            photo,
            made: Instant::now(),
        }
    }
}

/// Details by prediction, and the predictions from the oldest on.
type Kept = (HashMap<Uuid, Arc<Details>>, VecDeque<Uuid>);

/// The details of the last answers.
#[derive(Default)]
pub(crate) struct RecentDetails {
    kept: Mutex<Kept>,
}

impl RecentDetails {
    pub(crate) fn insert(&self, prediction: Uuid, details: Arc<Details>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (by_id, order) = &mut *kept;
        if by_id.insert(prediction, details).is_none() {
            order.push_back(prediction);
        }
        while let Some(oldest) = order.front() {
            let old = by_id
                .get(oldest)
                .is_none_or(|details| details.made.elapsed() > KEPT_FOR);
            if order.len() <= KEPT && !old {
                break;
            }
            by_id.remove(oldest);
            order.pop_front();
        }
    }

    pub(crate) fn get(&self, prediction: Uuid) -> Option<Arc<Details>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.0.get(&prediction)?;
        (found.made.elapsed() <= KEPT_FOR).then(|| found.clone())
    }
}
