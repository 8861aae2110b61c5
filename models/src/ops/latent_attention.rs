//! Multi-head latent cross-attention: keys and values are expanded from a narrow latent of the photo's tokens.
//!
//! `out = residual + Wo · attention(Wq · norm(queries), Wk · c, Wv · c) + bo` with the latent `c = Wd · norm(context)`.
//! Only `c` (64 numbers a token at the published size) would have to be kept of a context that is attended to repeatedly.

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

use super::attention::{Heads, Tokens, TokensMut};
use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::{Packed, take, take_mut, tensor, values, with_values};
use super::{composite, kernels, room, work};
use crate::{ParameterSpec, Parameters, Result};

/// Latent cross-attention with its two norms and the residual.
#[derive(Clone, Debug)]
pub struct LatentAttention {
    shape: LatentShape,
    packed: Packed,
}

/// Which input the attended values are added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// The context; with fewer queries than context tokens, its first tokens.
    Context,
    /// The queries, which must be as wide as the context.
    Queries,
}

/// The widths of a latent attention.
#[derive(Clone, Copy, Debug)]
pub struct LatentWidths {
    /// Width of a query token.
    pub queries: usize,
    /// Width of a context token, and of the result.
    pub context: usize,
    /// Width of the latent.
    pub latent: usize,
}

#[derive(Clone, Copy, Debug)]
struct LatentShape {
    widths: LatentWidths,
    heads: usize,
    epsilon: f32,
    residual: Residual,
}

impl LatentAttention {
    /// The parameters under `name`: `query_norm`, `context_norm`, `query`, `latent`, `key`, `value` and `out`.
    #[must_use]
    pub fn specs(name: &str, widths: LatentWidths) -> Vec<ParameterSpec> {
        let LatentWidths {
            queries,
            context,
            latent,
        } = widths;
        let mut specs = ParameterSpec::layer_norm(&format!("{name}.query_norm"), queries).to_vec();
        specs.extend(ParameterSpec::layer_norm(
            &format!("{name}.context_norm"),
            context,
        ));
        specs.extend(ParameterSpec::linear(&format!("{name}.query"), queries, context));
        specs.push(ParameterSpec::weight(
            format!("{name}.latent.weight"),
            &[latent, context],
        ));
        specs.push(ParameterSpec::weight(
            format!("{name}.key.weight"),
            &[context, latent],
        ));
        specs.push(ParameterSpec::weight(
            format!("{name}.value.weight"),
            &[context, latent],
        ));
        specs.extend(ParameterSpec::linear(&format!("{name}.out"), context, context));
        specs
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(
        parameters: &Parameters,
        name: &str,
        heads: usize,
        epsilon: f64,
        residual: Residual,
    ) -> Result<Self> {
        let parts = [
            "query_norm.weight",
            "query_norm.bias",
            "context_norm.weight",
            "context_norm.bias",
            "query.weight",
            "query.bias",
            "latent.weight",
            "key.weight",
            "value.weight",
            "out.weight",
            "out.bias",
        ]
        .map(|part| parameters.get(&format!("{name}.{part}")))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
        let (latent, context) = parts[6].dims2()?;
        let widths = LatentWidths {
            queries: parts[0].dim(0)?,
            context,
            latent,
        };
        let shape = LatentShape {
            widths,
            heads,
            epsilon: epsilon as f32,
            residual,
        };
        Ok(Self {
            shape,
            packed: Packed::new(parts)?,
        })
    }

    /// Queries `[batch, n, queries]` over a context `[batch, tokens, context]`, to `[batch, n, context]`.
    ///
    /// # Errors
    /// When the shapes are others, or more queries than context tokens meet a residual from the context.
    pub fn forward(&self, queries: &Tensor, context: &Tensor) -> Result<Tensor> {
        if !composite::wanted(context) {
            let (queries, context) = (queries.contiguous()?, context.contiguous()?);
            return Ok(queries.apply_op3(&context, &self.packed.flat()?, self.shape)?);
        }
        let part = |index| self.packed.part(index);
        let epsilon = self.shape.epsilon;
        let asked = composite::layer_norm(queries, part(0), part(1), epsilon)?;
        let latent = composite::linear(
            &composite::layer_norm(context, part(2), part(3), epsilon)?,
            part(6),
            None,
        )?;
        let asked = composite::linear(&asked, part(4), Some(part(5)))?;
        let keys = composite::linear(&latent, part(7), None)?;
        let values = composite::linear(&latent, part(8), None)?;
        let attended = composite::attention(&asked, &keys, &values, self.shape.heads)?;
        let residual = match self.shape.residual {
            Residual::Context => context.narrow(1, 0, queries.dim(1)?)?,
            Residual::Queries => queries.clone(),
        };
        Ok((residual + composite::linear(&attended, part(9), Some(part(10)))?)?)
    }
}

struct Weights<'a> {
    query_scale: &'a [f32],
    query_shift: &'a [f32],
    context_scale: &'a [f32],
    context_shift: &'a [f32],
    query: View<'a>,
    query_bias: &'a [f32],
    latent: View<'a>,
    /// Keys above values.
    expand: View<'a>,
    out: View<'a>,
    out_bias: &'a [f32],
}

struct Scratch {
    query_normal: Vec<f32>,
    query_inverse: Vec<f32>,
    query_input: Vec<f32>,
    context_normal: Vec<f32>,
    context_inverse: Vec<f32>,
    context_input: Vec<f32>,
    asked: Vec<f32>,
    latent: Vec<f32>,
    /// Keys and values side by side, `[tokens, 2 context]`.
    expanded: Vec<f32>,
    attended: Vec<f32>,
    shares: Vec<f32>,
}

/// Tokens of one photo.
#[derive(Clone, Copy)]
struct Counts {
    queries: usize,
    context: usize,
}

impl LatentShape {
    fn heads(&self) -> Heads {
        Heads {
            count: self.heads,
            size: self.widths.context / self.heads,
        }
    }

    fn lengths(&self) -> [usize; 10] {
        let LatentWidths {
            queries,
            context,
            latent,
        } = self.widths;
        [
            queries,
            queries,
            context,
            context,
            context * queries,
            context,
            latent * context,
            2 * context * latent,
            context * context,
            context,
        ]
    }

    fn weights<'a>(&self, mut flat: &'a [f32]) -> Weights<'a> {
        let LatentWidths {
            queries,
            context,
            latent: narrow,
        } = self.widths;
        let [
            query_scale,
            query_shift,
            context_scale,
            context_shift,
            query,
            query_bias,
            latent,
            expand,
            out,
            out_bias,
        ] = self.lengths().map(|length| take(&mut flat, length));
        Weights {
            query_scale,
            query_shift,
            context_scale,
            context_shift,
            query: View::new(query, context, queries),
            query_bias,
            latent: View::new(latent, narrow, context),
            expand: View::new(expand, 2 * context, narrow),
            out: View::new(out, context, context),
            out_bias,
        }
    }

    fn scratch(&self, counts: Counts) -> Scratch {
        let LatentWidths {
            queries,
            context,
            latent,
        } = self.widths;
        let zeros = |length: usize| vec![0.0; length];
        Scratch {
            query_normal: zeros(counts.queries * queries),
            query_inverse: zeros(counts.queries),
            query_input: zeros(counts.queries * queries),
            context_normal: zeros(counts.context * context),
            context_inverse: zeros(counts.context),
            context_input: zeros(counts.context * context),
            asked: zeros(counts.queries * context),
            latent: zeros(counts.context * latent),
            expanded: zeros(counts.context * 2 * context),
            attended: zeros(counts.queries * context),
            shares: zeros(counts.queries * counts.context * self.heads),
        }
    }

    fn halves<'a>(&self, expanded: &'a [f32], count: usize) -> [Tokens<'a>; 2] {
        let width = self.widths.context;
        [0, 1].map(|half| Tokens {
            data: expanded,
            offset: half * width,
            stride: 2 * width,
            count,
        })
    }

    /// One photo.
    fn forward(
        &self,
        weights: &Weights<'_>,
        counts: Counts,
        [queries, context]: [&[f32]; 2],
        out: &mut [f32],
        cores: Cores,
    ) {
        let LatentWidths {
            queries: query_width,
            context: width,
            latent: narrow,
        } = self.widths;
        let lengths = [
            queries.len(),
            context.len(),
            counts.queries * width,
            counts.context * narrow,
            counts.context * 2 * width,
            counts.queries * width,
        ];
        room::with(lengths.iter().sum(), |mut room| {
            let [query_input, context_input, asked, latent, expanded, attended] =
                lengths.map(|length| take_mut(&mut room, length));
            let norm = |x: &[f32], width: usize, scale: &[f32], shift: &[f32], out: &mut [f32]| {
                work::rows(cores, out, width, |first, out| {
                    let x = &x[first * width..][..out.len()];
                    kernels::layer_norm(x, scale, shift, self.epsilon, out);
                });
            };
            norm(
                queries,
                query_width,
                weights.query_scale,
                weights.query_shift,
                query_input,
            );
            norm(
                context,
                width,
                weights.context_scale,
                weights.context_shift,
                context_input,
            );
            work::rows(cores, asked, width, |_, asked| {
                kernels::repeat_row(weights.query_bias, asked)
            });
            let product = |destination: ViewMut<'_>, old, left, right: View<'_>| {
                multiply(destination, old, 1.0, left, right.transposed(), cores);
            };
            let input = View::new(query_input, counts.queries, query_width);
            product(
                ViewMut::new(asked, counts.queries, width),
                Old::Add,
                input,
                weights.query,
            );
            let input = View::new(context_input, counts.context, width);
            product(
                ViewMut::new(latent, counts.context, narrow),
                Old::Replace,
                input,
                weights.latent,
            );
            let input = View::new(latent, counts.context, narrow);
            product(
                ViewMut::new(expanded, counts.context, 2 * width),
                Old::Replace,
                input,
                weights.expand,
            );

            let [keys, values] = self.halves(expanded, counts.context);
            let asked = Tokens {
                data: asked,
                offset: 0,
                stride: width,
                count: counts.queries,
            };
            let tokens = [asked, keys, values];
            self.heads().attend_photos(tokens, attended, cores);
            // Of the context's tokens, the first ones.
            let residual = match self.residual {
                Residual::Context => context,
                Residual::Queries => queries,
            };
            work::rows(cores, out, width, |first, out| {
                kernels::repeat_row(weights.out_bias, out);
                kernels::add(out, &residual[first * width..][..out.len()]);
            });
            let attended = View::new(attended, counts.queries, width);
            product(
                ViewMut::new(out, counts.queries, width),
                Old::Add,
                attended,
                weights.out,
            );
        });
    }

    /// Everything up to the attended values of one photo, keeping what its gradient needs.
    fn attend(
        &self,
        weights: &Weights<'_>,
        queries: &[f32],
        context: &[f32],
        counts: Counts,
        scratch: &mut Scratch,
    ) {
        let widths = self.widths;
        let s = scratch;
        kernels::normalise(
            queries,
            widths.queries,
            self.epsilon,
            &mut s.query_normal,
            &mut s.query_inverse,
        );
        kernels::scale_and_shift(
            &s.query_normal,
            weights.query_scale,
            weights.query_shift,
            &mut s.query_input,
        );
        kernels::normalise(
            context,
            widths.context,
            self.epsilon,
            &mut s.context_normal,
            &mut s.context_inverse,
        );
        kernels::scale_and_shift(
            &s.context_normal,
            weights.context_scale,
            weights.context_shift,
            &mut s.context_input,
        );

        kernels::repeat_row(weights.query_bias, &mut s.asked);
        let input = View::new(&s.query_input, counts.queries, widths.queries);
        let asked = ViewMut::new(&mut s.asked, counts.queries, widths.context);
        multiply(
            asked,
            Old::Add,
            1.0,
            input,
            weights.query.transposed(),
            Cores::One,
        );
        let input = View::new(&s.context_input, counts.context, widths.context);
        let latent = ViewMut::new(&mut s.latent, counts.context, widths.latent);
        multiply(
            latent,
            Old::Replace,
            1.0,
            input,
            weights.latent.transposed(),
            Cores::One,
        );
        let latent = View::new(&s.latent, counts.context, widths.latent);
        let expanded = ViewMut::new(&mut s.expanded, counts.context, 2 * widths.context);
        multiply(
            expanded,
            Old::Replace,
            1.0,
            latent,
            weights.expand.transposed(),
            Cores::One,
        );

        let asked = Tokens {
            data: &s.asked,
            offset: 0,
            stride: widths.context,
            count: counts.queries,
        };
        let [keys, values] = self.halves(&s.expanded, counts.context);
        let out = TokensMut {
            data: &mut s.attended,
            offset: 0,
            stride: widths.context,
            count: counts.queries,
        };
        self.heads()
            .attend([asked, keys, values], out, &mut s.shares, true);
    }

    /// Gradients of queries, context and parameters.
    fn backward(
        &self,
        counts: Counts,
        [queries, context, flat, gradient]: [&[f32]; 4],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let weights = self.weights(flat);
        let LatentWidths {
            queries: query_width,
            context: width,
            latent: narrow,
        } = self.widths;
        let (query_photo, context_photo) = (counts.queries * query_width, counts.context * width);
        let out_photo = counts.queries * width;
        let photos = context.len() / context_photo;
        let (mut d_queries, mut d_context) = (vec![0.0; queries.len()], vec![0.0; context.len()]);
        let lengths = [query_photo, context_photo];
        let outs = [d_queries.as_mut_slice(), d_context.as_mut_slice()];
        let dp = work::backward(
            photos,
            1,
            lengths,
            outs,
            flat.len(),
            |index, _, [d_queries, d_context], dp| {
                let queries = &queries[index * query_photo..(index + 1) * query_photo];
                let context = &context[index * context_photo..(index + 1) * context_photo];
                let gradient = &gradient[index * out_photo..(index + 1) * out_photo];
                let mut dp = dp;
                let [
                    d_query_scale,
                    d_query_shift,
                    d_context_scale,
                    d_context_shift,
                    d_query,
                    d_query_bias,
                    d_latent,
                    d_expand,
                    d_out,
                    d_out_bias,
                ] = self.lengths().map(|length| take_mut(&mut dp, length));
                let mut s = self.scratch(counts);
                self.attend(&weights, queries, context, counts, &mut s);

                let outer = View::new(gradient, counts.queries, width);
                let attended = View::new(&s.attended, counts.queries, width);
                multiply(
                    ViewMut::new(d_out, width, width),
                    Old::Add,
                    1.0,
                    outer.transposed(),
                    attended,
                    Cores::One,
                );
                kernels::add_rows(d_out_bias, gradient);
                multiply(
                    ViewMut::new(&mut s.attended, counts.queries, width),
                    Old::Replace,
                    1.0,
                    outer,
                    weights.out,
                    Cores::One,
                );

                let mut d_asked = vec![0.0; out_photo];
                let mut d_expanded = vec![0.0; 2 * context_photo];
                let (keys_half, values_half) = d_expanded.split_at_mut(context_photo);
                let d_attended = Tokens {
                    data: &s.attended,
                    offset: 0,
                    stride: width,
                    count: counts.queries,
                };
                let asked = Tokens {
                    data: &s.asked,
                    offset: 0,
                    stride: width,
                    count: counts.queries,
                };
                let [keys, values] = self.halves(&s.expanded, counts.context);
                let mut scores = vec![0.0; counts.queries * counts.context];
                let mut asked_gradient = TokensMut {
                    data: &mut d_asked,
                    offset: 0,
                    stride: width,
                    count: counts.queries,
                };
                let [mut key_gradient, mut value_gradient] = [keys_half, values_half].map(|data| TokensMut {
                    data,
                    offset: 0,
                    stride: width,
                    count: counts.context,
                });
                self.heads().attend_backward(
                    [asked, keys, values],
                    d_attended,
                    [&mut asked_gradient, &mut key_gradient, &mut value_gradient],
                    &mut s.shares,
                    &mut scores,
                );

                // The queries' side.
                let inner = View::new(&d_asked, counts.queries, width);
                let input = View::new(&s.query_input, counts.queries, query_width);
                multiply(
                    ViewMut::new(d_query, width, query_width),
                    Old::Add,
                    1.0,
                    inner.transposed(),
                    input,
                    Cores::One,
                );
                kernels::add_rows(d_query_bias, &d_asked);
                let d_input = ViewMut::new(d_queries, counts.queries, query_width);
                multiply(d_input, Old::Replace, 1.0, inner, weights.query, Cores::One);
                kernels::normalise_backward(
                    &s.query_normal,
                    &s.query_inverse,
                    weights.query_scale,
                    d_queries,
                    d_query_scale,
                    d_query_shift,
                );

                // The context's side: keys and values, the latent, the norm.
                let latent = View::new(&s.latent, counts.context, narrow);
                let mut d_narrow = vec![0.0; counts.context * narrow];
                for (half, section) in d_expanded.chunks_exact(context_photo).enumerate() {
                    let inner = View::new(section, counts.context, width);
                    let part = &mut d_expand[half * width * narrow..(half + 1) * width * narrow];
                    multiply(
                        ViewMut::new(part, width, narrow),
                        Old::Add,
                        1.0,
                        inner.transposed(),
                        latent,
                        Cores::One,
                    );
                    let old = if half == 0 { Old::Replace } else { Old::Add };
                    let weight = weights.expand.rows(half * width, width);
                    multiply(
                        ViewMut::new(&mut d_narrow, counts.context, narrow),
                        old,
                        1.0,
                        inner,
                        weight,
                        Cores::One,
                    );
                }
                let inner = View::new(&d_narrow, counts.context, narrow);
                let input = View::new(&s.context_input, counts.context, width);
                multiply(
                    ViewMut::new(d_latent, narrow, width),
                    Old::Add,
                    1.0,
                    inner.transposed(),
                    input,
                    Cores::One,
                );
                multiply(
                    ViewMut::new(d_context, counts.context, width),
                    Old::Replace,
                    1.0,
                    inner,
                    weights.latent,
                    Cores::One,
                );
                kernels::normalise_backward(
                    &s.context_normal,
                    &s.context_inverse,
                    weights.context_scale,
                    d_context,
                    d_context_scale,
                    d_context_shift,
                );
                match self.residual {
                    Residual::Context => kernels::add(d_context, gradient),
                    Residual::Queries => kernels::add(d_queries, gradient),
                }
            },
        );
        (d_queries, d_context, dp)
    }

    fn counts(&self, queries: &Shape, context: &Shape) -> candle_core::Result<Counts> {
        let (batch, query_count, query_width) = queries.dims3()?;
        let (context_batch, context_count, context_width) = context.dims3()?;
        let widths = self.widths;
        if batch != context_batch || query_width != widths.queries || context_width != widths.context {
            candle_core::bail!(
                "latent attention of widths {widths:?} cannot take {queries:?} and {context:?}"
            );
        }
        match self.residual {
            Residual::Context if query_count > context_count => {
                candle_core::bail!(
                    "{query_count} queries, but only {context_count} context tokens to add them to"
                )
            }
            Residual::Queries if query_width != context_width => {
                candle_core::bail!(
                    "queries of width {query_width} cannot carry the residual of width {context_width}"
                )
            }
            _ => Ok(Counts {
                queries: query_count,
                context: context_count,
            }),
        }
    }
}

impl CustomOp3 for LatentShape {
    fn name(&self) -> &'static str {
        "latent-attention"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        query_layout: &Layout,
        context: &CpuStorage,
        context_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let counts = self.counts(query_layout.shape(), context_layout.shape())?;
        let (queries, context) = (values(queries, query_layout)?, values(context, context_layout)?);
        let weights = self.weights(values(flat, flat_layout)?);
        let width = self.widths.context;
        let (query_photo, context_photo) = (counts.queries * self.widths.queries, counts.context * width);
        let out_photo = counts.queries * width;
        let photos = context.len() / context_photo;
        let mut out = vec![0.0; photos * out_photo];
        let one = |index: usize, out: &mut [f32], cores: Cores| {
            let queries = &queries[index * query_photo..(index + 1) * query_photo];
            let context = &context[index * context_photo..(index + 1) * context_photo];
            self.forward(&weights, counts, [queries, context], out, cores);
        };
        if work::in_turn(photos, self.lengths().iter().sum()) {
            for (index, out) in out.chunks_mut(out_photo.max(1)).enumerate() {
                one(index, out, Cores::All);
            }
        } else {
            work::forward(photos, 1, out_photo, &mut out, |index, _, out| {
                one(index, out, Cores::One)
            });
        }
        Ok((CpuStorage::F32(out), Shape::from((photos, counts.queries, width))))
    }

    fn bwd(
        &self,
        queries: &Tensor,
        context: &Tensor,
        flat: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let counts = self.counts(queries.shape(), context.shape())?;
        let (d_queries, d_context, dp) = with_values([queries, context, flat, gradient], |slices| {
            Ok(self.backward(counts, slices))
        })?;
        Ok((
            Some(tensor(d_queries, queries.dims())?),
            Some(tensor(d_context, context.dims())?),
            Some(tensor(dp, flat.dims())?),
        ))
    }
}
