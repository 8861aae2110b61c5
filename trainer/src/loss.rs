//! InfoNCE from image to location, summed over the levels (paper III-C).
//!
//! At one level, photo i with visual embedding v and geocell c has the loss
//! `-(s(c)) + ln sum over the denominator of exp(s)`, where `s(x) = v · g(x) / tau` and the denominator is decided by
//! [`Duplicates`]. Several photos of a batch share a geocell, above all at coarse levels; each distinct cell is therefore scored
//! once and enters the sum with the logarithm of its count as weight, which is the same number at a fraction of the work.

use std::collections::BTreeMap;

use candle_core::Tensor;
use geocells::{Hierarchy, LatLng};
use models::ops::cross_entropy;

use crate::Result;
use crate::config::Duplicates;

/// What a level's loss needs to know of a batch; no tensors of the model in it.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelTargets {
    /// Rows of the batch that lie in some cell of the level.
    pub rows: Vec<u32>,
    /// Distinct cells scored, ascending; empty with full softmax, which scores every cell.
    pub cells: Vec<u32>,
    /// For every entry of `rows`, the column of its own cell.
    pub targets: Vec<u32>,
    /// Added to the logits, `[rows, columns]`, row by row; empty when nothing is to be added.
    pub bias: Vec<f32>,
    /// Shares of the label, `[rows, columns]`, each row's sum 1; empty where a photo's own cell has all of it.
    pub shares: Vec<f32>,
}

/// Haversine label smoothing (PIGEON, section 3.2): a wrong cell near the photo is less wrong than one far away.
///
/// The share of cell c is in proportion to `exp(-(d(c) - d(own)) / km)` with the distances of the cells' locations from the photo.
/// PIGEON sums these weights as they are; here a photo's weights are divided by their sum, so that every photo counts alike.
#[derive(Debug, Clone, Copy)]
pub struct Smoothing<'a> {
    /// The geocells.
    pub hierarchy: &'a Hierarchy,
    /// Every photo's place, by dataset index.
    pub places: &'a [LatLng],
    /// The distance over which a share falls by a factor of e.
    pub km: f64,
}

impl LevelTargets {
    /// Prepares the loss of one level for a batch whose photos lie in `cells` (`None`: in no cell of this level).
    /// Returns `None` if no photo does.
    pub fn new(cells: &[Option<u32>], duplicates: Duplicates) -> Option<Self> {
        let (rows, own): (Vec<u32>, Vec<u32>) = cells
            .iter()
            .enumerate()
            .filter_map(|(i, c)| c.map(|c| (i as u32, c)))
            .unzip();
        if rows.is_empty() {
            return None;
        }
        if duplicates == Duplicates::FullSoftmax {
            return Some(Self {
                rows,
                cells: Vec::new(),
                targets: own,
                bias: Vec::new(),
                shares: Vec::new(),
            });
        }
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        own.iter().for_each(|c| *counts.entry(*c).or_default() += 1);
        let column: BTreeMap<u32, u32> = counts.keys().enumerate().map(|(k, c)| (*c, k as u32)).collect();
        let targets: Vec<u32> = own.iter().map(|c| column[c]).collect();
        let weights: Vec<f32> = counts.values().map(|n| (*n as f32).ln()).collect();
        let mut bias: Vec<f32> = targets.iter().flat_map(|_| weights.iter().copied()).collect();
        if duplicates == Duplicates::Masked {
            for (row, target) in bias.chunks_exact_mut(weights.len()).zip(&targets) {
                row[*target as usize] = 0.0;
            }
        }
        Some(Self {
            rows,
            cells: counts.into_keys().collect(),
            targets,
            bias,
            shares: Vec::new(),
        })
    }

    /// The same with labels shared between the cells of `level`, all of which must be scored; `photos` are the batch's.
    #[must_use]
    pub fn smoothed(mut self, smoothing: &Smoothing<'_>, level: usize, photos: &[usize]) -> Self {
        let cells = smoothing.hierarchy.levels()[level].cells();
        let mut shares = Vec::with_capacity(self.rows.len() * cells.len());
        for (row, own) in self.rows.iter().zip(&self.targets) {
            let place = smoothing.places[photos[*row as usize]];
            let distance = |cell: &geocells::Geocell| cell.location.distance(place).get();
            let nearest = distance(&cells[*own as usize]);
            let weights: Vec<f64> = cells
                .iter()
                .map(|cell| ((nearest - distance(cell)) / smoothing.km).exp())
                .collect();
            let sum: f64 = weights.iter().sum();
            shares.extend(weights.iter().map(|weight| (weight / sum) as f32));
        }
        self.shares = shares;
        self
    }

    /// Mean over the rows of what was added to the logit of their own cell.
    fn own_weight(&self) -> f64 {
        let columns = self.cells.len().max(1);
        let own = self
            .bias
            .chunks_exact(columns)
            .zip(&self.targets)
            .map(|(row, target)| f64::from(row[*target as usize]));
        own.sum::<f64>() / self.rows.len() as f64
    }

    /// The mean of the rows' losses, a scalar.
    ///
    /// `visual` `[batch, width]` holds unit rows; `locations` unit rows too: those of `cells`, or of every cell of the level with
    /// full softmax; `inverse_temperature` is a scalar.
    ///
    /// # Errors
    /// A tensor operation's.
    pub fn loss(&self, visual: &Tensor, locations: &Tensor, inverse_temperature: &Tensor) -> Result<Tensor> {
        let device = visual.device();
        let everyone = self.rows.len() == visual.dim(0)?;
        let visual = if everyone {
            visual.clone()
        } else {
            visual.index_select(&Tensor::new(self.rows.as_slice(), device)?, 0)?
        };
        let logits = visual
            .matmul(&locations.t()?)?
            .broadcast_mul(inverse_temperature)?;
        let logits = if self.bias.is_empty() {
            logits
        } else {
            (&logits + Tensor::from_slice(&self.bias, logits.shape(), device)?)?
        };
        // The weight of a photo's own cell belongs into the denominator alone.
        let loss = (cross_entropy(&logits, &self.targets)? + self.own_weight())?;
        if self.shares.is_empty() {
            return Ok(loss);
        }
        // ln Σ exp(s) - s(own) becomes ln Σ exp(s) - Σ share · s.
        let mut moved: Vec<f32> = self.shares.iter().map(|share| -share).collect();
        let columns = moved.len() / self.rows.len();
        for (row, own) in moved.chunks_exact_mut(columns).zip(&self.targets) {
            row[*own as usize] += 1.0;
        }
        let moved = Tensor::from_slice(&moved, logits.shape(), device)?;
        let difference = ((&logits * moved)?.sum_all()? / self.rows.len() as f64)?;
        Ok((loss.reshape(())? + difference)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use candle_core::{Device, Var};
    use models::ops::unit_rows;
    use rand::Rng;

    use super::*;
    use crate::sampling::generator;

    /// The mean loss written as it is read in the paper, photo by photo, in f64.
    fn naive(
        visual: &[Vec<f64>],
        table: &[Vec<f64>],
        temperature: f64,
        cells: &[Option<u32>],
        duplicates: Duplicates,
    ) -> f64 {
        let unit = |x: &Vec<f64>| {
            let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
            x.iter().map(|v| v / norm).collect::<Vec<f64>>()
        };
        let score = |i: usize, c: u32| {
            visual[i]
                .iter()
                .zip(unit(&table[c as usize]))
                .map(|(a, b)| a * b)
                .sum::<f64>()
                / temperature
        };
        let located = cells.iter().flatten().count() as f64;
        let mut sum = 0.0;
        for (i, own) in cells.iter().enumerate() {
            let Some(own) = *own else { continue };
            let denominator: f64 = match duplicates {
                Duplicates::FullSoftmax => (0..table.len() as u32).map(|c| score(i, c).exp()).sum(),
                Duplicates::Kept => cells.iter().flatten().map(|c| score(i, *c).exp()).sum(),
                Duplicates::Masked => cells
                    .iter()
                    .enumerate()
                    .filter_map(|(j, c)| c.filter(|c| j == i || *c != own))
                    .map(|c| score(i, c).exp())
                    .sum(),
            };
            sum += (denominator.ln() - score(i, own)) / located;
        }
        sum
    }

    fn random(rows: usize, width: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = generator(seed, "test", 0);
        (0..rows)
            .map(|_| (0..width).map(|_| rng.random_range(-1.0..1.0)).collect())
            .collect()
    }

    fn tensor(x: &[Vec<f64>]) -> Tensor {
        let flat: Vec<f32> = x.iter().flatten().map(|v| *v as f32).collect();
        Tensor::from_vec(flat, (x.len(), x[0].len()), &Device::Cpu).unwrap()
    }

    fn units(x: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        x.into_iter()
            .map(|r| {
                let n = r.iter().map(|v| v * v).sum::<f64>().sqrt();
                r.iter().map(|v| v / n).collect()
            })
            .collect()
    }

    fn locations(table: &Tensor, targets: &LevelTargets) -> Tensor {
        let rows = if targets.cells.is_empty() {
            table.clone()
        } else {
            table
                .index_select(&Tensor::new(targets.cells.as_slice(), &Device::Cpu).unwrap(), 0)
                .unwrap()
        };
        unit_rows(&rows).unwrap()
    }

    const ALL: [Duplicates; 3] = [Duplicates::Masked, Duplicates::Kept, Duplicates::FullSoftmax];

    #[test]
    fn equals_the_naive_sum() {
        let (visual, table) = (units(random(9, 6, 1)), random(5, 6, 2));
        let cells = [
            Some(0),
            Some(3),
            None,
            Some(3),
            Some(3),
            Some(1),
            None,
            Some(0),
            Some(4),
        ];
        for duplicates in ALL {
            let targets = LevelTargets::new(&cells, duplicates).unwrap();
            let got = targets
                .loss(
                    &tensor(&visual),
                    &locations(&tensor(&table), &targets),
                    &Tensor::new(1f32 / 0.2, &Device::Cpu).unwrap(),
                )
                .unwrap();
            let want = naive(&visual, &table, 0.2, &cells, duplicates);
            assert!(
                (f64::from(got.to_scalar::<f32>().unwrap()) - want).abs() < 1e-4 * want.abs(),
                "{duplicates:?}: {got} {want}"
            );
        }
    }

    #[test]
    fn gradients_equal_finite_differences_of_the_naive_sum() {
        let (visual, table) = (units(random(6, 4, 3)), random(4, 4, 4));
        let cells = [Some(0), Some(2), Some(2), None, Some(3), Some(2)];
        for duplicates in ALL {
            let v = Var::from_tensor(&tensor(&visual)).unwrap();
            let t = Var::from_tensor(&tensor(&table)).unwrap();
            let log_temperature = Var::from_tensor(&Tensor::new(0.3f32.ln(), &Device::Cpu).unwrap()).unwrap();
            let inverse = log_temperature.neg().unwrap().exp().unwrap();
            let targets = LevelTargets::new(&cells, duplicates).unwrap();
            let loss = targets.loss(&v, &locations(&t, &targets), &inverse).unwrap();
            let grads = loss.backward().unwrap();
            let got = grads.get(&t).unwrap().to_vec2::<f32>().unwrap();
            let h = 1e-5;
            for (r, c) in [(0, 0), (2, 1), (3, 3), (1, 2)] {
                let at = |d: f64| {
                    let mut moved = table.clone();
                    moved[r][c] += d;
                    naive(&visual, &moved, 0.3, &cells, duplicates)
                };
                let want = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (f64::from(got[r][c]) - want).abs() < 1e-3,
                    "{duplicates:?} {r} {c}: {} {want}",
                    got[r][c]
                );
            }
            let temperature = |d: f64| naive(&visual, &table, (0.3f64.ln() + d).exp(), &cells, duplicates);
            let want = (temperature(h) - temperature(-h)) / (2.0 * h);
            let got = f64::from(grads.get(&log_temperature).unwrap().to_scalar::<f32>().unwrap());
            assert!(
                (got - want).abs() < 1e-2 * want.abs().max(1.0),
                "{duplicates:?}: {got} {want}"
            );
            assert!(grads.get(&v).is_some());
        }
    }

    #[test]
    fn masked_duplicates_are_no_negatives() {
        let cells = vec![Some(1); 5];
        let (visual, table) = (units(random(5, 4, 5)), random(3, 4, 6));
        let loss = |d| {
            let targets = LevelTargets::new(&cells, d).unwrap();
            let locations = locations(&tensor(&table), &targets);
            targets
                .loss(
                    &tensor(&visual),
                    &locations,
                    &Tensor::new(10f32, &Device::Cpu).unwrap(),
                )
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
        };
        assert!(
            loss(Duplicates::Masked).abs() < 1e-4,
            "one cell in the batch leaves nothing to tell apart"
        );
        assert!((loss(Duplicates::Kept) - 5f32.ln()).abs() < 1e-3);
    }

    #[test]
    fn a_batch_outside_every_cell_has_no_loss() {
        assert_eq!(LevelTargets::new(&[None, None], Duplicates::Masked), None);
    }
}
