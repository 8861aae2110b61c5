//! The segmenters' tensors: what inference needs, as the networks themselves declare it, and the leftovers of training that
//! the published files hold beside it.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{Expected, Family, Layout};
use crate::Result;
use crate::segmentation::published_layout;

pub(super) fn layout(folder: &Path, family: Family) -> Result<Layout> {
    let needed = published_layout(folder)?;
    let mut tensors = BTreeMap::new();
    let mut leftover = |name: String, shape: Vec<usize>| {
        let expected = Expected {
            shape,
            needed: false,
            optional: true,
        };
        tensors.insert(name, expected);
    };
    match family {
        Family::OneFormer => {
            leftover("criterion.logit_scale".to_owned(), Vec::new());
        }
        _ => leftover(
            "decode_head.batch_norm.num_batches_tracked".to_owned(),
            Vec::new(),
        ),
    }
    for spec in &needed {
        // A table over the offsets of a window of w x w is (2w - 1)² long, and its index w² x w².
        if let Some(name) = spec.name.strip_suffix("relative_position_bias_table") {
            let area = (spec.shape[0].isqrt().div_ceil(2)).pow(2);
            leftover(format!("{name}relative_position_index"), vec![area, area]);
        }
        if spec.name.ends_with("class_embed.bias") {
            leftover("criterion.empty_weight".to_owned(), spec.shape.clone());
        }
    }
    for spec in needed {
        let expected = Expected {
            shape: spec.shape,
            needed: true,
            optional: false,
        };
        tensors.insert(spec.name, expected);
    }
    Ok(Layout { family, tensors })
}
