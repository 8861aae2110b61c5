//! Named parameters: seeded initialisation, strict loading, atomic saving.
//!
//! A module declares its parameters as [`ParameterSpec`]s and later takes them by name, so that the tensors that a
//! configuration needs are known without allocating any.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Precision, Result};

/// The distribution that a parameter's first values are drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normal, mean 0, with this standard deviation.
    Normal(f64),
    /// One value everywhere.
    Constant(f32),
}

/// A parameter's declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Unique name; the vision tower has the names of the published CLIP files.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// First values.
    pub init: Init,
    /// Whether it is trained.
    pub trainable: bool,
    /// Whether weight decay applies: not to norms, biases, positions and temperatures.
    pub decay: bool,
}

impl ParameterSpec {
    /// A weight matrix (or other decayed tensor), normal with standard deviation `1/√fan_in`.
    #[must_use]
    pub fn weight(name: impl Into<String>, shape: &[usize]) -> Self {
        let fan_in: usize = shape.iter().skip(1).product();
        let deviation = 1.0 / (fan_in.max(1) as f64).sqrt();
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            init: Init::Normal(deviation),
            trainable: true,
            decay: true,
        }
    }

    /// A table of positions or class tokens, normal with standard deviation 0.02, not decayed.
    #[must_use]
    pub fn positions(name: impl Into<String>, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            init: Init::Normal(0.02),
            trainable: true,
            decay: false,
        }
    }

    /// A bias, a norm's scale or another constant start, not decayed.
    #[must_use]
    pub fn constant(name: impl Into<String>, shape: &[usize], value: f32) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            init: Init::Constant(value),
            trainable: true,
            decay: false,
        }
    }

    /// The scale and shift of a layer norm, `{name}.weight` and `{name}.bias`.
    #[must_use]
    pub fn layer_norm(name: &str, width: usize) -> [Self; 2] {
        [
            Self::constant(format!("{name}.weight"), &[width], 1.0),
            Self::constant(format!("{name}.bias"), &[width], 0.0),
        ]
    }

    /// The weight `[outputs, inputs]` and bias `[outputs]` of a linear layer, `{name}.weight` and `{name}.bias`.
    #[must_use]
    pub fn linear(name: &str, inputs: usize, outputs: usize) -> [Self; 2] {
        [
            Self::weight(format!("{name}.weight"), &[outputs, inputs]),
            Self::constant(format!("{name}.bias"), &[outputs], 0.0),
        ]
    }

    /// The same with this standard deviation at the start.
    #[must_use]
    pub fn deviation(mut self, deviation: f64) -> Self {
        self.init = Init::Normal(deviation);
        self
    }

    /// The same, trained or not.
    #[must_use]
    pub fn trained(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// Values that the parameter holds.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

#[derive(Clone, Debug)]
struct Parameter {
    spec: ParameterSpec,
    var: Var,
}

/// All parameters of a network, ordered by name, all f32 unless [`Parameters::frozen_in`] made them.
///
/// A clone shares the values.
#[derive(Clone, Debug)]
pub struct Parameters {
    by_name: BTreeMap<String, Parameter>,
    device: Device,
}

impl Parameters {
    /// Draws every parameter. A parameter's values depend on the seed, its name and its declaration only, so that a
    /// module added elsewhere changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] when two specs have one name; [`Error::Tensor`] when the device has no room.
    pub fn initialise(specs: Vec<ParameterSpec>, seed: u64, device: &Device) -> Result<Self> {
        Self::build(specs, device, |spec| {
            Ok(Tensor::from_vec(draw(spec, seed), spec.shape.as_slice(), device)?)
        })
    }

    /// As [`Parameters::initialise`], but takes the values that `given` knows, such as those of published weights.
    ///
    /// # Errors
    /// As [`Parameters::initialise`], those of `given`, and [`Error::Config`] for values of another shape.
    pub fn initialise_from(
        specs: Vec<ParameterSpec>,
        seed: u64,
        device: &Device,
        given: impl Fn(&ParameterSpec) -> Result<Option<Tensor>>,
    ) -> Result<Self> {
        Self::build(specs, device, |spec| match given(spec)? {
            Some(tensor) if tensor.dims() == spec.shape => Ok(tensor),
            Some(tensor) => Err(Error::Config(format!(
                "parameter '{}' has shape {:?} where the values given have {:?}",
                spec.name,
                spec.shape,
                tensor.dims()
            ))),
            None => Ok(Tensor::from_vec(draw(spec, seed), spec.shape.as_slice(), device)?),
        })
    }

    /// Reads every parameter from a safetensors file that holds exactly these; f16 and bf16 become f32.
    ///
    /// # Errors
    /// [`Error::Weights`] for a file that is not safetensors or cut short; [`Error::MissingTensor`],
    /// [`Error::UnexpectedTensor`], [`Error::Shape`] and [`Error::NotFinite`] name tensor and file.
    pub fn load(specs: Vec<ParameterSpec>, path: &Path, device: &Device) -> Result<Self> {
        let file = WeightsFile::open(path)?;
        for name in file.shapes.keys() {
            if !specs.iter().any(|spec| &spec.name == name) {
                return Err(Error::UnexpectedTensor {
                    name: name.clone(),
                    file: path.to_owned(),
                });
            }
        }
        Self::build(specs, device, |spec| file.tensor(spec, device))
    }

    /// Copies the tensors that the file has and this network too, for a start from published weights.
    /// Returns the names that were copied, in order.
    ///
    /// # Errors
    /// As [`Parameters::load`], but for tensors that only one side has.
    pub fn load_partial(&mut self, path: &Path) -> Result<Vec<String>> {
        let file = WeightsFile::open(path)?;
        let mut copied = Vec::new();
        for (name, parameter) in &self.by_name {
            if file.shapes.contains_key(name) {
                parameter.var.set(&file.tensor(&parameter.spec, &self.device)?)?;
                copied.push(name.clone());
            }
        }
        Ok(copied)
    }

    /// Checks names and shapes of a safetensors file against specs, without building tensors.
    ///
    /// # Errors
    /// As [`Parameters::load`], but for values, which are not looked at.
    pub fn verify(specs: &[ParameterSpec], path: &Path) -> Result<()> {
        let file = WeightsFile::open(path)?;
        for name in file.shapes.keys() {
            if !specs.iter().any(|spec| &spec.name == name) {
                return Err(Error::UnexpectedTensor {
                    name: name.clone(),
                    file: path.to_owned(),
                });
            }
        }
        specs.iter().try_for_each(|spec| file.check(spec))
    }

    /// Parameters whose values come from elsewhere, none of them trained.
    pub(crate) fn frozen(
        specs: Vec<ParameterSpec>,
        device: &Device,
        value: impl FnMut(&ParameterSpec) -> Result<Tensor>,
    ) -> Result<Self> {
        Ok(Self::build(specs, device, value)?.freeze())
    }

    fn build(
        specs: Vec<ParameterSpec>,
        device: &Device,
        mut value: impl FnMut(&ParameterSpec) -> Result<Tensor>,
    ) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for spec in specs {
            let var = Var::from_tensor(&value(&spec)?)?;
            if let Some(other) = by_name.insert(spec.name.clone(), Parameter { spec, var }) {
                return Err(Error::Config(format!(
                    "two parameters are named '{}'",
                    other.spec.name
                )));
            }
        }
        Ok(Self {
            by_name,
            device: device.clone(),
        })
    }

    /// Writes every parameter as safetensors: a temporary file beside the target, then renamed over it.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written; [`Error::Weights`] when the tensors cannot be serialised.
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors: HashMap<&str, Tensor> = self
            .by_name
            .iter()
            .map(|(name, parameter)| (name.as_str(), parameter.var.as_detached_tensor()))
            .collect();
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        let temporary = temporary_in(folder)?;
        candle_core::safetensors::save(&tensors, temporary.path()).map_err(|error| Error::Weights {
            file: path.to_owned(),
            reason: error.to_string(),
        })?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// The same values, none of them trained: forward passes over the result keep no graph.
    #[must_use]
    pub fn freeze(mut self) -> Self {
        for parameter in self.by_name.values_mut() {
            parameter.spec.trainable = false;
        }
        self
    }

    /// The frozen parameters whose name `wanted` accepts, in another number format and none of them shared.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the device has no room.
    pub fn frozen_in(&self, precision: Precision, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for (name, parameter) in &self.by_name {
            if parameter.spec.trainable || !wanted(name) {
                continue;
            }
            let tensor = parameter.var.as_detached_tensor().to_dtype(precision.dtype())?;
            let parameter = Parameter {
                spec: parameter.spec.clone(),
                var: Var::from_tensor(&tensor)?,
            };
            by_name.insert(name.clone(), parameter);
        }
        Ok(Self {
            by_name,
            device: self.device.clone(),
        })
    }

    /// The same values in f64, each a variable of its own: what gradients are checked with.
    #[cfg(test)]
    pub(crate) fn in_f64(&self) -> Result<Self> {
        let mut double = self.clone();
        for parameter in double.by_name.values_mut() {
            parameter.var = Var::from_tensor(&parameter.var.as_tensor().to_dtype(DType::F64)?)?;
        }
        Ok(double)
    }

    /// The parameters that are not trained, in the order of their names.
    pub fn frozen_tensors(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.by_name
            .iter()
            .filter(|(_, parameter)| !parameter.spec.trainable)
            .map(|(name, parameter)| (name.as_str(), parameter.var.as_detached_tensor()))
    }

    /// The tensor of a parameter; tracked by the graph if it is trained.
    ///
    /// # Errors
    /// [`Error::UnknownParameter`].
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let parameter = self
            .by_name
            .get(name)
            .ok_or_else(|| Error::UnknownParameter(name.to_owned()))?;
        Ok(if parameter.spec.trainable {
            parameter.var.as_tensor().clone()
        } else {
            parameter.var.as_detached_tensor()
        })
    }

    /// The variable of a parameter, trained or not.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&Var> {
        self.by_name.get(name).map(|parameter| &parameter.var)
    }

    /// The trained parameters in the order of their names: name, variable, and whether weight decay applies.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Var, bool)> {
        self.by_name
            .iter()
            .filter(|(_, parameter)| parameter.spec.trainable)
            .map(|(name, parameter)| (name.as_str(), &parameter.var, parameter.spec.decay))
    }

    /// Every parameter's declaration, in the order of their names.
    pub fn specs(&self) -> impl Iterator<Item = &ParameterSpec> {
        self.by_name.values().map(|parameter| &parameter.spec)
    }

    /// Values in all parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.specs().map(ParameterSpec::elements).sum()
    }

    /// Where the parameters live.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// A safetensors file, mapped, with the shapes of its tensors.
struct WeightsFile<'a> {
    path: &'a Path,
    tensors: MmapedSafetensors,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl<'a> WeightsFile<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        // For an error that names the file.
        fs_err::File::open(path)?;
        // SAFETY: the map is read-only; weights are written by rename, never in place, so a file does not change below us.
        let tensors = unsafe { MmapedSafetensors::new(path) }.map_err(|error| Error::Weights {
            file: path.to_owned(),
            reason: error.to_string(),
        })?;
        let shapes = tensors
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, view.shape().to_vec()))
            .collect();
        Ok(Self {
            path,
            tensors,
            shapes,
        })
    }

    fn check(&self, spec: &ParameterSpec) -> Result<()> {
        let file = || self.path.to_owned();
        match self.shapes.get(&spec.name) {
            None => Err(Error::MissingTensor {
                name: spec.name.clone(),
                file: file(),
            }),
            Some(found) if *found != spec.shape => Err(Error::Shape {
                name: spec.name.clone(),
                file: file(),
                expected: spec.shape.clone(),
                found: found.clone(),
            }),
            Some(_) => Ok(()),
        }
    }

    fn tensor(&self, spec: &ParameterSpec, device: &Device) -> Result<Tensor> {
        self.check(spec)?;
        let tensor = self.tensors.load(&spec.name, device)?.to_dtype(DType::F32)?;
        // A sum is finite exactly when every value is, but for sums that overflow, which no usable weights reach.
        if !tensor.sum_all()?.to_scalar::<f32>()?.is_finite() {
            return Err(Error::NotFinite {
                name: spec.name.clone(),
                file: self.path.to_owned(),
            });
        }
        Ok(tensor)
    }
}

/// A temporary file that others may read once it has its name, as far as the umask lets them.
fn temporary_in(folder: &Path) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    Ok(builder.tempfile_in(folder)?)
}

fn draw(spec: &ParameterSpec, seed: u64) -> Vec<f32> {
    match spec.init {
        Init::Constant(value) => vec![value; spec.elements()],
        Init::Normal(deviation) => {
            let mut random = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(&spec.name));
            (0..spec.elements())
                .map(|_| (normal(&mut random) * deviation) as f32)
                .collect()
        }
    }
}

/// One standard normal number, by Box and Muller.
fn normal(random: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// The 64-bit FNV-1a hash: stable over releases, unlike the standard library's.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn specs() -> Vec<ParameterSpec> {
        let [weight, bias] = ParameterSpec::linear("layer", 64, 32);
        vec![weight, bias.trained(false)]
    }

    fn values(parameters: &Parameters, name: &str) -> Vec<f32> {
        parameters
            .get(name)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    #[test]
    fn the_seed_decides_the_values_and_other_parameters_do_not() {
        let first = Parameters::initialise(specs(), 7, &Device::Cpu).unwrap();
        let mut more = specs();
        more.insert(0, ParameterSpec::weight("another", &[5, 5]));
        let second = Parameters::initialise(more, 7, &Device::Cpu).unwrap();
        assert_eq!(values(&first, "layer.weight"), values(&second, "layer.weight"));
        let other = Parameters::initialise(specs(), 8, &Device::Cpu).unwrap();
        assert_ne!(values(&first, "layer.weight"), values(&other, "layer.weight"));
        let drawn = values(&first, "layer.weight");
        let variance = drawn.iter().map(|x| x * x).sum::<f32>() / drawn.len() as f32;
        assert!((variance * 64.0 - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn saved_parameters_come_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let saved = Parameters::initialise(specs(), 1, &Device::Cpu).unwrap();
        saved.save(&path).unwrap();
        let loaded = Parameters::load(specs(), &path, &Device::Cpu).unwrap();
        assert_eq!(values(&saved, "layer.weight"), values(&loaded, "layer.weight"));
        assert_eq!(
            fs_err::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
        assert_eq!(
            loaded
                .trainable()
                .map(|(name, _, decay)| (name.to_owned(), decay))
                .collect::<Vec<_>>(),
            [("layer.weight".to_owned(), true)]
        );
    }

    #[test]
    fn bad_files_are_named_with_the_tensor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let write = |specs: Vec<ParameterSpec>| {
            Parameters::initialise(specs, 1, &Device::Cpu)
                .unwrap()
                .save(&path)
                .unwrap();
        };
        let load = || {
            Parameters::load(specs(), &path, &Device::Cpu)
                .unwrap_err()
                .to_string()
        };

        write(specs().drain(..1).collect());
        assert!(load().contains("'layer.bias' is missing"), "{}", load());
        write([specs(), vec![ParameterSpec::constant("extra", &[1], 0.0)]].concat());
        assert!(load().contains("'extra' does not belong"), "{}", load());
        write(ParameterSpec::linear("layer", 32, 32).to_vec());
        assert!(
            load().contains("[32, 32] where this model needs [32, 64]"),
            "{}",
            load()
        );
        let mut broken = specs();
        broken[1].init = Init::Constant(f32::NAN);
        write(broken);
        assert!(load().contains("not finite"), "{}", load());
        write(specs());
        let bytes = fs_err::read(&path).unwrap();
        fs_err::write(&path, &bytes[..bytes.len() - 100]).unwrap();
        assert!(load().contains("not a readable safetensors file"), "{}", load());
        assert!(load().contains("model.safetensors"), "{}", load());
    }

    #[test]
    fn frozen_parameters_keep_no_graph() {
        let parameters = Parameters::initialise(specs(), 1, &Device::Cpu).unwrap();
        assert!(parameters.get("layer.weight").unwrap().track_op());
        assert!(!parameters.get("layer.bias").unwrap().track_op());
        assert!(!parameters.freeze().get("layer.weight").unwrap().track_op());
    }
}
