//! The shape of a published CLIP vision tower, from its `config.json`.

use std::path::Path;

use serde_json::Value;

use super::{CONFIG, bad, read_tree};
use crate::Result;
use crate::config::{Activation, ModelConfig, VisionConfig};

/// A published CLIP vision tower: what its `config.json` says, with transformers' defaults where it is silent.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipVisionConfig {
    /// Side of the square that it sees, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Width of a token.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of an MLP.
    pub intermediate: usize,
    /// Nonlinearity of the MLPs.
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    pub layer_norm_epsilon: f64,
    /// Width of the joint space of photos and texts, if the file says so.
    pub projection: usize,
}

impl ClipVisionConfig {
    /// Reads `config.json` of a published folder: of a whole CLIP model or of its vision tower alone.
    ///
    /// # Errors
    /// [`crate::Error::Published`] for a missing file, another model, or a field without meaning.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG);
        let tree = read_tree(&path)?;
        let kind = tree["model_type"].as_str().unwrap_or("clip");
        let vision = match kind {
            "clip" if tree["vision_config"].is_object() => &tree["vision_config"],
            // Early files keep the tower's fields here and leave vision_config null.
            "clip" if tree["vision_config_dict"].is_object() => &tree["vision_config_dict"],
            "clip" | "clip_vision_model" if tree["hidden_size"].is_u64() => &tree,
            "clip" | "clip_vision_model" => {
                return Err(bad(
                    &path,
                    "describes no CLIP vision tower (neither vision_config nor hidden_size); fetch the model's own config.json",
                ));
            }
            other => {
                return Err(bad(
                    &path,
                    format!(
                        "describes a model of type '{other}' where a CLIP vision tower is needed, such as openai/clip-vit-large-patch14-336"
                    ),
                ));
            }
        };
        let reader = Reader { path: &path, vision };
        if reader.whole("num_channels", 3)? != 3 {
            return Err(bad(&path, "num_channels is not 3; the tower takes RGB photos"));
        }
        let config = Self {
            image_size: reader.whole("image_size", 224)?,
            patch_size: reader.whole("patch_size", 32)?,
            width: reader.whole("hidden_size", 768)?,
            layers: reader.whole("num_hidden_layers", 12)?,
            heads: reader.whole("num_attention_heads", 12)?,
            intermediate: reader.whole("intermediate_size", 3072)?,
            activation: reader.activation()?,
            layer_norm_epsilon: reader.epsilon()?,
            projection: match tree["projection_dim"].as_u64() {
                Some(width) => width as usize,
                None => reader.whole("projection_dim", 512)?,
            },
        };
        config.check(&path)?;
        Ok(config)
    }

    /// Tokens of a photo.
    #[must_use]
    pub fn tokens(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }

    /// The tower's part of a model's configuration, the last `trainable_blocks` of its blocks trained.
    #[must_use]
    pub fn vision(&self, trainable_blocks: usize) -> VisionConfig {
        VisionConfig {
            width: self.width,
            layers: self.layers,
            heads: self.heads,
            intermediate: self.intermediate,
            activation: self.activation,
            layer_norm_epsilon: self.layer_norm_epsilon,
            trainable_blocks,
        }
    }

    /// Where a model's configuration differs from this tower: the field, its value there, and the one that it must have.
    pub(super) fn differences(&self, model: &ModelConfig) -> Vec<String> {
        let vision = &model.vision;
        let mut differences = Vec::new();
        for (name, has, needs) in [
            ("model.image_size", model.image_size, self.image_size),
            ("model.patch_size", model.patch_size, self.patch_size),
            ("model.vision.width", vision.width, self.width),
            ("model.vision.layers", vision.layers, self.layers),
            ("model.vision.heads", vision.heads, self.heads),
            (
                "model.vision.intermediate",
                vision.intermediate,
                self.intermediate,
            ),
        ] {
            if has != needs {
                differences.push(format!("{name} is {has} and must be {needs}"));
            }
        }
        if vision.activation != self.activation {
            differences.push(format!(
                "model.vision.activation is {} and must be {}",
                name_of(vision.activation),
                name_of(self.activation)
            ));
        }
        let (has, needs) = (vision.layer_norm_epsilon, self.layer_norm_epsilon);
        if (has - needs).abs() > 1e-3 * needs {
            differences.push(format!(
                "model.vision.layer_norm_epsilon is {has:e} and must be {needs:e}"
            ));
        }
        differences
    }

    fn check(&self, path: &Path) -> Result<()> {
        let mut whole = ModelConfig::paper();
        whole.image_size = self.image_size;
        whole.patch_size = self.patch_size;
        whole.vision = self.vision(0);
        whole.fusion.blocks = 0;
        whole.fusion.heads = self.heads;
        whole
            .validate()
            .map_err(|error| bad(path, format!("{error}; fetch the file again")))
    }
}

fn name_of(activation: Activation) -> &'static str {
    match activation {
        Activation::QuickGelu => "quick_gelu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_tanh",
        Activation::Relu => "relu",
    }
}

struct Reader<'a> {
    path: &'a Path,
    vision: &'a Value,
}

impl Reader<'_> {
    fn whole(&self, name: &str, default: usize) -> Result<usize> {
        match &self.vision[name] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .and_then(|value| usize::try_from(value).ok())
                .filter(|value| (1..=1 << 16).contains(value))
                .ok_or_else(|| {
                    bad(
                        self.path,
                        format!(
                            "{name} is {value} where a positive whole number is needed; fetch the file again"
                        ),
                    )
                }),
        }
    }

    fn epsilon(&self) -> Result<f64> {
        match &self.vision["layer_norm_eps"] {
            Value::Null => Ok(1e-5),
            value => value
                .as_f64()
                .filter(|value| *value > 0.0 && *value < 1.0)
                .ok_or_else(|| bad(self.path, format!("layer_norm_eps is {value} where a small positive number is needed; fetch the file again"))),
        }
    }

    fn activation(&self) -> Result<Activation> {
        match self.vision["hidden_act"].as_str() {
            None | Some("quick_gelu") => Ok(Activation::QuickGelu),
            Some("gelu") => Ok(Activation::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Ok(Activation::GeluTanh),
            Some(other) => Err(bad(
                self.path,
                format!(
                    "hidden_act '{other}' is none of quick_gelu, gelu, gelu_new, gelu_pytorch_tanh and gelu_fast; this tower cannot be used"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Result<ClipVisionConfig> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(CONFIG), text).unwrap();
        ClipVisionConfig::read(folder.path())
    }

    #[test]
    fn the_four_published_towers_are_read_from_either_kind_of_file() {
        for (patch, image, width, layers, heads, intermediate) in [
            (32, 224, 768, 12, 12, 3072),
            (16, 224, 768, 12, 12, 3072),
            (14, 224, 1024, 24, 16, 4096),
            (14, 336, 1024, 24, 16, 4096),
        ] {
            let fields = format!(
                r#""patch_size": {patch}, "image_size": {image}, "hidden_size": {width}, "num_hidden_layers": {layers}, "num_attention_heads": {heads}, "intermediate_size": {intermediate}"#
            );
            let whole = read(&format!(
                r#"{{"model_type": "clip", "projection_dim": 768, "vision_config": {{{fields}}}}}"#
            ))
            .unwrap();
            let early = read(&format!(r#"{{"model_type": "clip", "projection_dim": 768, "vision_config": null, "vision_config_dict": {{{fields}}}}}"#)).unwrap();
            let tower = read(&format!(
                r#"{{"model_type": "clip_vision_model", "projection_dim": 768, {fields}}}"#
            ))
            .unwrap();
            assert_eq!(whole, tower);
            assert_eq!(whole, early);
            assert_eq!(whole.tokens(), (image / patch) * (image / patch) + 1);
            let mut model = ModelConfig::paper();
            model.image_size = image;
            model.patch_size = patch;
            model.vision = whole.vision(2);
            model.validate().unwrap();
            assert_eq!(whole.differences(&model), Vec::<String>::new());
            model.vision.layers += 1;
            assert!(whole.differences(&model)[0].contains("model.vision.layers"));
        }
        // What a file leaves out has transformers' defaults: ViT-B/32.
        let defaults = read(r#"{"model_type": "clip", "vision_config": {}}"#).unwrap();
        assert_eq!(
            (defaults.patch_size, defaults.width, defaults.layers),
            (32, 768, 12)
        );
    }

    #[test]
    fn other_models_and_nonsense_are_refused() {
        for (text, word) in [
            (r#"{"model_type": "siglip", "vision_config": {}}"#, "siglip"),
            (r#"{"model_type": "oneformer"}"#, "oneformer"),
            (r#"{"model_type": "clip"}"#, "vision_config"),
            (
                r#"{"model_type": "clip", "vision_config": {"hidden_act": "relu"}}"#,
                "relu",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"hidden_size": "wide"}}"#,
                "hidden_size",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"hidden_size": 0}}"#,
                "hidden_size",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"hidden_size": 770}}"#,
                "vision.heads",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"num_channels": 1}}"#,
                "num_channels",
            ),
            ("[]", "no JSON object"),
            ("{", "config.json"),
        ] {
            let said = read(text).unwrap_err().to_string();
            assert!(
                said.contains(word) && said.contains("config.json"),
                "{word}: {said}"
            );
        }
        let empty = tempfile::tempdir().unwrap();
        let said = ClipVisionConfig::read(empty.path()).unwrap_err().to_string();
        assert!(said.contains("config.json is missing"), "{said}");
    }
}
