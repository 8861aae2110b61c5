//! A published CLIP tower at its full size: what loading, a forward pass and a training step take.
//!
//! `published_tower write DIR` writes openai/clip-vit-large-patch14-336's layout with random values (1.7 GB) into a folder;
//! `published_tower run DIR [batch] [trained blocks] [f32|bf16|f16]` opens a published folder, runs its tower, and trains
//! the last blocks under the paper's fusion for one step if there are any;
//! `published_tower compare DIR` holds its tokens against those in DIR/expected.safetensors, which
//! `python models/tests/fixtures/clip/make_fixtures.py full DIR` writes with transformers. Peak memory is the process's own, as Linux counts it.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Tensor};
use geosurge_models::published::{Layout, verify};
use geosurge_models::{Device, Labels, ModelConfig, Precision, PublishedTower, VisualEncoder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONFIG: &str = r#"{
  "architectures": ["CLIPModel"],
  "model_type": "clip",
  "projection_dim": 768,
  "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12},
  "vision_config": {"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "num_attention_heads": 16,
                    "num_hidden_layers": 24, "patch_size": 14}
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", folder] => write(Path::new(folder)),
        ["run", folder, ref rest @ ..] => {
            let number = |index: usize, default| rest.get(index).map_or(Ok(default), |text| text.parse());
            let precision = match rest.get(2).copied() {
                None | Some("f32") => Precision::F32,
                Some("bf16") => Precision::Bf16,
                Some("f16") => Precision::F16,
                Some(other) => return Err(format!("'{other}' is none of f32, bf16 and f16").into()),
            };
            run(Path::new(folder), number(0, 1)?, number(1, 0)?, precision)
        }
        ["compare", folder] => compare(Path::new(folder)),
        _ => Err(
            "published_tower write DIR | compare DIR | run DIR [batch] [trained blocks] [f32|bf16|f16]"
                .into(),
        ),
    }
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs_err::create_dir_all(folder)?;
    fs_err::write(folder.join("config.json"), CONFIG)?;
    fs_err::write(
        folder.join("preprocessor_config.json"),
        r#"{"crop_size": 336, "size": 336, "resample": 3}"#,
    )?;
    let mut tensors = HashMap::new();
    for (name, tensor) in Layout::read(folder)?.tensors {
        let shape = tensor.shape.as_slice();
        let value = match shape.len() {
            _ if name.ends_with("position_ids") => continue,
            2.. => {
                let inputs: usize = shape[1..].iter().product();
                (Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu)? * (0.5 / (inputs as f64).sqrt()))?
            }
            _ if name.ends_with("weight") => Tensor::ones(shape, DType::F32, &Device::Cpu)?,
            _ => Tensor::zeros(shape, DType::F32, &Device::Cpu)?,
        };
        tensors.insert(name, value);
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors"))?;
    println!("{} tensors written; {}", tensors.len(), peak()?);
    Ok(())
}

fn run(folder: &Path, batch: usize, trained: usize, precision: Precision) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let found = verify(folder)?;
    println!(
        "verified {} tensors, {:.1} million values, whole: {}, in {:.2} s; {}",
        found.tensors,
        found.parameters as f64 / 1e6,
        found.is_whole(),
        started.elapsed().as_secs_f64(),
        peak()?
    );
    let started = Instant::now();
    let tower = PublishedTower::open(folder)?;
    let config = tower.adopt(ModelConfig::paper(), trained);
    let parameters = tower.initialise(&config, VisualEncoder::specs(&config), 1, &Device::Cpu)?;
    let parameters = if trained == 0 {
        parameters.freeze()
    } else {
        parameters
    };
    let encoder = VisualEncoder::new_in(&config, &parameters, precision)?;
    // Whoever trains keeps the parameters; an encoder holds its own.
    let kept = (trained > 0).then_some(parameters);
    println!(
        "opened in {:.1} s, {} tokens of {}, frozen blocks in {precision:?}; {}",
        started.elapsed().as_secs_f64(),
        config.tokens(),
        config.vision.width,
        peak()?
    );
    let side = config.image_size;
    let pixels = Tensor::randn(0.0_f32, 1.0, (batch, 3, side, side), &Device::Cpu)?;
    let started = Instant::now();
    let trunk = encoder.tower().trunk(&pixels)?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} blocks forward, batch {batch}: {seconds:.2} s; {}",
        config.vision.layers - trained,
        peak()?
    );
    let started = Instant::now();
    let embeddings = encoder.forward_trunk(&trunk, Some(&Labels::unlabelled(batch, side)))?;
    println!(
        "{trained} blocks and fusion forward: {:.2} s; {}",
        started.elapsed().as_secs_f64(),
        peak()?
    );
    if let Some(parameters) = kept {
        let started = Instant::now();
        let gradients = embeddings.sum_all()?.backward()?;
        let with = parameters
            .trainable()
            .filter(|(_, var, _)| gradients.get(var).is_some())
            .count();
        println!(
            "backward: {:.2} s, {with} of {} trained parameters have gradients; {}",
            started.elapsed().as_secs_f64(),
            parameters.trainable().count(),
            peak()?
        );
    }
    Ok(())
}

/// Largest differences from transformers' tokens, relative to their largest value.
fn compare(folder: &Path) -> Result<(), Box<dyn Error>> {
    let expected = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu)?;
    let tower = PublishedTower::open(folder)?.tower(&Device::Cpu)?;
    let states = tower.hidden_states(&expected["pixel_values"])?;
    for (index, state) in states.iter().enumerate() {
        let Some(expected) = expected.get(&format!("hidden_states.{index}")) else {
            continue;
        };
        let largest = |x: &Tensor| x.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
        let apart = largest(&(state - expected)?)? / largest(expected)?;
        println!("tokens after block {index}: {apart:.1e} apart");
    }
    Ok(())
}

/// The most memory that the process has held.
fn peak() -> Result<String, Box<dyn Error>> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = |name: &str| -> Option<f64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let (peak, anonymous) = (line("VmHWM:").unwrap_or(0.0), line("RssAnon:").unwrap_or(0.0));
    Ok(format!(
        "peak {:.2} GiB, now {:.2} GiB of its own",
        peak / 1048576.0,
        anonymous / 1048576.0
    ))
}
