//! Semantic fusion beside an independent implementation in PyTorch (`fixtures/fusion/make_fixtures.py`, float64): latent
//! attention, a block, the module, and the module's gradients, at two small sizes and at the published one.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};
use geosurge_models::ops::{LatentAttention, MapTokens, Mlp, MlpNames, Residual};
use geosurge_models::{
    FusionConfig, Labels, ModelConfig, Palette, ParameterSpec, Parameters, SemanticFusion, Stream,
};
use image::{GrayImage, Luma};

/// `count` values in -1..1, the same as the script's: the upper bits of SplitMix64, seeded by FNV-1a of the name.
fn noise(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (1..=count as u64).map(move |index| {
        let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 * 2.0_f32.powi(-23) - 1.0
    })
}

fn tensor(name: &str, shape: &[usize], scale: f64, shift: f32) -> Tensor {
    let count = shape.iter().product();
    let values: Vec<f32> = noise(name, count).map(|x| x * scale as f32 + shift).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn parameter(spec: &ParameterSpec) -> Tensor {
    let (name, shape) = (spec.name.as_str(), spec.shape.as_slice());
    let (scale, shift) = if name.ends_with("palette") {
        (1.0, 0.0)
    } else if name.ends_with("positions") || name.ends_with("class_token") {
        (0.5, 0.0)
    } else if shape.len() > 1 {
        let inputs: usize = shape[1..].iter().product();
        (1.5 / (inputs as f64).sqrt(), 0.0)
    } else if name.ends_with("weight") {
        (0.25, 1.0)
    } else {
        (0.125, 0.0)
    };
    tensor(name, shape, scale, shift)
}

/// A size, and what the script has for it.
struct Case {
    config: ModelConfig,
    batch: usize,
    expected: HashMap<String, Tensor>,
}

fn case(name: &str, batch: usize, config: ModelConfig) -> Case {
    config.validate().unwrap();
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/fusion/{name}.safetensors"));
    Case {
        config,
        batch,
        expected: safetensors::load(file, &Device::Cpu).unwrap(),
    }
}

fn sized(side: usize, width: usize, heads: usize, hidden: usize, fusion: FusionConfig) -> ModelConfig {
    let mut config = ModelConfig::paper();
    config.image_size = side;
    config.patch_size = 7;
    config.vision.width = width;
    config.vision.heads = heads;
    config.vision.intermediate = hidden;
    config.fusion = fusion;
    config
}

fn small() -> Case {
    let fusion = FusionConfig {
        blocks: 3,
        segmentation_width: 12,
        latent: 8,
        heads: 4,
        intermediate: 96,
        palette: Palette::Learned { channels: 5 },
        stream: Stream::Rgb,
    };
    case("small", 2, sized(28, 48, 4, 96, fusion))
}

fn semantic() -> Case {
    let fusion = FusionConfig {
        blocks: 2,
        segmentation_width: 8,
        latent: 6,
        heads: 2,
        intermediate: 40,
        palette: Palette::Learned { channels: 3 },
        stream: Stream::Semantic,
    };
    case("semantic", 2, sized(21, 32, 2, 40, fusion))
}

impl Case {
    fn labels(&self) -> Labels {
        let side = self.config.image_size as u32;
        let ids: Vec<u8> = noise("input.map", self.batch * (side * side) as usize)
            .map(|x| ((f64::from(x) + 1.0) / 2.0 * 151.0) as u8)
            .map(|class| if class == 150 { 255 } else { class })
            .collect();
        let maps: Vec<GrayImage> = ids
            .chunks((side * side) as usize)
            .map(|ids| GrayImage::from_fn(side, side, |x, y| Luma([ids[(y * side + x) as usize]])))
            .collect();
        Labels::from_images(&maps).unwrap()
    }

    /// Largest difference from the script's answer, relative to its largest value.
    fn apart(&self, name: &str, found: &Tensor) -> f32 {
        let expected = &self.expected[name];
        assert_eq!(found.dims(), expected.dims(), "{name}");
        largest(&(found - expected).unwrap()) / largest(expected)
    }

    /// The tokens of `x` that the script kept.
    fn kept(&self, x: &Tensor) -> Tensor {
        let kept = self.expected["tokens"].to_dtype(DType::U32).unwrap();
        x.detach().contiguous().unwrap().index_select(&kept, 1).unwrap()
    }

    fn agrees(&self, forward: f32, backward: f32) {
        let (config, fusion) = (&self.config, &self.config.fusion);
        let (width, epsilon) = (config.vision.width, config.vision.layer_norm_epsilon);
        let specs = SemanticFusion::specs(config);
        let parameters =
            Parameters::initialise_from(specs, 0, &Device::Cpu, |spec| Ok(Some(parameter(spec)))).unwrap();
        let photo = tensor("input.photo", &[self.batch, config.tokens(), width], 1.0, 0.0);
        let (asking, residual) = match fusion.stream {
            Stream::Rgb => (fusion.segmentation_width, Residual::Context),
            Stream::Semantic => (width, Residual::Queries),
        };
        let queries = tensor("input.queries", &[self.batch, config.tokens(), asking], 1.0, 0.0);

        let map = MapTokens::new(&parameters, "fusion.map", config.patch_size, None).unwrap();
        let apart = self.apart("map_tokens", &self.kept(&map.forward(&self.labels()).unwrap()));
        assert!(apart < forward, "map tokens are {apart} apart");

        let name = "fusion.blocks.0.attention";
        let attention = LatentAttention::new(&parameters, name, fusion.heads, epsilon, residual).unwrap();
        let attended = attention.forward(&queries, &photo).unwrap();
        let apart = self.apart("attention", &self.kept(&attended));
        assert!(apart < forward, "latent attention is {apart} apart");

        let [norm, up, down] = ["norm", "up", "down"].map(|part| format!("fusion.blocks.0.mlp.{part}"));
        let names = MlpNames {
            norm: &norm,
            up: &up,
            down: &down,
        };
        let mlp = Mlp::new(&parameters, names, config.vision.activation, epsilon).unwrap();
        let apart = self.apart("block", &self.kept(&mlp.forward(&attended).unwrap()));
        assert!(apart < forward, "a block is {apart} apart");

        let module = SemanticFusion::new(config, &parameters).unwrap();
        let fused = module
            .forward(&photo, Some(&self.labels()), config.image_size)
            .unwrap();
        let apart = self.apart("module", &fused.detach());
        assert!(apart < forward, "the module is {apart} apart");

        let pull = tensor("input.pull", fused.dims(), 1.0, 0.0);
        let store = (fused * pull).unwrap().sum_all().unwrap().backward().unwrap();
        let mut compared = 0;
        for (name, var, _) in parameters.trainable() {
            let gradient = summary(store.get(var).unwrap_or_else(|| panic!("no gradient of {name}")));
            let expected = &self.expected[&format!("gradient.{name}")];
            let size = largest(expected);
            assert!(size > 0.0, "{name} has no influence");
            let apart = largest(&(gradient - expected).unwrap()) / size;
            assert!(apart < backward, "the gradient of {name} is {apart} apart");
            compared += 1;
        }
        let gradients = self
            .expected
            .keys()
            .filter(|name| name.starts_with("gradient."))
            .count();
        assert_eq!(compared, gradients, "every parameter has its gradient");
    }
}

fn largest(x: &Tensor) -> f32 {
    let x = x.abs().unwrap().flatten_all().unwrap();
    x.max(0).unwrap().to_scalar().unwrap()
}

/// A gradient's length and 24 of its values, evenly spread.
fn summary(gradient: &Tensor) -> Tensor {
    let values = gradient.detach().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let length = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32;
    let count = values.len().min(24);
    let mut summary = vec![length];
    for k in 0..count {
        let at = k as f64 * (values.len() - 1) as f64 / (count - 1).max(1) as f64;
        summary.push(values[at.round() as usize]);
    }
    Tensor::new(summary, &Device::Cpu).unwrap()
}

#[test]
fn a_small_module_agrees() {
    small().agrees(1e-5, 1e-4);
}

#[test]
fn the_semantic_stream_agrees() {
    semantic().agrees(1e-5, 1e-4);
}

/// The published size: 577 tokens of 1024 from the photo and of 128 from the map, a latent of 64, 16 heads, three blocks.
#[test]
fn the_full_size_agrees() {
    case("full", 1, ModelConfig::paper()).agrees(1e-5, 1e-4);
}
