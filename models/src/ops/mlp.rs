//! `x + W2 · act(W1 · norm(x) + b1) + b2`: the second half of a transformer block as one operation.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

use super::matrix::{Cores, Linear, Old, View, ViewMut, add_linear, in_rows, multiply};
use super::packed::{Packed, take, take_mut, tensor, values, with_values};
use super::{composite, kernels, room, work};
use crate::config::Activation;
use crate::{ParameterSpec, Parameters, Result};

/// Layer norm, two linear layers with a nonlinearity between, and the residual.
#[derive(Clone, Debug)]
pub struct Mlp {
    shape: MlpShape,
    packed: Packed,
}

#[derive(Clone, Copy, Debug)]
struct MlpShape {
    width: usize,
    hidden: usize,
    activation: Activation,
    epsilon: f32,
    /// Whether the weights are in panels.
    laid_out: bool,
}

/// Names of an MLP's norm and of its two layers.
#[derive(Clone, Copy, Debug)]
pub struct MlpNames<'a> {
    /// The layer norm.
    pub norm: &'a str,
    /// The layer to the hidden width.
    pub up: &'a str,
    /// The layer back.
    pub down: &'a str,
}

impl Mlp {
    /// The parameters: `norm`, `up` and `down`, each with weight and bias.
    #[must_use]
    pub fn specs(names: MlpNames<'_>, width: usize, hidden: usize) -> Vec<ParameterSpec> {
        [
            ParameterSpec::layer_norm(names.norm, width),
            ParameterSpec::linear(names.up, width, hidden),
            ParameterSpec::linear(names.down, hidden, width),
        ]
        .concat()
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(
        parameters: &Parameters,
        names: MlpNames<'_>,
        activation: Activation,
        epsilon: f64,
    ) -> Result<Self> {
        let mut parts = Vec::with_capacity(6);
        for layer in [names.norm, names.up, names.down] {
            parts.push(parameters.get(&format!("{layer}.weight"))?);
            parts.push(parameters.get(&format!("{layer}.bias"))?);
        }
        let (hidden, width) = parts[2].dims2()?;
        let mut shape = MlpShape {
            width,
            hidden,
            activation,
            epsilon: epsilon as f32,
            laid_out: false,
        };
        let mut packed = Packed::new(parts)?;
        shape.laid_out = packed.lay_out(&shape.matrices())?;
        Ok(Self { shape, packed })
    }

    /// `[.., width]` to the same shape.
    ///
    /// # Errors
    /// When the last dimension is not the width.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // Weights in panels are of no use to the composite form; what it would be wanted for is refused by the fused one.
        if self.shape.laid_out || !composite::wanted(x) {
            return Ok(x.contiguous()?.apply_op2(&self.packed.flat()?, self.shape)?);
        }
        let part = |index| self.packed.part(index);
        let hidden = composite::layer_norm(x, part(0), part(1), self.shape.epsilon)?;
        let hidden = composite::activation(
            &composite::linear(&hidden, part(2), Some(part(3)))?,
            self.shape.activation,
        )?;
        Ok((x + composite::linear(&hidden, part(4), Some(part(5)))?)?)
    }
}

struct Weights<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
    up: Linear<'a>,
    up_bias: &'a [f32],
    down: Linear<'a>,
    down_bias: &'a [f32],
}

impl MlpShape {
    fn lengths(&self) -> [usize; 6] {
        let (width, hidden) = (self.width, self.hidden);
        [width, width, hidden * width, hidden, width * hidden, width]
    }

    /// Where the weights of both layers lie in the flat parameters, and how many inputs they have.
    fn matrices(&self) -> [(Range<usize>, usize); 2] {
        let [scale, shift, up, up_bias, down, _] = self.lengths();
        let first = scale + shift;
        let second = first + up + up_bias;
        [
            (first..first + up, self.width),
            (second..second + down, self.hidden),
        ]
    }

    fn weights<'a>(&self, mut flat: &'a [f32]) -> Weights<'a> {
        let [scale, shift, up, up_bias, down, down_bias] =
            self.lengths().map(|length| take(&mut flat, length));
        let (up, down) = (
            Linear::new(up, self.hidden, self.width, self.laid_out),
            Linear::new(down, self.width, self.hidden, self.laid_out),
        );
        Weights {
            scale,
            shift,
            up,
            up_bias,
            down,
            down_bias,
        }
    }

    /// Norm and first layer of some rows, keeping what their gradient needs; the caller applies the nonlinearity.
    fn hidden(&self, weights: &Weights<'_>, x: &[f32], scratch: &mut Scratch) {
        kernels::normalise(
            x,
            self.width,
            self.epsilon,
            &mut scratch.normal,
            &mut scratch.inverse,
        );
        kernels::scale_and_shift(&scratch.normal, weights.scale, weights.shift, &mut scratch.input);
        kernels::repeat_row(weights.up_bias, &mut scratch.hidden);
        let rows = scratch.inverse.len();
        let input = View::new(&scratch.input, rows, self.width);
        let hidden = ViewMut::new(&mut scratch.hidden, rows, self.hidden);
        add_linear(hidden, input, weights.up, Cores::One);
    }

    fn forward(&self, weights: &Weights<'_>, x: &[f32], out: &mut [f32], cores: Cores) {
        let (width, hidden, rows) = (self.width, self.hidden, x.len() / self.width);
        room::with(rows * (width + hidden), |room| {
            let (input, inner) = room.split_at_mut(x.len());
            work::rows(cores, input, width, |first, input| {
                let x = &x[first * width..][..input.len()];
                kernels::layer_norm(x, weights.scale, weights.shift, self.epsilon, input);
            });
            work::rows(cores, inner, hidden, |_, inner| {
                kernels::repeat_row(weights.up_bias, inner);
            });
            let normal = View::new(input, rows, width);
            add_linear(ViewMut::new(inner, rows, hidden), normal, weights.up, cores);
            work::rows(cores, inner, hidden, |_, inner| {
                kernels::activate(self.activation, inner);
            });
            work::rows(cores, out, width, |first, out| {
                kernels::repeat_row(weights.down_bias, out);
                kernels::add(out, &x[first * width..][..out.len()]);
            });
            let inner = View::new(inner, rows, hidden);
            add_linear(ViewMut::new(out, rows, width), inner, weights.down, cores);
        });
    }

    fn backward(&self, x: &[f32], flat: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        if self.laid_out {
            // Frozen, between something that is trained and the loss: the gradient goes through it.
            let shape = Self {
                laid_out: false,
                ..*self
            };
            return shape.backward(x, &in_rows(flat, &self.matrices()), gradient);
        }
        let weights = self.weights(flat);
        let (up, down) = (weights.up.rows(), weights.down.rows());
        let (width, hidden) = (self.width, self.hidden);
        let mut dx = vec![0.0; x.len()];
        let rows = x.len() / width;
        let group = work::row_group(rows);
        let dp = work::backward(
            rows,
            group,
            [width, 0],
            [&mut dx, &mut []],
            flat.len(),
            |first, rows, [dx, _], dp| {
                let window = first * width..(first + rows) * width;
                let (x, gradient) = (&x[window.clone()], &gradient[window]);
                let mut dp = dp;
                let [d_scale, d_shift, d_up, d_up_bias, d_down, d_down_bias] =
                    self.lengths().map(|length| take_mut(&mut dp, length));
                let mut scratch = Scratch::new(rows, width, hidden);
                self.hidden(&weights, x, &mut scratch);
                let mut slopes = vec![0.0; rows * hidden];
                kernels::activate_with_slope(self.activation, &mut scratch.hidden, &mut slopes);

                let outer = View::new(gradient, rows, width);
                let activated = View::new(&scratch.hidden, rows, hidden);
                multiply(
                    ViewMut::new(d_down, width, hidden),
                    Old::Add,
                    1.0,
                    outer.transposed(),
                    activated,
                    Cores::One,
                );
                kernels::add_rows(d_down_bias, gradient);
                let d_hidden = &mut scratch.hidden;
                multiply(
                    ViewMut::new(d_hidden, rows, hidden),
                    Old::Replace,
                    1.0,
                    outer,
                    down,
                    Cores::One,
                );
                for (d, slope) in d_hidden.iter_mut().zip(&slopes) {
                    *d *= slope;
                }
                kernels::add_rows(d_up_bias, d_hidden);
                let inner = View::new(d_hidden, rows, hidden);
                let input = View::new(&scratch.input, rows, width);
                multiply(
                    ViewMut::new(d_up, hidden, width),
                    Old::Add,
                    1.0,
                    inner.transposed(),
                    input,
                    Cores::One,
                );
                multiply(
                    ViewMut::new(dx, rows, width),
                    Old::Replace,
                    1.0,
                    inner,
                    up,
                    Cores::One,
                );
                kernels::normalise_backward(
                    &scratch.normal,
                    &scratch.inverse,
                    weights.scale,
                    dx,
                    d_scale,
                    d_shift,
                );
                kernels::add(dx, gradient);
            },
        );
        (dx, dp)
    }
}

struct Scratch {
    normal: Vec<f32>,
    inverse: Vec<f32>,
    input: Vec<f32>,
    hidden: Vec<f32>,
}

impl Scratch {
    fn new(rows: usize, width: usize, hidden: usize) -> Self {
        Self {
            normal: vec![0.0; rows * width],
            inverse: vec![0.0; rows],
            input: vec![0.0; rows * width],
            hidden: vec![0.0; rows * hidden],
        }
    }
}

impl CustomOp2 for MlpShape {
    fn name(&self) -> &'static str {
        "mlp"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, flat) = (values(x, x_layout)?, values(flat, flat_layout)?);
        let weights = self.weights(flat);
        let width = self.width;
        let rows = x.len() / width;
        let mut out = vec![0.0; x.len()];
        if work::in_turn(rows, 2 * width * self.hidden) {
            let group = work::ROWS_IN_TURN * width;
            for (x, out) in x.chunks(group).zip(out.chunks_mut(group)) {
                self.forward(&weights, x, out, Cores::All);
            }
        } else {
            let group = work::large_row_group(rows);
            work::forward(rows, group, width, &mut out, |first, rows, out| {
                let x = &x[first * width..(first + rows) * width];
                self.forward(&weights, x, out, Cores::One);
            });
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        flat: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dp) = with_values([x, flat, gradient], |[x, flat, gradient]| {
            Ok(self.backward(x, flat, gradient))
        })?;
        Ok((Some(tensor(dx, x.dims())?), Some(tensor(dp, flat.dims())?)))
    }
}
