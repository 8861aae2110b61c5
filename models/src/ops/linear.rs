//! A linear layer as one operation.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::{tensor, values, with_values};
use super::{composite, kernels, work};
use crate::{ParameterSpec, Parameters, Result};

/// `x · weightᵀ + bias` over the last dimension.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// The parameters `{name}.weight` `[outputs, inputs]` and `{name}.bias` `[outputs]`.
    #[must_use]
    pub fn specs(name: &str, inputs: usize, outputs: usize) -> Vec<ParameterSpec> {
        ParameterSpec::linear(name, inputs, outputs).to_vec()
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(parameters: &Parameters, name: &str) -> Result<Self> {
        let get = |kind: &str| parameters.get(&format!("{name}.{kind}"));
        Ok(Self {
            weight: get("weight")?,
            bias: get("bias")?,
        })
    }

    /// `[.., inputs]` to `[.., outputs]`.
    ///
    /// # Errors
    /// When the last dimension is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if composite::wanted(x) {
            return composite::linear(x, &self.weight, Some(&self.bias));
        }
        Ok(x.contiguous()?.apply_op3(&self.weight, &self.bias, LinearOp)?)
    }
}

struct LinearOp;

impl CustomOp3 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
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
                "a linear layer of {inputs} inputs cannot take {:?}",
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
        work::forward(
            rows,
            work::large_row_group(rows),
            outputs,
            &mut out,
            |first, rows, out| {
                kernels::repeat_row(bias, out);
                let x = View::new(&x[first * inputs..], rows, inputs);
                multiply(
                    ViewMut::new(out, rows, outputs),
                    Old::Add,
                    1.0,
                    x,
                    weight,
                    Cores::One,
                );
            },
        );
        Ok((CpuStorage::F32(out), Shape::from(shape)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (outputs, inputs) = weight.dims2()?;
        let wants_input = x.track_op();
        let (dx, dp) = with_values([x, weight, gradient], |[x, weight, gradient]| {
            let rows = x.len() / inputs;
            let weight = View::new(weight, outputs, inputs);
            let mut dx = vec![0.0; if wants_input { x.len() } else { 0 }];
            let lengths = [if wants_input { inputs } else { 0 }, 0];
            let outs = [dx.as_mut_slice(), &mut []];
            let size = outputs * inputs + outputs;
            let dp = work::backward(
                rows,
                work::row_group(rows),
                lengths,
                outs,
                size,
                |first, rows, [dx, _], dp| {
                    let (d_weight, d_bias) = dp.split_at_mut(outputs * inputs);
                    let gradient = &gradient[first * outputs..(first + rows) * outputs];
                    let outer = View::new(gradient, rows, outputs);
                    let x = View::new(&x[first * inputs..], rows, inputs);
                    let d_weight = ViewMut::new(d_weight, outputs, inputs);
                    multiply(d_weight, Old::Add, 1.0, outer.transposed(), x, Cores::One);
                    kernels::add_rows(d_bias, gradient);
                    if wants_input {
                        multiply(
                            ViewMut::new(dx, rows, inputs),
                            Old::Replace,
                            1.0,
                            outer,
                            weight,
                            Cores::One,
                        );
                    }
                },
            );
            Ok((dx, dp))
        })?;
        let dx = if wants_input {
            Some(tensor(dx, x.dims())?)
        } else {
            None
        };
        let dp = tensor(dp, &[outputs * inputs + outputs])?;
        let d_weight = dp.narrow(0, 0, outputs * inputs)?.reshape((outputs, inputs))?;
        Ok((
            dx,
            Some(d_weight),
            Some(dp.narrow(0, outputs * inputs, outputs)?.reshape(bias.shape())?),
        ))
    }
}
