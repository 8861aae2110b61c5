//! The published configuration of SegFormer, with the defaults that the reference has for what a file leaves out.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::segmentation::published::activation;
use crate::{Error, Result};

/// What `config.json` says about inference; what serves training only is not read.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct SegFormerConfig {
    /// Channels of the image.
    pub num_channels: usize,
    /// Stages of the encoder.
    pub num_encoder_blocks: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// By how much a stage's keys are fewer than its queries, in each direction.
    pub sr_ratios: Vec<usize>,
    /// Width of each stage.
    pub hidden_sizes: Vec<usize>,
    /// Side of each stage's overlapping patches.
    pub patch_sizes: Vec<usize>,
    /// Distance of each stage's patches.
    pub strides: Vec<usize>,
    /// Heads of each stage.
    pub num_attention_heads: Vec<usize>,
    /// Hidden width over width, a stage each.
    pub mlp_ratios: Vec<f64>,
    /// Nonlinearity of the MLPs.
    pub hidden_act: String,
    /// Width of the head.
    pub decoder_hidden_size: usize,
    /// Whether the last stage is an image too; it is in every published file.
    pub reshape_last_stage: bool,
    /// Names of the classes.
    pub id2label: Option<BTreeMap<String, String>>,
    /// Number of classes, where names are absent.
    pub num_labels: Option<usize>,
}

impl Default for SegFormerConfig {
    fn default() -> Self {
        Self {
            num_channels: 3,
            num_encoder_blocks: 4,
            depths: vec![2; 4],
            sr_ratios: vec![8, 4, 2, 1],
            hidden_sizes: vec![32, 64, 160, 256],
            patch_sizes: vec![7, 3, 3, 3],
            strides: vec![4, 2, 2, 2],
            num_attention_heads: vec![1, 2, 5, 8],
            mlp_ratios: vec![4.0; 4],
            hidden_act: "gelu".to_owned(),
            decoder_hidden_size: 256,
            reshape_last_stage: true,
            id2label: None,
            num_labels: None,
        }
    }
}

impl SegFormerConfig {
    /// Classes by the configuration; a file's weights know better.
    #[must_use]
    pub fn classes(&self) -> usize {
        let named = self.id2label.as_ref().map(BTreeMap::len);
        named.or(self.num_labels).unwrap_or(2)
    }

    /// Hidden width of a stage's MLPs.
    pub(super) fn hidden(&self, stage: usize) -> usize {
        (self.hidden_sizes[stage] as f64 * self.mlp_ratios[stage]) as usize
    }

    /// Checks that the network can be built.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let fail = |message: String| Err(Error::Config(message));
        let stages = self.num_encoder_blocks;
        if stages == 0 || stages > 16 {
            return fail(format!(
                "num_encoder_blocks is {stages}; it must be between 1 and 16"
            ));
        }
        let lists = [
            ("depths", &self.depths),
            ("sr_ratios", &self.sr_ratios),
            ("hidden_sizes", &self.hidden_sizes),
            ("patch_sizes", &self.patch_sizes),
            ("strides", &self.strides),
            ("num_attention_heads", &self.num_attention_heads),
        ];
        for (name, list) in lists {
            let zero = name != "depths" && list.contains(&0);
            if list.len() < stages || zero || list.iter().any(|value| *value > 1 << 16) {
                return fail(format!(
                    "{name} {list:?} must hold a number for each of {stages} stages"
                ));
            }
        }
        let ratio = |ratio: &f64| (0.0..=64.0).contains(ratio);
        if self.mlp_ratios.len() < stages || !self.mlp_ratios.iter().all(ratio) {
            return fail(format!("mlp_ratios {:?} are not usable", self.mlp_ratios));
        }
        for stage in 0..stages {
            let (width, heads) = (self.hidden_sizes[stage], self.num_attention_heads[stage]);
            if !width.is_multiple_of(heads) || self.hidden(stage) == 0 {
                return fail(format!("{heads} heads must divide hidden size {width}"));
            }
        }
        let sizes = [self.num_channels, self.decoder_hidden_size, self.classes()];
        if sizes.iter().any(|size| *size == 0 || *size > 1 << 16) {
            return fail(format!(
                "num_channels, decoder_hidden_size and classes {sizes:?} must be between 1 and 65536"
            ));
        }
        if !self.reshape_last_stage {
            return fail("reshape_last_stage false is not supported; no published model has it".to_owned());
        }
        activation(&self.hidden_act).map(|_| ())
    }
}
