//! CLIP's tensors: the vision tower, the text model and the two projections.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::ClipVisionConfig;
use super::layout::{Collector, Family, Layout};
use crate::{PublishedWeights, Result};

/// A transformer's sizes.
struct Sizes {
    width: usize,
    layers: usize,
    intermediate: usize,
}

pub(super) fn layout(folder: &Path, tree: &Value) -> Result<Layout> {
    let config = ClipVisionConfig::read(folder)?;
    let mut tensors = BTreeMap::new();
    let mut needed = Collector::new(&mut tensors, true, false);
    let mut vision = needed.under("vision_model");
    let mut embeddings = vision.under("embeddings");
    embeddings.tensor("class_embedding", &[config.width]);
    embeddings.tensor(
        "patch_embedding.weight",
        &[config.width, 3, config.patch_size, config.patch_size],
    );
    embeddings.tensor("position_embedding.weight", &[config.tokens(), config.width]);
    embeddings.ignored("position_ids", &[1, config.tokens()]);
    vision.norm("pre_layrnorm", config.width);
    let sizes = Sizes {
        width: config.width,
        layers: config.layers,
        intermediate: config.intermediate,
    };
    transformer(&mut vision, &sizes);

    let text = text_sizes(tree);
    let has_text = tree["model_type"] == "clip" && is_whole_model(folder);
    let mut unread = Collector::new(&mut tensors, false, false);
    unread.under("vision_model").norm("post_layernorm", config.width);
    let mut rest = Collector::new(&mut tensors, false, !has_text);
    rest.tensor("logit_scale", &[]);
    rest.tensor("visual_projection.weight", &[config.projection, config.width]);
    rest.tensor("text_projection.weight", &[config.projection, text.sizes.width]);
    let mut model = rest.under("text_model");
    let mut embeddings = model.under("embeddings");
    embeddings.tensor("token_embedding.weight", &[text.vocabulary, text.sizes.width]);
    embeddings.tensor("position_embedding.weight", &[text.positions, text.sizes.width]);
    embeddings.ignored("position_ids", &[1, text.positions]);
    transformer(&mut model, &text.sizes);
    model.norm("final_layer_norm", text.sizes.width);
    Ok(Layout {
        family: Family::Clip,
        tensors,
    })
}

fn transformer(model: &mut Collector<'_>, sizes: &Sizes) {
    for layer in 0..sizes.layers {
        let mut block = model.under(format!("encoder.layers.{layer}"));
        block.norm("layer_norm1", sizes.width);
        block.norm("layer_norm2", sizes.width);
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            block.linear(&format!("self_attn.{part}"), sizes.width, sizes.width);
        }
        block.linear("mlp.fc1", sizes.width, sizes.intermediate);
        block.linear("mlp.fc2", sizes.intermediate, sizes.width);
    }
}

struct Text {
    sizes: Sizes,
    vocabulary: usize,
    positions: usize,
}

fn text_sizes(tree: &Value) -> Text {
    let text = if tree["text_config"].is_object() {
        &tree["text_config"]
    } else {
        &tree["text_config_dict"]
    };
    let whole = |name: &str, default: u64| text[name].as_u64().unwrap_or(default).min(1 << 24) as usize;
    Text {
        sizes: Sizes {
            width: whole("hidden_size", 512),
            layers: whole("num_hidden_layers", 12).min(1 << 10),
            intermediate: whole("intermediate_size", 2048),
        },
        vocabulary: whole("vocab_size", 49408),
        positions: whole("max_position_embeddings", 77),
    }
}

/// Whether the weights have any part of the text model: then they must have all of it.
fn is_whole_model(folder: &Path) -> bool {
    PublishedWeights::open(folder)
        .is_ok_and(|weights| weights.names().any(|name| name.starts_with("text_model.")))
}
