//! A gallery of coordinates matched by random Fourier features (GeoCLIP, Vivanco, Nayak and Shah 2023).
//!
//! A coordinate is projected (Equal Earth), turned into random Fourier features at several scales, each of which goes through a small
//! network; their sum is the location's vector. Photos and coordinates are aligned by InfoNCE over the batch and further training
//! coordinates as negatives (the original keeps a queue of them). The answer is the coordinate of the gallery, here every distinct
//! training place, that matches best.

use std::collections::HashSet;

use candle_core::{Device, Tensor};
use geocells::LatLng;
use models::ops::{cross_entropy, unit_rows};
use models::{ParameterSpec, Parameters};
use rand::Rng;

use super::learner::Head;
use crate::Result;
use crate::sampling::generator;

/// Standard deviations of the random frequencies: three scales, as published (2⁰, 2⁴, 2⁸).
const SCALES: [f64; 3] = [1.0, 16.0, 256.0];
/// Random frequencies a scale; each gives a cosine and a sine.
const FREQUENCIES: usize = 128;
/// Width of the hidden layer of a scale's network.
const HIDDEN: usize = 256;
/// Training coordinates that join the batch's own as negatives.
const NEGATIVES: usize = 512;
/// The published initial temperature.
const TEMPERATURE: f64 = 0.07;
/// Coordinates encoded at a time.
const CHUNK: usize = 4_096;

/// The head that learns coordinates.
#[derive(Debug, Clone)]
pub struct GpsHead<'a> {
    /// Every photo's place.
    pub places: &'a [LatLng],
    /// Dataset indices of the training photos: where negatives and the gallery come from.
    pub train: &'a [usize],
    /// Width of a feature.
    pub width: usize,
    /// Seed of frequencies and negatives.
    pub seed: u64,
}

/// The Equal Earth projection (Šavrič, Patterson and Jenny, 2018), scaled so that longitude spans −1 to 1.
fn equal_earth(place: LatLng) -> [f64; 2] {
    const A: [f64; 4] = [1.340_264, -0.081_106, 0.000_893, 0.003_796];
    // The published code's scale of the sphere: x at the equator's end becomes 180 before the division.
    const SCALE: f64 = 66.503_36 / 180.0;
    let half_root_3 = 3.0_f64.sqrt() / 2.0;
    let t = (half_root_3 * place.latitude().to_radians().sin()).asin();
    let (t2, t6) = (t * t, t.powi(6));
    let x = place.longitude().to_radians() * t.cos()
        / (half_root_3 * (A[0] + 3.0 * A[1] * t2 + t6 * (7.0 * A[2] + 9.0 * A[3] * t2)));
    let y = t * (A[0] + A[1] * t2 + t6 * (A[2] + A[3] * t2));
    [x * SCALE, y * SCALE]
}

impl GpsHead<'_> {
    /// Random Fourier features of coordinates at one scale, `[places, 2 * FREQUENCIES]`.
    fn features(&self, scale: usize, places: &[LatLng], device: &Device) -> Result<Tensor> {
        let mut rng = generator(self.seed, "frequencies", scale as u64);
        let frequencies: Vec<[f64; 2]> = (0..FREQUENCIES)
            .map(|_| [normal(&mut rng) * SCALES[scale], normal(&mut rng) * SCALES[scale]])
            .collect();
        let mut rows = Vec::with_capacity(places.len() * 2 * FREQUENCIES);
        for place in places {
            let [x, y] = equal_earth(*place);
            let angles = frequencies
                .iter()
                .map(|[u, v]| std::f64::consts::TAU * (u * x + v * y));
            let (cosines, sines): (Vec<f32>, Vec<f32>) =
                angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
            rows.extend(cosines);
            rows.extend(sines);
        }
        Ok(Tensor::from_vec(rows, (places.len(), 2 * FREQUENCIES), device)?)
    }

    /// Unit vectors of coordinates, `[places, width]`.
    fn locations(&self, parameters: &Parameters, places: &[LatLng]) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for scale in 0..SCALES.len() {
            let linear = |name: &str, x: &Tensor| -> Result<Tensor> {
                let weight = parameters.get(&format!("head.{scale}.{name}.weight"))?;
                let bias = parameters.get(&format!("head.{scale}.{name}.bias"))?;
                Ok(x.matmul(&weight.t()?)?.broadcast_add(&bias)?)
            };
            let features = self.features(scale, places, parameters.device())?;
            let hidden = linear("in", &features)?.relu()?;
            let hidden = linear("middle", &hidden)?.relu()?;
            let out = linear("out", &hidden)?;
            sum = Some(match sum {
                None => out,
                Some(sum) => (sum + out)?,
            });
        }
        let sum = match sum {
            Some(sum) => sum,
            None => Tensor::zeros(
                (places.len(), self.width),
                candle_core::DType::F32,
                parameters.device(),
            )?,
        };
        Ok(unit_rows(&sum)?)
    }

    /// Places that join a batch as negatives.
    fn negatives(&self, step: u64) -> Vec<LatLng> {
        let mut rng = generator(self.seed, "negatives", step);
        (0..NEGATIVES.min(self.train.len()))
            .map(|_| self.places[self.train[rng.random_range(0..self.train.len())]])
            .collect()
    }

    /// The answer to each photo: the gallery's coordinate that matches best. The gallery is every distinct training place.
    ///
    /// # Errors
    /// A tensor operation's.
    pub fn answers(&self, parameters: &Parameters, visual: &Tensor) -> Result<Vec<LatLng>> {
        let mut seen = HashSet::new();
        let gallery: Vec<LatLng> = self
            .train
            .iter()
            .map(|photo| self.places[*photo])
            .filter(|place| seen.insert((place.latitude().to_bits(), place.longitude().to_bits())))
            .collect();
        let visual = visual.to_device(parameters.device())?;
        let mut best: Vec<(f32, usize)> = vec![(f32::NEG_INFINITY, 0); visual.dim(0)?];
        for (chunk, places) in gallery.chunks(CHUNK).enumerate() {
            let locations = self.locations(parameters, places)?.detach();
            let likeness: Vec<Vec<f32>> = visual.matmul(&locations.t()?)?.to_vec2()?;
            for (best, row) in best.iter_mut().zip(likeness) {
                for (index, likeness) in row.into_iter().enumerate() {
                    if likeness > best.0 {
                        *best = (likeness, chunk * CHUNK + index);
                    }
                }
            }
        }
        Ok(best.into_iter().map(|(_, index)| gallery[index]).collect())
    }
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

impl Head for GpsHead<'_> {
    fn specs(&self) -> Vec<ParameterSpec> {
        let mut specs = Vec::new();
        for scale in 0..SCALES.len() {
            for (name, inputs, outputs) in [
                ("in", 2 * FREQUENCIES, HIDDEN),
                ("middle", HIDDEN, HIDDEN),
                ("out", HIDDEN, self.width),
            ] {
                specs.extend(ParameterSpec::linear(
                    &format!("head.{scale}.{name}"),
                    inputs,
                    outputs,
                ));
            }
        }
        specs.push(ParameterSpec::constant(
            "head.log_temperature",
            &[],
            TEMPERATURE.ln() as f32,
        ));
        specs
    }

    fn loss(&self, parameters: &Parameters, visual: &Tensor, photos: &[usize], step: u64) -> Result<Tensor> {
        let mut places: Vec<LatLng> = photos.iter().map(|photo| self.places[*photo]).collect();
        places.extend(self.negatives(step));
        let locations = self.locations(parameters, &places)?;
        let inverse = parameters.get("head.log_temperature")?.neg()?.exp()?;
        let logits = visual.matmul(&locations.t()?)?.broadcast_mul(&inverse)?;
        let own: Vec<u32> = (0..photos.len() as u32).collect();
        Ok(cross_entropy(&logits, &own)?.reshape(())?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use candle_core::Var;

    use super::*;

    #[test]
    fn the_projection_meets_known_points() {
        let at = |latitude, longitude| equal_earth(LatLng::new(latitude, longitude).unwrap());
        // pyproj's +proj=eqearth on the unit sphere, times 66.50336 / 180: (0, 180) is 2.706629984, (90, 0) is 1.317362759.
        assert!((at(0.0, 180.0)[0] - 2.706_629_984 * 66.503_36 / 180.0).abs() < 1e-6);
        assert!((at(0.0, 180.0)[0] - 1.0).abs() < 1e-5, "longitude spans -1 to 1");
        assert!((at(90.0, 0.0)[1] - 1.317_362_759 * 66.503_36 / 180.0).abs() < 1e-6);
        assert_eq!(at(0.0, 0.0), [0.0, 0.0]);
    }

    #[test]
    fn every_parameter_learns_and_the_answer_is_the_best_match_of_the_gallery() {
        let places: Vec<LatLng> = (0..12)
            .map(|k| LatLng::new(f64::from(k) * 5.0, f64::from(k) * 11.0).unwrap())
            .collect();
        let train: Vec<usize> = (0..12).collect();
        let head = GpsHead {
            places: &places,
            train: &train,
            width: 8,
            seed: 1,
        };
        let parameters = Parameters::initialise(head.specs(), 2, &Device::Cpu).unwrap();
        let rows: Vec<f32> = (0..24).map(|i| (i as f32).sin() * 0.5).collect();
        let visual = Var::from_tensor(&Tensor::from_vec(rows, (3, 8), &Device::Cpu).unwrap()).unwrap();
        let gradients = head
            .loss(&parameters, visual.as_tensor(), &[0, 4, 7], 0)
            .unwrap()
            .backward()
            .unwrap();
        assert!(gradients.get(visual.as_tensor()).is_some());
        assert!(
            parameters
                .trainable()
                .all(|(_, var, _)| gradients.get(var.as_tensor()).is_some())
        );
        // A photo whose feature is the vector of place 7 is answered with place 7.
        let locations = head.locations(&parameters, &places).unwrap().detach();
        let answers = head
            .answers(&parameters, &locations.narrow(0, 7, 1).unwrap())
            .unwrap();
        assert_eq!(answers, [places[7]]);
    }
}
