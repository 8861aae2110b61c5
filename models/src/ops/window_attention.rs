//! Swin's attention inside windows as one operation: `x + Wo · attention(norm(x)) + bo`, for networks that are not trained here.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Shape, Tensor};

use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::{Packed, take, values};
use super::{composite, kernels, work};
use crate::{ParameterSpec, Parameters, Result};

/// Layer norm, attention within windows with a bias by relative position, and the residual. Without a gradient.
#[derive(Clone, Debug)]
pub struct WindowAttention {
    shape: WindowShape,
    packed: Packed,
    /// `[heads, side * side, side * side]`.
    bias: Tensor,
}

#[derive(Clone, Copy, Debug)]
struct WindowShape {
    width: usize,
    heads: usize,
    /// Side of a window.
    side: usize,
    /// How far windows are shifted, down and right.
    shift: usize,
    epsilon: f32,
}

/// What the scores of two tokens of different regions of a shifted image are lowered by.
const APART: f32 = -100.0;

/// Names of the parts of a window attention.
#[derive(Clone, Copy, Debug)]
pub struct WindowNames<'a> {
    /// The layer norm.
    pub norm: &'a str,
    /// What holds `query`, `key`, `value` and `relative_position_bias_table`.
    pub attention: &'a str,
    /// The layer after it.
    pub out: &'a str,
}

impl WindowAttention {
    /// The parameters, for windows of `side`; without biases of queries, keys and values if `biased` is false.
    #[must_use]
    pub fn specs(
        names: WindowNames<'_>,
        width: usize,
        heads: usize,
        side: usize,
        biased: bool,
    ) -> Vec<ParameterSpec> {
        let mut specs = ParameterSpec::layer_norm(names.norm, width).to_vec();
        for part in ["query", "key", "value"] {
            let [weight, bias] = ParameterSpec::linear(&format!("{}.{part}", names.attention), width, width);
            specs.push(weight);
            specs.extend(biased.then_some(bias));
        }
        let positions = (2 * side - 1) * (2 * side - 1);
        let table = format!("{}.relative_position_bias_table", names.attention);
        specs.push(ParameterSpec::positions(table, &[positions, heads]));
        specs.extend(ParameterSpec::linear(names.out, width, width));
        specs
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(
        parameters: &Parameters,
        names: WindowNames<'_>,
        side: usize,
        shift: usize,
        epsilon: f64,
    ) -> Result<Self> {
        let norm = |kind: &str| parameters.get(&format!("{}.{kind}", names.norm));
        let part = |part: &str, kind: &str| parameters.get(&format!("{}.{part}.{kind}", names.attention));
        let parts = ["query", "key", "value"];
        let weights: Vec<_> = parts
            .iter()
            .map(|name| part(name, "weight"))
            .collect::<Result<_>>()?;
        let width = weights[0].dim(0)?;
        let device = parameters.device();
        let biases: Vec<_> = parts
            .iter()
            .map(|name| part(name, "bias").or_else(|_| Ok(Tensor::zeros(width, weights[0].dtype(), device)?)))
            .collect::<Result<_>>()?;
        let out = |kind: &str| parameters.get(&format!("{}.{kind}", names.out));
        let packed = Packed::new(vec![
            norm("weight")?,
            norm("bias")?,
            Tensor::cat(&weights, 0)?,
            Tensor::cat(&biases, 0)?,
            out("weight")?,
            out("bias")?,
        ])?;
        let table = parameters.get(&format!("{}.relative_position_bias_table", names.attention))?;
        let heads = table.dim(1)?;
        let shape = WindowShape {
            width,
            heads,
            side,
            shift,
            epsilon: epsilon as f32,
        };
        let index = Tensor::new(relative_positions(side), device)?;
        let tokens = side * side;
        let bias = table
            .index_select(&index, 0)?
            .reshape((tokens, tokens, heads))?
            .permute([2, 0, 1])?
            .contiguous()?;
        Ok(Self { shape, packed, bias })
    }

    /// `[batch, height, width, channels]` to the same shape.
    ///
    /// # Errors
    /// When the channels are others.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !composite::wanted(x) {
            return Ok(x
                .contiguous()?
                .apply_op3(&self.packed.flat()?, &self.bias, self.shape)?);
        }
        self.composite(x)
    }

    fn composite(&self, x: &Tensor) -> Result<Tensor> {
        let part = |index| self.packed.part(index);
        let WindowShape {
            width,
            heads,
            side,
            shift,
            epsilon,
        } = self.shape;
        let (batch, height, across, _) = x.dims4()?;
        let (rows, columns) = (height.div_ceil(side), across.div_ceil(side));
        let (bottom, right) = (rows * side - height, columns * side - across);
        let input = composite::layer_norm(x, part(0), part(1), epsilon)?
            .pad_with_zeros(1, 0, bottom)?
            .pad_with_zeros(2, 0, right)?;
        let input = roll(&roll(&input, 1, shift)?, 2, shift)?;
        let tokens = side * side;
        let windows = input
            .reshape(&[batch, rows, side, columns, side, width])?
            .permute([0, 1, 3, 2, 4, 5])?
            .reshape((batch * rows * columns, tokens, width))?;
        let projected = composite::linear(&windows, part(2), Some(part(3)))?;
        let split = |third: usize| -> Result<Tensor> {
            Ok(projected
                .narrow(2, third * width, width)?
                .reshape(((), tokens, heads, width / heads))?
                .transpose(1, 2)?
                .contiguous()?)
        };
        let scale = ((width / heads) as f64).powf(-0.5);
        let scores = (split(0)?.matmul(&split(1)?.t()?)? * scale)?.broadcast_add(&self.bias)?;
        let apart = self.shape.apart((rows, columns));
        let apart = Tensor::from_vec(apart, (1, rows * columns, 1, tokens, tokens), x.device())?
            .to_dtype(x.dtype())?;
        let scores = scores
            .reshape(&[batch, rows * columns, heads, tokens, tokens])?
            .broadcast_add(&apart)?
            .reshape(((), heads, tokens, tokens))?;
        let attended = candle_nn::ops::softmax(&scores, D::Minus1)?
            .matmul(&split(2)?)?
            .transpose(1, 2)?
            .reshape(((), tokens, width))?;
        let out = composite::linear(&attended, part(4), Some(part(5)))?
            .reshape(&[batch, rows, columns, side, side, width])?
            .permute([0, 1, 3, 2, 4, 5])?
            .reshape((batch, rows * side, columns * side, width))?;
        let (down, over) = (
            (rows * side - shift) % (rows * side),
            (columns * side - shift) % (columns * side),
        );
        let out = roll(&roll(&out, 1, down)?, 2, over)?
            .narrow(1, 0, height)?
            .narrow(2, 0, across)?;
        Ok((x + out)?)
    }
}

/// Moves everything `by` places towards the front; what falls off comes back at the end.
fn roll(x: &Tensor, dimension: usize, by: usize) -> Result<Tensor> {
    if by == 0 {
        return Ok(x.clone());
    }
    let length = x.dim(dimension)?;
    let parts = [x.narrow(dimension, by, length - by)?, x.narrow(dimension, 0, by)?];
    Ok(Tensor::cat(&parts, dimension)?)
}

/// Row of the bias table for every pair of tokens of a window.
fn relative_positions(side: usize) -> Vec<u32> {
    let tokens = side * side;
    let mut index = Vec::with_capacity(tokens * tokens);
    for query in 0..tokens {
        for key in 0..tokens {
            let down = query / side + side - 1 - key / side;
            let across = query % side + side - 1 - key % side;
            index.push((down * (2 * side - 1) + across) as u32);
        }
    }
    index
}

impl WindowShape {
    fn tokens(&self) -> usize {
        self.side * self.side
    }

    /// Region of a row (or column) of a shifted image of `count` windows: rows of different regions are no neighbours in
    /// the unshifted image.
    fn region(&self, position: usize, count: usize) -> usize {
        let length = count * self.side;
        if self.shift == 0 || position < length - self.side {
            0
        } else if position < length - self.shift {
            1
        } else {
            2
        }
    }

    /// The regions of a window's tokens.
    fn regions(&self, (row, column): (usize, usize), (rows, columns): (usize, usize)) -> Vec<usize> {
        (0..self.tokens())
            .map(|token| {
                let y = self.region(row * self.side + token / self.side, rows);
                let x = self.region(column * self.side + token % self.side, columns);
                3 * y + x
            })
            .collect()
    }

    /// What is added to every window's scores, `[windows, tokens, tokens]`.
    fn apart(&self, (rows, columns): (usize, usize)) -> Vec<f32> {
        let mut apart = Vec::with_capacity(rows * columns * self.tokens() * self.tokens());
        for window in 0..rows * columns {
            let regions = self.regions((window / columns, window % columns), (rows, columns));
            for query in &regions {
                apart.extend(regions.iter().map(|key| if key == query { 0.0 } else { APART }));
            }
        }
        apart
    }
}

struct Weights<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
    project: View<'a>,
    project_bias: &'a [f32],
    out: View<'a>,
    out_bias: &'a [f32],
    /// `[heads, tokens, tokens]`.
    positions: &'a [f32],
}

/// An image and its windows.
#[derive(Clone, Copy)]
struct Grid {
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
}

impl WindowShape {
    fn weights<'a>(&self, mut flat: &'a [f32], positions: &'a [f32]) -> Weights<'a> {
        let width = self.width;
        let lengths = [width, width, 3 * width * width, 3 * width, width * width, width];
        let [scale, shift, project, project_bias, out, out_bias] =
            lengths.map(|length| take(&mut flat, length));
        Weights {
            scale,
            shift,
            project: View::new(project, 3 * width, width),
            project_bias,
            out: View::new(out, width, width),
            out_bias,
            positions,
        }
    }

    /// Index of the pixel that a token of a window is, if it is one and not padding.
    fn pixel(&self, grid: Grid, window: usize, token: usize) -> Option<usize> {
        let place = |window: usize, offset: usize, count: usize| {
            (window * self.side + offset + self.shift) % (count * self.side)
        };
        let y = place(window / grid.columns, token / self.side, grid.rows);
        let x = place(window % grid.columns, token % self.side, grid.columns);
        (y < grid.height && x < grid.width).then_some(y * grid.width + x)
    }

    /// The attended and projected tokens of `count` windows of one image from window `first` on.
    fn windows(&self, weights: &Weights<'_>, image: &[f32], grid: Grid, first: usize, out: &mut [f32]) {
        let (width, tokens) = (self.width, self.tokens());
        let rows = out.len() / width;
        let count = rows / tokens;
        let mut input = vec![0.0; rows * width];
        for (index, row) in input.chunks_exact_mut(width).enumerate() {
            if let Some(pixel) = self.pixel(grid, first + index / tokens, index % tokens) {
                let source = &image[pixel * width..][..width];
                let mut inverse = [0.0];
                kernels::normalise(source, width, self.epsilon, row, &mut inverse);
                for ((value, scale), shift) in row.iter_mut().zip(weights.scale).zip(weights.shift) {
                    *value = *value * scale + shift;
                }
            }
        }
        let mut projected = vec![0.0; rows * 3 * width];
        kernels::repeat_row(weights.project_bias, &mut projected);
        multiply(
            ViewMut::new(&mut projected, rows, 3 * width),
            Old::Add,
            1.0,
            View::new(&input, rows, width),
            weights.project.transposed(),
            Cores::One,
        );
        // The normalised rows are not needed any more; their place takes what was attended to.
        let mut attended = input;
        let mut scores = vec![0.0; tokens * tokens];
        for window in 0..count {
            let index = first + window;
            let place = (index / grid.columns, index % grid.columns);
            let edge = place.0 + 1 == grid.rows || place.1 + 1 == grid.columns;
            let regions = (self.shift > 0 && edge).then(|| self.regions(place, (grid.rows, grid.columns)));
            self.attend(
                &projected[window * tokens * 3 * width..][..tokens * 3 * width],
                weights.positions,
                regions.as_deref(),
                &mut scores,
                &mut attended[window * tokens * width..][..tokens * width],
            );
        }
        kernels::repeat_row(weights.out_bias, out);
        multiply(
            ViewMut::new(out, rows, width),
            Old::Add,
            1.0,
            View::new(&attended, rows, width),
            weights.out.transposed(),
            Cores::One,
        );
    }

    /// All heads of one window.
    fn attend(
        &self,
        projected: &[f32],
        positions: &[f32],
        regions: Option<&[usize]>,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let (width, tokens) = (self.width, self.tokens());
        let size = width / self.heads;
        let scale = 1.0 / (size as f32).sqrt();
        for (head, positions) in positions.chunks_exact(tokens * tokens).enumerate() {
            let part = |third: usize| {
                View::strided(&projected[third * width + head * size..], tokens, size, 3 * width)
            };
            scores.copy_from_slice(positions);
            if let Some(regions) = regions {
                for (scores, query) in scores.chunks_exact_mut(tokens).zip(regions) {
                    for (score, key) in scores.iter_mut().zip(regions) {
                        *score += if key == query { 0.0 } else { APART };
                    }
                }
            }
            multiply(
                ViewMut::new(scores, tokens, tokens),
                Old::Add,
                scale,
                part(0),
                part(1).transposed(),
                Cores::One,
            );
            kernels::softmax(scores, tokens);
            multiply(
                ViewMut::strided(&mut out[head * size..], tokens, size, width),
                Old::Replace,
                1.0,
                View::new(scores, tokens, tokens),
                part(2),
                Cores::One,
            );
        }
    }
}

/// Tokens whose projections are one product.
const TOKENS: usize = 512;

impl CustomOp3 for WindowShape {
    fn name(&self) -> &'static str {
        "window-attention"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
        positions: &CpuStorage,
        position_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, height, width, channels) = x_layout.shape().dims4()?;
        if channels != self.width {
            candle_core::bail!(
                "a window attention of width {} cannot take {channels}",
                self.width
            );
        }
        let x = values(x, x_layout)?;
        let weights = self.weights(values(flat, flat_layout)?, values(positions, position_layout)?);
        let grid = Grid {
            height,
            width,
            rows: height.div_ceil(self.side),
            columns: width.div_ceil(self.side),
        };
        let (image, tokens) = (height * width * channels, self.tokens());
        let windows = grid.rows * grid.columns;
        let padded = windows * tokens * channels;
        let mut attended = vec![0.0; batch * padded];
        let cores = rayon::current_num_threads().max(1);
        let group = windows.div_ceil(cores).min(TOKENS.div_ceil(tokens)).max(1);
        let parts = windows.div_ceil(group);
        let mut pieces: Vec<_> = attended
            .chunks_mut(padded.max(1))
            .flat_map(|image| image.chunks_mut(group * tokens * channels))
            .collect();
        work::each(&mut pieces, |index, out| {
            let x = &x[index / parts * image..][..image];
            self.windows(&weights, x, grid, index % parts * group, out);
        });
        // Back from windows to pixels, where the residual is added.
        let mut out = x.to_vec();
        let line = width * channels;
        work::forward(batch * height, 1, line, &mut out, |row, _, out| {
            let attended = &attended[row / height * padded..][..padded];
            let (rows, columns) = (grid.rows * self.side, grid.columns * self.side);
            let y = (row % height + rows - self.shift) % rows;
            for (x, out) in out.chunks_exact_mut(channels).enumerate() {
                let x = (x + columns - self.shift) % columns;
                let window = y / self.side * grid.columns + x / self.side;
                let token = y % self.side * self.side + x % self.side;
                kernels::add(out, &attended[(window * tokens + token) * channels..][..channels]);
            }
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}
