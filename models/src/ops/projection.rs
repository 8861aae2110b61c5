//! A linear layer with the nonlinearity after it, for networks that are not trained here.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::values;
use super::{composite, kernels, work};
use crate::config::Activation;
use crate::{Parameters, Result};

/// `act(x · weightᵀ + bias)` over the last dimension, without a gradient.
#[derive(Clone, Debug)]
pub struct Projection {
    weight: Tensor,
    bias: Tensor,
    activation: Option<Activation>,
}

impl Projection {
    /// Takes `{name}.weight` `[outputs, inputs]`, or a convolution's `[outputs, inputs, 1, 1]`, and `{name}.bias` `[outputs]`
    /// if there is one.
    ///
    /// # Errors
    /// When the weight is missing.
    pub fn new(parameters: &Parameters, name: &str) -> Result<Self> {
        let weight = parameters.get(&format!("{name}.weight"))?;
        let bias = parameters.get(&format!("{name}.bias")).ok();
        Self::from_tensors(weight, bias)
    }

    /// From a weight `[outputs, inputs]` or `[outputs, inputs, 1, 1]` and a bias `[outputs]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>) -> Result<Self> {
        let outputs = weight.dim(0)?;
        let weight = weight.reshape((outputs, ()))?.contiguous()?;
        let bias = match bias {
            Some(bias) => bias.contiguous()?,
            None => Tensor::zeros(outputs, weight.dtype(), weight.device())?,
        };
        Ok(Self {
            weight,
            bias,
            activation: None,
        })
    }

    /// The same with a nonlinearity after it.
    #[must_use]
    pub fn then(mut self, activation: Activation) -> Self {
        self.activation = Some(activation);
        self
    }

    /// Width of the result.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.bias.elem_count()
    }

    /// `[.., inputs]` to `[.., outputs]`.
    ///
    /// # Errors
    /// When the last dimension is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !composite::wanted(x) {
            let op = ProjectionOp {
                activation: self.activation,
            };
            return Ok(x.contiguous()?.apply_op3(&self.weight, &self.bias, op)?);
        }
        let y = composite::linear(x, &self.weight, Some(&self.bias))?;
        match self.activation {
            Some(activation) => composite::activation(&y, activation),
            None => Ok(y),
        }
    }
}

struct ProjectionOp {
    activation: Option<Activation>,
}

impl CustomOp3 for ProjectionOp {
    fn name(&self) -> &'static str {
        "projection"
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
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        let mut shape = x_layout.dims().to_vec();
        if shape.pop() != Some(inputs) {
            candle_core::bail!(
                "a projection of {inputs} inputs cannot take {:?}",
                x_layout.dims()
            );
        }
        shape.push(outputs);
        let (x, weight, bias) = (
            values(x, x_layout)?,
            values(weight, weight_layout)?,
            values(bias, bias_layout)?,
        );
        let rows = x.len() / inputs;
        let weight = View::new(weight, outputs, inputs).transposed();
        let mut out = vec![0.0; rows * outputs];
        let activate = |out: &mut [f32]| {
            if let Some(activation) = self.activation {
                kernels::activate(activation, out);
            }
        };
        if work::in_turn(rows, inputs * outputs) {
            work::rows(Cores::All, &mut out, outputs, |_, out| {
                kernels::repeat_row(bias, out)
            });
            let (destination, x) = (ViewMut::new(&mut out, rows, outputs), View::new(x, rows, inputs));
            multiply(destination, Old::Add, 1.0, x, weight, Cores::All);
            work::rows(Cores::All, &mut out, outputs, |_, out| activate(out));
        } else {
            let group = work::large_row_group(rows);
            work::forward(rows, group, outputs, &mut out, |first, rows, out| {
                kernels::repeat_row(bias, out);
                let x = View::new(&x[first * inputs..], rows, inputs);
                let destination = ViewMut::new(out, rows, outputs);
                multiply(destination, Old::Add, 1.0, x, weight, Cores::One);
                activate(out);
            });
        }
        Ok((CpuStorage::F32(out), Shape::from(shape)))
    }
}
