//! AdamW with parameter groups, clipping by global norm and a state that can be saved and loaded.
//!
//! candle-nn's AdamW hides its moments, so that a run could not be resumed exactly; it skips parameters without gradient
//! in silence; it has neither groups nor clipping.
//!
//! For every parameter x with gradient g (after clipping), step t:
//! `x ← x (1 − rate·decay)`, `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
//! `x ← x − rate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`, as PyTorch's.

use std::collections::{BTreeMap, HashMap};

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Tensor, Var};

use crate::config::OptimizerConfig;
use crate::{Error, Result};

/// One parameter as the optimiser sees it.
#[derive(Debug, Clone)]
pub struct Trained {
    /// Its name, unique in the model.
    pub name: String,
    /// Its value.
    pub var: Var,
    /// Its learning rate as a multiple of the common one.
    pub rate: f64,
    /// Whether weight decay applies.
    pub decay: bool,
}

/// AdamW over named parameters.
#[derive(Debug)]
pub struct AdamW {
    config: OptimizerConfig,
    parameters: Vec<Trained>,
    first: Vec<Var>,
    second: Vec<Var>,
    steps: u64,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSummary {
    /// Global norm of the gradients before clipping.
    pub gradient_norm: f64,
}

impl AdamW {
    /// An optimiser whose moments are zero.
    ///
    /// # Errors
    /// The device has no room for the moments.
    pub fn new(parameters: Vec<Trained>, config: OptimizerConfig) -> Result<Self> {
        let zeros = |p: &Trained| Ok(Var::zeros(p.var.shape(), p.var.dtype(), p.var.device())?);
        let first = parameters.iter().map(zeros).collect::<Result<_>>()?;
        let second = parameters.iter().map(zeros).collect::<Result<_>>()?;
        Ok(Self {
            config,
            parameters,
            first,
            second,
            steps: 0,
        })
    }

    /// The parameters, in the order in which [`AdamW::step`] takes gradients.
    pub fn parameters(&self) -> &[Trained] {
        &self.parameters
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Changes every parameter once. `gradients` stand in the order of [`AdamW::parameters`].
    ///
    /// # Errors
    /// [`Error::MissingGradient`] before anything is changed if a parameter has none.
    pub fn step(&mut self, gradients: &[Option<Tensor>], rate: f64) -> Result<StepSummary> {
        let gradients: Vec<&Tensor> = self
            .parameters
            .iter()
            .zip(gradients)
            .map(|(p, g)| g.as_ref().ok_or_else(|| Error::MissingGradient(p.name.clone())))
            .collect::<Result<_>>()?;
        let mut squares = 0.0;
        for gradient in &gradients {
            squares += square_sum(gradient)?;
        }
        let norm = squares.sqrt();
        let clip = if self.config.clip_norm > 0.0 {
            (self.config.clip_norm / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        self.steps += 1;
        let t = i32::try_from(self.steps).unwrap_or(i32::MAX);
        for (((parameter, gradient), first), second) in self
            .parameters
            .iter()
            .zip(gradients)
            .zip(&self.first)
            .zip(&self.second)
        {
            let update = Update {
                beta1: self.config.beta1,
                beta2: self.config.beta2,
                epsilon: self.config.epsilon,
                clip,
                rate: rate * parameter.rate,
                shrink: 1.0
                    - if parameter.decay {
                        rate * parameter.rate * self.config.weight_decay
                    } else {
                        0.0
                    },
                correction1: 1.0 - self.config.beta1.powi(t),
                correction2: 1.0 - self.config.beta2.powi(t),
            };
            update.apply(&parameter.var, first, second, gradient)?;
        }
        Ok(StepSummary { gradient_norm: norm })
    }

    /// The moments as tensors named `first.{name}` and `second.{name}`.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let named = |kind: &'static str, vars: &[Var]| -> Vec<(String, Tensor)> {
            let entry = |(p, v): (&Trained, &Var)| (format!("{kind}.{}", p.name), v.as_detached_tensor());
            self.parameters.iter().zip(vars).map(entry).collect()
        };
        named("first", &self.first)
            .into_iter()
            .chain(named("second", &self.second))
            .collect()
    }

    /// Takes back what [`AdamW::state`] gave, and the count of steps that belongs to it.
    ///
    /// # Errors
    /// A tensor that is absent or has another shape, named.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>, steps: u64) -> Result<()> {
        for (kind, vars) in [("first", &self.first), ("second", &self.second)] {
            for (parameter, var) in self.parameters.iter().zip(vars) {
                let name = format!("{kind}.{}", parameter.name);
                let tensor = state
                    .get(&name)
                    .ok_or_else(|| Error::Config(format!("the saved state lacks {name}")))?;
                if tensor.shape() != var.shape() {
                    return Err(Error::Config(format!(
                        "{name} has the shape {:?} in the saved state and {:?} in the model",
                        tensor.dims(),
                        var.dims()
                    )));
                }
                var.set(tensor)?;
            }
        }
        self.steps = steps;
        Ok(())
    }
}

/// The sum of squares of a tensor's values, in f64 and in a fixed order on the CPU.
fn square_sum(tensor: &Tensor) -> Result<f64> {
    if !tensor.device().is_cpu() {
        return Ok(f64::from(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?));
    }
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let candle_core::Storage::Cpu(storage) = &*storage else {
        return Err(Error::Config("a CPU tensor without CPU storage".to_owned()));
    };
    let values = values(storage, layout)?;
    // Sixteen running sums, so that the loop is vectorised; chunks, so that f32 keeps its accuracy.
    let mut total = 0.0f64;
    for chunk in values.chunks(4096) {
        let mut lanes = [0f32; 16];
        let mut sixteens = chunk.chunks_exact(16);
        for sixteen in &mut sixteens {
            for (lane, v) in lanes.iter_mut().zip(sixteen) {
                *lane += v * v;
            }
        }
        total += lanes.iter().map(|v| f64::from(*v)).sum::<f64>();
        total += sixteens.remainder().iter().map(|v| f64::from(v * v)).sum::<f64>();
    }
    Ok(total)
}

/// The numbers of one parameter's step.
#[derive(Debug, Clone, Copy)]
struct Update {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    clip: f64,
    rate: f64,
    shrink: f64,
    correction1: f64,
    correction2: f64,
}

impl Update {
    fn apply(&self, value: &Var, first: &Var, second: &Var, gradient: &Tensor) -> Result<()> {
        if value.device().is_cpu() {
            let gradient = gradient.detach().contiguous()?;
            first.inplace_op2(
                &gradient,
                &Average {
                    keep: self.beta1 as f32,
                    scale: self.clip as f32,
                    squared: false,
                },
            )?;
            second.inplace_op2(
                &gradient,
                &Average {
                    keep: self.beta2 as f32,
                    scale: self.clip as f32,
                    squared: true,
                },
            )?;
            value.inplace_op3(first, second, self)?;
            return Ok(());
        }
        let gradient = (gradient.detach() * self.clip)?;
        let m = ((first.as_detached_tensor() * self.beta1)? + (&gradient * (1.0 - self.beta1))?)?;
        let v = ((second.as_detached_tensor() * self.beta2)? + (gradient.sqr()? * (1.0 - self.beta2))?)?;
        let change = ((&m / self.correction1)? / ((&v / self.correction2)?.sqrt()? + self.epsilon)?)?;
        value.set(&((value.as_detached_tensor() * self.shrink)? - (change * self.rate)?)?)?;
        first.set(&m)?;
        second.set(&v)?;
        Ok(())
    }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("the optimiser needs contiguous tensors");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> candle_core::Result<&'a mut [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("the optimiser needs contiguous tensors");
    };
    let CpuStorage::F32(values) = storage else {
        candle_core::bail!("the optimiser needs f32 parameters")
    };
    Ok(&mut values[start..end])
}

/// `moment ← keep · moment + (1 − keep) · (scale · gradient)`, squared or not.
struct Average {
    keep: f32,
    scale: f32,
    squared: bool,
}

impl InplaceOp2 for Average {
    fn name(&self) -> &'static str {
        "adamw-moment"
    }

    fn cpu_fwd(
        &self,
        moment: &mut CpuStorage,
        l1: &Layout,
        gradient: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<()> {
        let (moment, gradient) = (values_mut(moment, l1)?, values(gradient, l2)?);
        let new = 1.0 - self.keep;
        if self.squared {
            for (m, g) in moment.iter_mut().zip(gradient) {
                let g = g * self.scale;
                *m = self.keep * *m + new * (g * g);
            }
        } else {
            let new = new * self.scale;
            for (m, g) in moment.iter_mut().zip(gradient) {
                *m = self.keep * *m + new * g;
            }
        }
        Ok(())
    }
}

impl InplaceOp3 for Update {
    fn name(&self) -> &'static str {
        "adamw-update"
    }

    fn cpu_fwd(
        &self,
        value: &mut CpuStorage,
        l1: &Layout,
        first: &CpuStorage,
        l2: &Layout,
        second: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<()> {
        let (value, first, second) = (values_mut(value, l1)?, values(first, l2)?, values(second, l3)?);
        let (rate, shrink) = ((self.rate / self.correction1) as f32, self.shrink as f32);
        let (root, epsilon) = (self.correction2.sqrt().recip() as f32, self.epsilon as f32);
        for ((x, m), v) in value.iter_mut().zip(first).zip(second) {
            *x = shrink * *x - rate * m / (v.sqrt() * root + epsilon);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use candle_core::Device;

    use super::*;

    fn trained(name: &str, values: &[f32], decay: bool, rate: f64) -> Trained {
        Trained {
            name: name.into(),
            var: Var::new(values, &Device::Cpu).unwrap(),
            rate,
            decay,
        }
    }

    fn value(p: &Trained) -> Vec<f32> {
        p.var.to_vec1().unwrap()
    }

    /// torch.optim.AdamW's documented update, in f64, for one number.
    fn reference(mut x: f64, gradients: &[f64], rate: f64, decay: f64) -> f64 {
        let (mut m, mut v) = (0.0, 0.0);
        for (t, g) in gradients.iter().enumerate() {
            let t = t as i32 + 1;
            x -= rate * decay * x;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            x -= rate * (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
        }
        x
    }

    #[test]
    fn equals_the_published_update() {
        let config = OptimizerConfig {
            weight_decay: 0.1,
            clip_norm: 0.0,
            ..OptimizerConfig::default()
        };
        let parameters = vec![
            trained("a", &[0.5, -2.0], true, 1.0),
            trained("b", &[3.0], false, 2.0),
        ];
        let mut adam = AdamW::new(parameters, config).unwrap();
        let rounds = [([0.3, -0.1], [4.0]), ([-0.2, 0.7], [0.0]), ([0.05, 0.0], [-1.0])];
        for (a, b) in &rounds {
            let tensors = [Tensor::new(a, &Device::Cpu), Tensor::new(b, &Device::Cpu)];
            let gradients: Vec<Option<Tensor>> = tensors
                .into_iter()
                .map(|t| Some(t.unwrap().to_dtype(candle_core::DType::F32).unwrap()))
                .collect();
            adam.step(&gradients, 0.01).unwrap();
        }
        let of = |i: usize| rounds.iter().map(|(a, _)| a[i]).collect::<Vec<f64>>();
        let (a, b) = (value(&adam.parameters()[0]), value(&adam.parameters()[1]));
        assert!((f64::from(a[0]) - reference(0.5, &of(0), 0.01, 0.1)).abs() < 1e-6);
        assert!((f64::from(a[1]) - reference(-2.0, &of(1), 0.01, 0.1)).abs() < 1e-6);
        let gradients: Vec<f64> = rounds.iter().map(|(_, b)| b[0]).collect();
        assert!((f64::from(b[0]) - reference(3.0, &gradients, 0.02, 0.0)).abs() < 1e-6);
    }

    #[test]
    fn clipping_scales_all_gradients_by_the_global_norm() {
        let config = |clip_norm| OptimizerConfig {
            clip_norm,
            epsilon: 1.0,
            weight_decay: 0.0,
            ..OptimizerConfig::default()
        };
        let run = |clip: f64, scale: f32| {
            let mut adam = AdamW::new(vec![trained("a", &[0.0, 0.0], true, 1.0)], config(clip)).unwrap();
            let gradient = Tensor::new(&[3.0 * scale, 4.0 * scale], &Device::Cpu).unwrap();
            let summary = adam.step(&[Some(gradient)], 1.0).unwrap();
            (summary.gradient_norm, value(&adam.parameters()[0]))
        };
        let (norm, clipped) = run(1.0, 1.0);
        assert!((norm - 5.0).abs() < 1e-6);
        let (_, small) = run(0.0, 0.2);
        assert!(
            clipped.iter().zip(&small).all(|(a, b)| (a - b).abs() < 1e-6),
            "{clipped:?} {small:?}"
        );
        assert_eq!(
            run(10.0, 1.0).1,
            run(0.0, 1.0).1,
            "a small gradient is left alone"
        );
    }

    #[test]
    fn a_missing_gradient_is_named_and_changes_nothing() {
        let mut adam = AdamW::new(
            vec![
                trained("a", &[1.0], true, 1.0),
                trained("blocks.3.scale", &[1.0], true, 1.0),
            ],
            OptimizerConfig::default(),
        )
        .unwrap();
        let error = adam
            .step(&[Some(Tensor::new(&[1f32], &Device::Cpu).unwrap()), None], 0.1)
            .unwrap_err();
        assert!(error.to_string().contains("blocks.3.scale"), "{error}");
        assert_eq!(value(&adam.parameters()[0]), [1.0]);
        assert_eq!(adam.steps(), 0);
    }

    #[test]
    fn a_restored_state_goes_on_bit_for_bit() {
        let gradient = |k: f32| vec![Some(Tensor::new(&[k, -0.5 * k, k * k], &Device::Cpu).unwrap())];
        let mut whole = AdamW::new(
            vec![trained("a", &[1.0, 2.0, 3.0], true, 1.0)],
            OptimizerConfig::default(),
        )
        .unwrap();
        let mut first = AdamW::new(
            vec![trained("a", &[1.0, 2.0, 3.0], true, 1.0)],
            OptimizerConfig::default(),
        )
        .unwrap();
        for k in 1..=3 {
            whole.step(&gradient(k as f32), 0.1).unwrap();
            first.step(&gradient(k as f32), 0.1).unwrap();
        }
        let state: HashMap<String, Tensor> = first
            .state()
            .into_iter()
            .map(|(n, t)| (n, t.copy().unwrap()))
            .collect();
        let mut second = AdamW::new(
            vec![trained("a", &value(&first.parameters()[0]), true, 1.0)],
            OptimizerConfig::default(),
        )
        .unwrap();
        second.restore(&state, first.steps()).unwrap();
        for k in 4..=6 {
            whole.step(&gradient(k as f32), 0.1).unwrap();
            second.step(&gradient(k as f32), 0.1).unwrap();
        }
        assert_eq!(value(&whole.parameters()[0]), value(&second.parameters()[0]));
        assert!(second.restore(&HashMap::new(), 0).is_err());
    }
}
