//! Softmax cross-entropy against class indices as one operation.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape, Tensor};

use super::packed::{tensor, values, with_values};
use super::{composite, kernels, work};
use crate::Result;

/// The target of a row that does not count.
pub const IGNORE: u32 = u32::MAX;

/// Mean over the rows that count of `-ln softmax(row)[target]`: logits `[rows, classes]`, one target a row or [`IGNORE`].
/// 0 when no row counts.
///
/// # Errors
/// When there are not as many targets as rows, or a target is no class.
pub fn cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    let counted = targets.iter().filter(|&&target| target != IGNORE).count();
    if targets.len() != rows {
        return Err(
            candle_core::Error::Msg(format!("{} targets for {rows} rows of logits", targets.len())).into(),
        );
    }
    if let Some(target) = targets
        .iter()
        .find(|&&target| target != IGNORE && target as usize >= classes)
    {
        return Err(
            candle_core::Error::Msg(format!("target {target} is not one of {classes} classes")).into(),
        );
    }
    if !composite::wanted(logits) {
        let op = CrossEntropy {
            targets: targets.into(),
            counted,
        };
        return Ok(logits.contiguous()?.apply_op1(op)?);
    }
    let index: Vec<u32> = targets
        .iter()
        .map(|&target| if target == IGNORE { 0 } else { target })
        .collect();
    let counts: Vec<f32> = targets
        .iter()
        .map(|&target| f32::from(u8::from(target != IGNORE)))
        .collect();
    let index = Tensor::from_vec(index, (rows, 1), logits.device())?;
    let counts = Tensor::from_vec(counts, (rows, 1), logits.device())?.to_dtype(logits.dtype())?;
    let logarithms = candle_nn::ops::log_softmax(logits, D::Minus1)?.gather(&index, 1)?;
    Ok(((logarithms * counts)?.sum_all()? * (-1.0 / counted.max(1) as f64))?)
}

struct CrossEntropy {
    targets: Arc<[u32]>,
    counted: usize,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, classes) = layout.shape().dims2()?;
        let logits = values(logits, layout)?;
        let mut losses = vec![0.0_f32; rows];
        work::forward(rows, work::row_group(rows), 1, &mut losses, |first, _, losses| {
            for (offset, loss) in losses.iter_mut().enumerate() {
                let target = self.targets[first + offset];
                if target == IGNORE {
                    continue;
                }
                let row = &logits[(first + offset) * classes..(first + offset + 1) * classes];
                let greatest = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                let sum: f32 = row.iter().map(|x| kernels::exp(x - greatest)).sum();
                *loss = sum.ln() + greatest - row[target as usize];
            }
        });
        let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        Ok((
            CpuStorage::F32(vec![(sum / self.counted.max(1) as f64) as f32]),
            Shape::from(()),
        ))
    }

    fn bwd(&self, logits: &Tensor, _out: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (rows, classes) = logits.dims2()?;
        let scale = gradient.to_scalar::<f32>()? / self.counted.max(1) as f32;
        let d = with_values([logits], |[logits]| {
            let mut d = vec![0.0; logits.len()];
            work::forward(rows, work::row_group(rows), classes, &mut d, |first, _, d| {
                for (offset, d) in d.chunks_exact_mut(classes).enumerate() {
                    let target = self.targets[first + offset];
                    if target == IGNORE {
                        continue;
                    }
                    d.copy_from_slice(&logits[(first + offset) * classes..(first + offset + 1) * classes]);
                    kernels::softmax(d, classes);
                    d[target as usize] -= 1.0;
                    for d in d.iter_mut() {
                        *d *= scale;
                    }
                }
            });
            Ok(d)
        })?;
        Ok(Some(tensor(d, logits.dims())?))
    }
}
