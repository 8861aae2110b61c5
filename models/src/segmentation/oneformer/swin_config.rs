//! The published configuration of a Swin backbone.

use serde::Deserialize;

use crate::segmentation::published::activation;
use crate::{Error, Result};

/// One number, or one for height and width.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Side {
    /// For both.
    One(usize),
    /// Height and width.
    Two([usize; 2]),
}

/// What a configuration says about a Swin backbone.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct SwinConfig {
    /// Must be `swin`.
    pub model_type: String,
    /// Side of a patch in pixels.
    pub patch_size: Side,
    /// Channels of the image.
    pub num_channels: usize,
    /// Width of the first stage; each stage doubles it.
    pub embed_dim: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Heads of each stage.
    pub num_heads: Vec<usize>,
    /// Side of a window in tokens.
    pub window_size: usize,
    /// Hidden width of MLPs over width.
    pub mlp_ratio: f64,
    /// Whether queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Nonlinearity of the MLPs.
    pub hidden_act: String,
    /// Whether positions are added to patches, which the reference cannot run as a backbone.
    pub use_absolute_embeddings: bool,
    /// The epsilon of the blocks' layer norms; the others have 1e-5.
    pub layer_norm_eps: f64,
    /// Names of the stages that are outputs: `stem`, `stage1`, …
    pub out_features: Option<Vec<String>>,
    /// The same as indices, 0 the stem; negative ones count from the end.
    pub out_indices: Option<Vec<i64>>,
}

impl Default for SwinConfig {
    fn default() -> Self {
        Self {
            model_type: "swin".to_owned(),
            patch_size: Side::One(4),
            num_channels: 3,
            embed_dim: 96,
            depths: vec![2, 2, 6, 2],
            num_heads: vec![3, 6, 12, 24],
            window_size: 7,
            mlp_ratio: 4.0,
            qkv_bias: true,
            hidden_act: "gelu".to_owned(),
            use_absolute_embeddings: false,
            layer_norm_eps: 1e-5,
            out_features: None,
            out_indices: None,
        }
    }
}

impl SwinConfig {
    /// Height and width of a patch.
    #[must_use]
    pub fn patch(&self) -> (usize, usize) {
        match self.patch_size {
            Side::One(side) => (side, side),
            Side::Two([height, width]) => (height, width),
        }
    }

    /// Width of a stage, 0 the stem's.
    #[must_use]
    pub fn width(&self, stage: usize) -> usize {
        self.embed_dim << stage.saturating_sub(1)
    }

    /// The stages that are outputs, 0 the stem, in their order.
    ///
    /// # Errors
    /// [`Error::Config`] for a stage that does not exist.
    pub fn outputs(&self) -> Result<Vec<usize>> {
        let last = self.depths.len();
        let unknown =
            |name: &str| Error::Config(format!("out_features names '{name}', which no stage is called"));
        let outputs: Vec<usize> = match (&self.out_features, &self.out_indices) {
            (Some(names), _) => names
                .iter()
                .map(|name| {
                    let stage = match name.as_str() {
                        "stem" => Some(0),
                        name => name.strip_prefix("stage").and_then(|stage| stage.parse().ok()),
                    };
                    stage
                        .filter(|stage| *stage <= last && (*stage > 0 || name == "stem"))
                        .ok_or_else(|| unknown(name))
                })
                .collect::<Result<_>>()?,
            (None, Some(indices)) => indices
                .iter()
                .map(|index| {
                    let stage = if *index < 0 {
                        index + last as i64 + 1
                    } else {
                        *index
                    };
                    usize::try_from(stage)
                        .ok()
                        .filter(|stage| *stage <= last)
                        .ok_or_else(|| unknown(&index.to_string()))
                })
                .collect::<Result<_>>()?,
            (None, None) => vec![last],
        };
        if outputs.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::Config(
                "out_features must name stages in their order".to_owned(),
            ));
        }
        Ok(outputs)
    }

    /// Hidden width of the MLPs of a stage of this width.
    pub(super) fn hidden(&self, width: usize) -> usize {
        (self.mlp_ratio * width as f64) as usize
    }

    /// Checks that the network can be built and is one that the reference can build.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let fail = |message: String| Err(Error::Config(format!("backbone_config: {message}")));
        if self.model_type != "swin" {
            return fail(format!(
                "model_type '{}' is not supported; use a model with a Swin backbone",
                self.model_type
            ));
        }
        if self.use_absolute_embeddings {
            return fail(
                "use_absolute_embeddings is not supported: the reference cannot run it either".to_owned(),
            );
        }
        activation(&self.hidden_act)?;
        let (height, width) = self.patch();
        let sizes = [height, width, self.num_channels, self.embed_dim, self.window_size];
        if sizes.iter().any(|size| *size == 0 || *size > 1 << 14) {
            return fail(
                "patch_size, num_channels, embed_dim and window_size must be between 1 and 16384".to_owned(),
            );
        }
        if self.window_size > 64 {
            return fail(format!("window_size {} is larger than 64", self.window_size));
        }
        if self.depths.is_empty() || self.depths.len() > 8 || self.depths.iter().any(|depth| *depth > 1000) {
            return fail(format!("depths {:?} are no Swin transformer's", self.depths));
        }
        if self.num_heads.len() < self.depths.len() {
            return fail(format!(
                "num_heads {:?} must name heads for each of {} stages",
                self.num_heads,
                self.depths.len()
            ));
        }
        for (stage, heads) in self.num_heads.iter().take(self.depths.len()).enumerate() {
            if *heads == 0 || !self.width(stage + 1).is_multiple_of(*heads) {
                return fail(format!(
                    "{heads} heads must divide width {}",
                    self.width(stage + 1)
                ));
            }
        }
        if !(0.0..=64.0).contains(&self.mlp_ratio) || self.hidden(self.embed_dim) == 0 {
            return fail(format!("mlp_ratio {} is not usable", self.mlp_ratio));
        }
        self.outputs().map(|_| ())
    }
}
