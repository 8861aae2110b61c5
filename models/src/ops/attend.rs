//! Attention over keys that a mask may hide, for networks that are not trained here.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Shape, Tensor};

use super::attention::queries_a_block;
use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::{values, with_values};
use super::{composite, kernels, work};
use crate::Result;

/// Attention of `heads` heads: queries `[batch, queries, width]` over keys and values `[batch, keys, width]`.
///
/// With a mask `[batch, queries, keys]`, a query does not see the keys at which the mask is negative, unless that were all
/// of them: then it sees all.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn attend(
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    heads: usize,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    if !composite::wanted(queries) {
        let op = AttendOp {
            heads,
            mask: mask.map(Tensor::contiguous).transpose()?,
        };
        return Ok(queries
            .contiguous()?
            .apply_op3(&keys.contiguous()?, &values.contiguous()?, op)?);
    }
    let (batch, count, width) = queries.dims3()?;
    let split = |x: &Tensor| -> Result<Tensor> {
        Ok(x.reshape((batch, x.dim(1)?, heads, width / heads))?
            .transpose(1, 2)?
            .contiguous()?)
    };
    let scale = ((width / heads) as f64).powf(-0.5);
    let scores = (split(queries)?.matmul(&split(keys)?.t()?)? * scale)?;
    let scores = match mask {
        None => scores,
        Some(mask) => {
            let hidden = mask.lt(0.0)?.to_dtype(scores.dtype())?;
            // A query that sees nothing is shown everything.
            let blind = hidden.min_keepdim(D::Minus1)?;
            let hidden = hidden.broadcast_sub(&blind)?;
            scores.broadcast_add(&(hidden * -1e9)?.unsqueeze(1)?)?
        }
    };
    let shares = candle_nn::ops::softmax(&scores, D::Minus1)?;
    Ok(shares
        .matmul(&split(values)?)?
        .transpose(1, 2)?
        .reshape((batch, count, width))?)
}

struct AttendOp {
    heads: usize,
    mask: Option<Tensor>,
}

impl CustomOp3 for AttendOp {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        query_layout: &Layout,
        keys: &CpuStorage,
        key_layout: &Layout,
        attended: &CpuStorage,
        value_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, count, width) = query_layout.shape().dims3()?;
        let (key_batch, seen, key_width) = key_layout.shape().dims3()?;
        if value_layout.dims() != key_layout.dims()
            || key_batch != batch
            || key_width != width
            || !width.is_multiple_of(self.heads)
        {
            candle_core::bail!(
                "queries of shape {:?} cannot attend to keys of shape {:?}",
                query_layout.dims(),
                key_layout.dims()
            );
        }
        if let Some(mask) = &self.mask
            && mask.dims() != [batch, count, seen]
        {
            candle_core::bail!(
                "a mask of shape {:?} for {count} queries and {seen} keys",
                mask.dims()
            );
        }
        let (queries, keys, attended) = (
            values(queries, query_layout)?,
            values(keys, key_layout)?,
            values(attended, value_layout)?,
        );
        let mut out = vec![0.0; queries.len()];
        // Blocks of queries of one image.
        let block = queries_a_block(count, seen, batch);
        let parts = count.div_ceil(block);
        let mut compute = |mask: &[f32]| {
            let mut pieces: Vec<_> = out
                .chunks_mut((count * width).max(1))
                .flat_map(|image| image.chunks_mut(block * width))
                .collect();
            work::each(&mut pieces, |index, out| {
                let (image, first) = (index / parts, index % parts * block);
                let rows = out.len() / width;
                let queries = &queries[(image * count + first) * width..][..rows * width];
                let window = image * seen * width..(image + 1) * seen * width;
                let (keys, attended) = (&keys[window.clone()], &attended[window]);
                let mask = match mask {
                    [] => mask,
                    _ => &mask[(image * count + first) * seen..][..rows * seen],
                };
                self.block([queries, keys, attended], mask, width, out);
            });
            Ok(())
        };
        match &self.mask {
            Some(mask) => with_values([mask], |[mask]| compute(mask))?,
            None => compute(&[])?,
        }
        Ok((CpuStorage::F32(out), query_layout.shape().clone()))
    }
}

impl AttendOp {
    /// Some queries of one image, all heads.
    fn block(&self, [queries, keys, attended]: [&[f32]; 3], mask: &[f32], width: usize, out: &mut [f32]) {
        let size = width / self.heads;
        let (rows, seen) = (queries.len() / width, keys.len() / width);
        let scale = 1.0 / (size as f32).sqrt();
        let mut scores = vec![0.0; rows * seen];
        let blind: Vec<bool> = mask
            .chunks_exact(seen.max(1))
            .map(|row| row.iter().all(|logit| *logit < 0.0))
            .collect();
        for head in 0..self.heads {
            let column = head * size;
            multiply(
                ViewMut::new(&mut scores, rows, seen),
                Old::Replace,
                scale,
                View::strided(&queries[column..], rows, size, width),
                View::strided(&keys[column..], seen, size, width).transposed(),
                Cores::One,
            );
            for ((scores, mask), blind) in scores
                .chunks_exact_mut(seen)
                .zip(mask.chunks_exact(seen.max(1)))
                .zip(&blind)
            {
                if !blind {
                    for (score, logit) in scores.iter_mut().zip(mask) {
                        *score = if *logit < 0.0 { -1e9 } else { *score };
                    }
                }
            }
            kernels::softmax(&mut scores, seen);
            multiply(
                ViewMut::strided(&mut out[column..], rows, size, width),
                Old::Replace,
                1.0,
                View::new(&scores, rows, seen),
                View::strided(&attended[column..], seen, size, width),
                Cores::One,
            );
        }
    }
}
