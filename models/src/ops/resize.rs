//! Bilinear resizing of feature maps whose channels are the last dimension: corners not aligned, no antialiasing, as
//! networks resize between their layers.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::packed::values;
use super::{composite, work};
use crate::Result;

/// For one output position of one axis: the two inputs that it lies between, and the share of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Between {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) share: f32,
}

impl Between {
    /// The inputs of every output position.
    pub(crate) fn axis(from: usize, to: usize) -> Vec<Self> {
        let scale = from as f32 / to as f32;
        (0..to)
            .map(|position| {
                let place = ((position as f32 + 0.5) * scale - 0.5).max(0.0);
                let first = (place as usize).min(from - 1);
                Self {
                    first,
                    second: (first + 1).min(from - 1),
                    share: (place - first as f32).min(1.0),
                }
            })
            .collect()
    }

    /// The same as a matrix `[to, from]`.
    fn matrix(from: usize, to: usize, like: &Tensor) -> candle_core::Result<Tensor> {
        let mut matrix = vec![0.0_f32; from * to];
        for (between, row) in Self::axis(from, to)
            .into_iter()
            .zip(matrix.chunks_exact_mut(from))
        {
            row[between.first] += 1.0 - between.share;
            row[between.second] += between.share;
        }
        Tensor::from_vec(matrix, (to, from), like.device())?.to_dtype(like.dtype())
    }
}

/// `[batch, height, width, channels]` to `[batch, to.0, to.1, channels]`, without a gradient.
///
/// # Errors
/// When the tensor has another rank or a size is 0.
pub fn resize(x: &Tensor, to: (usize, usize)) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    if (height, width) == to {
        return Ok(x.clone());
    }
    if !composite::wanted(x) {
        return Ok(x.contiguous()?.apply_op1(ResizeOp { to })?);
    }
    let down = Between::matrix(height, to.0, x)?;
    let across = Between::matrix(width, to.1, x)?;
    let rows = x.reshape((batch, height, width * channels))?;
    let rows = down
        .broadcast_left(batch)?
        .contiguous()?
        .matmul(&rows.contiguous()?)?;
    let columns = rows.reshape((batch * to.0, width, channels))?;
    let resized = across
        .broadcast_left(batch * to.0)?
        .contiguous()?
        .matmul(&columns.contiguous()?)?;
    Ok(resized.reshape((batch, to.0, to.1, channels))?)
}

struct ResizeOp {
    to: (usize, usize),
}

impl CustomOp1 for ResizeOp {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, height, width, channels) = layout.shape().dims4()?;
        let x = values(x, layout)?;
        if x.is_empty() || self.to.0 == 0 || self.to.1 == 0 {
            candle_core::bail!("cannot resize {:?} to {:?}", layout.dims(), self.to);
        }
        let (down, across) = (Between::axis(height, self.to.0), Between::axis(width, self.to.1));
        let line = width * channels;
        let mut out = vec![0.0; batch * self.to.0 * self.to.1 * channels];
        work::forward(
            batch * self.to.0,
            1,
            self.to.1 * channels,
            &mut out,
            |row, _, out| {
                let image = &x[row / self.to.0 * height * line..][..height * line];
                let mut blended = vec![0.0; line];
                blend_rows(image, line, down[row % self.to.0], &mut blended);
                for (between, out) in across.iter().zip(out.chunks_exact_mut(channels)) {
                    blend(
                        &blended[between.first * channels..][..channels],
                        &blended[between.second * channels..][..channels],
                        between.share,
                        out,
                    );
                }
            },
        );
        let shape = Shape::from((batch, self.to.0, self.to.1, channels));
        Ok((CpuStorage::F32(out), shape))
    }
}

/// The row of an image (rows of `line` values) at one output position.
pub(crate) fn blend_rows(image: &[f32], line: usize, between: Between, out: &mut [f32]) {
    let (first, second) = (
        &image[between.first * line..][..line],
        &image[between.second * line..][..line],
    );
    blend(first, second, between.share, out);
}

/// `out = (1 - share) * first + share * second`.
#[inline(always)]
pub(crate) fn blend(first: &[f32], second: &[f32], share: f32, out: &mut [f32]) {
    let rest = 1.0 - share;
    for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
        *out = rest * first + share * second;
    }
}
