//! Files of published segmenters that are wrong: each error names the file, the tensor if there is one, and a remedy.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use geosurge_models::segmentation::{NoSegmenter, Segmenter};
use geosurge_models::{PublishedWeights, open_published, published_layout};
use image::RgbImage;

/// A copy of a fixture's model that may be spoiled.
struct Model {
    folder: tempfile::TempDir,
}

impl Model {
    fn copy(name: &str) -> Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/segmenters")
            .join(name);
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "config.json",
            "preprocessor_config.json",
            "model.safetensors",
            "pytorch_model.bin",
        ] {
            if fixture.join(file).is_file() {
                fs_err::copy(fixture.join(file), folder.path().join(file)).unwrap();
            }
        }
        Self { folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn tensors(&self) -> HashMap<String, Tensor> {
        safetensors::load(self.path("model.safetensors"), &Device::Cpu).unwrap()
    }

    fn write(&self, tensors: &HashMap<String, Tensor>) {
        safetensors::save(tensors, self.path("model.safetensors")).unwrap();
    }

    fn configure(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.path("config.json");
        let mut config = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs_err::write(path, config.to_string()).unwrap();
    }

    fn refused(&self, words: &[&str]) {
        let message = match open_published(self.folder.path(), &Device::Cpu) {
            Ok(_) => panic!("opened, where {words:?} should be wrong"),
            Err(error) => error.to_string(),
        };
        assert!(
            words.iter().all(|word| message.contains(word)),
            "{words:?}: {message}"
        );
    }
}

#[test]
fn tensors_that_are_missing_misshapen_or_not_finite_are_named() {
    for (model, tensor) in [
        (
            "oneformer-a",
            "model.transformer_module.decoder.query_transformer.decoder.norm.bias",
        ),
        ("segformer-a", "decode_head.batch_norm.running_var"),
    ] {
        let copy = Model::copy(model);
        let whole = copy.tensors();
        let mut tensors = whole.clone();
        tensors.remove(tensor);
        copy.write(&tensors);
        copy.refused(&["model.safetensors", tensor, "is missing", "fetch both again"]);

        tensors.insert(
            tensor.to_owned(),
            Tensor::zeros(7, DType::F32, &Device::Cpu).unwrap(),
        );
        copy.write(&tensors);
        copy.refused(&[
            "model.safetensors",
            tensor,
            "has shape [7] where config.json asks for",
        ]);

        let spoiled = (whole[tensor].clone() * f64::NAN).unwrap();
        tensors.insert(tensor.to_owned(), spoiled);
        copy.write(&tensors);
        copy.refused(&["model.safetensors", tensor, "not finite"]);

        // What serves training only may be absent or anything.
        let mut tensors = whole.clone();
        tensors
            .retain(|name, _| !name.starts_with("criterion.") && !name.ends_with("relative_position_index"));
        tensors.insert(
            "model.text_mapper.extra".to_owned(),
            Tensor::zeros(3, DType::I64, &Device::Cpu).unwrap(),
        );
        copy.write(&tensors);
        open_published(copy.folder.path(), &Device::Cpu).unwrap();
    }
}

#[test]
fn files_that_are_cut_short_or_something_else_are_named() {
    let copy = Model::copy("oneformer-a");
    let path = copy.path("model.safetensors");
    let bytes = fs_err::read(&path).unwrap();
    for length in [0, 5, 200, bytes.len() / 2, bytes.len() - 1] {
        fs_err::write(&path, &bytes[..length]).unwrap();
        copy.refused(&["model.safetensors", "fetch the file again"]);
    }
    fs_err::write(&path, [bytes.as_slice(), &[0]].concat()).unwrap();
    copy.refused(&["model.safetensors", "bytes where its header announces"]);
    fs_err::write(&path, "<!DOCTYPE html> not found").unwrap();
    copy.refused(&["model.safetensors", "not a safetensors file"]);

    let pickle = Model::copy("oneformer-b");
    fs_err::copy(pickle.path("pytorch_model.bin"), pickle.path("model.safetensors")).unwrap();
    pickle.refused(&["model.safetensors", "pickle", "pytorch_model.bin"]);
    fs_err::remove_file(pickle.path("model.safetensors")).unwrap();
    let bytes = fs_err::read(pickle.path("pytorch_model.bin")).unwrap();
    for length in [0, 100, bytes.len() / 2] {
        fs_err::write(pickle.path("pytorch_model.bin"), &bytes[..length]).unwrap();
        pickle.refused(&["pytorch_model.bin", "not a readable PyTorch file"]);
    }
    fs_err::remove_file(pickle.path("pytorch_model.bin")).unwrap();
    pickle.refused(&["holds neither model.safetensors nor pytorch_model.bin"]);
}

#[test]
fn configurations_of_other_models_are_refused() {
    let other = Model::copy("oneformer-a");
    other.configure(|config| config["model_type"] = "mask2former".into());
    other.refused(&["config.json", "mask2former", "OneFormerForUniversalSegmentation"]);
    let other = Model::copy("segformer-a");
    other
        .configure(|config| config["architectures"] = serde_json::json!(["SegformerForImageClassification"]));
    other.refused(&[
        "config.json",
        "SegformerForImageClassification",
        "not a segmenter",
    ]);
    let other = Model::copy("oneformer-a");
    fs_err::copy(
        Model::copy("segformer-a").path("config.json"),
        other.path("config.json"),
    )
    .unwrap();
    other.refused(&["decode_head.classifier.weight", "another model"]);
    fs_err::write(other.path("config.json"), "{\"model_type\": ").unwrap();
    other.refused(&["config.json"]);
    fs_err::remove_file(other.path("config.json")).unwrap();
    other.refused(&["holds no config.json"]);
}

#[test]
fn configurations_that_cannot_be_built_name_the_field() {
    type Spoil = fn(&mut serde_json::Value);
    let cases: [(&str, Spoil); 12] = [
        ("dinat", |c| c["backbone_config"]["model_type"] = "dinat".into()),
        ("use_absolute_embeddings", |c| {
            c["backbone_config"]["use_absolute_embeddings"] = true.into();
        }),
        ("hidden_act", |c| {
            c["backbone_config"]["hidden_act"] = "selu".into()
        }),
        ("heads", |c| c["backbone_config"]["num_heads"][1] = 5.into()),
        ("num_heads", |c| {
            c["backbone_config"]["num_heads"] = serde_json::json!([1])
        }),
        ("out_features", |c| {
            c["backbone_config"]["out_features"] = serde_json::json!(["stage9"]);
        }),
        ("out_features", |c| {
            c["backbone_config"]["out_features"] = serde_json::json!(["stage1", "stage2"]);
        }),
        ("mask_dim", |c| c["mask_dim"] = 64.into()),
        ("decoder_layers", |c| c["decoder_layers"] = 1.into()),
        ("num_queries", |c| c["num_queries"] = 0.into()),
        ("task_seq_len", |c| c["task_seq_len"] = 3.into()),
        ("backbone", |c| c["use_timm_backbone"] = true.into()),
    ];
    for (word, spoil) in cases {
        let copy = Model::copy("oneformer-a");
        copy.configure(spoil);
        copy.refused(&["config.json", word]);
    }
    let cases: [(&str, Spoil); 4] = [
        ("depths", |c| c["depths"] = serde_json::json!([1])),
        ("sr_ratios", |c| c["sr_ratios"][0] = 0.into()),
        ("hidden_act", |c| c["hidden_act"] = "selu".into()),
        ("reshape_last_stage", |c| c["reshape_last_stage"] = false.into()),
    ];
    for (word, spoil) in cases {
        let copy = Model::copy("segformer-a");
        copy.configure(spoil);
        copy.refused(&["config.json", word]);
    }
}

#[test]
fn weights_in_several_files_and_in_half_precision_are_read() {
    let copy = Model::copy("segformer-a");
    let photo = RgbImage::from_fn(60, 50, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 90]));
    let segment = || {
        open_published(copy.folder.path(), &Device::Cpu)
            .unwrap()
            .segment(std::slice::from_ref(&photo))
            .unwrap()
            .remove(0)
            .unwrap()
    };
    let whole = segment();
    let tensors = copy.tensors();
    let (mut first, mut second, mut places) = (HashMap::new(), HashMap::new(), serde_json::Map::new());
    for (index, (name, tensor)) in tensors.iter().enumerate() {
        let (part, file) = if index % 2 == 0 {
            (&mut first, "model-00001-of-00002.safetensors")
        } else {
            (&mut second, "model-00002-of-00002.safetensors")
        };
        part.insert(name.clone(), tensor.clone());
        places.insert(name.clone(), file.into());
    }
    fs_err::remove_file(copy.path("model.safetensors")).unwrap();
    safetensors::save(&first, copy.path("model-00001-of-00002.safetensors")).unwrap();
    safetensors::save(&second, copy.path("model-00002-of-00002.safetensors")).unwrap();
    let index = serde_json::json!({ "weight_map": places }).to_string();
    fs_err::write(copy.path("model.safetensors.index.json"), index).unwrap();
    assert_eq!(segment(), whole);
    let index = serde_json::json!({ "weight_map": { "x": "../../etc/passwd" } }).to_string();
    fs_err::write(copy.path("model.safetensors.index.json"), index).unwrap();
    copy.refused(&["model.safetensors.index.json", "no file beside it"]);

    let half = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let tensor = if tensor.dtype() == DType::F32 {
                tensor.to_dtype(DType::BF16).unwrap()
            } else {
                tensor
            };
            (name, tensor)
        })
        .collect();
    copy.write(&half);
    let rounded = segment();
    let same = whole
        .pixels()
        .zip(rounded.pixels())
        .filter(|(a, b)| a == b)
        .count();
    assert!(
        same * 10 > 60 * 50 * 8,
        "bf16 weights leave {same} of 3000 labels"
    );
}

#[test]
fn the_layout_is_what_the_file_holds() {
    for model in ["oneformer-a", "oneformer-b", "segformer-a", "segformer-b"] {
        let copy = Model::copy(model);
        let weights = PublishedWeights::open(copy.folder.path()).unwrap();
        let layout = published_layout(copy.folder.path()).unwrap();
        weights.check(&layout).unwrap();
        let needed: std::collections::HashSet<_> = layout.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(needed.len(), layout.len(), "{model}: a name twice");
        let spare: Vec<&str> = weights.names().filter(|name| !needed.contains(name)).collect();
        let known = |name: &&str| {
            name.starts_with("criterion.")
                || name.ends_with("relative_position_index")
                || name.ends_with("num_batches_tracked")
        };
        assert!(spare.iter().all(known), "{model}: {spare:?}");
    }
}

#[test]
fn photos_of_any_shape_are_segmented_or_refused() {
    let segmenters: Vec<Box<dyn Segmenter>> = ["oneformer-a", "segformer-a"]
        .iter()
        .map(|name| open_published(Model::copy(name).folder.path(), &Device::Cpu).unwrap())
        .collect();
    for segmenter in &segmenters {
        let photos: Vec<RgbImage> = [(1, 1), (3, 2), (400, 60), (31, 97)]
            .iter()
            .map(|&(width, height)| {
                RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 40]))
            })
            .collect();
        let maps = segmenter.segment(&photos).unwrap();
        for (map, photo) in maps.iter().zip(&photos) {
            assert_eq!(map.as_ref().unwrap().dimensions(), photo.dimensions());
        }
        assert!(segmenter.segment(&[]).unwrap().is_empty());
        let message = segmenter.segment(&[RgbImage::new(0, 4)]).unwrap_err().to_string();
        assert!(message.contains("no pixels"), "{}: {message}", segmenter.name());
    }
    assert_eq!(NoSegmenter.segment(&[RgbImage::new(0, 4)]).unwrap(), [None]);
}
