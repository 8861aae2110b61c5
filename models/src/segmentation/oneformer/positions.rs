//! Sines and cosines of a cell's place, in two dimensions.

use candle_core::{Device, Tensor};

use crate::Result;

const TEMPERATURE: f32 = 10_000.0;

/// Positions of the cells of a map, `[height * width, width of the embedding]`: the first half of a row for the place
/// down, the second for the place across, both as shares of the map's size. `size` is even.
pub(super) fn sine(height: usize, width: usize, size: usize, device: &Device) -> Result<Tensor> {
    let half = size / 2;
    let (down, across) = (axis(height, half), axis(width, half));
    let mut values = Vec::with_capacity(height * width * size);
    for down in down.chunks_exact(half) {
        for across in across.chunks_exact(half) {
            values.extend_from_slice(down);
            values.extend_from_slice(across);
        }
    }
    Ok(Tensor::from_vec(values, (height * width, size), device)?)
}

/// Embeddings of the places of one axis, `[length, size]`.
fn axis(length: usize, size: usize) -> Vec<f32> {
    let periods: Vec<f32> = (0..size)
        .map(|index| TEMPERATURE.powf((2 * (index / 2)) as f32 / size as f32))
        .collect();
    let mut values = Vec::with_capacity(length * size);
    for place in 0..length {
        let angle = (place + 1) as f32 / (length as f32 + 1e-6) * std::f32::consts::TAU;
        for (index, period) in periods.iter().enumerate() {
            let phase = angle / period;
            values.push(if index.is_multiple_of(2) {
                phase.sin()
            } else {
                phase.cos()
            });
        }
    }
    values
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_last_cell_has_gone_once_round() {
        let positions = sine(2, 3, 8, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(positions.len(), 6);
        // Down: cell 1 of 2 is half a turn, cell 2 of 2 a whole one; the first period is 1.
        assert!(positions[0][0].abs() < 1e-5 && (positions[0][1] + 1.0).abs() < 1e-5);
        assert!(positions[5][0].abs() < 1e-5 && (positions[5][1] - 1.0).abs() < 1e-5);
        // Across: a third of a turn, and a hundredth of it at the second period.
        let third = std::f32::consts::TAU / 3.0;
        assert!((positions[3][4] - third.sin()).abs() < 1e-5);
        assert!((positions[3][6] - (third / 100.0).sin()).abs() < 1e-5);
    }
}
