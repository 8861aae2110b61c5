//! Nonlinearities of whole tensors on all cores, for networks that are not trained here.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::packed::values;
use super::{composite, kernels, work};
use crate::Result;
use crate::config::Activation;

/// `f(x)`, without a gradient.
///
/// # Errors
/// When the device fails.
pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if composite::wanted(x) {
        return composite::activation(x, activation);
    }
    Ok(x.contiguous()?.apply_op1(Pointwise::Activation(activation))?)
}

/// `1 / (1 + e^-x)`, without a gradient.
///
/// # Errors
/// When the device fails.
pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    if composite::wanted(x) {
        return Ok(candle_nn::ops::sigmoid(x)?);
    }
    Ok(x.contiguous()?.apply_op1(Pointwise::Sigmoid)?)
}

enum Pointwise {
    Activation(Activation),
    Sigmoid,
}

/// Values that one core takes at once.
const PIECE: usize = 1 << 14;

impl CustomOp1 for Pointwise {
    fn name(&self) -> &'static str {
        "pointwise"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut out = values(x, layout)?.to_vec();
        work::forward(out.len(), PIECE, 1, &mut out, |_, _, out| match self {
            Self::Activation(activation) => kernels::activate(*activation, out),
            Self::Sigmoid => kernels::sigmoids(out),
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}
