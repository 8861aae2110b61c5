//! The published configuration of OneFormer, with the defaults that the reference has for what a file leaves out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::swin_config::SwinConfig;
use crate::{Error, Result};

/// What `config.json` says about inference; what serves training only is not read.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct OneFormerConfig {
    /// The backbone; the reference's Swin-T if absent.
    pub backbone_config: Option<SwinConfig>,
    /// A backbone by name, which is not supported: published models describe theirs.
    pub backbone: Option<String>,
    /// Whether the backbone comes from another library, which is not supported.
    pub use_timm_backbone: bool,
    /// Object queries, with the task token.
    pub num_queries: usize,
    /// The epsilon of the decoders' layer norms.
    pub layer_norm_eps: f64,
    /// Pixels a cell of each of the backbone's maps.
    pub strides: Vec<usize>,
    /// Pixels a cell of the map that masks are made on.
    pub common_stride: usize,
    /// Length of the tokenised task.
    pub task_seq_len: usize,
    /// Width of the pixel decoder.
    pub conv_dim: usize,
    /// Width of the masks' features.
    pub mask_dim: usize,
    /// Width of the transformer decoder.
    pub hidden_dim: usize,
    /// Hidden width of the pixel decoder's MLPs.
    pub encoder_feedforward_dim: usize,
    /// Layers of the pixel decoder.
    pub encoder_layers: usize,
    /// Layers of the transformer decoder, and one for its first prediction.
    pub decoder_layers: usize,
    /// Layers of the query transformer.
    pub query_dec_layers: usize,
    /// Hidden width of the transformer decoder's MLPs.
    pub dim_feedforward: usize,
    /// Heads of every attention but the backbone's.
    pub num_attention_heads: usize,
    /// Whether the task token is normalised and starts the queries.
    pub use_task_norm: bool,
    /// Whether layers normalise their input instead of their output.
    pub pre_norm: bool,
    /// Whether levels are projected once more, which no published file has weights for.
    pub enforce_input_proj: bool,
    /// Names of the classes.
    pub id2label: Option<BTreeMap<String, String>>,
    /// Number of classes, where names are absent.
    pub num_labels: Option<usize>,
}

impl Default for OneFormerConfig {
    fn default() -> Self {
        Self {
            backbone_config: None,
            backbone: None,
            use_timm_backbone: false,
            num_queries: 150,
            layer_norm_eps: 1e-5,
            strides: vec![4, 8, 16, 32],
            common_stride: 4,
            task_seq_len: 77,
            conv_dim: 256,
            mask_dim: 256,
            hidden_dim: 256,
            encoder_feedforward_dim: 1024,
            encoder_layers: 6,
            decoder_layers: 10,
            query_dec_layers: 2,
            dim_feedforward: 2048,
            num_attention_heads: 8,
            use_task_norm: true,
            pre_norm: false,
            enforce_input_proj: false,
            id2label: None,
            num_labels: None,
        }
    }
}

/// Maps that the two decoders work on.
pub(super) const LEVELS: usize = 3;
/// Groups of the pixel decoder's group norms.
pub(super) const GROUPS: usize = 32;

impl OneFormerConfig {
    /// The backbone's configuration.
    #[must_use]
    pub fn backbone(&self) -> SwinConfig {
        self.backbone_config.clone().unwrap_or_else(|| SwinConfig {
            out_features: Some((1..=4).map(|stage| format!("stage{stage}")).collect()),
            ..SwinConfig::default()
        })
    }

    /// Classes by the configuration; a file's weights know better.
    #[must_use]
    pub fn classes(&self) -> usize {
        let named = self.id2label.as_ref().map(BTreeMap::len);
        named.or(self.num_labels).unwrap_or(2)
    }

    /// Maps finer than those of the deformable attention, that masks are refined by.
    #[must_use]
    pub fn finer_maps(&self) -> usize {
        let coarse = &self.strides[self.strides.len().saturating_sub(LEVELS)..];
        let finest = coarse.iter().copied().min().unwrap_or(1);
        let levels = (finest as f64).log2() - (self.common_stride as f64).log2();
        levels.max(0.0) as usize
    }

    /// Checks that the network can be built and is one that the reference can build.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let fail = |message: String| Err(Error::Config(message));
        if self.use_timm_backbone || self.backbone.is_some() {
            return fail(
                "backbone: only a Swin backbone that 'backbone_config' describes is supported".to_owned(),
            );
        }
        let backbone = self.backbone();
        backbone.validate()?;
        let sizes = [
            ("num_queries", self.num_queries),
            ("conv_dim", self.conv_dim),
            ("encoder_feedforward_dim", self.encoder_feedforward_dim),
            ("dim_feedforward", self.dim_feedforward),
            ("num_attention_heads", self.num_attention_heads),
            ("task_seq_len", self.task_seq_len),
            ("common_stride", self.common_stride),
            ("num_labels", self.classes()),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size == 0 || *size > 1 << 16) {
            return fail(format!("{name} is {size}; it must be between 1 and 65536"));
        }
        let layers = [self.encoder_layers, self.decoder_layers, self.query_dec_layers];
        if layers.iter().any(|layers| *layers > 1000) {
            return fail(format!("{layers:?} layers; more than 1000 are no OneFormer"));
        }
        if self.num_queries < 2 {
            return fail("num_queries must be at least 2: the last one is the task".to_owned());
        }
        if self.decoder_layers < 2 {
            return fail("decoder_layers must be at least 2: the first one is a prediction only".to_owned());
        }
        if self.mask_dim != self.conv_dim || self.hidden_dim != self.conv_dim || self.enforce_input_proj {
            let Self {
                conv_dim,
                mask_dim,
                hidden_dim,
                ..
            } = self;
            return fail(format!(
                "conv_dim {conv_dim}, mask_dim {mask_dim} and hidden_dim {hidden_dim} must be equal and enforce_input_proj false: the reference keeps no weights to connect them"
            ));
        }
        if !self.conv_dim.is_multiple_of(GROUPS) || !self.conv_dim.is_multiple_of(self.num_attention_heads) {
            return fail(format!(
                "conv_dim {} must be a multiple of {GROUPS} and of num_attention_heads {}",
                self.conv_dim, self.num_attention_heads
            ));
        }
        if self.task_seq_len < super::task::TASK.len() {
            return fail(format!(
                "task_seq_len {} is shorter than the task's {} tokens",
                self.task_seq_len,
                super::task::TASK.len()
            ));
        }
        let maps = backbone.outputs()?.len();
        if maps < LEVELS || self.finer_maps() > maps || self.strides.len() < LEVELS {
            return fail(format!(
                "out_features of the backbone name {maps} maps where {LEVELS} are decoded and {} refine the masks",
                self.finer_maps()
            ));
        }
        Ok(())
    }
}
