//! The same functions out of candle's own operations, for every device and with gradients everywhere.
//!
//! Used where the fused operations do not run (accelerators, other number formats), and in the tests as what they must agree
//! with. `candle_nn`'s layer norm and last-dimension softmax are avoided: they have no gradient.

use candle_core::{D, DType, Tensor};

use crate::Result;
use crate::config::Activation;

/// Whether a tensor is one that the fused operations cannot take.
pub(crate) fn wanted(x: &Tensor) -> bool {
    !x.device().is_cpu() || x.dtype() != DType::F32
}

/// Whether sums over a tensor's values must be made in a wider format.
fn is_half(x: &Tensor) -> bool {
    matches!(x.dtype(), DType::F16 | DType::BF16)
}

pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Tensor> {
    if is_half(x) {
        let [wide, weight, bias] = [x, weight, bias].map(|t| t.to_dtype(DType::F32));
        return Ok(layer_norm(&wide?, &weight?, &bias?, epsilon)?.to_dtype(x.dtype())?);
    }
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normal = centred.broadcast_div(&(variance + f64::from(epsilon))?.sqrt()?)?;
    Ok(normal.broadcast_mul(weight)?.broadcast_add(bias)?)
}

/// `x · weightᵀ + bias` over the last dimension.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let width = shape.pop().unwrap_or(1);
    shape.push(weight.dim(0)?);
    let y = x.reshape(((), width))?.matmul(&weight.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    Ok(y.reshape(shape)?)
}

pub(crate) fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::QuickGelu => (x * candle_nn::ops::sigmoid(&(x * 1.702)?)?)?,
        Activation::Gelu => x.gelu_erf()?,
        Activation::GeluTanh => x.gelu()?,
        Activation::Relu => x.relu()?,
    })
}

/// Attention of `heads` heads: queries `[b, n, width]` over keys and values `[b, t, width]`.
pub(crate) fn attention(queries: &Tensor, keys: &Tensor, values: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, count, width) = queries.dims3()?;
    let split = |x: &Tensor| -> Result<Tensor> {
        Ok(x.reshape((batch, x.dim(1)?, heads, width / heads))?
            .transpose(1, 2)?
            .contiguous()?)
    };
    let scale = ((width / heads) as f64).powf(-0.5);
    let scores = (split(queries)?.matmul(&split(keys)?.t()?)? * scale)?;
    let shares = if is_half(&scores) {
        candle_nn::ops::softmax(&scores.to_dtype(DType::F32)?, D::Minus1)?.to_dtype(scores.dtype())?
    } else {
        candle_nn::ops::softmax(&scores, D::Minus1)?
    };
    Ok(shares
        .matmul(&split(values)?)?
        .transpose(1, 2)?
        .reshape((batch, count, width))?)
}
