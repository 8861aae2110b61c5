//! `x + Wo · attention(norm(x)) + bo`: the first half of a transformer block as one operation.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

use super::attention::{Heads, Tokens, TokensMut};
use super::matrix::{Cores, Linear, Old, View, ViewMut, add_linear, in_rows, multiply};
use super::packed::{Packed, take, take_mut, tensor, values, with_values};
use super::{composite, kernels, room, work};
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
    /// Whether the weights are in panels.
    laid_out: bool,
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
        let mut shape = AttentionShape {
            width: parts[0].dim(0)?,
            heads,
            epsilon: epsilon as f32,
            laid_out: false,
        };
        let mut packed = Packed::new(parts)?;
        shape.laid_out = packed.lay_out(&shape.matrices())?;
        Ok(Self { shape, packed })
    }

    /// `[batch, tokens, width]` to the same shape.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // Weights in panels are of no use to the composite form; what it would be wanted for is refused by the fused one.
        if self.shape.laid_out || !composite::wanted(x) {
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
    project: Linear<'a>,
    project_bias: &'a [f32],
    out: Linear<'a>,
    out_bias: &'a [f32],
}

/// What a photo's attention is made of, kept for its gradient.
struct Scratch {
    normal: Vec<f32>,
    inverse: Vec<f32>,
    input: Vec<f32>,
    /// Queries, keys and values side by side, `[tokens, 3 width]`.
    projected: Vec<f32>,
    attended: Vec<f32>,
    /// Of every head.
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

    /// Where the weights of the projections lie in the flat parameters, and how many inputs they have.
    fn matrices(&self) -> [(Range<usize>, usize); 2] {
        let [scale, shift, project, project_bias, out, _] = self.lengths();
        let first = scale + shift;
        let second = first + project + project_bias;
        [
            (first..first + project, self.width),
            (second..second + out, self.width),
        ]
    }

    fn weights<'a>(&self, mut flat: &'a [f32]) -> Weights<'a> {
        let [scale, shift, project, project_bias, out, out_bias] =
            self.lengths().map(|length| take(&mut flat, length));
        let linear = |weights, outputs| Linear::new(weights, outputs, self.width, self.laid_out);
        let (project, out) = (linear(project, 3 * self.width), linear(out, self.width));
        Weights {
            scale,
            shift,
            project,
            project_bias,
            out,
            out_bias,
        }
    }

    fn scratch(&self, tokens: usize) -> Scratch {
        let width = self.width;
        Scratch {
            normal: vec![0.0; tokens * width],
            inverse: vec![0.0; tokens],
            input: vec![0.0; tokens * width],
            projected: vec![0.0; tokens * 3 * width],
            attended: vec![0.0; tokens * width],
            shares: vec![0.0; self.heads * tokens * tokens],
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

    /// Photos one after the other.
    fn forward(&self, weights: &Weights<'_>, tokens: usize, x: &[f32], out: &mut [f32], cores: Cores) {
        let (width, rows) = (self.width, x.len() / self.width);
        room::with(x.len() * 4, |room| {
            let (input, projected) = room.split_at_mut(x.len());
            work::rows(cores, input, width, |first, input| {
                let x = &x[first * width..][..input.len()];
                kernels::layer_norm(x, weights.scale, weights.shift, self.epsilon, input);
            });
            work::rows(cores, projected, 3 * width, |_, projected| {
                kernels::repeat_row(weights.project_bias, projected);
            });
            let normal = View::new(input, rows, width);
            let destination = ViewMut::new(projected, rows, 3 * width);
            add_linear(destination, normal, weights.project, cores);
            // The input has served: the attended values take its place.
            let attended = input;
            self.heads()
                .attend_photos(self.thirds(projected, tokens), attended, cores);
            work::rows(cores, out, width, |first, out| {
                kernels::repeat_row(weights.out_bias, out);
                kernels::add(out, &x[first * width..][..out.len()]);
            });
            let attended = View::new(attended, rows, width);
            add_linear(ViewMut::new(out, rows, width), attended, weights.out, cores);
        });
    }

    /// Everything up to the attended values of one photo, keeping what its gradient needs.
    fn attend(&self, weights: &Weights<'_>, x: &[f32], scratch: &mut Scratch) {
        let (width, tokens) = (self.width, x.len() / self.width);
        kernels::normalise(x, width, self.epsilon, &mut scratch.normal, &mut scratch.inverse);
        kernels::scale_and_shift(&scratch.normal, weights.scale, weights.shift, &mut scratch.input);
        kernels::repeat_row(weights.project_bias, &mut scratch.projected);
        let input = View::new(&scratch.input, tokens, width);
        let projected = ViewMut::new(&mut scratch.projected, tokens, 3 * width);
        add_linear(projected, input, weights.project, Cores::One);
        let inputs = self.thirds(&scratch.projected, tokens);
        let out = TokensMut {
            data: &mut scratch.attended,
            offset: 0,
            stride: width,
            count: tokens,
        };
        self.heads().attend(inputs, out, &mut scratch.shares, true);
    }

    fn backward(&self, tokens: usize, x: &[f32], flat: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        if self.laid_out {
            // Frozen, between something that is trained and the loss: the gradient goes through it.
            let shape = Self {
                laid_out: false,
                ..*self
            };
            return shape.backward(tokens, x, &in_rows(flat, &self.matrices()), gradient);
        }
        let weights = self.weights(flat);
        let (project, out) = (weights.project.rows(), weights.out.rows());
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
                let mut scratch = self.scratch(tokens);
                self.attend(&weights, x, &mut scratch);

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
                    out,
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
                    let weight = project.rows(third * width, width);
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
        let mut out = vec![0.0; x.len()];
        if work::in_turn(photos, 3 * width * width) {
            let group = (work::photos_in_turn(tokens) * photo).max(1);
            for (x, out) in x.chunks(group).zip(out.chunks_mut(group)) {
                self.forward(&weights, tokens, x, out, Cores::All);
            }
        } else {
            work::forward(photos, 1, photo, &mut out, |index, _, out| {
                let x = &x[index * photo..(index + 1) * photo];
                self.forward(&weights, tokens, x, out, Cores::One);
            });
        }
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
