//! Published weights: CLIP towers beside transformers in every layout (`fixtures/clip/make_fixtures.py`), the last blocks'
//! gradients, half precision, layouts computed from configurations, and files that are not what they should be.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, safetensors};
use geosurge_models::published::{CONFIG, Family, Layout, PREPROCESSOR, verify};
use geosurge_models::{ModelConfig, Precision, PublishedTower, PublishedWeights, VisionTower};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/clip")
        .join(name)
}

fn expected(name: &str) -> HashMap<String, Tensor> {
    safetensors::load(fixture(name).join("expected.safetensors"), &Device::Cpu).unwrap()
}

/// A copy that a test may spoil, without the expectations.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        let file_name = path.file_name().unwrap();
        if file_name != "expected.safetensors" {
            fs_err::copy(&path, folder.path().join(file_name)).unwrap();
        }
    }
    folder
}

fn largest(x: &Tensor) -> f32 {
    let x = x.abs().unwrap().flatten_all().unwrap();
    x.max(0).unwrap().to_scalar().unwrap()
}

/// The largest difference, relative to the largest value.
fn apart(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.dims(), expected.dims());
    largest(&(found.detach() - expected).unwrap()) / largest(expected)
}

fn agrees(name: &str, expected: &HashMap<String, Tensor>, blocks: usize) {
    let published = PublishedTower::open(&fixture(name)).unwrap();
    let tower = published.tower(&Device::Cpu).unwrap();
    let states = tower.hidden_states(&expected["pixel_values"]).unwrap();
    assert_eq!(states.len(), blocks + 1);
    for (index, state) in states.iter().enumerate() {
        let apart = apart(state, &expected[&format!("hidden_states.{index}")]);
        assert!(apart < 1e-5, "{name}: hidden state {index} is {apart} apart");
    }
}

#[test]
fn every_layout_gives_transformers_tokens() {
    agrees("whole", &expected("whole"), 4);
    agrees("half", &expected("half"), 4);
    agrees("tower", &expected("tower"), 2);
    agrees("pickle", &expected("whole"), 4);
}

#[test]
fn the_last_blocks_are_trained_and_the_others_keep_no_graph() {
    let expected = expected("whole");
    let published = PublishedTower::open(&fixture("whole")).unwrap();
    let config = published.adopt(ModelConfig::paper(), 2);
    let parameters = published
        .initialise(&config, VisionTower::specs(&config), 1, &Device::Cpu)
        .unwrap();
    let tower = VisionTower::new(&config, &parameters).unwrap();
    let trunk = tower.trunk(&expected["pixel_values"]).unwrap();
    assert!(!trunk.track_op(), "the frozen blocks keep no graph");
    let tokens = tower.forward_trunk(&trunk).unwrap();
    assert!(tokens.track_op());
    let loss = (tokens * &expected["loss_weights"]).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    let mut compared = 0;
    for (name, var, _) in parameters.trainable() {
        let (found, expected) = (store.get(var).unwrap(), &expected[&format!("gradient.{name}")]);
        if name.ends_with("k_proj.bias") {
            // Shares of attention do not depend on it: both sides hold rounding alone.
            assert!(largest(found) < 1e-3 && largest(expected) < 1e-3);
        } else {
            let apart = apart(found, expected);
            assert!(apart < 1e-4, "the gradient of {name} is {apart} apart");
        }
        compared += 1;
    }
    assert_eq!(compared, 2 * 16);
    assert_eq!(
        compared,
        expected
            .keys()
            .filter(|name| name.starts_with("gradient."))
            .count()
    );
}

#[test]
fn half_precision_is_close_and_trains_what_is_trained_in_full() {
    let expected = expected("whole");
    let published = PublishedTower::open(&fixture("whole")).unwrap();
    let config = published.adopt(ModelConfig::paper(), 1);
    let parameters = published
        .initialise(&config, VisionTower::specs(&config), 1, &Device::Cpu)
        .unwrap();
    for (precision, tolerance) in [
        (Precision::F32, 1e-5),
        (Precision::F16, 5e-3),
        (Precision::Bf16, 4e-2),
    ] {
        let tower = VisionTower::new_in(&config, &parameters, precision).unwrap();
        let states = tower.hidden_states(&expected["pixel_values"]).unwrap();
        let (last, worst) = (states.last().unwrap(), &expected["hidden_states.4"]);
        assert_eq!(last.dtype(), candle_core::DType::F32);
        let apart = apart(last, worst);
        println!("{precision:?}: {apart}");
        assert!(apart < tolerance, "{precision:?} is {apart} apart");
        if precision != Precision::F32 {
            assert!(apart > 1e-6, "{precision:?} was used");
        }
        let loss = tower
            .forward(&expected["pixel_values"])
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap();
        let store = loss.backward().unwrap();
        for (name, var, _) in parameters.trainable() {
            assert_eq!(store.get(var).unwrap().dtype(), candle_core::DType::F32, "{name}");
        }
    }
}

#[test]
fn the_configuration_must_be_the_towers() {
    let published = PublishedTower::open(&fixture("tower")).unwrap();
    let config = published.adopt(ModelConfig::paper(), 1);
    published.check(&config).unwrap();
    let mut other = config.clone();
    other.image_size = 48;
    other.vision.layers = 3;
    other.mean[0] = 0.5;
    let said = published.check(&other).unwrap_err().to_string();
    for word in [
        "model.image_size is 48 and must be 40",
        "model.vision.layers is 3 and must be 2",
        "model.mean",
    ] {
        assert!(said.contains(word), "{said}");
    }
    let specs = VisionTower::specs(&other);
    assert!(published.initialise(&other, specs, 1, &Device::Cpu).is_err());
    let origin = published.origin().unwrap();
    assert_eq!((origin.name.as_str(), origin.files.len()), ("tower", 3));
    let folder = copy("whole");
    fs_err::write(
        folder.path().join("pulled.json"),
        r#"{"repository": "openai/clip", "commit": "abc"}"#,
    )
    .unwrap();
    let origin = PublishedTower::open(folder.path()).unwrap().origin().unwrap();
    assert_eq!(
        (origin.name.as_str(), origin.revision.as_deref()),
        ("openai/clip", Some("abc"))
    );
    assert!(origin.files["model.safetensors"].len() == 64);
}

fn refused(folder: &Path) -> String {
    PublishedTower::open(folder).unwrap_err().to_string()
}

#[test]
fn bad_folders_name_the_file_and_the_remedy() {
    let folder = copy("whole");
    let path = |name: &str| folder.path().join(name);
    let restore = |name: &str| {
        fs_err::copy(fixture("whole").join(name), path(name)).unwrap();
    };
    // A cut file, at every kind of place.
    let whole = fs_err::read(path("model.safetensors")).unwrap();
    for length in [0, 5, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs_err::write(path("model.safetensors"), &whole[..length]).unwrap();
        let said = refused(folder.path());
        assert!(
            said.contains("model.safetensors") && said.contains("fetch"),
            "{length}: {said}"
        );
    }
    for (bytes, word) in [
        (&b"PK\x03\x04 a zip archive with a pickle in it"[..], "pickle"),
        (b"\x80\x02}q\x00X\x05\x00\x00\x00hello", "pickle"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "LFS"),
        (b"<!DOCTYPE html><html></html>", "web page"),
    ] {
        fs_err::write(path("model.safetensors"), bytes).unwrap();
        let said = refused(folder.path());
        assert!(
            said.contains(word) && said.contains("model.safetensors"),
            "{said}"
        );
    }
    restore("model.safetensors");
    // Another model's configuration: of another kind, and of another size.
    fs_err::write(path(CONFIG), r#"{"model_type": "oneformer"}"#).unwrap();
    assert!(refused(folder.path()).contains("'oneformer'"));
    let text = fs_err::read_to_string(fixture("whole").join(CONFIG)).unwrap();
    fs_err::write(
        path(CONFIG),
        text.replace("\"intermediate_size\": 64", "\"intermediate_size\": 80"),
    )
    .unwrap();
    let said = refused(folder.path());
    assert!(
        said.contains("mlp.fc1.weight") && said.contains("[64, 32]") && said.contains("[80, 32]"),
        "{said}"
    );
    fs_err::write(
        path(CONFIG),
        text.replace("\"image_size\": 28", "\"image_size\": 35"),
    )
    .unwrap();
    assert!(
        refused(folder.path()).contains(PREPROCESSOR),
        "{}",
        refused(folder.path())
    );
    restore(CONFIG);
    fs_err::remove_file(path(PREPROCESSOR)).unwrap();
    let said = refused(folder.path());
    assert!(
        said.contains("preprocessor_config.json is missing") && said.contains("geosurge models pull"),
        "{said}"
    );
    restore(PREPROCESSOR);
    fs_err::remove_file(path("model.safetensors")).unwrap();
    assert!(refused(folder.path()).contains("geosurge models pull"));
    // A PyTorch file that is none, and one under its own name that is.
    fs_err::write(path("pytorch_model.bin"), b"not an archive").unwrap();
    let said = refused(folder.path());
    assert!(
        said.contains("pytorch_model.bin") && said.contains("convert it to safetensors"),
        "{said}"
    );
    assert!(refused(&folder.path().join("nowhere")).contains("is not a folder"));
    // A shard that did not arrive.
    let shards = copy("tower");
    fs_err::remove_file(shards.path().join("model-00002-of-00003.safetensors")).unwrap();
    let said = refused(shards.path());
    assert!(
        said.contains("model-00002-of-00003.safetensors") && said.contains("missing"),
        "{said}"
    );
}

#[test]
fn values_that_are_not_finite_are_found_when_they_are_read() {
    let folder = copy("whole");
    let file = folder.path().join("model.safetensors");
    let mut tensors = safetensors::load(&file, &Device::Cpu).unwrap();
    let name = "vision_model.encoder.layers.1.mlp.fc1.bias";
    tensors.insert(name.to_owned(), Tensor::full(f32::NAN, 64, &Device::Cpu).unwrap());
    safetensors::save(&tensors, &file).unwrap();
    let published = PublishedTower::open(folder.path()).unwrap();
    let said = published.tower(&Device::Cpu).unwrap_err().to_string();
    assert!(said.contains(name) && said.contains("not finite"), "{said}");
}

#[test]
fn verification_names_what_is_missing_extra_and_misshapen() {
    for (name, family, pickle) in [
        ("whole", Family::Clip, false),
        ("half", Family::Clip, false),
        ("pickle", Family::Clip, true),
        ("tower", Family::Clip, false),
    ] {
        let found = verify(&fixture(name)).unwrap();
        assert!(found.is_whole(), "{name}: {found:?}");
        assert_eq!((found.family, found.pickle), (family, pickle), "{name}");
        let names = PublishedWeights::open(&fixture(name)).unwrap().names().count();
        assert_eq!(found.tensors, names);
    }
    for name in ["oneformer-a", "oneformer-b", "segformer-a", "segformer-b"] {
        let found = verify(&fixture("../segmenters").join(name)).unwrap();
        assert!(found.is_whole(), "{name}: {found:?}");
    }
    let folder = copy("whole");
    let file = folder.path().join("model.safetensors");
    let mut tensors = safetensors::load(&file, &Device::Cpu).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors
        .remove("vision_model.encoder.layers.2.self_attn.q_proj.bias")
        .unwrap();
    tensors.remove("text_model.final_layer_norm.weight").unwrap();
    tensors.insert("vision_model.head.weight".to_owned(), zeros(&[2, 2]));
    tensors.insert("visual_projection.weight".to_owned(), zeros(&[32, 16]));
    safetensors::save(&tensors, &file).unwrap();
    let found = verify(folder.path()).unwrap();
    assert!(!found.is_whole() && !found.is_usable());
    assert_eq!(
        found.missing,
        [
            "text_model.final_layer_norm.weight",
            "vision_model.encoder.layers.2.self_attn.q_proj.bias"
        ]
    );
    assert_eq!(found.extra, ["vision_model.head.weight"]);
    let [misshapen] = &found.misshapen[..] else {
        panic!("{found:?}")
    };
    assert_eq!(misshapen.name, "visual_projection.weight");
    assert_eq!(
        (&misshapen.found[..], &misshapen.expected[..]),
        (&[32, 16][..], &[16, 32][..])
    );
    // A file with nothing of the text model is a vision tower, and whole as such.
    let tower = safetensors::load(fixture("whole").join("model.safetensors"), &Device::Cpu).unwrap();
    let tower: HashMap<_, _> = tower
        .into_iter()
        .filter(|(name, _)| name.starts_with("vision_model."))
        .collect();
    safetensors::save(&tower, &file).unwrap();
    assert!(verify(folder.path()).unwrap().is_whole());
}

/// The layouts of the full-size models, as transformers declares them, where they are at hand.
#[test]
fn layouts_from_configurations_are_the_full_size_manifests() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("GEOSURGE_SHARED").map_or_else(beside, PathBuf::from);
    let manifests = shared.join("parity/manifests");
    if !manifests.is_dir() {
        eprintln!(
            "SKIPPED: no {}; set GEOSURGE_SHARED to the folder that holds parity/",
            manifests.display()
        );
        return;
    }
    for (name, needed) in [
        ("clip-vit-large-patch14-336", 389),
        ("oneformer_ade20k_swin_tiny", 596),
        ("oneformer_ade20k_swin_large", 800),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs_err::copy(
            manifests.join(format!("{name}.config.json")),
            folder.path().join(CONFIG),
        )
        .unwrap();
        let layout = Layout::read(folder.path()).unwrap();
        let text = fs_err::read(manifests.join(format!("{name}.json"))).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let declared: BTreeMap<String, (Vec<usize>, bool)> = manifest["tensors_by_name"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, facts)| {
                let shape = facts["shape"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|side| side.as_u64().unwrap() as usize);
                (
                    name.clone(),
                    (shape.collect(), facts["needed"].as_bool().unwrap()),
                )
            })
            .collect();
        let computed: BTreeMap<String, (Vec<usize>, bool)> = layout
            .tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), (tensor.shape.clone(), tensor.needed)))
            .collect();
        for (tensor, facts) in &declared {
            assert_eq!(computed.get(tensor), Some(facts), "{name}: {tensor}");
        }
        assert_eq!(computed.len(), declared.len(), "{name}");
        assert_eq!(layout.needed(), needed, "{name}");
    }
}
