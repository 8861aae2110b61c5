//! Convolutions of images whose channels are the last dimension, for networks that are not trained here.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::values;
use super::{composite, kernels, work};
use crate::config::Activation;
use crate::{Parameters, Result};

/// Where a convolution's windows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Height and width of a window.
    pub kernel: (usize, usize),
    /// Distance of windows, down and across.
    pub stride: (usize, usize),
    /// Rows and columns of zeros round the image.
    pub padding: usize,
    /// Whether the image is extended by zeros at its right and bottom until the last window covers its edge.
    pub cover: bool,
}

impl Windows {
    /// Square windows of `side`, `stride` apart, with `padding` zeros round the image.
    #[must_use]
    pub fn square(side: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: (side, side),
            stride: (stride, stride),
            padding,
            cover: false,
        }
    }

    /// Windows side by side that cover the whole image.
    #[must_use]
    pub fn patches(kernel: (usize, usize)) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: 0,
            cover: true,
        }
    }

    /// Windows down and across an image of `height` x `width`.
    ///
    /// # Errors
    /// When the image is smaller than one window.
    pub fn count(&self, height: usize, width: usize) -> candle_core::Result<(usize, usize)> {
        let one = |length: usize, kernel: usize, stride: usize| {
            let padded = length + 2 * self.padding;
            if self.cover {
                Some(padded.div_ceil(stride))
            } else {
                padded.checked_sub(kernel).map(|rest| rest / stride + 1)
            }
        };
        let down = one(height, self.kernel.0, self.stride.0);
        match (down, one(width, self.kernel.1, self.stride.1)) {
            (Some(down), Some(across)) => Ok((down, across)),
            _ => candle_core::bail!(
                "an image of {width} x {height} px is smaller than a convolution's window of {:?}",
                self.kernel
            ),
        }
    }

    /// Of window `index` along one axis: how many of its places lie before the image, the first place of the image that it
    /// covers, and how many it covers.
    fn span(
        index: usize,
        stride: usize,
        kernel: usize,
        padding: usize,
        length: usize,
    ) -> (usize, usize, usize) {
        let start = index * stride;
        let before = padding.saturating_sub(start);
        let first = start.saturating_sub(padding);
        let end = (start + kernel).saturating_sub(padding).min(length);
        (before, first, end.saturating_sub(first))
    }
}

/// A convolution with bias, without a gradient.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// `[outputs, kernel height * kernel width * inputs]`.
    weight: Tensor,
    bias: Tensor,
    windows: Windows,
}

impl Convolution {
    /// Takes `{name}.weight` `[outputs, inputs, height, width]` and `{name}.bias` `[outputs]` if there is one.
    ///
    /// # Errors
    /// When the weight is missing.
    pub fn new(parameters: &Parameters, name: &str, windows: Windows) -> Result<Self> {
        let weight = parameters.get(&format!("{name}.weight"))?;
        let outputs = weight.dim(0)?;
        let bias = match parameters.get(&format!("{name}.bias")) {
            Ok(bias) => bias,
            Err(_) => Tensor::zeros(outputs, weight.dtype(), weight.device())?,
        };
        let weight = weight
            .permute([0, 2, 3, 1])?
            .reshape((outputs, ()))?
            .contiguous()?;
        Ok(Self {
            weight,
            bias,
            windows,
        })
    }

    /// `[batch, height, width, inputs]` to `[batch, down, across, outputs]`.
    ///
    /// # Errors
    /// When the channels are others, or the image is smaller than a window.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !composite::wanted(x) {
            return Ok(x
                .contiguous()?
                .apply_op3(&self.weight, &self.bias, self.windows)?);
        }
        let (batch, height, width, channels) = x.dims4()?;
        let Windows {
            kernel,
            stride,
            padding,
            ..
        } = self.windows;
        let (down, across) = self.windows.count(height, width)?;
        let (bottom, right) = (
            ((down - 1) * stride.0 + kernel.0).saturating_sub(height + padding),
            ((across - 1) * stride.1 + kernel.1).saturating_sub(width + padding),
        );
        let x = x
            .pad_with_zeros(1, padding, bottom)?
            .pad_with_zeros(2, padding, right)?;
        // One shifted view of the image a position in the window, side by side.
        let mut taps = Vec::with_capacity(kernel.0 * kernel.1);
        for row in 0..kernel.0 {
            for column in 0..kernel.1 {
                let rows = every(&x, 1, row, stride.0, down)?;
                taps.push(every(&rows, 2, column, stride.1, across)?);
            }
        }
        let unfolded =
            Tensor::cat(&taps, 3)?.reshape((batch, down, across, kernel.0 * kernel.1 * channels))?;
        composite::linear(&unfolded, &self.weight, Some(&self.bias))
    }
}

/// `count` slices of a dimension, `stride` apart, from `first` on.
fn every(x: &Tensor, dimension: usize, first: usize, stride: usize, count: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(x.narrow(dimension, first, count)?);
    }
    let index: Vec<u32> = (0..count).map(|index| (first + index * stride) as u32).collect();
    Ok(x.contiguous()?
        .index_select(&Tensor::new(index, x.device())?, dimension)?)
}

/// Windows that are unfolded at once.
const TILE: usize = 192;

impl CustomOp3 for Windows {
    fn name(&self) -> &'static str {
        "convolution"
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
        let (batch, height, width, channels) = x_layout.shape().dims4()?;
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        if inputs != self.kernel.0 * self.kernel.1 * channels {
            candle_core::bail!("a convolution cannot take {channels} channels");
        }
        let (down, across) = self.count(height, width)?;
        let (x, bias) = (values(x, x_layout)?, values(bias, bias_layout)?);
        let weight = View::new(values(weight, weight_layout)?, outputs, inputs).transposed();
        let count = batch * down * across;
        let mut out = vec![0.0; count * outputs];
        let group = work::large_row_group(count).min(TILE);
        work::forward(count, group, outputs, &mut out, |first, count, out| {
            let mut rows = vec![0.0; count * inputs];
            for (index, row) in rows.chunks_exact_mut(inputs).enumerate() {
                let window = first + index;
                let image = window / (down * across);
                let image = &x[image * height * width * channels..(image + 1) * height * width * channels];
                let place = (window / across % down, window % across);
                self.unfold(image, (height, width, channels), place, row);
            }
            kernels::repeat_row(bias, out);
            multiply(
                ViewMut::new(out, count, outputs),
                Old::Add,
                1.0,
                View::new(&rows, count, inputs),
                weight,
                Cores::One,
            );
        });
        Ok((CpuStorage::F32(out), Shape::from((batch, down, across, outputs))))
    }
}

impl Windows {
    /// One window of an image; `out` is zero where the image does not reach.
    fn unfold(
        &self,
        image: &[f32],
        (height, width, channels): (usize, usize, usize),
        (down, across): (usize, usize),
        out: &mut [f32],
    ) {
        let (above, top, rows) = Self::span(down, self.stride.0, self.kernel.0, self.padding, height);
        let (before, left, columns) = Self::span(across, self.stride.1, self.kernel.1, self.padding, width);
        if columns == 0 {
            return;
        }
        for row in 0..rows {
            let source = ((top + row) * width + left) * channels;
            let target = ((above + row) * self.kernel.1 + before) * channels;
            let length = columns * channels;
            out[target..target + length].copy_from_slice(&image[source..source + length]);
        }
    }
}

/// A convolution of every channel by itself, 3 x 3 windows side by side with one row of zeros round the image, with a
/// nonlinearity after it. Without a gradient.
#[derive(Clone, Debug)]
pub struct DepthwiseConvolution {
    /// `[9, channels]`.
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl DepthwiseConvolution {
    /// Takes `{name}.weight` `[channels, 1, 3, 3]` and `{name}.bias` `[channels]`.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(parameters: &Parameters, name: &str, activation: Activation) -> Result<Self> {
        let weight = parameters.get(&format!("{name}.weight"))?;
        let channels = weight.dim(0)?;
        Ok(Self {
            weight: weight.reshape((channels, 9))?.t()?.contiguous()?,
            bias: parameters.get(&format!("{name}.bias"))?,
            activation,
        })
    }

    /// `[batch, height, width, channels]` to the same shape.
    ///
    /// # Errors
    /// When the channels are others.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !composite::wanted(x) {
            let op = DepthwiseOp {
                activation: self.activation,
            };
            return Ok(x.contiguous()?.apply_op3(&self.weight, &self.bias, op)?);
        }
        let (_, height, width, _) = x.dims4()?;
        let padded = x.pad_with_zeros(1, 1, 1)?.pad_with_zeros(2, 1, 1)?;
        let mut sum = x.zeros_like()?.broadcast_add(&self.bias)?;
        for tap in 0..9 {
            let shifted = padded.narrow(1, tap / 3, height)?.narrow(2, tap % 3, width)?;
            sum = (sum + shifted.broadcast_mul(&self.weight.get(tap)?)?)?;
        }
        composite::activation(&sum, self.activation)
    }
}

struct DepthwiseOp {
    activation: Activation,
}

impl CustomOp3 for DepthwiseOp {
    fn name(&self) -> &'static str {
        "depthwise-convolution"
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
        let (_, height, width, channels) = x_layout.shape().dims4()?;
        let (x, weight, bias) = (
            values(x, x_layout)?,
            values(weight, weight_layout)?,
            values(bias, bias_layout)?,
        );
        if weight.len() != 9 * channels {
            candle_core::bail!("a depthwise convolution cannot take {channels} channels");
        }
        let mut out = vec![0.0; x.len()];
        let line = width * channels;
        work::forward(x.len() / line, 1, line, &mut out, |first, _, out| {
            let y = first % height;
            kernels::repeat_row(bias, out);
            for tap in 0..9 {
                let (row, column) = (y + tap / 3, tap % 3);
                if row == 0 || row > height {
                    continue;
                }
                let source = &x[(first - y + row - 1) * line..][..line];
                let weight = &weight[tap * channels..(tap + 1) * channels];
                // The columns at which this tap meets the image.
                let (from, to) = match column {
                    0 => (&source[..line - channels], &mut out[channels..]),
                    1 => (source, &mut out[..]),
                    _ => (&source[channels..], &mut out[..line - channels]),
                };
                for (from, to) in from.chunks_exact(channels).zip(to.chunks_exact_mut(channels)) {
                    for ((to, from), weight) in to.iter_mut().zip(from).zip(weight) {
                        *to += from * weight;
                    }
                }
            }
            kernels::activate(self.activation, out);
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}
