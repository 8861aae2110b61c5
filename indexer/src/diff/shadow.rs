//! Answers that a candidate gave beside the active release, as the catalog keeps them.

use std::collections::HashMap;

use storage::{Catalog, Prediction, PredictionFilter, ReleaseId, Shadows};
use uuid::Uuid;

use super::{Pair, Side};
use crate::Result;

/// Predictions read together.
const PAGE: usize = 500;

/// Pairs of answers that the first release gave and the second one shadowed, newest first, at most `most`.
///
/// # Errors
/// Those of the catalog.
pub async fn from_shadow(
    a: &ReleaseId,
    b: &ReleaseId,
    catalog: &dyn Catalog,
    most: usize,
) -> Result<Vec<Pair>> {
    let filter = PredictionFilter {
        release: Some(b.clone()),
        shadows: Shadows::Only,
        ..PredictionFilter::default()
    };
    let mut pairs = Vec::new();
    let mut after = None;
    while pairs.len() < most {
        let page = catalog.predictions(&filter, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let given: Vec<Uuid> = page.iter().filter_map(|shadow| shadow.shadow_of).collect();
        let truths = catalog.ground_truths(&given).await?;
        let truths: HashMap<Uuid, geocells::LatLng> = truths
            .into_iter()
            .map(|truth| (truth.prediction, truth.location))
            .collect();
        for shadow in &page {
            let Some(id) = shadow.shadow_of else { continue };
            let given = match catalog.prediction(id).await {
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            if given.release == *a && pairs.len() < most {
                pairs.push(Pair {
                    a: side(&given),
                    b: side(shadow),
                    truth: truths.get(&id).copied(),
                });
            }
        }
    }
    Ok(pairs)
}

fn side(prediction: &Prediction) -> Side {
    Side {
        location: prediction.location,
        confidence: prediction.confidence,
        cannot_tell: prediction.cannot_tell.is_some(),
        levels: prediction.levels.iter().map(|level| level.token).collect(),
    }
}
