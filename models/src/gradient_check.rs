//! Test support: are the gradients of a module right?
//!
//! A module runs twice: with f32 parameters (the fused operations) and with f64 ones (the composite path). Values and
//! gradients must agree, and the f64 gradients must agree with central differences.
#![allow(clippy::unwrap_used, reason = "tests")]

use candle_core::{DType, Device, Tensor, Var};

use crate::{Init, ParameterSpec, Parameters, Result};

/// Fails unless every trainable parameter has a right gradient. Inputs are checked by declaring them as parameters.
pub(crate) fn check(specs: Vec<ParameterSpec>, loss: impl Fn(&Parameters) -> Result<Tensor>) {
    let single = Parameters::initialise(specs, 3, &Device::Cpu).unwrap();
    for (index, spec) in single.specs().enumerate() {
        // Constant starts (norms, biases) would hide mistakes.
        if matches!(spec.init, Init::Constant(_))
            && let Some(var) = single.var(&spec.name)
        {
            let noise = (wave(spec.elements(), index)
                .reshape(spec.shape.as_slice())
                .unwrap()
                * 0.3)
                .unwrap();
            var.set(&(var.as_tensor() + noise.to_dtype(DType::F32).unwrap()).unwrap())
                .unwrap();
        }
    }
    let double = single.in_f64().unwrap();
    let (loss_single, loss_double) = (loss(&single).unwrap(), loss(&double).unwrap());
    let value = scalar(&loss_double);
    assert!(
        (scalar(&loss_single) - value).abs() < 1e-4 * (1.0 + value.abs()),
        "{loss_single} {loss_double}"
    );
    let (gradients_single, gradients_double) =
        (loss_single.backward().unwrap(), loss_double.backward().unwrap());
    for (name, var, _) in double.trainable() {
        let exact = flat(
            gradients_double
                .get(var)
                .unwrap_or_else(|| panic!("{name}: no composite gradient")),
        );
        let fused = gradients_single.get(single.var(name).unwrap());
        let fused = flat(fused.unwrap_or_else(|| panic!("{name}: no fused gradient")));
        let size = exact.iter().fold(1e-2_f64, |a, b| a.max(b.abs()));
        let apart = exact
            .iter()
            .zip(&fused)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(
            apart < 1e-4 * size,
            "{name}: fused and composite gradients are {apart} apart at size {size}"
        );
        assert_eq!(exact.len(), fused.len(), "{name}");
        let count = exact.len();
        for index in [0, count / 3, count - 1] {
            let slope = central_difference(var, index, || scalar(&loss(&double).unwrap()));
            assert!(
                (slope - exact[index]).abs() < 1e-5 * size.max(1.0),
                "{name}[{index}]: gradient {} but slope {slope}",
                exact[index]
            );
        }
    }
}

/// A weighted sum of all values, so that every one has a gradient of its own.
pub(crate) fn weigh(x: &Tensor) -> Result<Tensor> {
    let weights = wave(x.elem_count(), 1).reshape(x.shape())?.to_dtype(x.dtype())?;
    Ok((x * weights)?.sum_all()?)
}

/// An input that is checked too.
pub(crate) fn input(shape: &[usize]) -> ParameterSpec {
    ParameterSpec::positions("input", shape).deviation(1.0)
}

fn wave(count: usize, phase: usize) -> Tensor {
    let values: Vec<f64> = (0..count)
        .map(|index| (1.7 * index as f64 + phase as f64).sin())
        .collect();
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn central_difference(var: &Var, index: usize, mut value: impl FnMut() -> f64) -> f64 {
    let original = flat(var.as_tensor());
    let mut at = |shift: f64| {
        let mut moved = original.clone();
        moved[index] += shift;
        var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap())
            .unwrap();
        value()
    };
    let step = 1e-5;
    let slope = (at(step) - at(-step)) / (2.0 * step);
    at(0.0);
    slope
}

fn scalar(x: &Tensor) -> f64 {
    x.to_dtype(DType::F64).unwrap().to_scalar().unwrap()
}

fn flat(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}
