//! Stated probabilities against how often they came true.

use geocells::THRESHOLDS;

use super::Case;
use super::curves::Curve;

const BINS: usize = 10;
/// A bin of fewer photos says nothing.
const FEWEST: usize = 5;

/// For each threshold, the mean stated probability of a bin and the share of its photos that lay within, both in percent.
pub(super) fn reliability(cases: &[Case]) -> [Curve; 5] {
    std::array::from_fn(|k| {
        let mut bins = vec![(0usize, 0.0, 0usize); BINS];
        for case in cases {
            let stated = case.answer.within.0[k].clamp(0.0, 1.0);
            let bin = &mut bins[((stated * BINS as f64) as usize).min(BINS - 1)];
            bin.0 += 1;
            bin.1 += stated;
            bin.2 += usize::from(case.km <= THRESHOLDS[k].km.get());
        }
        bins.iter()
            .filter(|(photos, ..)| *photos >= FEWEST)
            .map(|(photos, stated, true_ones)| {
                let photos = *photos as f64;
                (100.0 * stated / photos, 100.0 * *true_ones as f64 / photos)
            })
            .collect()
    })
}
