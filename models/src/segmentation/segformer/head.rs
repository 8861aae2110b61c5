//! The head: every stage's map to one width, resized to the finest and mixed, then a class for every cell.
//!
//! As published, maps are projected, resized, put side by side and projected again, at the finest resolution, where most of
//! the network's time would go. But nothing between those two projections is nonlinear, and resizing commutes with a
//! projection of channels: so both projections and the batch norm after them become one matrix a stage, applied before
//! resizing.

use candle_core::{DType, Device, Tensor};

use super::config::SegFormerConfig;
use super::encoder::EPSILON;
use crate::ops::{LayerNorm, Projection, resize};
use crate::weights::PublishedWeights;
use crate::{Activation, ParameterSpec, Parameters, Result};

const ROOT: &str = "decode_head";

/// The head.
#[derive(Clone, Debug)]
pub struct Head {
    /// By stage; the first one has the bias of all.
    stages: Vec<Projection>,
    classifier: Projection,
}

impl Head {
    /// The name of the tensor whose rows are the classes.
    pub(super) const CLASSES: &str = "decode_head.classifier.weight";

    /// The tensors that it needs for this many classes.
    #[must_use]
    pub fn specs(config: &SegFormerConfig, classes: usize) -> Vec<ParameterSpec> {
        let (width, stages) = (config.decoder_hidden_size, config.num_encoder_blocks);
        let mut specs = Vec::new();
        for stage in 0..stages {
            let name = format!("{ROOT}.linear_c.{stage}.proj");
            specs.extend(ParameterSpec::linear(&name, config.hidden_sizes[stage], width));
        }
        specs.push(ParameterSpec::weight(
            format!("{ROOT}.linear_fuse.weight"),
            &[width, width * stages, 1, 1],
        ));
        specs.extend(LayerNorm::specs(&format!("{ROOT}.batch_norm"), width));
        for statistic in ["running_mean", "running_var"] {
            let name = format!("{ROOT}.batch_norm.{statistic}");
            specs.push(ParameterSpec::constant(name, &[width], 0.0));
        }
        specs.push(ParameterSpec::weight(Self::CLASSES, &[classes, width, 1, 1]));
        specs.push(ParameterSpec::constant(
            format!("{ROOT}.classifier.bias"),
            &[classes],
            0.0,
        ));
        specs
    }

    /// Reads the tensors.
    ///
    /// # Errors
    /// As [`PublishedWeights::read`].
    pub fn new(
        config: &SegFormerConfig,
        classes: usize,
        weights: &PublishedWeights,
        device: &Device,
    ) -> Result<Self> {
        let parameters = weights.read(Self::specs(config, classes), &Device::Cpu)?;
        let to_device = |weight: &Tensor, bias: Option<&Tensor>| -> Result<Projection> {
            let here = |x: &Tensor| x.to_dtype(DType::F32)?.to_device(device);
            Projection::from_tensors(here(weight)?, bias.map(here).transpose()?)
        };
        let (merged, bias) = merge(&parameters, config)?;
        let stages = merged
            .iter()
            .enumerate()
            .map(|(stage, weight)| to_device(weight, (stage == 0).then_some(&bias)));
        Ok(Self {
            stages: stages.collect::<Result<_>>()?,
            classifier: to_device(
                &parameters.get(Self::CLASSES)?,
                Some(&parameters.get(&format!("{ROOT}.classifier.bias"))?),
            )?,
        })
    }

    /// The encoder's maps, finest first, to scores of the classes `[batch, height, width, classes]` at the finest map's size.
    ///
    /// # Errors
    /// When the maps are others than the head was made for.
    pub fn forward(&self, maps: &[Tensor]) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (map, stage) in maps.iter().zip(&self.stages) {
            let projected = stage.forward(map)?;
            sum = Some(match sum {
                None => projected,
                Some(sum) => {
                    let (_, height, width, _) = sum.dims4()?;
                    (sum + resize(&projected, (height, width))?)?
                }
            });
        }
        let sum = sum.ok_or_else(|| candle_core::Error::Msg("an encoder without stages".to_owned()))?;
        self.classifier
            .forward(&crate::ops::activate(&sum, Activation::Relu)?)
    }
}

/// One matrix a stage, `[width, width of stage]`, and the bias of their sum, in f64.
fn merge(parameters: &Parameters, config: &SegFormerConfig) -> Result<(Vec<Tensor>, Tensor)> {
    let get = |name: String| -> Result<Tensor> { Ok(parameters.get(&name)?.to_dtype(DType::F64)?) };
    let norm = |part: &str| get(format!("{ROOT}.batch_norm.{part}"));
    let (width, count) = (config.decoder_hidden_size, config.num_encoder_blocks);
    let scale = (norm("weight")? / (norm("running_var")? + EPSILON)?.sqrt()?)?;
    let mut bias = (norm("bias")? - (norm("running_mean")? * &scale)?)?;
    let scale = scale.reshape((width, 1))?;
    let fuse = get(format!("{ROOT}.linear_fuse.weight"))?.reshape((width, width * count))?;
    let mut merged = Vec::with_capacity(count);
    for stage in 0..count {
        // The maps lie side by side from the coarsest to the finest.
        let part = fuse
            .narrow(1, (count - 1 - stage) * width, width)?
            .broadcast_mul(&scale)?
            .contiguous()?;
        let name = format!("{ROOT}.linear_c.{stage}.proj");
        let shift = get(format!("{name}.bias"))?.reshape((width, 1))?;
        bias = (bias + part.matmul(&shift)?.reshape(width)?)?;
        merged.push(part.matmul(&get(format!("{name}.weight"))?)?);
    }
    Ok((merged, bias))
}
