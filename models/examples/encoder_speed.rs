//! The published encoders, timed one forward pass at a time: `encoder_speed clip|oneformer|segformer DIRECTORY`.
//!
//! The directory holds a model in the hub's layout and `input.safetensors` with `pixel_values`; results go to `found.safetensors`
//! there. Then every line on standard input asks for one pass, whose seconds, by the clock and of all cores, are the line that is printed. `benches/beside_pytorch.py`
//! drives it.
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor, safetensors};
use geosurge_models::segmentation::oneformer::OneFormer;
use geosurge_models::segmentation::segformer::SegFormer;
use geosurge_models::{ModelConfig, Parameters, VisionTower};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;
type Forward = Box<dyn Fn(&Tensor) -> Result<HashMap<&'static str, Tensor>, Failure>>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, directory] = arguments.as_slice() else {
        return Err("usage: encoder_speed clip|oneformer|segformer DIRECTORY".into());
    };
    let directory = Path::new(directory);
    let forward = open(model, directory)?;
    let input = safetensors::load(directory.join("input.safetensors"), &Device::Cpu)?;
    let pixels = &input["pixel_values"];
    safetensors::save(&forward(pixels)?, directory.join("found.safetensors"))?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        if line?.is_empty() {
            break;
        }
        let (started, busy) = (Instant::now(), processor_time()?);
        forward(pixels)?;
        println!("{} {}", started.elapsed().as_secs_f64(), processor_time()? - busy);
    }
    println!("{}", peak_memory()?);
    Ok(())
}

fn open(model: &str, directory: &Path) -> Result<Forward, Failure> {
    let config = directory.join("config.json");
    Ok(match model {
        "clip" => {
            let config = ModelConfig::paper();
            let mut parameters =
                Parameters::initialise(VisionTower::specs(&config), 1, &Device::Cpu)?.freeze();
            parameters.load_partial(&directory.join("model.safetensors"))?;
            let tower = VisionTower::new(&config, &parameters)?;
            Box::new(move |pixels| Ok(HashMap::from([("tokens", tower.forward(pixels)?)])))
        }
        "oneformer" => {
            let config = serde_json::from_slice(&fs_err::read(config)?)?;
            let network = OneFormer::open(config, directory, &Device::Cpu)?;
            Box::new(move |pixels| {
                let prediction = network.forward(pixels)?;
                Ok(HashMap::from([
                    ("classes", prediction.classes),
                    ("masks", prediction.masks),
                ]))
            })
        }
        "segformer" => {
            let config = serde_json::from_slice(&fs_err::read(config)?)?;
            let network = SegFormer::open(config, directory, &Device::Cpu)?;
            Box::new(move |pixels| {
                let (_, scores) = network.stages(pixels)?;
                Ok(HashMap::from([(
                    "logits",
                    scores.permute([0, 3, 1, 2])?.contiguous()?,
                )]))
            })
        }
        _ => return Err(format!("no model '{model}'; use clip, oneformer or segformer").into()),
    })
}

/// Seconds that all cores have worked for this process.
fn processor_time() -> Result<f64, Failure> {
    let mut nanoseconds = 0_u64;
    for task in fs_err::read_dir("/proc/self/task")? {
        let times = fs_err::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += times
            .split_whitespace()
            .next()
            .ok_or("an empty schedstat")?
            .parse::<u64>()?;
    }
    Ok(nanoseconds as f64 * 1e-9)
}

/// The most memory that this process has held, in KiB.
fn peak_memory() -> Result<String, Failure> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("no VmHWM in /proc/self/status")?.to_owned())
}
