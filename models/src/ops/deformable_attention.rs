//! Multi-scale deformable attention's sampling as one operation, for networks that are not trained here.

use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Shape, Tensor};

use super::packed::values;
use super::{composite, kernels, work};
use crate::Result;

/// Feature maps of several resolutions, whose cells follow each other in one sequence, and how they are sampled.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    pub(crate) heads: usize,
    /// Points that a head samples in each map.
    pub(crate) points: usize,
    /// Height and width of each map, in their order.
    pub(crate) maps: Vec<(usize, usize)>,
}

impl Sampling {
    /// Cells of all maps.
    pub(crate) fn cells(&self) -> usize {
        self.maps.iter().map(|(height, width)| height * width).sum()
    }

    /// Numbers that say what one cell samples: two offsets and one score a head, map and point.
    pub(crate) fn numbers(&self) -> usize {
        3 * self.heads * self.samples()
    }

    /// Samples of one head.
    fn samples(&self) -> usize {
        self.maps.len() * self.points
    }

    /// What every cell gathers. `sampled` `[batch, cells, numbers]` holds first the offsets, in pixels of the map that they
    /// are for (`[heads, maps, points, (x, y)]`), then the scores (`[heads, maps, points]`); `features` is `[batch, cells,
    /// width]`, a head's channels side by side. The result has the shape of `features`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn gather(&self, features: &Tensor, sampled: &Tensor) -> Result<Tensor> {
        if !composite::wanted(features) {
            let op = SamplingOp(self.clone());
            return Ok(features.contiguous()?.apply_op2(&sampled.contiguous()?, op)?);
        }
        self.composite(features, sampled)
    }

    /// Centre of every cell, as shares of its map's width and height.
    fn centres(&self) -> (Vec<f32>, Vec<f32>) {
        let (mut across, mut down) = (Vec::new(), Vec::new());
        for &(height, width) in &self.maps {
            for cell in 0..height * width {
                across.push(((cell % width) as f32 + 0.5) / width as f32);
                down.push(((cell / width) as f32 + 0.5) / height as f32);
            }
        }
        (across, down)
    }

    fn composite(&self, features: &Tensor, sampled: &Tensor) -> Result<Tensor> {
        let (batch, cells, width) = features.dims3()?;
        let (heads, points, maps) = (self.heads, self.points, self.maps.len());
        let device = features.device();
        let offsets = heads * self.samples() * 2;
        let scores = sampled.narrow(2, offsets, heads * self.samples())?.reshape((
            batch,
            cells,
            heads,
            maps * points,
        ))?;
        let shares = candle_nn::ops::softmax(&scores.contiguous()?, D::Minus1)?
            .reshape((batch, cells, heads, maps, points))?;
        let offsets = sampled
            .narrow(2, 0, offsets)?
            .reshape(&[batch, cells, heads, maps, points, 2])?;
        let (across, down) = self.centres();
        let centres = [across, down].map(|centres| Tensor::from_vec(centres, (1, cells, 1, 1), device));
        let mut start = 0;
        let mut sum = Tensor::zeros((batch, heads, cells, width / heads), features.dtype(), device)?;
        for (map, &(rows, columns)) in self.maps.iter().enumerate() {
            let values = features
                .narrow(1, start, rows * columns)?
                .reshape((batch, rows * columns, heads, width / heads))?
                .transpose(1, 2)?
                .contiguous()?;
            start += rows * columns;
            let share = shares.narrow(3, map, 1)?.squeeze(3)?;
            let place = |axis: usize, length: usize| -> Result<Tensor> {
                let offset = offsets
                    .narrow(3, map, 1)?
                    .narrow(5, axis, 1)?
                    .squeeze(5)?
                    .squeeze(3)?;
                let centre = centres[axis].as_ref().map_err(|error| {
                    candle_core::Error::Msg(format!("no room for the centres of cells: {error}"))
                })?;
                let centre = centre.affine(length as f64, -0.5)?.to_dtype(offset.dtype())?;
                Ok(offset.broadcast_add(&centre)?)
            };
            let (x, y) = (place(0, columns)?, place(1, rows)?);
            for corner in 0..4 {
                let (cell_x, weight_x) = corner_of(&x, corner % 2 == 1, columns)?;
                let (cell_y, weight_y) = corner_of(&y, corner / 2 == 1, rows)?;
                let index = ((cell_y * columns as f64)? + cell_x)?.to_dtype(DType::U32)?;
                let weight = ((weight_x * weight_y)? * &share)?;
                // [batch, cells, heads, points] to [batch, heads, cells * points, 1].
                let flat = |x: &Tensor| -> Result<Tensor> {
                    Ok(x.transpose(1, 2)?.reshape((batch, heads, cells * points, 1))?)
                };
                let index = flat(&index)?
                    .broadcast_as((batch, heads, cells * points, width / heads))?
                    .contiguous()?;
                let gathered = values
                    .gather(&index, 2)?
                    .broadcast_mul(&flat(&weight)?)?
                    .reshape(&[batch, heads, cells, points, width / heads])?
                    .sum(3)?;
                sum = (sum + gathered)?;
            }
        }
        Ok(sum.transpose(1, 2)?.reshape((batch, cells, width))?)
    }
}

/// One of the two cells that a place lies between (the later one if `second`), inside the map, and its weight: zero outside.
fn corner_of(place: &Tensor, second: bool, length: usize) -> Result<(Tensor, Tensor)> {
    let floor = place.floor()?;
    let share = (place - &floor)?;
    let (cell, weight) = if second {
        ((floor + 1.0)?, share)
    } else {
        (floor, share.affine(-1.0, 1.0)?)
    };
    let last = (length - 1) as f64;
    let inside = (cell.ge(0.0)? * cell.le(last)?)?.to_dtype(weight.dtype())?;
    Ok((cell.clamp(0.0, last)?, (weight * inside)?))
}

struct SamplingOp(Sampling);

impl CustomOp2 for SamplingOp {
    fn name(&self) -> &'static str {
        "deformable-attention"
    }

    fn cpu_fwd(
        &self,
        features: &CpuStorage,
        feature_layout: &Layout,
        sampled: &CpuStorage,
        sampled_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let Self(sampling) = self;
        let (batch, cells, width) = feature_layout.shape().dims3()?;
        let numbers = sampling.numbers();
        if cells != sampling.cells()
            || sampled_layout.dims() != [batch, cells, numbers]
            || !width.is_multiple_of(sampling.heads)
        {
            candle_core::bail!(
                "features of shape {:?} cannot be sampled by {:?} in maps of {:?}",
                feature_layout.dims(),
                sampled_layout.dims(),
                sampling.maps
            );
        }
        let (features, sampled) = (
            values(features, feature_layout)?,
            values(sampled, sampled_layout)?,
        );
        let (across, down) = sampling.centres();
        let mut out = vec![0.0; features.len()];
        let group = work::row_group(batch * cells).min(64);
        work::forward(batch * cells, group, width, &mut out, |first, _, out| {
            let mut shares = vec![0.0; sampling.heads * sampling.samples()];
            for (index, out) in out.chunks_exact_mut(width).enumerate() {
                let index = first + index;
                let (image, cell) = (index / cells, index % cells);
                let features = &features[image * cells * width..][..cells * width];
                let (offsets, scores) = sampled[index * numbers..][..numbers].split_at(2 * shares.len());
                shares.copy_from_slice(scores);
                kernels::softmax(&mut shares, sampling.samples());
                sampling.cell(features, (across[cell], down[cell]), offsets, &shares, out);
            }
        });
        Ok((CpuStorage::F32(out), feature_layout.shape().clone()))
    }
}

impl Sampling {
    /// What one cell gathers, all heads.
    fn cell(
        &self,
        features: &[f32],
        (across, down): (f32, f32),
        offsets: &[f32],
        shares: &[f32],
        out: &mut [f32],
    ) {
        let width = out.len();
        let size = width / self.heads;
        let mut samples = offsets.chunks_exact(2).zip(shares);
        for (head, out) in out.chunks_exact_mut(size).enumerate() {
            let mut map_start = 0;
            for &(rows, columns) in &self.maps {
                let map = &features[map_start * width..(map_start + rows * columns) * width];
                map_start += rows * columns;
                for (offset, share) in samples.by_ref().take(self.points) {
                    let x = across * columns as f32 + offset[0] - 0.5;
                    let y = down * rows as f32 + offset[1] - 0.5;
                    // Also true of NaN, which samples nothing.
                    if !(x > -1.0 && y > -1.0 && x < columns as f32 && y < rows as f32) {
                        continue;
                    }
                    let (left, top) = (x.floor(), y.floor());
                    let (right, bottom) = (x - left, y - top);
                    for (row, weight_y) in [(top, 1.0 - bottom), (top + 1.0, bottom)] {
                        for (column, weight_x) in [(left, 1.0 - right), (left + 1.0, right)] {
                            if row < 0.0 || column < 0.0 || row >= rows as f32 || column >= columns as f32 {
                                continue;
                            }
                            let cell = row as usize * columns + column as usize;
                            let weight = share * weight_x * weight_y;
                            let source = &map[cell * width + head * size..][..size];
                            for (out, value) in out.iter_mut().zip(source) {
                                *out += weight * value;
                            }
                        }
                    }
                }
            }
        }
    }
}
