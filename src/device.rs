//! Where tensors live.

use anyhow::{Context, Result};
use candle_core::Device;
use clap::ValueEnum;

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceKind {
    /// The first CUDA device where this binary was built with `--features cuda` and one is present, else the CPU
    Auto,
    /// The processor
    Cpu,
    /// The first CUDA device; an error where there is none
    Cuda,
}

impl DeviceKind {
    /// Opens the device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Device::cuda_if_available(0).context("the CUDA device could not be opened; use --device cpu"),
            Self::Cuda => Device::new_cuda(0)
                .context("no CUDA device: build with `cargo build --release --features cuda` on a machine that has one, or use --device cpu"),
        }
    }
}
