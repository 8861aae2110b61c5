//! How often credible regions hold the truth, and how large they are.

use geocells::LatLng;
use retrieval::{Answer, ExactIndex};
use serde::{Deserialize, Serialize};

use super::bootstrap::quantile;

/// Credible regions, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionReport {
    /// The share of truths that the regions are meant to hold.
    pub wanted: f64,
    /// Share of the photos whose true place lies in their region; a truth outside every geocell lies in none.
    pub coverage: f64,
    /// The same share of the photos whose true place lies in some finest cell.
    pub coverage_of_covered: f64,
    /// Mean area, km².
    pub mean_area_km2: f64,
    /// Median area, km².
    pub median_area_km2: f64,
    /// The area below which nine regions of ten stay, km².
    pub ninetieth_area_km2: f64,
    /// Median number of geocells.
    pub median_cells: f64,
}

/// Whether each truth lies in the region of its answer; `None` where it lies in no finest cell.
pub fn held(index: &ExactIndex, answers: &[Answer], truths: &[LatLng]) -> Vec<Option<bool>> {
    let finest = index.cells().hierarchy().finest();
    answers
        .iter()
        .zip(truths)
        .map(|(answer, truth)| {
            let token = finest.cells()[finest.locate(*truth)?].id;
            Some(
                answer
                    .credible_region
                    .cells
                    .iter()
                    .any(|cell| cell.token == token),
            )
        })
        .collect()
}

/// Judges the regions of some answers, of which [`held`] says whether they hold their truths.
pub fn judge(answers: &[Answer], held: &[Option<bool>]) -> RegionReport {
    let n = answers.len().max(1) as f64;
    let sorted = |of: fn(&Answer) -> f64| {
        let mut values: Vec<f64> = answers.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let areas = sorted(|answer| answer.credible_region.area_km2);
    let cells = sorted(|answer| answer.credible_region.cells.len() as f64);
    let inside = held.iter().filter(|held| **held == Some(true)).count() as f64;
    let covered = held.iter().flatten().count().max(1) as f64;
    RegionReport {
        wanted: answers
            .first()
            .map_or(f64::NAN, |answer| answer.credible_region.wanted),
        coverage: inside / n,
        coverage_of_covered: inside / covered,
        mean_area_km2: areas.iter().sum::<f64>() / n,
        median_area_km2: quantile(&areas, 0.5),
        ninetieth_area_km2: quantile(&areas, 0.9),
        median_cells: quantile(&cells, 0.5),
    }
}
