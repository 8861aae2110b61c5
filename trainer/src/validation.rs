//! Accuracy by exact hierarchical inference: every finest cell is scored, the best path wins.

use candle_core::Tensor;
use geocells::{Accuracy, Geocell, Kilometres, LatLng};
use retrieval::ExactIndex;

use crate::Result;

/// Great-circle errors of answering with the location of the best path's finest cell.
///
/// `visual` `[photos, width]` holds unit rows in the order of `truths`.
///
/// # Errors
/// The index's.
pub fn errors(index: &ExactIndex, visual: &Tensor, truths: &[LatLng]) -> Result<Vec<Kilometres>> {
    errors_at(index, index.cells().depth() - 1, visual, truths)
}

/// The same with the best path down to `level`.
///
/// # Errors
/// The index's.
pub fn errors_at(
    index: &ExactIndex,
    level: usize,
    visual: &Tensor,
    truths: &[LatLng],
) -> Result<Vec<Kilometres>> {
    let cells = index.cells().level(level);
    let best = index.top(level, visual, 1)?;
    Ok(best
        .iter()
        .flatten()
        .zip(truths)
        .map(|(best, truth)| cells[best.cell].location.distance(*truth))
        .collect())
}

/// The expected accuracy of an answer that knows how photos are distributed but does not look: the location of a finest cell drawn
/// with a probability proportional to its photo count. `median_km` and `mean_km` are those of that random answer too.
///
/// # Errors
/// No photo.
pub fn chance(cells: &[Geocell], truths: &[LatLng]) -> Result<Accuracy> {
    // A weighted quantile over all pairs, by drawing each cell as often as an evenly spaced sample of the photos would.
    let draws = (4_000_000 / truths.len().max(1) as u64).clamp(50, 2_000);
    let total: u64 = cells.iter().map(|c| c.photos).sum();
    let mut upper = 0;
    let mut drawn = Vec::with_capacity(draws as usize);
    let mut next = 0;
    for (i, cell) in cells.iter().enumerate() {
        upper += cell.photos;
        while next < draws && (2 * next + 1) * total <= 2 * draws * upper {
            drawn.push(i);
            next += 1;
        }
    }
    let mut errors = Vec::with_capacity(drawn.len() * truths.len());
    for truth in truths {
        errors.extend(drawn.iter().map(|i| cells[*i].location.distance(*truth)));
    }
    let mut accuracy = Accuracy::from_errors(&errors)?;
    accuracy.n = truths.len() as u64;
    Ok(accuracy)
}

/// What "better" means when weights are kept: the mean of the five accuracies.
pub fn score(accuracy: &Accuracy) -> f64 {
    accuracy.within.iter().sum::<f64>() / accuracy.within.len() as f64
}
