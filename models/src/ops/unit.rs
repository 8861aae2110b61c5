//! Rows of length one.

use candle_core::{D, Tensor};

use crate::Result;

/// Scales every row (the last dimension) to Euclidean length 1. A row of zeros stays zero.
///
/// # Errors
/// When the tensor has no dimension.
pub fn unit_rows(x: &Tensor) -> Result<Tensor> {
    // The small number is under the root: the root's slope at 0 is infinite.
    let length = (x.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    Ok(x.broadcast_div(&length)?)
}
