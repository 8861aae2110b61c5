//! From queries to pixels.

use candle_core::{D, Tensor};

use super::heads::Prediction;
use crate::Result;
use crate::ops::sigmoid;

/// A score of every class at every cell of the masks, `[batch, height, width, classes]`: the queries' masks weighted by
/// their shares of each class, without "nothing".
///
/// # Errors
/// When the device fails.
pub fn semantic_scores(prediction: &Prediction) -> Result<Tensor> {
    let (batch, queries, height, width) = prediction.masks.dims4()?;
    let classes = prediction.classes.dim(D::Minus1)? - 1;
    let shares = candle_nn::ops::softmax(&prediction.classes, D::Minus1)?
        .narrow(2, 0, classes)?
        .contiguous()?;
    let masks = sigmoid(&prediction.masks)?.reshape((batch, queries, height * width))?;
    let scores = masks.transpose(1, 2)?.matmul(&shares)?;
    Ok(scores.reshape((batch, height, width, classes))?)
}
