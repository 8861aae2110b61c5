//! `x + Wo · attention(norm(x)) + bo`: the first half of a transformer block as one operation.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

use super::attention::{Heads, Tokens, TokensMut};
use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::{Packed, take, take_mut, tensor, values, with_values};
use super::{composite, kernels, work};
use crate::{ParameterSpec, Parameters, Result};

/// Layer norm, multi-head self-attention and the residual.
#[derive(Clone, Debug)]
pub struct SelfAttention {
    shape: AttentionShape,
    packed: Packed,
}

#[derive(Clone, Copy, Debug)]
struct AttentionShape {
    width: usize,
    heads: usize,
    epsilon: f32,
}

const PROJECTIONS: [&str; 4] = ["q_proj", "k_proj", "v_proj", "out_proj"];

impl SelfAttention {
    /// The parameters: `norm`, and `q_proj`, `k_proj`, `v_proj`, `out_proj` under `attention`, each with weight and bias.
    #[must_use]
    pub fn specs(norm: &str, attention: &str, width: usize) -> Vec<ParameterSpec> {
        let mut specs = ParameterSpec::layer_norm(norm, width).to_vec();
        for projection in PROJECTIONS {
            specs.extend(ParameterSpec::linear(
                &format!("{attention}.{projection}"),
                width,
                width,
            ));
        }
        specs
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(
        parameters: &Parameters,
        norm: &str,
        attention: &str,
        heads: usize,
        epsilon: f64,
    ) -> Result<Self> {
        let get = |layer: &str, kind: &str| parameters.get(&format!("{layer}.{kind}"));
        // Queries, keys and values lie together, so that one product makes all three.
        let mut parts = vec![get(norm, "weight")?, get(norm, "bias")?];
        for kind in ["weight", "bias"] {
            for projection in &PROJECTIONS[..3] {
                parts.push(get(&format!("{attention}.{projection}"), kind)?);
            }
        }
        parts.push(get(&format!("{attention}.out_proj"), "weight")?);
        parts.push(get(&format!("{attention}.out_proj"), "bias")?);
        let shape = AttentionShape {
            width: parts[0].dim(0)?,
            heads,
            epsilon: epsilon as f32,
        };
        Ok(Self {
            shape,
            packed: Packed::new(parts)?,
        })
    }

    /// `[batch, tokens, width]` to the same shape.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !composite::wanted(x) {
            return Ok(x.contiguous()?.apply_op2(&self.packed.flat()?, self.shape)?);
        }
        let part = |index| self.packed.part(index);
        let input = composite::layer_norm(x, part(0), part(1), self.shape.epsilon)?;
        let project = |index| composite::linear(&input, part(index), Some(part(index + 3)));
        let attended = composite::attention(&project(2)?, &project(3)?, &project(4)?, self.shape.heads)?;
        Ok((x + composite::linear(&attended, part(8), Some(part(9)))?)?)
    }
}

struct Weights<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
    project: View<'a>,
    project_bias: &'a [f32],
    out: View<'a>,
    out_bias: &'a [f32],
}

struct Scratch {
    normal: Vec<f32>,
    inverse: Vec<f32>,
    input: Vec<f32>,
    /// Queries, keys and values side by side, `[tokens, 3 width]`.
    projected: Vec<f32>,
    attended: Vec<f32>,
    shares: Vec<f32>,
}

impl AttentionShape {
    fn heads(&self) -> Heads {
        Heads {
            count: self.heads,
            size: self.width / self.heads,
        }
    }

    fn lengths(&self) -> [usize; 6] {
        let width = self.width;
        [width, width, 3 * width * width, 3 * width, width * width, width]
    }

    fn weights<'a>(&self, mut flat: &'a [f32]) -> Weights<'a> {
        let [scale, shift, project, project_bias, out, out_bias] =
            self.lengths().map(|length| take(&mut flat, length));
        let (project, out) = (
            View::new(project, 3 * self.width, self.width),
            View::new(out, self.width, self.width),
        );
        Weights {
            scale,
            shift,
            project,
            project_bias,
            out,
            out_bias,
        }
    }

    fn scratch(&self, tokens: usize, keep: bool) -> Scratch {
        let width = self.width;
        let heads = if keep { self.heads } else { 1 };
        Scratch {
            normal: vec![0.0; tokens * width],
            inverse: vec![0.0; tokens],
            input: vec![0.0; tokens * width],
            projected: vec![0.0; tokens * 3 * width],
            attended: vec![0.0; tokens * width],
            shares: vec![0.0; heads * tokens * tokens],
        }
    }

    fn thirds<'a>(&self, data: &'a [f32], count: usize) -> [Tokens<'a>; 3] {
        [0, 1, 2].map(|third| Tokens {
            data,
            offset: third * self.width,
            stride: 3 * self.width,
            count,
        })
    }

    /// Everything up to the attended values of one photo.
    fn attend(&self, weights: &Weights<'_>, x: &[f32], scratch: &mut Scratch, keep: bool, cores: Cores) {
        let (width, tokens) = (self.width, x.len() / self.width);
        kernels::normalise(x, width, self.epsilon, &mut scratch.normal, &mut scratch.inverse);
        kernels::scale_and_shift(&scratch.normal, weights.scale, weights.shift, &mut scratch.input);
        kernels::repeat_row(weights.project_bias, &mut scratch.projected);
        let input = View::new(&scratch.input, tokens, width);
        let projected = ViewMut::new(&mut scratch.projected, tokens, 3 * width);
        multiply(
            projected,
            Old::Add,
            1.0,
            input,
            weights.project.transposed(),
            cores,
        );
        let [queries, keys, values] = self.thirds(&scratch.projected, tokens);
        let out = TokensMut {
            data: &mut scratch.attended,
            offset: 0,
            stride: width,
            count: tokens,
        };
        self.heads()
            .attend([queries, keys, values], out, &mut scratch.shares, keep, cores);
    }

    fn backward(&self, tokens: usize, x: &[f32], flat: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let weights = self.weights(flat);
        let width = self.width;
        let photo = tokens * width;
        let mut dx = vec![0.0; x.len()];
        let photos = x.len() / photo;
        let dp = work::backward(
            photos,
            1,
            [photo, 0],
            [&mut dx, &mut []],
            flat.len(),
            |index, _, [dx, _], dp| {
                let window = index * photo..(index + 1) * photo;
                let (x, gradient) = (&x[window.clone()], &gradient[window]);
                let mut dp = dp;
                let [d_scale, d_shift, d_project, d_project_bias, d_out, d_out_bias] =
                    self.lengths().map(|length| take_mut(&mut dp, length));
                let mut scratch = self.scratch(tokens, true);
                self.attend(&weights, x, &mut scratch, true, Cores::One);

                let outer = View::new(gradient, tokens, width);
                let attended = View::new(&scratch.attended, tokens, width);
                multiply(
                    ViewMut::new(d_out, width, width),
                    Old::Add,
                    1.0,
                    outer.transposed(),
                    attended,
                    Cores::One,
                );
                kernels::add_rows(d_out_bias, gradient);
                let d_attended = &mut scratch.attended;
                multiply(
                    ViewMut::new(d_attended, tokens, width),
                    Old::Replace,
                    1.0,
                    outer,
                    weights.out,
                    Cores::One,
                );

                let mut thirds = vec![0.0; 3 * photo];
                let (d_queries, rest) = thirds.split_at_mut(photo);
                let (d_keys, d_values) = rest.split_at_mut(photo);
                let mut sections = [d_queries, d_keys, d_values].map(|data| TokensMut {
                    data,
                    offset: 0,
                    stride: width,
                    count: tokens,
                });
                let d_attended = Tokens {
                    data: d_attended,
                    offset: 0,
                    stride: width,
                    count: tokens,
                };
                let mut scores = vec![0.0; tokens * tokens];
                let inputs = self.thirds(&scratch.projected, tokens);
                self.heads().attend_backward(
                    inputs,
                    d_attended,
                    sections.each_mut(),
                    &mut scratch.shares,
                    &mut scores,
                );

                // Back through the three projections, one after the other.
                let input = View::new(&scratch.input, tokens, width);
                for (third, section) in thirds.chunks_exact(photo).enumerate() {
                    kernels::add_rows(&mut d_project_bias[third * width..(third + 1) * width], section);
                    let part = third * width * width..(third + 1) * width * width;
                    let inner = View::new(section, tokens, width);
                    let d_part = ViewMut::new(&mut d_project[part.clone()], width, width);
                    multiply(d_part, Old::Add, 1.0, inner.transposed(), input, Cores::One);
                    let weight = weights.project.rows(third * width, width);
                    let old = if third == 0 { Old::Replace } else { Old::Add };
                    multiply(
                        ViewMut::new(dx, tokens, width),
                        old,
                        1.0,
                        inner,
                        weight,
                        Cores::One,
                    );
                }
                kernels::normalise_backward(
                    &scratch.normal,
                    &scratch.inverse,
                    weights.scale,
                    dx,
                    d_scale,
                    d_shift,
                );
                kernels::add(dx, gradient);
            },
        );
        (dx, dp)
    }
}

impl CustomOp2 for AttentionShape {
    fn name(&self) -> &'static str {
        "self-attention"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, tokens, width) = x_layout.shape().dims3()?;
        let (x, flat) = (values(x, x_layout)?, values(flat, flat_layout)?);
        let weights = self.weights(flat);
        let photo = tokens * width;
        let photos = x.len() / photo;
        let cores = work::cores(photos);
        let mut out = vec![0.0; x.len()];
        let one = |index: usize, out: &mut [f32]| {
            let x = &x[index * photo..(index + 1) * photo];
            let mut scratch = self.scratch(tokens, false);
            self.attend(&weights, x, &mut scratch, false, cores);
            kernels::repeat_row(weights.out_bias, out);
            kernels::add(out, x);
            let attended = View::new(&scratch.attended, tokens, width);
            multiply(
                ViewMut::new(out, tokens, width),
                Old::Add,
                1.0,
                attended,
                weights.out.transposed(),
                cores,
            );
        };
        work::forward(photos, 1, photo, &mut out, |index, _, out| one(index, out));
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        flat: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let tokens = x.dim(1)?;
        let (dx, dp) = with_values([x, flat, gradient], |[x, flat, gradient]| {
            Ok(self.backward(tokens, x, flat, gradient))
        })?;
        Ok((Some(tensor(dx, x.dims())?), Some(tensor(dp, flat.dims())?)))
    }
}
