//! The parameters of a fused operation, end to end in one tensor.
//!
//! candle's custom operations take at most three tensors; a block has a dozen. Concatenating them costs little beside
//! the block itself, and the gradient of the concatenation hands each parameter its part.

use std::ops::Range;

use candle_core::{DType, Device, Storage, Tensor};

use super::matrix::into_panels;
use crate::Result;

/// The parameters of one block.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    parts: Vec<Tensor>,
    /// Present when nothing is trained, so that the concatenation is made once.
    frozen: Option<Tensor>,
}

impl Packed {
    pub(crate) fn new(parts: Vec<Tensor>) -> Result<Self> {
        if parts.iter().any(Tensor::track_op) {
            return Ok(Self { parts, frozen: None });
        }
        let flat = concatenate(&parts)?;
        let mut start = 0;
        let mut views = Vec::with_capacity(parts.len());
        for part in &parts {
            views.push(flat.narrow(0, start, part.elem_count())?.reshape(part.shape())?);
            start += part.elem_count();
        }
        Ok(Self {
            parts: views,
            frozen: Some(flat),
        })
    }

    /// Lays weights `[outputs, inputs]` in these places of the flat parameters out for the kernels, where nothing is trained and
    /// the kernels are used; says whether it did. Single parameters are not to be had afterwards.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn lay_out(&mut self, weights: &[(Range<usize>, usize)]) -> Result<bool> {
        let Some(flat) = &self.frozen else {
            return Ok(false);
        };
        if !flat.device().is_cpu() || flat.dtype() != DType::F32 {
            return Ok(false);
        }
        let mut values = flat.to_vec1::<f32>()?;
        for (place, inputs) in weights {
            let panels = into_panels(&values[place.clone()], *inputs);
            values[place.clone()].copy_from_slice(&panels);
        }
        let length = values.len();
        self.frozen = Some(tensor(values, &[length])?);
        self.parts.clear();
        Ok(true)
    }

    /// All parameters, flat, in their order.
    pub(crate) fn flat(&self) -> Result<Tensor> {
        match &self.frozen {
            Some(flat) => Ok(flat.clone()),
            None => concatenate(&self.parts),
        }
    }

    /// Parameter `index` in its own shape.
    pub(crate) fn part(&self, index: usize) -> &Tensor {
        &self.parts[index]
    }
}

fn concatenate(parts: &[Tensor]) -> Result<Tensor> {
    let flat: Vec<Tensor> = parts
        .iter()
        .map(Tensor::flatten_all)
        .collect::<candle_core::Result<_>>()?;
    Ok(Tensor::cat(&flat, 0)?)
}

/// Cuts the first `length` values off `slice`.
pub(crate) fn take<'a>(slice: &mut &'a [f32], length: usize) -> &'a [f32] {
    let (head, tail) = slice.split_at(length);
    *slice = tail;
    head
}

/// Cuts the first `length` values off a mutable `slice`.
pub(crate) fn take_mut<'a>(slice: &mut &'a mut [f32], length: usize) -> &'a mut [f32] {
    let (head, tail) = std::mem::take(slice).split_at_mut(length);
    *slice = tail;
    head
}

/// The values of a contiguous f32 tensor on the CPU, as a custom operation sees them.
pub(crate) fn values<'a>(
    storage: &'a candle_core::CpuStorage,
    layout: &candle_core::Layout,
) -> candle_core::Result<&'a [f32]> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::Msg("a fused operation needs contiguous tensors".to_owned()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Runs `compute` over the values of contiguous CPU tensors without copying them.
pub(crate) fn with_values<const N: usize, R>(
    tensors: [&Tensor; N],
    compute: impl FnOnce([&[f32]; N]) -> candle_core::Result<R>,
) -> candle_core::Result<R> {
    let tensors: Vec<Tensor> = tensors
        .into_iter()
        .map(Tensor::contiguous)
        .collect::<candle_core::Result<_>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[] as &[f32]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        match &**storage {
            Storage::Cpu(storage) => *slice = values(storage, layout)?,
            _ => candle_core::bail!("a fused operation runs on the CPU only"),
        }
    }
    compute(slices)
}

/// A tensor on the CPU from computed values.
pub(crate) fn tensor(values: Vec<f32>, shape: &[usize]) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)
}
