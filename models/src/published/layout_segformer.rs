//! SegFormer's tensors: four stages of efficient attention with mix-FFNs, and the all-MLP head.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::bad;
use super::layout::{Collector, Family, Layout};
use crate::Result;

pub(super) fn layout(path: &Path, tree: &Value) -> Result<Layout> {
    let config = Sizes::read(path, tree)?;
    let mut tensors = BTreeMap::new();
    let mut model = Collector::new(&mut tensors, true, false);
    let mut encoder = model.under("segformer.encoder");
    for stage in 0..config.depths.len() {
        let width = config.widths[stage];
        let inputs = if stage == 0 { 3 } else { config.widths[stage - 1] };
        let patch = config.patches[stage];
        let mut embedding = encoder.under(format!("patch_embeddings.{stage}"));
        embedding.layer("proj", &[width, inputs, patch, patch]);
        embedding.norm("layer_norm", width);
        for index in 0..config.depths[stage] {
            let block = format!("block.{stage}.{index}");
            block_of(&mut encoder.under(block), width, config.reductions[stage], config.mlp_ratios[stage]);
        }
        encoder.norm(&format!("layer_norm.{stage}"), width);
    }
    let mut head = model.under("decode_head");
    for (stage, width) in config.widths.iter().enumerate() {
        head.linear(&format!("linear_c.{stage}.proj"), *width, config.decoder);
    }
    let stages = config.widths.len();
    head.tensor("linear_fuse.weight", &[config.decoder, stages * config.decoder, 1, 1]);
    head.norm("batch_norm", config.decoder);
    head.tensor("batch_norm.running_mean", &[config.decoder]);
    head.tensor("batch_norm.running_var", &[config.decoder]);
    head.ignored("batch_norm.num_batches_tracked", &[]);
    head.layer("classifier", &[config.classes, config.decoder, 1, 1]);
    Ok(Layout {
        family: Family::SegFormer,
        tensors,
    })
}

fn block_of(block: &mut Collector<'_>, width: usize, reduction: usize, mlp_ratio: usize) {
    block.norm("layer_norm_1", width);
    block.norm("layer_norm_2", width);
    for part in ["query", "key", "value"] {
        block.linear(&format!("attention.self.{part}"), width, width);
    }
    if reduction > 1 {
        block.layer("attention.self.sr", &[width, width, reduction, reduction]);
        block.norm("attention.self.layer_norm", width);
    }
    block.linear("attention.output.dense", width, width);
    let hidden = width * mlp_ratio;
    block.linear("mlp.dense1", width, hidden);
    block.layer("mlp.dwconv.dwconv", &[hidden, 1, 3, 3]);
    block.linear("mlp.dense2", hidden, width);
}

struct Sizes {
    widths: Vec<usize>,
    depths: Vec<usize>,
    patches: Vec<usize>,
    reductions: Vec<usize>,
    mlp_ratios: Vec<usize>,
    decoder: usize,
    classes: usize,
}

impl Sizes {
    fn read(path: &Path, tree: &Value) -> Result<Self> {
        let list = |name: &str, default: [usize; 4]| match &tree[name] {
            Value::Null => Ok(default.to_vec()),
            value => value
                .as_array()
                .and_then(|list| list.iter().map(|value| value.as_u64().map(|value| value as usize)).collect::<Option<Vec<_>>>())
                .filter(|list| list.len() == 4 && list.iter().all(|value| (1..=1 << 14).contains(value)))
                .ok_or_else(|| bad(path, format!("{name} is {value} where four numbers are needed"))),
        };
        let classes = match (&tree["id2label"], tree["num_labels"].as_u64()) {
            (Value::Object(labels), _) => labels.len(),
            (_, Some(labels)) => labels as usize,
            _ => 150,
        };
        Ok(Self {
            widths: list("hidden_sizes", [32, 64, 160, 256])?,
            depths: list("depths", [2, 2, 2, 2])?,
            patches: list("patch_sizes", [7, 3, 3, 3])?,
            reductions: list("sr_ratios", [8, 4, 2, 1])?,
            mlp_ratios: list("mlp_ratios", [4, 4, 4, 4])?,
            decoder: tree["decoder_hidden_size"].as_u64().unwrap_or(256).clamp(1, 1 << 16) as usize,
            classes,
        })
    }
}
