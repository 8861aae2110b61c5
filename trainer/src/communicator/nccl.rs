//! A group of NVIDIA GPUs of one machine that add up with NCCL.

use std::sync::{Arc, Mutex};

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::CudaStorage;
use candle_core::cuda_backend::cudarc::nccl::safe::{Comm, ReduceOp};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};

use super::Communicator;
use crate::{Error, Result};

/// One GPU's member of a group.
#[derive(Debug)]
pub struct NcclCommunicator {
    rank: usize,
    size: usize,
    sum: Sum,
    given_up: Arc<Mutex<Option<String>>>,
}

/// NCCL's handle. It is used by the one thread that drives its device.
#[derive(Debug, Clone)]
struct Sum(Arc<Comm>);

// SAFETY: NCCL allows a communicator to be used from any thread as long as no two calls on it run at once; each member of a
// group is owned by one thread for the time of a step.
unsafe impl Send for Sum {}
// SAFETY: as above; nothing here is called through two shared references at once.
unsafe impl Sync for Sum {}

impl NcclCommunicator {
    /// A group over these devices.
    ///
    /// # Errors
    /// A device that is no NVIDIA GPU; NCCL cannot start.
    pub fn group(devices: &[Device]) -> Result<Vec<Self>> {
        let streams = devices
            .iter()
            .map(|device| Ok(device.as_cuda_device()?.cuda_stream()))
            .collect::<Result<Vec<_>>>()?;
        let comms = Comm::from_devices(streams).map_err(|error| {
            Error::Config(format!(
                "NCCL cannot start on {} devices: {error:?}; see NCCL_DEBUG=INFO",
                devices.len()
            ))
        })?;
        let given_up = Arc::new(Mutex::new(None));
        let size = devices.len();
        let member = |(rank, comm)| Self {
            rank,
            size,
            sum: Sum(Arc::new(comm)),
            given_up: Arc::clone(&given_up),
        };
        Ok(comms.into_iter().enumerate().map(member).collect())
    }
}

impl Communicator for NcclCommunicator {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_reduce(&self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let reason = self.given_up.lock().ok().and_then(|reason| reason.clone());
        if let Some(reason) = reason {
            return Err(Error::Device {
                rank: self.rank,
                reason,
            });
        }
        tensors
            .iter()
            .map(|tensor| Ok(tensor.detach().contiguous()?.apply_op1_no_bwd(&self.sum)?))
            .collect()
    }

    fn give_up(&self, reason: &str) {
        if let Ok(mut given_up) = self.given_up.lock() {
            given_up.get_or_insert_with(|| format!("device {} failed: {reason}", self.rank));
        }
    }
}

impl CustomOp1 for Sum {
    fn name(&self) -> &'static str {
        "all-reduce"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        candle_core::bail!("NCCL adds up tensors of NVIDIA GPUs only")
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("all-reduce needs contiguous tensors")
        };
        if storage.dtype() != DType::F32 {
            candle_core::bail!("all-reduce needs f32 tensors, not {:?}", storage.dtype())
        }
        let device = storage.device().clone();
        let values = storage.as_cuda_slice::<f32>()?.slice(start..end);
        // SAFETY: NCCL writes every element before anything on the same stream reads it.
        let mut sum = unsafe { device.alloc::<f32>(layout.shape().elem_count()) }?;
        self.0
            .all_reduce(&values, &mut sum, &ReduceOp::Sum)
            .map_err(|error| candle_core::Error::Msg(format!("NCCL all-reduce: {error:?}")))?;
        Ok((CudaStorage::wrap_cuda_slice(sum, device), layout.shape().clone()))
    }
}
