//! Agreement with Hugging Face transformers: OneFormer and SegFormer, stage by stage. `segmenters/make_fixtures.py` makes the
//! fixtures; the last tests run on fixtures outside the repository and say so when these are absent.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use geosurge_models::segmentation::oneformer::{OneFormer, OneFormerConfig};
use geosurge_models::segmentation::segformer::{SegFormer, SegFormerConfig};
use geosurge_models::{open_published, published_layout};
use image::{GrayImage, RgbImage};

/// The most that any stage may differ, relative to the largest value of its tensor.
const TOLERANCE: f64 = 1e-4;

struct Case {
    folder: PathBuf,
    expected: HashMap<String, Tensor>,
}

impl Case {
    fn own(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/segmenters")
            .join(name);
        let expected = safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
        Self { folder, expected }
    }

    fn config<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&fs_err::read(self.folder.join("config.json")).unwrap()).unwrap()
    }

    fn photo(&self, name: &str) -> RgbImage {
        image::open(self.folder.join(name)).unwrap().to_rgb8()
    }

    /// Compares a tensor with the expected one of this name, every `step`-th row and column of it.
    fn compare(&self, name: &str, found: &Tensor, step: usize) {
        let expected = &self.expected[name];
        let mut found = found.clone();
        for dimension in [2, 3] {
            if step > 1 {
                let index = Tensor::arange_step(
                    0_u32,
                    found.dim(dimension).unwrap() as u32,
                    step as u32,
                    &Device::Cpu,
                );
                found = found
                    .contiguous()
                    .unwrap()
                    .index_select(&index.unwrap(), dimension)
                    .unwrap();
            }
        }
        let error = relative_error(&found, expected);
        eprintln!("{name}: relative error {error:.1e}");
        assert!(error <= TOLERANCE, "{name} is {error} apart");
    }

    /// Compares label maps where the winner won by more than rounding, and overall.
    fn compare_labels(&self, map: &GrayImage, least_margin: f32) {
        let expected: Vec<u8> = self.expected["label_map"]
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let margin = self
            .expected
            .get("margin")
            .unwrap_or_else(|| &self.expected["label_margin"]);
        let margin: Vec<f32> = margin
            .to_dtype(DType::F32)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(map.as_raw().len(), expected.len());
        let differ = |index: &usize| map.as_raw()[*index] != expected[*index];
        let different = (0..expected.len()).filter(differ).count();
        assert!(
            different * 1000 <= expected.len(),
            "{different} of {} labels differ",
            expected.len()
        );
        let clear = (0..expected.len())
            .filter(|index| margin[*index] > least_margin)
            .find(differ);
        assert_eq!(clear, None, "a label differs where the reference was sure");
        let classes: std::collections::BTreeSet<u8> = expected.iter().copied().collect();
        assert!(classes.len() > 2, "the fixture tells little: {classes:?}");
    }
}

/// The greatest difference over the greatest expected value.
fn relative_error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let values =
        |x: &Tensor| -> Vec<f32> { x.contiguous().unwrap().flatten_all().unwrap().to_vec1().unwrap() };
    let (found, expected) = (values(found), values(expected));
    assert!(found.iter().all(|value| value.is_finite()));
    let size = expected.iter().fold(0.0_f64, |a, b| a.max(f64::from(b.abs())));
    let apart = found
        .iter()
        .zip(&expected)
        .fold(0.0_f64, |most, (a, b)| most.max(f64::from((a - b).abs())));
    apart / size
}

/// `[batch, height, width, channels]` as the reference has it.
fn channels_first(x: &Tensor) -> Tensor {
    x.permute([0, 3, 1, 2]).unwrap()
}

fn check_resized(case: &Case, resized: &RgbImage, name: &str) {
    let expected: Vec<u8> = case.expected[name].flatten_all().unwrap().to_vec1().unwrap();
    let (height, width, _) = case.expected[name].dims3().unwrap();
    assert_eq!((resized.width(), resized.height()), (width as u32, height as u32));
    let different = resized
        .as_raw()
        .iter()
        .zip(&expected)
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(different, 0, "{different} of {} bytes differ", expected.len());
}

fn oneformer(name: &str) {
    let case = Case::own(name);
    let config: OneFormerConfig = case.config();
    let network = OneFormer::open(config, &case.folder, &Device::Cpu).unwrap();
    let photo = case.photo("photo.png");
    check_resized(&case, &network.processor().resized(&photo).unwrap(), "resized");

    let pixels = network.processor().pixel_values(&photo).unwrap();
    let stages = network.stages(&pixels).unwrap();
    for (index, map) in stages.maps.iter().enumerate() {
        case.compare(&format!("map.{index}"), &channels_first(map), 1);
    }
    case.compare("mask_features", &channels_first(&stages.pixels.mask_features), 1);
    for (index, level) in stages.pixels.levels.iter().enumerate() {
        case.compare(&format!("level.{index}"), &channels_first(level), 1);
    }
    case.compare("task_token", &stages.task, 1);
    case.compare("object_queries", &stages.queries.object_queries, 1);
    let last = stages.queries.predictions.len() - 1;
    for (index, prediction) in stages.queries.predictions.iter().enumerate() {
        case.compare(&format!("prediction.{index}.classes"), &prediction.classes, 1);
        let step = if index == last { 2 } else { 5 };
        case.compare(&format!("prediction.{index}.masks"), &prediction.masks, step);
    }
    assert!(
        !case
            .expected
            .contains_key(&format!("prediction.{}.classes", last + 1))
    );

    let segmenter = open_published(&case.folder, &Device::Cpu).unwrap();
    assert_eq!(segmenter.name(), "oneformer");
    let maps = segmenter.segment(&[photo.clone(), photo]).unwrap();
    assert_eq!(maps[0], maps[1]);
    case.compare_labels(maps[0].as_ref().unwrap(), 1e-3);
}

/// Two inputs of an odd size at once: as the reference has them, and as each gives alone.
#[test]
fn a_batch_is_its_photos() {
    for name in ["oneformer-a", "oneformer-b"] {
        let case = Case::own(name);
        let network = OneFormer::open(case.config(), &case.folder, &Device::Cpu).unwrap();
        let pixels = &case.expected["batch.pixels"];
        let both = network.forward(pixels).unwrap();
        case.compare("batch.classes", &both.classes, 1);
        case.compare("batch.masks", &both.masks, 3);
        for index in 0..2 {
            let alone = network.forward(&pixels.narrow(0, index, 1).unwrap()).unwrap();
            let together = both.masks.narrow(0, index, 1).unwrap();
            assert!(relative_error(&alone.masks, &together) < 1e-5);
        }
    }
}

#[test]
fn oneformer_is_the_reference() {
    oneformer("oneformer-a");
}

#[test]
fn oneformer_with_every_other_choice_is_the_reference() {
    oneformer("oneformer-b");
}

#[test]
fn segformer_is_the_reference() {
    for name in ["segformer-a", "segformer-b"] {
        let case = Case::own(name);
        let config: SegFormerConfig = case.config();
        let network = SegFormer::open(config, &case.folder, &Device::Cpu).unwrap();
        let photo = case.photo("photo.png");
        check_resized(&case, &network.processor().resized(&photo).unwrap(), "resized");
        let (maps, scores) = network
            .stages(&network.processor().pixel_values(&photo).unwrap())
            .unwrap();
        for (index, map) in maps.iter().enumerate() {
            case.compare(&format!("map.{index}"), &channels_first(map), 1);
        }
        case.compare("logits", &channels_first(&scores), 2);
        let (_, scores) = network.stages(&case.expected["batch.pixels"]).unwrap();
        case.compare("batch.logits", &channels_first(&scores), 3);
        let segmenter = open_published(&case.folder, &Device::Cpu).unwrap();
        assert_eq!(segmenter.name(), "segformer");
        let map = segmenter.segment(&[photo]).unwrap().remove(0).unwrap();
        case.compare_labels(&map, 1e-3);
    }
}

/// A folder outside the repository, or `None` with a line that says so.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("GEOSURGE_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("parity").join(name);
    if !folder.exists() {
        eprintln!(
            "SKIPPED: no {}; set GEOSURGE_SHARED to the folder that holds parity/",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

#[test]
fn oneformer_is_the_reference_on_shared_fixtures() {
    let Some(folder) = shared("fixtures/oneformer_tiny") else {
        return;
    };
    let load = |name: &str| safetensors::load(folder.join(name), &Device::Cpu).unwrap();
    let case = Case {
        expected: load("expected_image.safetensors"),
        folder: folder.clone(),
    };
    let network = OneFormer::open(case.config(), &folder, &Device::Cpu).unwrap();
    let photo = case.photo("input_219x150.png");
    check_resized(
        &case,
        &network.processor().resized(&photo).unwrap(),
        "resized_u8_hwc",
    );
    let pixels = network.processor().pixel_values(&photo).unwrap();
    case.compare("pixel_values", &pixels, 1);
    let stages = network.stages(&pixels).unwrap();
    for (index, map) in stages.maps.iter().enumerate() {
        case.compare(&format!("swin.feature_map.{index}"), &channels_first(map), 1);
    }
    case.compare(
        "pixel_decoder.mask_features",
        &channels_first(&stages.pixels.mask_features),
        1,
    );
    for (index, level) in stages.pixels.levels.iter().enumerate() {
        case.compare(
            &format!("pixel_decoder.multi_scale.{index}"),
            &channels_first(level),
            1,
        );
    }
    let last = stages.queries.predictions.len() - 1;
    for (index, prediction) in stages.queries.predictions[..last].iter().enumerate() {
        case.compare(
            &format!("decoder.aux.{index}.class_logits"),
            &prediction.classes,
            1,
        );
        case.compare(&format!("decoder.aux.{index}.mask_logits"), &prediction.masks, 1);
    }
    case.compare(
        "class_queries_logits",
        &stages.queries.predictions[last].classes,
        1,
    );
    case.compare("masks_queries_logits", &stages.queries.predictions[last].masks, 1);
    let map = open_published(&folder, &Device::Cpu)
        .unwrap()
        .segment(&[photo])
        .unwrap()
        .remove(0)
        .unwrap();
    case.compare_labels(&map, 1e-3);

    let batch = Case {
        expected: load("expected_batch2.safetensors"),
        folder,
    };
    let prediction = network.forward(&batch.expected["pixel_values"]).unwrap();
    batch.compare("class_queries_logits", &prediction.classes, 1);
    batch.compare("masks_queries_logits", &prediction.masks, 1);
}

/// The full-size layouts, name by name: nothing missing, nothing misshapen, nothing that is not needed.
#[test]
fn full_size_layouts_are_the_published_ones() {
    let Some(manifests) = shared("manifests") else {
        return;
    };
    for name in ["oneformer_ade20k_swin_tiny", "oneformer_ade20k_swin_large"] {
        let read = |file: String| -> serde_json::Value {
            serde_json::from_slice(&fs_err::read(manifests.join(file)).unwrap()).unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let mut config = read(format!("{name}.config.json"));
        config["architectures"] = serde_json::json!(["OneFormerForUniversalSegmentation"]);
        fs_err::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let layout: HashMap<String, Vec<usize>> = published_layout(folder.path())
            .unwrap()
            .into_iter()
            .map(|spec| (spec.name, spec.shape))
            .collect();
        let manifest = read(format!("{name}.json"));
        let mut needed = 0;
        for (tensor, row) in manifest["tensors_by_name"].as_object().unwrap() {
            let shape: Vec<usize> = serde_json::from_value(row["shape"].clone()).unwrap();
            if row["needed"] == true {
                assert_eq!(layout.get(tensor), Some(&shape), "{name}: {tensor}");
                needed += 1;
            } else {
                assert!(!layout.contains_key(tensor), "{name}: {tensor} is not needed");
            }
        }
        assert_eq!(layout.len(), needed, "{name}");
    }
}
