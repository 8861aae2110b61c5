//! OneFormer's tensors on a Swin backbone, as transformers 4.x writes them: what inference needs, and the leftovers of
//! training that the published files hold beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::bad;
use super::layout::{Collector, Expected, Family, Layout};
use crate::Result;

/// Feature levels of the deformable attention, and points a head looks at on each.
const LEVELS: usize = 3;
const POINTS: usize = 4;

pub(super) fn layout(path: &Path, tree: &Value) -> Result<Layout> {
    let config = Sizes::read(path, tree)?;
    let mut tensors = BTreeMap::new();
    let mut needed = Collector::new(&mut tensors, true, false);
    let mut model = needed.under("model");
    swin(&mut model.under("pixel_level_module.encoder"), &config);
    pixel_decoder(&mut model.under("pixel_level_module.decoder"), &config);
    task_encoder(&mut model.under("task_encoder.task_mlp"), &config);
    transformer(&mut model.under("transformer_module"), &config);
    leftovers(&mut tensors, &config);
    Ok(Layout {
        family: Family::OneFormer,
        tensors,
    })
}

struct Sizes {
    embed: usize,
    depths: Vec<usize>,
    heads: Vec<usize>,
    window: usize,
    mlp_ratio: f64,
    patch: usize,
    /// Width of pixel decoder and transformer; the published models have one for all.
    width: usize,
    attention_heads: usize,
    encoder_feedforward: usize,
    encoder_layers: usize,
    feedforward: usize,
    decoder_layers: usize,
    query_layers: usize,
    queries: usize,
    task_length: usize,
    classes: usize,
}

impl Sizes {
    fn read(path: &Path, tree: &Value) -> Result<Self> {
        let backbone = &tree["backbone_config"];
        if backbone["model_type"] != "swin" {
            return Err(bad(
                path,
                format!(
                    "its backbone is {} and only Swin is known; use a shi-labs/oneformer_ade20k_swin_* model",
                    backbone["model_type"]
                ),
            ));
        }
        let whole = |tree: &Value, name: &str, default: usize| match &tree[name] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .map(|value| value as usize)
                .filter(|value| (1..=1 << 16).contains(value))
                .ok_or_else(|| bad(path, format!("{name} is {value} where a positive whole number is needed"))),
        };
        let list = |name: &str| -> Result<Vec<usize>> {
            backbone[name]
                .as_array()
                .and_then(|list| list.iter().map(|value| value.as_u64().map(|value| value as usize)).collect::<Option<Vec<_>>>())
                .filter(|list| list.len() == 4 && list.iter().all(|value| (1..=1 << 10).contains(value)))
                .ok_or_else(|| bad(path, format!("backbone_config.{name} is {} where four numbers are needed", backbone[name])))
        };
        let classes = match (&tree["id2label"], tree["num_labels"].as_u64()) {
            (Value::Object(labels), _) => labels.len(),
            (_, Some(labels)) => labels as usize,
            _ => 150,
        };
        Ok(Self {
            embed: whole(backbone, "embed_dim", 96)?,
            depths: list("depths")?,
            heads: list("num_heads")?,
            window: whole(backbone, "window_size", 7)?,
            mlp_ratio: backbone["mlp_ratio"].as_f64().unwrap_or(4.0),
            patch: whole(backbone, "patch_size", 4)?,
            width: whole(tree, "hidden_dim", 256)?,
            attention_heads: whole(tree, "num_attention_heads", 8)?,
            encoder_feedforward: whole(tree, "encoder_feedforward_dim", 1024)?,
            encoder_layers: whole(tree, "encoder_layers", 6)?,
            feedforward: whole(tree, "dim_feedforward", 2048)?,
            // The published number counts the prediction before the first layer.
            decoder_layers: whole(tree, "decoder_layers", 10)? - 1,
            query_layers: whole(tree, "query_dec_layers", 2)?,
            queries: whole(tree, "num_queries", 150)?,
            task_length: whole(tree, "task_seq_len", 77)?,
            classes,
        })
    }

    fn stage(&self, stage: usize) -> usize {
        self.embed << stage
    }
}

fn swin(swin: &mut Collector<'_>, config: &Sizes) {
    let mut embeddings = swin.under("embeddings");
    embeddings.layer("patch_embeddings.projection", &[config.embed, 3, config.patch, config.patch]);
    embeddings.norm("norm", config.embed);
    for (stage, depth) in config.depths.iter().enumerate() {
        let width = config.stage(stage);
        let hidden = (width as f64 * config.mlp_ratio) as usize;
        let mut layer = swin.under(format!("encoder.layers.{stage}"));
        for index in 0..*depth {
            let mut block = layer.under(format!("blocks.{index}"));
            block.norm("layernorm_before", width);
            block.norm("layernorm_after", width);
            for part in ["query", "key", "value"] {
                block.linear(&format!("attention.self.{part}"), width, width);
            }
            let (span, area) = (2 * config.window - 1, config.window * config.window);
            block.tensor("attention.self.relative_position_bias_table", &[span * span, config.heads[stage]]);
            block.ignored("attention.self.relative_position_index", &[area, area]);
            block.linear("attention.output.dense", width, width);
            block.linear("intermediate.dense", width, hidden);
            block.linear("output.dense", hidden, width);
        }
        if stage + 1 < config.depths.len() {
            layer.norm("downsample.norm", 4 * width);
            layer.tensor("downsample.reduction.weight", &[2 * width, 4 * width]);
        }
        swin.under("hidden_states_norms").norm(&format!("stage{}", stage + 1), width);
    }
}

fn pixel_decoder(decoder: &mut Collector<'_>, config: &Sizes) {
    let width = config.width;
    // The coarsest level first; a projection is a convolution and its group norm.
    for level in 0..LEVELS {
        decoder.layer(&format!("input_projections.{level}.0"), &[width, config.stage(3 - level), 1, 1]);
        decoder.norm(&format!("input_projections.{level}.1"), width);
    }
    decoder.tensor("level_embed", &[LEVELS, width]);
    decoder.tensor("adapter_1.0.weight", &[width, config.embed, 1, 1]);
    decoder.norm("adapter_1.1", width);
    decoder.tensor("layer_1.0.weight", &[width, width, 3, 3]);
    decoder.norm("layer_1.1", width);
    decoder.layer("mask_projection", &[width, width, 1, 1]);
    let samples = config.attention_heads * LEVELS * POINTS;
    for index in 0..config.encoder_layers {
        let mut layer = decoder.under(format!("encoder.layers.{index}"));
        layer.linear("self_attn.sampling_offsets", width, 2 * samples);
        layer.linear("self_attn.attention_weights", width, samples);
        layer.linear("self_attn.value_proj", width, width);
        layer.linear("self_attn.output_proj", width, width);
        layer.norm("self_attn_layer_norm", width);
        layer.linear("fc1", width, config.encoder_feedforward);
        layer.linear("fc2", config.encoder_feedforward, width);
        layer.norm("final_layer_norm", width);
    }
}

fn task_encoder(mlp: &mut Collector<'_>, config: &Sizes) {
    mlp.linear("layers.0.0", config.task_length, config.width);
    mlp.linear("layers.1.0", config.width, config.width);
}

fn transformer(transformer: &mut Collector<'_>, config: &Sizes) {
    let width = config.width;
    transformer.tensor("level_embed.weight", &[LEVELS, width]);
    transformer.tensor("queries_embedder.weight", &[config.queries, width]);
    let mut decoder = transformer.under("decoder");
    decoder.layer("query_input_projection", &[width, width, 1, 1]);
    decoder.norm("decoder_norm", width);
    decoder.linear("class_embed", width, config.classes + 1);
    for index in 0..3 {
        decoder.linear(&format!("mask_embed.layers.{index}.0"), width, width);
    }
    for index in 0..config.decoder_layers {
        let mut layer = decoder.under(format!("layers.{index}"));
        packed_attention(&mut layer, "cross_attn.multihead_attn", width);
        layer.norm("cross_attn.norm", width);
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            layer.linear(&format!("self_attn.self_attn.{part}"), width, width);
        }
        layer.norm("self_attn.norm", width);
        layer.linear("ffn.linear1", width, config.feedforward);
        layer.linear("ffn.linear2", config.feedforward, width);
        layer.norm("ffn.norm", width);
    }
    let mut queries = decoder.under("query_transformer.decoder");
    for index in 0..config.query_layers {
        let mut layer = queries.under(format!("layers.{index}"));
        packed_attention(&mut layer, "self_attn", width);
        packed_attention(&mut layer, "multihead_attn", width);
        layer.linear("linear1", width, config.feedforward);
        layer.linear("linear2", config.feedforward, width);
        for norm in ["norm1", "norm2", "norm3"] {
            layer.norm(norm, width);
        }
    }
    queries.norm("norm", width);
}

/// PyTorch's own attention, which packs the three inner projections into one.
fn packed_attention(layer: &mut Collector<'_>, name: &str, width: usize) {
    layer.tensor(&format!("{name}.in_proj_weight"), &[3 * width, width]);
    layer.tensor(&format!("{name}.in_proj_bias"), &[3 * width]);
    layer.linear(&format!("{name}.out_proj"), width, width);
}

/// What training leaves in a file: the loss's own two tensors, and with a text model, that.
fn leftovers(tensors: &mut BTreeMap<String, Expected>, config: &Sizes) {
    let mut leftovers = Collector::new(tensors, false, true);
    leftovers.ignored("criterion.empty_weight", &[config.classes + 1]);
    leftovers.ignored("criterion.logit_scale", &[]);
}
