//! Adding up tensors over several devices, each driven by a thread of its own.
//!
//! A step on several devices needs one operation only: the sum, over the devices, of tensors of one shape. Every device gets the
//! same sum, bit for bit, so that their parameters stay equal without ever being compared.

mod host;
#[cfg(feature = "nccl")]
mod nccl;

use candle_core::{Device, Tensor};

pub use host::HostCommunicator;
#[cfg(feature = "nccl")]
pub use nccl::NcclCommunicator;

use crate::Result;

/// One device's part in a group of them.
pub trait Communicator: std::fmt::Debug + Send + Sync {
    /// This device's number, from 0.
    fn rank(&self) -> usize;

    /// Devices in the group.
    fn size(&self) -> usize;

    /// The sums over all devices of these tensors: every device calls it at the same point with tensors of the same shapes.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where another device has given up; the device's own.
    fn all_reduce(&self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>>;

    /// Tells the others that this device will not come to their next sum, so that none waits for it.
    fn give_up(&self, reason: &str);
}

/// A group of one.
#[derive(Debug, Clone, Copy)]
pub struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce(&self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
        Ok(tensors)
    }

    fn give_up(&self, _reason: &str) {}
}

/// A group over these devices, in their order: by NCCL where all are NVIDIA GPUs and the program was built with it, through the
/// host's memory otherwise.
///
/// # Errors
/// NCCL cannot start.
pub fn group(devices: &[Device]) -> Result<Vec<Box<dyn Communicator>>> {
    if devices.len() <= 1 {
        return Ok(vec![Box::new(Alone)]);
    }
    #[cfg(feature = "nccl")]
    if devices.iter().all(Device::is_cuda) {
        return Ok(NcclCommunicator::group(devices)?
            .into_iter()
            .map(|one| Box::new(one) as Box<dyn Communicator>)
            .collect());
    }
    Ok(HostCommunicator::group(devices.len())
        .into_iter()
        .map(|one| Box::new(one) as Box<dyn Communicator>)
        .collect())
}
