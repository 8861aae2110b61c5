//! Number formats that the networks compute in.

use candle_core::DType;
use serde::{Deserialize, Serialize};

/// The number format of frozen weights and of what is computed with them. Trained weights are always f32.
///
/// On a CPU the half formats save memory and no time; on an accelerator they save both. Norms and attention shares are
/// computed in f32 whatever the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Half the bits: eight of exponent, seven of fraction.
    Bf16,
    /// Half the bits: five of exponent, ten of fraction.
    F16,
}

impl Precision {
    /// candle's name for it.
    #[must_use]
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}
