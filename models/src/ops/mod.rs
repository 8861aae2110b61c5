//! The operations that training is made of, each with its gradient.
//!
//! candle's own layer norm and last-dimension softmax have no gradient, and a transformer block out of its elementary operations
//! spends most of its time moving activations. Here a half block is one operation: forward and backward go over one photo
//! (or a few hundred rows) at a time, in cache, and recompute what the backward pass needs. Everything else that a device
//! or number format needs is in `composite`, which the fused operations are tested against.

mod attention;
mod composite;
mod cross_entropy;
#[cfg(test)]
mod gradient_tests;
mod kernels;
mod latent_attention;
mod layer_norm;
mod linear;
mod map_tokens;
mod matrix;
mod mlp;
mod packed;
mod photo_tokens;
mod self_attention;
mod unit;
mod work;

pub use cross_entropy::{IGNORE, cross_entropy};
pub use latent_attention::{LatentAttention, LatentWidths, Residual};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use map_tokens::{MapSizes, MapTokens};
pub use mlp::{Mlp, MlpNames};
pub use photo_tokens::PhotoTokens;
pub use self_attention::SelfAttention;
pub use unit::unit_rows;
