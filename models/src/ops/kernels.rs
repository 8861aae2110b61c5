//! Layer norm, softmax and nonlinearities on rows of f32, forward and backward, written so that they vectorise.

use std::sync::LazyLock;

use crate::config::Activation;

/// Runs `work` as compiled for the widest vectors that the processor has. What it calls has to be inlined into it. No
/// operation is contracted or reordered, so that the results are the same on every processor.
#[inline(always)]
fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    static PROCESSOR: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);
    PROCESSOR.dispatch(work)
}

/// `e^x` to about 2e-7 relative, in plain arithmetic that the compiler turns into vector instructions.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the float.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, so that the remainder is exact.
    let rest = (x - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let mut p = 1.987_569_2e-4_f32;
    p = p * rest + 1.398_199_9e-3;
    p = p * rest + 8.333_452e-3;
    p = p * rest + 4.166_579_6e-2;
    p = p * rest + 1.666_666_5e-1;
    p = p * rest + 0.5;
    let fraction = p * rest * rest + rest + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    fraction * power
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Standard normal distribution function, by Abramowitz and Stegun 7.1.26 (absolute error below 2e-7).
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut p = 1.061_405_4_f32;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * exp(-z * z);
    if x < 0.0 { tail } else { 1.0 - tail }
}

const TANH_SCALE: f32 = 1.595_769;
const TANH_CUBE: f32 = 0.044_715;

/// Value and derivative of a nonlinearity.
#[inline(always)]
fn value_and_slope(activation: Activation, x: f32) -> (f32, f32) {
    match activation {
        Activation::QuickGelu => {
            let gate = sigmoid(1.702 * x);
            (x * gate, gate + 1.702 * x * gate * (1.0 - gate))
        }
        Activation::Gelu => {
            let cdf = normal_cdf(x);
            (x * cdf, cdf + x * 0.398_942_3 * exp(-0.5 * x * x))
        }
        Activation::GeluTanh => {
            let gate = sigmoid(TANH_SCALE * (x + TANH_CUBE * x * x * x));
            (
                x * gate,
                gate + x * gate * (1.0 - gate) * TANH_SCALE * (1.0 + 3.0 * TANH_CUBE * x * x),
            )
        }
        Activation::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
    }
}

/// Applies the nonlinearity in place.
pub(crate) fn activate(activation: Activation, values: &mut [f32]) {
    macro_rules! apply {
        ($variant:expr) => {
            vectorised(
                #[inline(always)]
                || {
                    for value in values {
                        *value = value_and_slope($variant, *value).0;
                    }
                },
            )
        };
    }
    match activation {
        Activation::QuickGelu => apply!(Activation::QuickGelu),
        Activation::Gelu => apply!(Activation::Gelu),
        Activation::GeluTanh => apply!(Activation::GeluTanh),
        Activation::Relu => apply!(Activation::Relu),
    }
}

/// Applies `1 / (1 + e^-x)` in place.
pub(crate) fn sigmoids(values: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for value in values {
                *value = sigmoid(*value);
            }
        },
    );
}

/// Replaces `values` by their activations and writes the slopes there.
pub(crate) fn activate_with_slope(activation: Activation, values: &mut [f32], slopes: &mut [f32]) {
    macro_rules! apply {
        ($variant:expr) => {
            vectorised(
                #[inline(always)]
                || {
                    for (value, slope) in values.iter_mut().zip(slopes) {
                        (*value, *slope) = value_and_slope($variant, *value);
                    }
                },
            )
        };
    }
    match activation {
        Activation::QuickGelu => apply!(Activation::QuickGelu),
        Activation::Gelu => apply!(Activation::Gelu),
        Activation::GeluTanh => apply!(Activation::GeluTanh),
        Activation::Relu => apply!(Activation::Relu),
    }
}

const LANES: usize = 16;

/// Sum of `f` over pairs, in a fixed order and in lanes.
#[inline(always)]
fn lane_sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (blocks_a, blocks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = blocks_a
        .remainder()
        .iter()
        .zip(blocks_b.remainder())
        .map(|(&a, &b)| f(a, b))
        .sum();
    for (a, b) in blocks_a.zip(blocks_b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f(a, b);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// `a · b`.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    lane_sum(a, b, |a, b| a * b)
}

/// Rows to mean 0 and variance 1: `normal` receives the rows, `inverse` one over each row's deviation.
pub(crate) fn normalise(x: &[f32], width: usize, epsilon: f32, normal: &mut [f32], inverse: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for ((x, normal), inverse) in x
                .chunks_exact(width)
                .zip(normal.chunks_exact_mut(width))
                .zip(inverse)
            {
                *inverse = normalise_row(x, epsilon, normal);
            }
        },
    );
}

/// One row to mean 0 and variance 1; returns one over its deviation.
#[inline(always)]
fn normalise_row(x: &[f32], epsilon: f32, normal: &mut [f32]) -> f32 {
    let width = x.len() as f32;
    let mean = lane_sum(x, x, |a, _| a) / width;
    let variance = lane_sum(x, x, |a, _| (a - mean) * (a - mean)) / width;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    for (normal, x) in normal.iter_mut().zip(x) {
        *normal = (x - mean) * inverse;
    }
    inverse
}

/// Layer norm of rows, for what keeps nothing for a gradient.
pub(crate) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    vectorised(
        #[inline(always)]
        || {
            for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                normalise_row(x, epsilon, out);
                for ((out, weight), bias) in out.iter_mut().zip(weight).zip(bias) {
                    *out = *out * weight + bias;
                }
            }
        },
    );
}

/// `out = normal * weight + bias`, row by row.
pub(crate) fn scale_and_shift(normal: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = weight.len();
    vectorised(
        #[inline(always)]
        || {
            for (normal, out) in normal.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                for (((out, normal), weight), bias) in out.iter_mut().zip(normal).zip(weight).zip(bias) {
                    *out = normal * weight + bias;
                }
            }
        },
    );
}

/// Gradient of a layer norm. `gradient` comes in as that of the output and leaves as that of the input; the gradients
/// of scale and shift are added to what `weight_gradient` and `bias_gradient` hold.
pub(crate) fn normalise_backward(
    normal: &[f32],
    inverse: &[f32],
    weight: &[f32],
    gradient: &mut [f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    let width = weight.len();
    vectorised(
        #[inline(always)]
        || {
            for ((normal, inverse), gradient) in normal
                .chunks_exact(width)
                .zip(inverse)
                .zip(gradient.chunks_exact_mut(width))
            {
                for ((sum, gradient), normal) in weight_gradient.iter_mut().zip(gradient.iter()).zip(normal) {
                    *sum += gradient * normal;
                }
                add(bias_gradient, gradient);
                for (gradient, weight) in gradient.iter_mut().zip(weight) {
                    *gradient *= weight;
                }
                let mean = lane_sum(gradient, gradient, |a, _| a) / width as f32;
                let projection = dot(gradient, normal) / width as f32;
                for (gradient, normal) in gradient.iter_mut().zip(normal) {
                    *gradient = inverse * (*gradient - mean - normal * projection);
                }
            }
        },
    );
}

/// Softmax of every row of `width`, in place.
pub(crate) fn softmax(rows: &mut [f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(width) {
                softmax_row(row);
            }
        },
    );
}

#[inline(always)]
fn softmax_row(row: &mut [f32]) {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let blocks = row.chunks_exact(LANES);
    let rest = blocks
        .remainder()
        .iter()
        .fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let greatest = lanes.iter().fold(rest, |a, &b| a.max(b));
    for x in row.iter_mut() {
        *x = exp(*x - greatest);
    }
    let scale = 1.0 / lane_sum(row, row, |a, _| a);
    for x in row.iter_mut() {
        *x *= scale;
    }
}

/// `into += from`.
#[inline(always)]
pub(crate) fn add(into: &mut [f32], from: &[f32]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into += from;
    }
}

/// Adds every row of `rows` to `sum`.
pub(crate) fn add_rows(sum: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(sum.len()) {
        add(sum, row);
    }
}

/// Fills every row of `out` with `row`.
pub(crate) fn repeat_row(row: &[f32], out: &mut [f32]) {
    for out in out.chunks_exact_mut(row.len()) {
        out.copy_from_slice(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_range() {
        let mut worst = 0.0_f64;
        for step in -8600..8800 {
            let x = step as f32 * 0.01;
            let truth = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / truth - 1.0).abs());
        }
        assert!(worst < 5e-7, "{worst}");
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(-1e4) < 1e-37);
    }

    #[test]
    fn nonlinearities_have_published_values_and_true_slopes() {
        // x, gelu with erf, gelu with tanh, quick gelu: PyTorch 2.
        let published = [
            (-2.0_f32, -0.045_500_26, -0.045_402_31, -0.064_341_38),
            (-0.5, -0.154_268_77, -0.154_286, -0.149_611_56),
            (1.0, 0.841_344_7, 0.841_191_9, 0.845_795_8),
            (3.0, 2.995_950_3, 2.996_362_7, 2.981_928_7),
        ];
        for (x, gelu, tanh, quick) in published {
            for (activation, value) in [
                (Activation::Gelu, gelu),
                (Activation::GeluTanh, tanh),
                (Activation::QuickGelu, quick),
            ] {
                let found = value_and_slope(activation, x);
                assert!(
                    (found.0 - value).abs() < 2e-6,
                    "{activation:?} {x} {found:?} {value}"
                );
                let step = 1e-2;
                let slope = (value_and_slope(activation, x + step).0
                    - value_and_slope(activation, x - step).0)
                    / (2.0 * step);
                assert!(
                    (found.1 - slope).abs() < 1e-4,
                    "{activation:?} {x} {found:?} {slope}"
                );
            }
        }
    }

    #[test]
    fn softmax_rows_sum_to_one_and_survive_masks() {
        let mut rows = vec![1.0, 2.0, 3.0, -1e4, 1e4, 0.0];
        softmax(&mut rows, 3);
        assert!(
            (rows[0] - 0.090_030_57).abs() < 1e-6 && (rows[2] - 0.665_240_96).abs() < 1e-6,
            "{rows:?}"
        );
        assert!(rows[4] == 1.0 && rows.iter().all(|x| x.is_finite()), "{rows:?}");
    }
}
