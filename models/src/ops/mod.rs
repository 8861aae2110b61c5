//! The operations that training is made of, each with its gradient.
//!
//! candle's own layer norm and last-dimension softmax have no gradient, and a transformer block out of its elementary operations
//! spends most of its time moving activations. Here a half block is one operation: forward and backward go over one photo
//! (or a few hundred rows) at a time, in cache, and recompute what the backward pass needs. Everything else that a device
//! or number format needs is in `composite`, which the fused operations are tested against.
//!
//! The published segmenters are not trained here, so what only they use has no gradient: [`Projection`], [`Convolution`],
//! [`GroupNorm`], [`resize`], [`WindowAttention`] and the two attentions of OneFormer's decoders. A backward pass through
//! one of them is an error.

mod attend;
mod attention;
mod composite;
mod convolution;
mod cross_entropy;
mod deformable_attention;
#[cfg(test)]
mod gradient_tests;
mod group_norm;
#[cfg(test)]
mod inference_tests;
mod kernels;
mod latent_attention;
mod layer_norm;
mod linear;
mod map_tokens;
mod matrix;
mod mlp;
mod packed;
mod photo_tokens;
mod pointwise;
mod projection;
mod resize;
mod room;
mod self_attention;
mod unit;
mod window_attention;
mod work;

pub(crate) use attend::attend;
pub use convolution::{Convolution, DepthwiseConvolution, Windows};
pub use cross_entropy::{IGNORE, cross_entropy};
pub(crate) use deformable_attention::Sampling;
pub use group_norm::GroupNorm;
pub use latent_attention::{LatentAttention, LatentWidths, Residual};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use map_tokens::{MapSizes, MapTokens};
pub use mlp::{Mlp, MlpNames};
pub use photo_tokens::PhotoTokens;
pub(crate) use pointwise::{activate, sigmoid};
pub use projection::Projection;
pub use resize::resize;
pub(crate) use resize::{Between, blend, blend_rows};
pub use self_attention::SelfAttention;
pub use unit::unit_rows;
pub use window_attention::{WindowAttention, WindowNames};
