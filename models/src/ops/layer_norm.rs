//! Layer norm as one operation.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

use super::packed::{tensor, values, with_values};
use super::{composite, kernels, work};
use crate::{ParameterSpec, Parameters, Result};

/// Layer norm over the last dimension.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
}

impl LayerNorm {
    /// The parameters `{name}.weight` and `{name}.bias`, `[width]`.
    #[must_use]
    pub fn specs(name: &str, width: usize) -> Vec<ParameterSpec> {
        ParameterSpec::layer_norm(name, width).to_vec()
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(parameters: &Parameters, name: &str, epsilon: f64) -> Result<Self> {
        let get = |kind: &str| parameters.get(&format!("{name}.{kind}"));
        Ok(Self {
            weight: get("weight")?,
            bias: get("bias")?,
            epsilon: epsilon as f32,
        })
    }

    /// `[.., width]` to the same shape.
    ///
    /// # Errors
    /// When the last dimension is not the width.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if composite::wanted(x) {
            return composite::layer_norm(x, &self.weight, &self.bias, self.epsilon);
        }
        Ok(x.contiguous()?.apply_op3(
            &self.weight,
            &self.bias,
            NormOp {
                epsilon: self.epsilon,
            },
        )?)
    }
}

struct NormOp {
    epsilon: f32,
}

impl CustomOp3 for NormOp {
    fn name(&self) -> &'static str {
        "layer-norm"
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
        let width = weight.len();
        if x_layout.dims().last() != Some(&width) {
            candle_core::bail!("a layer norm of width {width} cannot take {:?}", x_layout.dims());
        }
        let mut out = vec![0.0; x.len()];
        let rows = x.len() / width;
        work::forward(
            rows,
            work::row_group(rows),
            width,
            &mut out,
            |first, rows, out| {
                let mut normal = vec![0.0; rows * width];
                let x = &x[first * width..(first + rows) * width];
                kernels::normalise(x, width, self.epsilon, &mut normal, &mut vec![0.0; rows]);
                kernels::scale_and_shift(&normal, weight, bias, out);
            },
        );
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = weight.elem_count();
        let (dx, dp) = with_values([x, weight, gradient], |[x, weight, gradient]| {
            let rows = x.len() / width;
            let mut dx = gradient.to_vec();
            let outs = [dx.as_mut_slice(), &mut []];
            let group = work::row_group(rows);
            let dp = work::backward(
                rows,
                group,
                [width, 0],
                outs,
                2 * width,
                |first, rows, [dx, _], dp| {
                    let (d_weight, d_bias) = dp.split_at_mut(width);
                    let (mut normal, mut inverse) = (vec![0.0; rows * width], vec![0.0; rows]);
                    let x = &x[first * width..(first + rows) * width];
                    kernels::normalise(x, width, self.epsilon, &mut normal, &mut inverse);
                    kernels::normalise_backward(&normal, &inverse, weight, dx, d_weight, d_bias);
                },
            );
            Ok((dx, dp))
        })?;
        let dp = tensor(dp, &[2 * width])?;
        Ok((
            Some(tensor(dx, x.dims())?),
            Some(dp.narrow(0, 0, width)?),
            Some(dp.narrow(0, width, width)?),
        ))
    }
}
