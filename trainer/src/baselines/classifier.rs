//! A softmax classifier over geocells: flat (PlaNet), or over every level with the product along each path (ISNs).
//!
//! The head is a linear layer a level with weights and biases of any length, on features scaled so that a component has variance one: no
//! cosine, no temperature, which is what tells it from geographic embeddings (the paper's Table VI). With `smoothing_km` the targets
//! are smoothed by great-circle distance (PIGEON, Haas et al. 2024): a cell gets exp(−(d(cell, photo) − d(own cell, photo)) / τ).

use candle_core::{D, Tensor};
use geocells::{Hierarchy, LatLng};
use models::ops::cross_entropy;
use models::{ParameterSpec, Parameters};

use super::learner::Head;
use crate::Result;
use crate::labels::CellLabels;

/// The head of a classifier.
#[derive(Debug, Clone)]
pub struct ClassifierHead<'a> {
    /// The geocells.
    pub hierarchy: &'a Hierarchy,
    /// Every photo's cells.
    pub labels: &'a CellLabels,
    /// Every photo's place.
    pub places: &'a [LatLng],
    /// The levels that are classified, coarsest first.
    pub levels: Vec<usize>,
    /// Targets are smoothed over so many kilometres; `None`: the own cell alone.
    pub smoothing_km: Option<f64>,
    /// Width of a feature.
    pub width: usize,
}

impl ClassifierHead<'_> {
    fn logits(&self, parameters: &Parameters, level: usize, visual: &Tensor) -> Result<Tensor> {
        let weight = parameters.get(&format!("head.{level}.weight"))?;
        let bias = parameters.get(&format!("head.{level}.bias"))?;
        let scaled = (visual * (self.width as f64).sqrt())?;
        Ok(scaled.matmul(&weight.t()?)?.broadcast_add(&bias)?)
    }

    fn level_loss(
        &self,
        parameters: &Parameters,
        level: usize,
        visual: &Tensor,
        photos: &[usize],
    ) -> Result<Tensor> {
        let labels = self.labels.level(level);
        let (rows, own): (Vec<u32>, Vec<u32>) = photos
            .iter()
            .enumerate()
            .filter_map(|(row, photo)| Some((row as u32, labels[*photo]?)))
            .unzip();
        if rows.is_empty() {
            // No photo of the batch lies in a cell of this level: gradients are zero, not missing.
            return Ok((self.logits(parameters, level, visual)?.sum_all()? * 0.0)?);
        }
        let index = Tensor::new(rows.as_slice(), visual.device())?;
        let logits = self.logits(parameters, level, &visual.index_select(&index, 0)?)?;
        let Some(smoothing) = self.smoothing_km else {
            return Ok(cross_entropy(&logits, &own)?.reshape(())?);
        };
        let cells = self.hierarchy.levels()[level].cells();
        let mut targets = Vec::with_capacity(rows.len() * cells.len());
        for (row, own) in rows.iter().zip(&own) {
            let place = self.places[photos[*row as usize]];
            let distance = |cell: usize| cells[cell].location.distance(place).get();
            targets.extend(smoothed(
                (0..cells.len()).map(distance),
                distance(*own as usize),
                smoothing,
            ));
        }
        let targets = Tensor::from_vec(targets, logits.shape(), logits.device())?;
        let log = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        Ok(((targets * log)?.sum_all()? * (-1.0 / rows.len() as f64))?)
    }
}

/// The share of every cell in a photo's target, from the photo's distance to each.
fn smoothed(distances: impl Iterator<Item = f64>, own: f64, smoothing_km: f64) -> Vec<f32> {
    // A mean nearer than the own cell's must not weigh more than it: the photo is known to lie in its own.
    let weights: Vec<f64> = distances
        .map(|d| (-(d - own).max(0.0) / smoothing_km).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| (w / total) as f32).collect()
}

impl Head for ClassifierHead<'_> {
    fn specs(&self) -> Vec<ParameterSpec> {
        let level = |level: &usize| {
            let cells = self.hierarchy.levels()[*level].len();
            ParameterSpec::linear(&format!("head.{level}"), self.width, cells)
        };
        self.levels.iter().flat_map(level).collect()
    }

    fn loss(&self, parameters: &Parameters, visual: &Tensor, photos: &[usize], _step: u64) -> Result<Tensor> {
        let mut total = (visual.sum_all()? * 0.0)?;
        for level in &self.levels {
            total = (total + self.level_loss(parameters, *level, visual, photos)?)?;
        }
        Ok(total)
    }
}

impl ClassifierHead<'_> {
    /// Logarithms of the probabilities of the finest cells, one row a photo: of the finest level's softmax, or with `product` of the product
    /// of all classified levels' softmaxes along each cell's path, not normalised.
    ///
    /// # Errors
    /// A tensor operation's.
    pub fn log_probabilities(
        &self,
        parameters: &Parameters,
        visual: &Tensor,
        product: bool,
    ) -> Result<Vec<Vec<f32>>> {
        let finest = self.hierarchy.depth() - 1;
        let visual = visual.to_device(parameters.device())?;
        let log = |level: usize| -> Result<Vec<Vec<f32>>> {
            let logits = self.logits(parameters, level, &visual)?.detach();
            Ok(candle_nn::ops::log_softmax(&logits, D::Minus1)?.to_vec2()?)
        };
        if !product {
            return log(finest);
        }
        let levels = self.levels.iter().map(|l| log(*l)).collect::<Result<Vec<_>>>()?;
        let paths: Vec<Vec<usize>> = (0..self.hierarchy.finest().len())
            .map(|c| self.hierarchy.path(c))
            .collect();
        let photo = |row: usize| -> Vec<f32> {
            let sum = |path: &Vec<usize>| {
                self.levels
                    .iter()
                    .zip(&levels)
                    .map(|(level, log)| log[row][path[*level]])
                    .sum()
            };
            paths.iter().map(sum).collect()
        };
        Ok((0..visual.dim(0)?).map(photo).collect())
    }

    /// The location of the most probable finest cell of each row.
    pub fn answers(&self, log_probabilities: &[Vec<f32>]) -> Vec<LatLng> {
        let cells = self.hierarchy.finest().cells();
        let best = |row: &Vec<f32>| {
            row.iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
                .map_or(0, |(cell, _)| cell)
        };
        log_probabilities
            .iter()
            .map(|row| cells[best(row)].location)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use candle_core::{Device, Var};
    use geocells::PartitionConfig;

    use super::*;

    /// Two clusters that part at the coarse level, each of two that part at the fine one.
    fn world() -> (Hierarchy, Vec<LatLng>) {
        let places: Vec<LatLng> = (0..160)
            .map(|i| {
                let (east, north) = (f64::from(i % 2), f64::from(i / 2 % 2));
                let jitter = f64::from(i / 4) * 1e-3;
                LatLng::new(10.0 + 20.0 * north + jitter, 10.0 + 100.0 * east + jitter).unwrap()
            })
            .collect();
        let config = PartitionConfig {
            t_min: 3,
            t_max: vec![100, 50],
            ..PartitionConfig::default()
        };
        (Hierarchy::build(&places, &config).unwrap(), places)
    }

    #[test]
    fn smoothing_is_the_published_formula() {
        // exp(-(d - d_own) / 75), normalised: 1, exp(-1), exp(-2); a nearer mean weighs no more than the own cell's.
        let found = smoothed([50.0, 125.0, 200.0, 20.0].into_iter(), 50.0, 75.0);
        let e = std::f64::consts::E;
        let total = 2.0 + 1.0 / e + 1.0 / (e * e);
        for (found, wanted) in found.iter().zip([1.0, 1.0 / e, 1.0 / (e * e), 1.0]) {
            assert!((f64::from(*found) - wanted / total).abs() < 1e-6);
        }
    }

    #[test]
    fn the_product_multiplies_softmaxes_along_the_path() {
        let (hierarchy, places) = world();
        assert!(hierarchy.levels()[0].len() < hierarchy.finest().len());
        let labels = CellLabels::new(&hierarchy, &places);
        let head = ClassifierHead {
            hierarchy: &hierarchy,
            labels: &labels,
            places: &places,
            levels: vec![0, 1],
            smoothing_km: None,
            width: 4,
        };
        let parameters = Parameters::initialise(head.specs(), 3, &Device::Cpu).unwrap();
        let visual = Tensor::new(&[[0.5_f32, 0.5, -0.5, 0.5], [1.0, 0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let product = head.log_probabilities(&parameters, &visual, true).unwrap();
        let softmax = |level: usize, row: usize| -> Vec<f64> {
            let weight: Vec<Vec<f32>> = parameters
                .get(&format!("head.{level}.weight"))
                .unwrap()
                .to_vec2()
                .unwrap();
            let v: Vec<f32> = visual.to_vec2::<f32>().unwrap()[row].clone();
            let logits: Vec<f64> = weight
                .iter()
                .map(|w| {
                    w.iter()
                        .zip(&v)
                        .map(|(w, v)| f64::from(*w) * f64::from(*v) * 2.0)
                        .sum()
                })
                .collect();
            let total: f64 = logits.iter().map(|l| l.exp()).sum();
            logits.iter().map(|l| l.exp() / total).collect()
        };
        for (row, product) in product.iter().enumerate() {
            for (cell, found) in product.iter().enumerate() {
                let path = hierarchy.path(cell);
                let wanted = (softmax(0, row)[path[0]] * softmax(1, row)[path[1]]).ln();
                assert!((f64::from(*found) - wanted).abs() < 1e-5);
            }
        }
        let flat = head.log_probabilities(&parameters, &visual, false).unwrap();
        assert!((f64::from(flat[0][1]) - softmax(1, 0)[1].ln()).abs() < 1e-5);
    }

    #[test]
    fn both_losses_reach_every_parameter_and_smoothing_towards_zero_is_the_plain_loss() {
        let (hierarchy, places) = world();
        let labels = CellLabels::new(&hierarchy, &places);
        let head = |smoothing_km| ClassifierHead {
            hierarchy: &hierarchy,
            labels: &labels,
            places: &places,
            levels: vec![1],
            smoothing_km,
            width: 4,
        };
        let parameters = Parameters::initialise(head(None).specs(), 3, &Device::Cpu).unwrap();
        let rows: Vec<f32> = (0..16).map(|i| (i as f32 * 0.7).sin() * 0.5).collect();
        let visual = Var::from_tensor(&Tensor::from_vec(rows, (4, 4), &Device::Cpu).unwrap()).unwrap();
        let loss = |smoothing| {
            head(smoothing)
                .loss(&parameters, visual.as_tensor(), &[0, 1, 2, 3], 0)
                .unwrap()
        };
        let value = |loss: &Tensor| loss.to_scalar::<f32>().unwrap();
        let (plain, sharp) = (loss(None), loss(Some(1e-3)));
        assert!((value(&plain) - value(&sharp)).abs() < 1e-5);
        let smooth = loss(Some(3_000.0));
        for loss in [plain, smooth] {
            let gradients = loss.backward().unwrap();
            assert!(gradients.get(visual.as_tensor()).is_some());
            assert!(
                parameters
                    .trainable()
                    .all(|(_, var, _)| gradients.get(var.as_tensor()).is_some())
            );
        }
    }
}
