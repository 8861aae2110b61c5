//! The published models that this project was written for.

use serde::Serialize;

/// What a model is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The vision tower that training starts from.
    Tower,
    /// Segmentation maps.
    Segmenter,
}

/// A published model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Its name on the hub.
    pub name: &'static str,
    /// What it is used for.
    pub purpose: Purpose,
    /// What it is, in a few words.
    pub description: &'static str,
    /// The licence that its publishers state; their model card decides.
    pub licence: &'static str,
}

const MIT_OPENAI: &str = "MIT (openai/CLIP)";
const MIT_SHI: &str = "MIT (SHI-Labs/OneFormer)";
const NVIDIA: &str = "NVIDIA Source Code License: research and evaluation only";

const fn tower(name: &'static str, description: &'static str) -> Known {
    Known {
        name,
        purpose: Purpose::Tower,
        description,
        licence: MIT_OPENAI,
    }
}

const fn segmenter(name: &'static str, description: &'static str, licence: &'static str) -> Known {
    Known {
        name,
        purpose: Purpose::Segmenter,
        description,
        licence,
    }
}

/// The models by name, the paper's first.
pub const KNOWN: [Known; 12] = [
    tower(
        "openai/clip-vit-large-patch14-336",
        "CLIP ViT-L/14 at 336 px: the paper's tower",
    ),
    tower("openai/clip-vit-large-patch14", "CLIP ViT-L/14 at 224 px"),
    tower("openai/clip-vit-base-patch16", "CLIP ViT-B/16 at 224 px"),
    tower(
        "openai/clip-vit-base-patch32",
        "CLIP ViT-B/32 at 224 px: the fastest",
    ),
    segmenter(
        "shi-labs/oneformer_ade20k_swin_large",
        "OneFormer, Swin-L",
        MIT_SHI,
    ),
    segmenter(
        "shi-labs/oneformer_ade20k_swin_tiny",
        "OneFormer, Swin-T",
        MIT_SHI,
    ),
    segmenter(
        "nvidia/segformer-b0-finetuned-ade-512-512",
        "SegFormer-B0: the fastest",
        NVIDIA,
    ),
    segmenter(
        "nvidia/segformer-b1-finetuned-ade-512-512",
        "SegFormer-B1",
        NVIDIA,
    ),
    segmenter(
        "nvidia/segformer-b2-finetuned-ade-512-512",
        "SegFormer-B2",
        NVIDIA,
    ),
    segmenter(
        "nvidia/segformer-b3-finetuned-ade-512-512",
        "SegFormer-B3",
        NVIDIA,
    ),
    segmenter(
        "nvidia/segformer-b4-finetuned-ade-512-512",
        "SegFormer-B4",
        NVIDIA,
    ),
    segmenter(
        "nvidia/segformer-b5-finetuned-ade-640-640",
        "SegFormer-B5",
        NVIDIA,
    ),
];
