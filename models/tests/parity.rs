//! Agreement with Hugging Face transformers: CLIP's vision tower with the gradients of its last block, and its image
//! processor. The fixtures lie outside the repository; without them the tests say so and pass.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, safetensors};
use geosurge_models::{ModelConfig, Parameters, Preprocessor, VisionTower};

fn fixture(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("GEOSURGE_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("parity/fixtures").join(name);
    if !folder.is_dir() {
        eprintln!(
            "SKIPPED: no {}; set GEOSURGE_SHARED to the folder that holds parity/",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

fn tensors(path: PathBuf) -> HashMap<String, Tensor> {
    safetensors::load(path, &Device::Cpu).unwrap()
}

fn apart(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b)
        .unwrap()
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar()
        .unwrap()
}

/// The fixture's tower: 56 px, patches of 14, four blocks of width 64.
fn tiny_config() -> ModelConfig {
    let mut config = ModelConfig::paper();
    config.image_size = 56;
    config.vision.width = 64;
    config.vision.intermediate = 256;
    config.vision.layers = 4;
    config.vision.heads = 4;
    config.vision.trainable_blocks = 1;
    config.fusion.heads = 4;
    config
}

#[test]
fn the_tower_and_its_last_blocks_gradients_are_clips() {
    let Some(folder) = fixture("clip_tiny") else {
        return;
    };
    let config = tiny_config();
    let specs = VisionTower::specs(&config);
    let names = specs.len();
    let mut parameters = Parameters::initialise(specs, 1, &Device::Cpu).unwrap();
    let copied = parameters
        .load_partial(&folder.join("model.safetensors"))
        .unwrap();
    assert_eq!(
        copied.len(),
        names,
        "every tensor of the tower has its published name"
    );
    let tower = VisionTower::new(&config, &parameters).unwrap();

    let expected = tensors(folder.join("expected.safetensors"));
    let states = tower.hidden_states(&expected["pixel_values"]).unwrap();
    assert_eq!(states.len(), 5);
    for (index, state) in states.iter().enumerate() {
        let difference = apart(&state.detach(), &expected[&format!("hidden_states.{index}")]);
        assert!(difference < 1e-4, "hidden state {index} is {difference} apart");
    }

    let gradients = tensors(folder.join("expected_last_block_grads.safetensors"));
    let trunk = tower.trunk(&expected["pixel_values"]).unwrap();
    assert!(!trunk.track_op(), "the frozen blocks keep no graph");
    let tokens = tower.forward_trunk(&trunk).unwrap();
    let loss = (tokens * &gradients["loss_weights"]).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    let mut compared = 0;
    for (name, var, _) in parameters.trainable() {
        let expected = &gradients[&format!("grad.{name}")];
        let size = expected
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        let difference = apart(store.get(var).unwrap(), expected);
        assert!(
            difference < 1e-5 * size.max(1.0),
            "gradient of {name} is {difference} apart at size {size}"
        );
        compared += 1;
    }
    assert_eq!(compared, 16);
    assert_eq!(
        compared,
        gradients.keys().filter(|name| name.starts_with("grad.")).count()
    );
}

#[test]
fn preprocessing_is_clips() {
    let Some(folder) = fixture("clip_preprocess_336") else {
        return;
    };
    let preprocessor = Preprocessor::new(&ModelConfig::paper());
    let expected = tensors(folder.join("expected.safetensors"));
    for name in [
        "portrait_421x633",
        "landscape_640x361",
        "tiny_20x30",
        "rgba_337x400",
        "gray_300x517",
    ] {
        let photo = image::open(folder.join(format!("{name}.png"))).unwrap().to_rgb8();
        let reference = image::open(folder.join(format!("{name}.expected_crop.png")))
            .unwrap()
            .to_rgb8();
        let crop = preprocessor.crop(&photo).unwrap();
        let different = crop
            .as_raw()
            .iter()
            .zip(reference.as_raw())
            .filter(|(a, b)| a != b)
            .count();
        assert_eq!(
            different,
            0,
            "{name}: {different} of {} bytes differ",
            crop.as_raw().len()
        );

        // The normalisation, on the reference's own crop, so that it is exact.
        let pixels = preprocessor
            .to_tensor(&[reference], &Device::Cpu)
            .unwrap()
            .squeeze(0)
            .unwrap();
        let every_7th = Tensor::arange_step(0_u32, 336, 7, &Device::Cpu).unwrap();
        let pixels = pixels
            .index_select(&every_7th, 1)
            .unwrap()
            .index_select(&every_7th, 2)
            .unwrap();
        let difference = apart(&pixels, &expected[&format!("{name}.pixel_values_every_7th")]);
        assert!(
            difference < 1e-5,
            "{name}: normalised pixels are {difference} apart"
        );
    }
}
