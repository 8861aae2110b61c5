//! What others have published, on the same photos with the same tower: the method's claims need something to stand beside.
//!
//! Every baseline learns with the tower, the photos, the order, the optimiser and the number of photos seen of the run that it stands
//! beside; only the head, the loss and the way from a feature to a place are its own. These are reimplementations from the papers'
//! descriptions at the size of the run, not the authors' systems; docs/evaluation.md says where they differ.
//!
//! | module | published as | its answer |
//! | --- | --- | --- |
//! | [`learner`] | | the training loop that all share |
//! | [`classifier`] | PlaNet (Weyand et al., 2016); ISNs' hierarchy (Müller-Budack et al., 2018) | the most probable finest cell; by the product over the levels |
//! | [`kernel_density`] | \[L\]kNN (Vo et al., 2017) | the densest place among the most alike reference photos |
//! | [`gps_gallery`] | GeoCLIP (Vivanco et al., 2023) | the coordinate of a gallery whose random Fourier features match best |
//! | [`reference_clusters`] | PIGEOTTO (Haas et al., 2024) | the best cluster of reference photos inside the most probable cells |

pub mod classifier;
pub mod gps_gallery;
pub mod kernel_density;
pub mod learner;
pub mod reference_clusters;

use geocells::{Accuracy, Kilometres, LatLng};

use crate::{Result, validation};

/// Great-circle errors of some answers.
pub(crate) fn errors_of(answers: &[LatLng], truths: &[LatLng]) -> Vec<Kilometres> {
    answers
        .iter()
        .zip(truths)
        .map(|(answer, truth)| answer.distance(*truth))
        .collect()
}

/// The setting with the best score on validation photos; the first of equals. `answers` gives a setting's answers to them.
pub(crate) fn best_setting<S: Copy>(
    settings: &[S],
    truths: &[LatLng],
    answers: impl Fn(S) -> Result<Vec<LatLng>>,
) -> Result<Option<S>> {
    let mut best: Option<(f64, S)> = None;
    for setting in settings {
        let accuracy = Accuracy::from_errors(&errors_of(&answers(*setting)?, truths))?;
        let score = validation::score(&accuracy);
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, *setting));
        }
    }
    Ok(best.map(|(_, setting)| setting))
}
