//! Group norm of images whose channels are the last dimension, for networks that are not trained here.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::packed::values;
use super::{composite, kernels, work};
use crate::config::Activation;
use crate::{Parameters, Result};

/// Group norm over all pixels and the channels of one group, without a gradient.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    shape: GroupShape,
}

#[derive(Clone, Copy, Debug)]
struct GroupShape {
    groups: usize,
    epsilon: f64,
    activation: Option<Activation>,
}

impl GroupNorm {
    /// Takes `{name}.weight` and `{name}.bias`, `[channels]`; `groups` divides the channels.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(parameters: &Parameters, name: &str, groups: usize, epsilon: f64) -> Result<Self> {
        Ok(Self {
            weight: parameters.get(&format!("{name}.weight"))?,
            bias: parameters.get(&format!("{name}.bias"))?,
            shape: GroupShape {
                groups,
                epsilon,
                activation: None,
            },
        })
    }

    /// The same with a nonlinearity after it.
    #[must_use]
    pub fn then(mut self, activation: Activation) -> Self {
        self.shape.activation = Some(activation);
        self
    }

    /// `[batch, .., channels]` to the same shape.
    ///
    /// # Errors
    /// When the channels are others.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !composite::wanted(x) {
            return Ok(x.contiguous()?.apply_op3(&self.weight, &self.bias, self.shape)?);
        }
        let (batch, channels) = (x.dim(0)?, self.weight.elem_count());
        let GroupShape {
            groups,
            epsilon,
            activation,
        } = self.shape;
        let grouped = x.reshape((batch, (), groups, channels / groups))?;
        let centred = grouped.broadcast_sub(&grouped.mean_keepdim((1, 3))?)?;
        let variance = centred.sqr()?.mean_keepdim((1, 3))?;
        let normal = centred
            .broadcast_div(&(variance + epsilon)?.sqrt()?)?
            .reshape(x.shape())?;
        let y = normal.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?;
        match activation {
            Some(activation) => composite::activation(&y, activation),
            None => Ok(y),
        }
    }
}

/// Pixels that are summed up at once.
const CHUNK: usize = 256;

impl GroupShape {
    /// Sum over all pixels of `f` of a channel's value, channel by channel: f32 within a chunk, f64 between chunks.
    fn channel_sums(x: &[f32], channels: usize, f: impl Fn(usize, f32) -> f32 + Sync) -> Vec<f64> {
        let chunks: Vec<Vec<f32>> = x
            .par_chunks(CHUNK * channels)
            .map(|chunk| {
                let mut sums = vec![0.0_f32; channels];
                for pixel in chunk.chunks_exact(channels) {
                    for (channel, (sum, value)) in sums.iter_mut().zip(pixel).enumerate() {
                        *sum += f(channel, *value);
                    }
                }
                sums
            })
            .collect();
        let mut sums = vec![0.0_f64; channels];
        for chunk in chunks {
            for (sum, part) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(part);
            }
        }
        sums
    }

    /// Averages the sums of a group's channels.
    fn means(&self, sums: &[f64], pixels: usize) -> Vec<f64> {
        let size = sums.len() / self.groups;
        sums.chunks_exact(size)
            .map(|group| group.iter().sum::<f64>() / (size * pixels) as f64)
            .collect()
    }
}

impl CustomOp3 for GroupShape {
    fn name(&self) -> &'static str {
        "group-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, weight, bias) = (
            values(x, x_layout)?,
            values(weight, weight_layout)?,
            values(bias, bias_layout)?,
        );
        let channels = weight.len();
        if x_layout.dims().last() != Some(&channels) || !channels.is_multiple_of(self.groups) {
            candle_core::bail!(
                "a group norm of {} groups of {channels} channels cannot take {:?}",
                self.groups,
                x_layout.dims()
            );
        }
        let batch = x_layout.dims()[0].max(1);
        let image = x.len() / batch;
        let (pixels, size) = (image / channels, channels / self.groups);
        let mut out = vec![0.0; x.len()];
        for (x, out) in x.chunks_exact(image).zip(out.chunks_exact_mut(image)) {
            let means = self.means(&Self::channel_sums(x, channels, |_, value| value), pixels);
            let centres: Vec<f32> = (0..channels)
                .map(|channel| means[channel / size] as f32)
                .collect();
            let squares = Self::channel_sums(x, channels, |channel, value| {
                let centred = value - centres[channel];
                centred * centred
            });
            let variances = self.means(&squares, pixels);
            // One multiplication and one addition a value: `value * scale + shift`.
            let scale: Vec<f32> = (0..channels)
                .map(|channel| {
                    (f64::from(weight[channel]) / (variances[channel / size] + self.epsilon).sqrt()) as f32
                })
                .collect();
            let group = work::large_row_group(pixels).min(CHUNK);
            work::forward(pixels, group, channels, out, |first, count, out| {
                let x = &x[first * channels..(first + count) * channels];
                for (pixel, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
                    for ((((out, value), centre), scale), bias) in
                        out.iter_mut().zip(pixel).zip(&centres).zip(&scale).zip(bias)
                    {
                        *out = (value - centre) * scale + bias;
                    }
                }
                if let Some(activation) = self.activation {
                    kernels::activate(activation, out);
                }
            });
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}
