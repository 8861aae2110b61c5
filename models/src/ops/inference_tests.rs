//! The operations without a gradient: fused in f32 against composite in f64, which runs on every device.
#![allow(clippy::unwrap_used, reason = "tests")]

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::{Activation, ParameterSpec, Parameters, Result};

/// Numbers between -1 and 1 that repeat late.
fn tensor(shape: &[usize], seed: u64) -> Tensor {
    let count: usize = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let values: Vec<f32> = (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Parameters none of which is zero or one, in f32 and f64.
fn parameters(specs: Vec<ParameterSpec>) -> [Parameters; 2] {
    let specs = specs
        .into_iter()
        .map(|spec| {
            let spec = spec.trained(false);
            if spec.decay { spec } else { spec.deviation(0.7) }
        })
        .collect();
    let single = Parameters::initialise(specs, 3, &Device::Cpu).unwrap();
    let double = single.in_f64().unwrap();
    [single, double]
}

/// Compares what an operation makes in f32, fused, with what it makes in f64, composite.
fn compare(inputs: &[Tensor], run: impl Fn(usize, &[Tensor]) -> Result<Tensor>) {
    let fused = run(0, inputs).unwrap();
    let double: Vec<_> = inputs.iter().map(|x| x.to_dtype(DType::F64).unwrap()).collect();
    let composite = run(1, &double).unwrap();
    assert_eq!((fused.dtype(), composite.dtype()), (DType::F32, DType::F64));
    assert_eq!(fused.dims(), composite.dims());
    let scalar = |x: Tensor| -> f64 {
        x.abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar()
            .unwrap()
    };
    let size = scalar(composite.clone());
    let apart = scalar((fused.to_dtype(DType::F64).unwrap() - composite).unwrap());
    assert!(size > 0.01, "the operation makes nothing: {size}");
    assert!(apart < 1e-5 * size.max(1.0), "{apart} apart at size {size}");
}

#[test]
fn projection() {
    let specs = ParameterSpec::linear("layer", 24, 17);
    let parameters = parameters(specs.to_vec());
    for activation in [Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
        compare(&[tensor(&[3, 50, 24], 1)], |index, inputs| {
            Projection::new(&parameters[index], "layer")?
                .then(activation)
                .forward(&inputs[0])
        });
    }
}

#[test]
fn blocks_too_large_for_a_cache() {
    // They take groups of photos and of rows in turn: two photos and one, 1,024 rows and a rest.
    let names = MlpNames {
        norm: "n",
        up: "u",
        down: "d",
    };
    let x = tensor(&[3, 400, 320], 2);
    let of_mlp = parameters(Mlp::specs(names, 320, 700));
    compare(std::slice::from_ref(&x), |index, inputs| {
        Mlp::new(&of_mlp[index], names, Activation::QuickGelu, 1e-5)?.forward(&inputs[0])
    });
    let of_attention = parameters(SelfAttention::specs("n", "a", 320));
    compare(std::slice::from_ref(&x), |index, inputs| {
        SelfAttention::new(&of_attention[index], "n", "a", 5, 1e-5)?.forward(&inputs[0])
    });
    let widths = LatentWidths {
        queries: 320,
        context: 320,
        latent: 64,
    };
    let of_both = parameters(LatentAttention::specs("m", widths));
    compare(&[x, tensor(&[3, 30, 320], 3)], |index, inputs| {
        let attention = LatentAttention::new(&of_both[index], "m", 4, 1e-5, Residual::Queries)?;
        attention.forward(&inputs[0], &inputs[1])
    });
    let of_layer = parameters(ParameterSpec::linear("layer", 700, 500).to_vec());
    compare(&[tensor(&[2, 33, 700], 4)], |index, inputs| {
        Projection::new(&of_layer[index], "layer")?.forward(&inputs[0])
    });
}

#[test]
fn convolution() {
    // Overlapping, covering with a rest, apart, and in two directions differently.
    let cases = [
        (Windows::square(3, 1, 1), (7, 9)),
        (Windows::square(7, 4, 3), (30, 21)),
        (Windows::patches((4, 3)), (10, 11)),
        (Windows::square(2, 2, 0), (7, 6)),
        (Windows::square(1, 1, 0), (3, 200)),
        (Windows::square(5, 3, 2), (4, 4)),
    ];
    for (windows, (height, width)) in cases {
        let (down, across) = windows.kernel;
        let parameters = parameters(vec![
            ParameterSpec::weight("layer.weight", &[6, 5, down, across]),
            ParameterSpec::constant("layer.bias", &[6], 0.0),
        ]);
        compare(&[tensor(&[2, height, width, 5], 2)], |index, inputs| {
            Convolution::new(&parameters[index], "layer", windows)?.forward(&inputs[0])
        });
    }
    let [parameters, _] = parameters(vec![ParameterSpec::weight("layer.weight", &[6, 5, 3, 3])]);
    let layer = Convolution::new(&parameters, "layer", Windows::square(3, 1, 0)).unwrap();
    let message = layer.forward(&tensor(&[1, 2, 9, 5], 1)).unwrap_err().to_string();
    assert!(
        message.contains("smaller than a convolution's window"),
        "{message}"
    );
    assert!(layer.forward(&tensor(&[1, 9, 9, 4], 1)).is_err());
}

#[test]
fn convolution_is_candles() {
    let [parameters, _] = parameters(vec![
        ParameterSpec::weight("layer.weight", &[6, 5, 3, 3]),
        ParameterSpec::constant("layer.bias", &[6], 0.0),
    ]);
    let x = tensor(&[2, 9, 8, 5], 3);
    let ours = Convolution::new(&parameters, "layer", Windows::square(3, 2, 1))
        .unwrap()
        .forward(&x)
        .unwrap();
    let get = |name: &str| parameters.get(name).unwrap();
    let theirs = x
        .permute([0, 3, 1, 2])
        .unwrap()
        .contiguous()
        .unwrap()
        .conv2d(&get("layer.weight"), 1, 2, 1, 1)
        .unwrap()
        .permute([0, 2, 3, 1])
        .unwrap()
        .broadcast_add(&get("layer.bias"))
        .unwrap();
    let apart = (ours - theirs).unwrap().abs().unwrap().flatten_all().unwrap();
    assert!(apart.max(0).unwrap().to_scalar::<f32>().unwrap() < 1e-5);
}

#[test]
fn depthwise_convolution() {
    let parameters = parameters(vec![
        ParameterSpec::weight("layer.weight", &[18, 1, 3, 3]),
        ParameterSpec::constant("layer.bias", &[18], 0.0),
    ]);
    for (height, width) in [(5, 6), (1, 4), (3, 1), (2, 2)] {
        compare(&[tensor(&[2, height, width, 18], 4)], |index, inputs| {
            DepthwiseConvolution::new(&parameters[index], "layer", Activation::Gelu)?.forward(&inputs[0])
        });
    }
}

#[test]
fn group_norm() {
    let parameters = parameters(ParameterSpec::layer_norm("norm", 12).to_vec());
    // A mean far from zero shows a variance computed in one pass.
    let x = (tensor(&[2, 30, 25, 12], 5) + 30.0).unwrap();
    compare(&[x], |index, inputs| {
        GroupNorm::new(&parameters[index], "norm", 4, 1e-5)?
            .then(Activation::Relu)
            .forward(&inputs[0])
    });
}

#[test]
fn resizing() {
    for to in [(10, 14), (5, 7), (3, 2), (1, 1), (20, 3)] {
        compare(&[tensor(&[2, 5, 7, 3], 6)], |_, inputs| resize(&inputs[0], to));
    }
}

#[test]
fn attention_with_and_without_a_mask() {
    let inputs = [
        tensor(&[2, 33, 12], 7),
        tensor(&[2, 41, 12], 8),
        tensor(&[2, 41, 12], 9),
        tensor(&[2, 33, 41], 10),
    ];
    compare(&inputs[..3], |_, x| attend(&x[0], &x[1], &x[2], 3, None));
    // One query is blind.
    let blind = inputs[3].narrow(1, 0, 32).unwrap();
    let row = tensor(&[2, 1, 41], 11).abs().unwrap().affine(-1.0, -0.1).unwrap();
    let mask = Tensor::cat(&[blind, row], 1).unwrap();
    let inputs = [inputs[0].clone(), inputs[1].clone(), inputs[2].clone(), mask];
    compare(&inputs, |_, x| attend(&x[0], &x[1], &x[2], 3, Some(&x[3])));
}

#[test]
fn window_attention() {
    // Windows that fit, that need padding, that are larger than the image, of an even and an odd side.
    for (side, height, width) in [(4, 8, 12), (4, 9, 5), (7, 3, 4), (5, 10, 6), (2, 5, 5)] {
        let names = WindowNames {
            norm: "norm",
            attention: "attention",
            out: "out",
        };
        let specs = WindowAttention::specs(names, 12, 3, side, true);
        let parameters = parameters(specs);
        for shift in [0, side / 2] {
            compare(&[tensor(&[2, height, width, 12], 12)], |index, inputs| {
                WindowAttention::new(&parameters[index], names, side, shift, 1e-5)?.forward(&inputs[0])
            });
        }
    }
}

#[test]
fn deformable_attention() {
    let sampling = Sampling {
        heads: 3,
        points: 4,
        maps: vec![(2, 3), (4, 5), (8, 9)],
    };
    let cells = sampling.cells();
    let features = tensor(&[2, cells, 12], 13);
    // Offsets reach over every edge.
    let sampled = (tensor(&[2, cells, sampling.numbers()], 14) * 6.0).unwrap();
    compare(&[features, sampled], |_, inputs| {
        sampling.gather(&inputs[0], &inputs[1])
    });
}

#[test]
fn a_backward_pass_is_an_error() {
    let x = candle_core::Var::from_tensor(&tensor(&[1, 4, 4, 5], 15)).unwrap();
    let resized = resize(&x, (7, 7)).unwrap();
    assert!(resized.sum_all().unwrap().backward().is_err());
}
