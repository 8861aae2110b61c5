//! Every operation against its composite form and finite differences.
#![allow(clippy::unwrap_used, reason = "tests")]

use image::GrayImage;

use super::*;
use crate::gradient_check::{check, input, weigh};
use crate::{Activation, Labels, ParameterSpec};

fn with_input(shape: &[usize], mut specs: Vec<ParameterSpec>) -> Vec<ParameterSpec> {
    specs.push(input(shape));
    specs
}

#[test]
fn linear() {
    check(with_input(&[3, 5, 7], Linear::specs("l", 7, 4)), |p| {
        weigh(&Linear::new(p, "l")?.forward(&p.get("input")?)?)
    });
}

#[test]
fn layer_norm() {
    check(with_input(&[40, 19], LayerNorm::specs("n", 19)), |p| {
        weigh(&LayerNorm::new(p, "n", 1e-5)?.forward(&p.get("input")?)?)
    });
}

#[test]
fn mlp_with_every_nonlinearity() {
    let names = MlpNames {
        norm: "n",
        up: "u",
        down: "d",
    };
    for activation in [Activation::QuickGelu, Activation::Gelu, Activation::GeluTanh] {
        check(with_input(&[2, 9, 12], Mlp::specs(names, 12, 20)), |p| {
            weigh(&Mlp::new(p, names, activation, 1e-5)?.forward(&p.get("input")?)?)
        });
    }
}

#[test]
fn self_attention() {
    for batch in [1, 11] {
        check(
            with_input(&[batch, 5, 12], SelfAttention::specs("n", "a", 12)),
            |p| weigh(&SelfAttention::new(p, "n", "a", 3, 1e-5)?.forward(&p.get("input")?)?),
        );
    }
}

#[test]
fn gradients_pass_through_frozen_blocks() {
    let frozen = |specs: Vec<ParameterSpec>| specs.into_iter().map(|spec| spec.trained(false)).collect();
    let names = MlpNames {
        norm: "n",
        up: "u",
        down: "d",
    };
    // Their weights are in panels, of which these have two.
    check(with_input(&[2, 9, 12], frozen(Mlp::specs(names, 12, 300))), |p| {
        weigh(&Mlp::new(p, names, Activation::QuickGelu, 1e-5)?.forward(&p.get("input")?)?)
    });
    let specs = frozen(SelfAttention::specs("n", "a", 132));
    check(with_input(&[2, 5, 132], specs), |p| {
        weigh(&SelfAttention::new(p, "n", "a", 3, 1e-5)?.forward(&p.get("input")?)?)
    });
}

#[test]
fn latent_attention_with_either_residual() {
    let of_context = LatentWidths {
        queries: 6,
        context: 12,
        latent: 4,
    };
    let of_queries = LatentWidths {
        queries: 12,
        ..of_context
    };
    // As many queries as context tokens, and fewer.
    for count in [7, 1] {
        for (residual, widths) in [(Residual::Context, of_context), (Residual::Queries, of_queries)] {
            let mut specs = with_input(&[3, 7, 12], LatentAttention::specs("m", widths));
            specs.push(ParameterSpec::positions("queries", &[3, count, widths.queries]).deviation(1.0));
            check(specs, |p| {
                let attention = LatentAttention::new(p, "m", 3, 1e-5, residual)?;
                let out = attention.forward(&p.get("queries")?, &p.get("input")?)?;
                assert_eq!(out.dims(), [3, count, 12]);
                weigh(&out)
            });
        }
    }
}

#[test]
fn latent_attention_refuses_other_shapes() {
    let widths = LatentWidths {
        queries: 6,
        context: 12,
        latent: 4,
    };
    let mut specs = with_input(&[2, 3, 12], LatentAttention::specs("m", widths));
    specs.push(ParameterSpec::positions("queries", &[2, 4, 6]));
    let p = crate::Parameters::initialise(specs, 1, &candle_core::Device::Cpu).unwrap();
    let attention = LatentAttention::new(&p, "m", 3, 1e-5, Residual::Context).unwrap();
    let (queries, context) = (p.get("queries").unwrap(), p.get("input").unwrap());
    let message = attention.forward(&queries, &context).unwrap_err().to_string();
    assert!(message.contains("4 queries, but only 3"), "{message}");
    assert!(attention.forward(&context, &context).is_err());
}

#[test]
fn photo_tokens() {
    let pixels: Vec<f32> = (0..2 * 3 * 8 * 8).map(|i| (i as f32 * 0.37).cos()).collect();
    let pixels = candle_core::Tensor::from_vec(pixels, (2, 3, 8, 8), &candle_core::Device::Cpu).unwrap();
    check(PhotoTokens::specs("t", 4, 6, 5), |p| {
        let pixels = pixels.to_dtype(p.get("t.class_embedding")?.dtype())?;
        weigh(&PhotoTokens::new(p, "t")?.forward(&pixels)?)
    });
}

#[test]
fn map_tokens() {
    let map = |shift: u32| GrayImage::from_fn(8, 8, |x, y| image::Luma([((x * y + shift) % 150) as u8]));
    let mut last = map(9);
    last.put_pixel(3, 3, image::Luma([255]));
    let labels = Labels::from_images(&[map(0), map(40), last]).unwrap();
    let sizes = MapSizes {
        patch: 4,
        channels: 3,
        width: 6,
        tokens: 5,
    };
    check(MapTokens::specs("t", sizes, true), |p| {
        weigh(&MapTokens::new(p, "t", 4, None)?.forward(&labels)?)
    });
}

#[test]
fn cross_entropy_with_ignored_rows() {
    let targets = [2, 0, IGNORE, 3, 1];
    check(vec![input(&[5, 4])], |p| {
        cross_entropy(&p.get("input")?, &targets)
    });
    let logits = candle_core::Tensor::new(&[[0.0_f32, 2.0_f32.ln()]], &candle_core::Device::Cpu).unwrap();
    let loss = |targets: &[u32]| {
        cross_entropy(&logits, targets)
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    assert!((loss(&[0]) - 3.0_f32.ln()).abs() < 1e-6);
    assert_eq!(loss(&[IGNORE]), 0.0);
    assert!(cross_entropy(&logits, &[2]).is_err());
    assert!(cross_entropy(&logits, &[0, 1]).is_err());
}

#[test]
fn unit_rows_have_length_one_and_zeros_stay() {
    check(vec![input(&[4, 6])], |p| weigh(&unit_rows(&p.get("input")?)?));
    let zero =
        candle_core::Tensor::zeros((1, 3), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    assert_eq!(unit_rows(&zero).unwrap().to_vec2::<f32>().unwrap(), [[0.0; 3]]);
}
