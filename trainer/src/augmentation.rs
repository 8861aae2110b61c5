//! Small changes of a training photo that keep its place, done alike to its map.

use rand::Rng;

use crate::config::AugmentationConfig;

/// One drawn change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Mirror the photo.
    pub flip: bool,
    /// Pixels by which the content moves right.
    pub right: i32,
    /// Pixels by which the content moves down.
    pub down: i32,
    /// Factor on the light.
    pub brightness: f32,
}

impl Change {
    /// The change that changes nothing.
    pub const NONE: Self = Self {
        flip: false,
        right: 0,
        down: 0,
        brightness: 1.0,
    };

    /// Draws a change. Always takes the same count of numbers from `rng`.
    pub fn draw(config: &AugmentationConfig, rng: &mut impl Rng) -> Self {
        let shift = config.shift as i32;
        Self {
            flip: rng.random::<f64>() < config.flip,
            right: rng.random_range(-shift..=shift),
            down: rng.random_range(-shift..=shift),
            brightness: 1.0 + (config.brightness * rng.random_range(-1.0..=1.0)) as f32,
        }
    }

    /// Applies the change to a `[size, size, channels]` picture of bytes. `light` is false for maps, whose values are names.
    pub fn apply(&self, from: &[u8], to: &mut [u8], size: usize, channels: usize, light: bool) {
        let last = size as i32 - 1;
        let column = |x: usize| {
            let x = if self.flip { last - x as i32 } else { x as i32 };
            (if self.flip { x + self.right } else { x - self.right }).clamp(0, last) as usize
        };
        let columns: Vec<usize> = (0..size).map(column).collect();
        let lit: Option<[u8; 256]> = (light && self.brightness != 1.0)
            .then(|| std::array::from_fn(|v| (v as f32 * self.brightness).round().clamp(0.0, 255.0) as u8));
        for (y, row) in to.chunks_exact_mut(size * channels).enumerate() {
            let source = (y as i32 - self.down).clamp(0, last) as usize * size * channels;
            let source = &from[source..source + size * channels];
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                pixel.copy_from_slice(&source[columns[x] * channels..][..channels]);
            }
            if let Some(lit) = &lit {
                row.iter_mut().for_each(|v| *v = lit[*v as usize]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::generator;

    #[test]
    fn shift_repeats_the_edge_and_flip_mirrors() {
        let from: Vec<u8> = (0..9).collect();
        let mut to = vec![0; 9];
        Change {
            right: 1,
            down: -1,
            ..Change::NONE
        }
        .apply(&from, &mut to, 3, 1, true);
        assert_eq!(to, [3, 3, 4, 6, 6, 7, 6, 6, 7]);
        Change {
            flip: true,
            ..Change::NONE
        }
        .apply(&from, &mut to, 3, 1, true);
        assert_eq!(to, [2, 1, 0, 5, 4, 3, 8, 7, 6]);
        Change {
            flip: true,
            right: 1,
            ..Change::NONE
        }
        .apply(&from, &mut to, 3, 1, true);
        assert_eq!(to, [2, 2, 1, 5, 5, 4, 8, 8, 7]);
    }

    #[test]
    fn light_leaves_maps_alone() {
        let from = [100u8, 200, 250, 0];
        let mut to = [0u8; 4];
        let brighter = Change {
            brightness: 1.2,
            ..Change::NONE
        };
        brighter.apply(&from, &mut to, 2, 1, true);
        assert_eq!(to, [120, 240, 255, 0]);
        brighter.apply(&from, &mut to, 2, 1, false);
        assert_eq!(to, from);
    }

    #[test]
    fn draws_stay_in_bounds() {
        let config = AugmentationConfig {
            flip: 0.5,
            shift: 4,
            brightness: 0.3,
        };
        let mut rng = generator(3, "test", 0);
        let drawn: Vec<Change> = (0..500).map(|_| Change::draw(&config, &mut rng)).collect();
        assert!(
            drawn
                .iter()
                .all(|c| c.right.abs() <= 4 && c.down.abs() <= 4 && (0.7..=1.3).contains(&c.brightness))
        );
        let flips = drawn.iter().filter(|c| c.flip).count();
        assert!((180..320).contains(&flips), "{flips}");
        assert!(drawn.iter().any(|c| c.right == -4) && drawn.iter().any(|c| c.right == 4));
    }
}
