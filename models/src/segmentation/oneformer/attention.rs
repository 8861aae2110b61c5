//! Multi-head attention of the transformer decoder, under both ways in which the published files name its weights.

use candle_core::Tensor;

use crate::ops::{Projection, attend};
use crate::{ParameterSpec, Parameters, Result};

/// Multi-head attention.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    query: Projection,
    key: Projection,
    value: Projection,
    out: Projection,
    heads: usize,
}

impl Attention {
    /// Tensors with the three projections below each other.
    pub(super) fn joined_specs(name: &str, width: usize) -> Vec<ParameterSpec> {
        let mut specs = vec![
            ParameterSpec::weight(format!("{name}.in_proj_weight"), &[3 * width, width]),
            ParameterSpec::constant(format!("{name}.in_proj_bias"), &[3 * width], 0.0),
        ];
        specs.extend(ParameterSpec::linear(&format!("{name}.out_proj"), width, width));
        specs
    }

    /// Takes the tensors of [`Attention::joined_specs`].
    pub(super) fn joined(parameters: &Parameters, name: &str, heads: usize) -> Result<Self> {
        let weight = parameters.get(&format!("{name}.in_proj_weight"))?;
        let bias = parameters.get(&format!("{name}.in_proj_bias"))?;
        let width = weight.dim(1)?;
        let third = |index: usize| {
            Projection::from_tensors(
                weight.narrow(0, index * width, width)?,
                Some(bias.narrow(0, index * width, width)?),
            )
        };
        Ok(Self {
            query: third(0)?,
            key: third(1)?,
            value: third(2)?,
            out: Projection::new(parameters, &format!("{name}.out_proj"))?,
            heads,
        })
    }

    /// Tensors with each projection by itself.
    pub(super) fn separate_specs(name: &str, width: usize) -> Vec<ParameterSpec> {
        ["q_proj", "k_proj", "v_proj", "out_proj"]
            .iter()
            .flat_map(|part| ParameterSpec::linear(&format!("{name}.{part}"), width, width))
            .collect()
    }

    /// Takes the tensors of [`Attention::separate_specs`].
    pub(super) fn separate(parameters: &Parameters, name: &str, heads: usize) -> Result<Self> {
        let part = |part: &str| Projection::new(parameters, &format!("{name}.{part}"));
        Ok(Self {
            query: part("q_proj")?,
            key: part("k_proj")?,
            value: part("v_proj")?,
            out: part("out_proj")?,
            heads,
        })
    }

    /// Queries `[batch, queries, width]`, keys and values `[batch, keys, width]`; with a mask `[batch, queries, keys]`, keys
    /// at which it is negative are hidden. A batch of one key sequence serves all queries.
    pub(super) fn forward(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<Tensor> {
        let batch = queries.dim(0)?;
        let spread = |x: Tensor| -> Result<Tensor> {
            if x.dim(0)? == batch {
                return Ok(x);
            }
            let (_, count, width) = x.dims3()?;
            Ok(x.broadcast_as((batch, count, width))?.contiguous()?)
        };
        let keys = spread(self.key.forward(keys)?)?;
        let values = spread(self.value.forward(values)?)?;
        let queries = self.query.forward(queries)?;
        self.out
            .forward(&attend(&queries, &keys, &values, self.heads, mask)?)
    }
}
