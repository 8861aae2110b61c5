//! Where tensors live.

use anyhow::{Context, Result};
use candle_core::Device;
use clap::ValueEnum;
use models::Precision;

/// Where a checkpoint's encoder computes, and how finely.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Compute {
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
    /// Number format of the vision tower's frozen blocks. The half formats save memory, and time on a GPU alone; towers that were
    /// trained whole stay in f32
    #[arg(long, value_enum, default_value_t = Format::F32, hide_short_help = true)]
    precision: Format,
}

impl Compute {
    /// Opens the device.
    pub fn open(self) -> Result<Device> {
        self.device.open()
    }

    /// The number format of frozen blocks.
    pub fn precision(self) -> Precision {
        match self.precision {
            Format::F32 => Precision::F32,
            Format::Bf16 => Precision::Bf16,
            Format::F16 => Precision::F16,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    F32,
    Bf16,
    F16,
}

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
