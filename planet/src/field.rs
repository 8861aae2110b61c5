//! Smooth random fields on the sphere.

use crate::random::Random;
use crate::sphere::{RADIUS_KM, Vector};

/// Waves in one field: enough for values close to normal, few enough to evaluate forty fields a photograph.
const WAVES: usize = 14;

/// A smooth function of the place: a sum of plane waves of about one wavelength in random directions.
///
/// Values have mean 0 and variance 1 over the sphere. Two places much nearer than the wavelength have nearly the same value;
/// beyond half a wavelength they are nearly unrelated.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    waves: [(Vector, f64); WAVES],
}

impl Field {
    pub(crate) fn new(seed: u64, purpose: u64, wavelength_km: f64) -> Self {
        let mut random = Random::new(seed, purpose);
        let number = std::f64::consts::TAU * RADIUS_KM / wavelength_km;
        let waves = std::array::from_fn(|_| {
            let direction = Vector::random(&mut random);
            let length = number * random.range(0.7, 1.3);
            let phase = random.range(0.0, std::f64::consts::TAU);
            (Vector(direction.0.map(|c| c * length)), phase)
        });
        Self { waves }
    }

    /// About normal: mean 0, variance 1.
    pub(crate) fn value(&self, at: Vector) -> f64 {
        let sum: f64 = self
            .waves
            .iter()
            .map(|(wave, phase)| (wave.dot(at) + phase).cos())
            .sum();
        sum * (2.0 / WAVES as f64).sqrt()
    }

    /// About uniform in (0, 1): the value through the normal distribution's logistic approximation.
    pub(crate) fn level(&self, at: Vector) -> f64 {
        1.0 / (1.0 + (-1.702 * self.value(at)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_places_agree_and_far_ones_do_not() {
        let field = Field::new(9, 1, 500.0);
        let mut random = Random::new(5, 5);
        let (mut near, mut far, mut mean, mut square) = (0.0f64, 0.0, 0.0, 0.0);
        let n = 3000;
        for _ in 0..n {
            let here = Vector::random(&mut random);
            let bearing = random.range(0.0, 6.2);
            let value = field.value(here);
            near += (value - field.value(here.travel(20.0, bearing))).powi(2);
            far += value * field.value(here.travel(1500.0, bearing));
            mean += value;
            square += value * value;
        }
        let n = f64::from(n);
        assert!(near / n < 0.1, "mean square change over 20 km: {}", near / n);
        assert!((far / n).abs() < 0.15, "correlation at 1500 km: {}", far / n);
        assert!((mean / n).abs() < 0.1 && (square / n - 1.0).abs() < 0.2);
    }

    #[test]
    fn levels_are_spread_over_the_whole_range() {
        let field = Field::new(2, 7, 2000.0);
        let mut random = Random::new(6, 5);
        let mut tenths = [0usize; 10];
        for _ in 0..20_000 {
            let level = field.level(Vector::random(&mut random));
            tenths[(level * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|&n| (800..4000).contains(&n)), "{tenths:?}");
    }
}
