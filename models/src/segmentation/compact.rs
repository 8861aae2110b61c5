//! A small segmenter of our own, trained on the dataset's maps in the same run as the model.
//!
//! Photos are seen at a small square size. A short transformer over patches says what is where; its tokens are spread to
//! blocks of a few pixels, meet the pixels round each block, and a small MLP decides the block's class. Every part has a
//! gradient. It learns only the classes that its maps hold.

use candle_core::{Device, Tensor};
use image::{GrayImage, RgbImage, imageops};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Segmenter, View};
use crate::labels::{CLASSES, UNLABELLED};
use crate::ops::{IGNORE, LayerNorm, Linear, Mlp, MlpNames, PhotoTokens, SelfAttention, cross_entropy};
use crate::preprocessing::Preprocessor;
use crate::{Activation, Error, ParameterSpec, Parameters, Result};

/// The shape of a compact segmenter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompactConfig {
    /// Side of the square that it sees, in pixels.
    pub side: usize,
    /// Side of a patch; divides `side`.
    pub patch: usize,
    /// Side of a block of pixels that gets one class; divides `patch`.
    pub block: usize,
    /// Width of a patch's token.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Hidden width of their MLPs.
    pub intermediate: usize,
    /// Features of a block of pixels.
    pub features: usize,
    /// The ADE20K ids that it can answer, ascending.
    pub classes: Vec<u8>,
}

const CONTEXT: usize = 1;
const EPSILON: f64 = 1e-5;
const MEAN: [f32; 3] = [0.5; 3];
const STD: [f32; 3] = [0.25; 3];

impl CompactConfig {
    /// The default shape, for the classes that occur in some maps (duplicates and 255 are dropped).
    #[must_use]
    pub fn for_classes(classes: impl IntoIterator<Item = u8>) -> Self {
        let mut classes: Vec<u8> = classes.into_iter().filter(|&id| id != UNLABELLED).collect();
        classes.sort_unstable();
        classes.dedup();
        Self {
            side: 64,
            patch: 8,
            block: 2,
            width: 64,
            heads: 4,
            layers: 2,
            intermediate: 128,
            features: 32,
            classes,
        }
    }

    /// Checks that a network can be built.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let fail = |message: String| Err(Error::Config(format!("segmenter: {message}")));
        let sizes = [
            self.side,
            self.patch,
            self.block,
            self.width,
            self.heads,
            self.intermediate,
            self.features,
        ];
        if sizes.contains(&0) || sizes.iter().any(|&size| size > 4096) || self.layers > 64 {
            return fail("every size must be at least 1 and at most 4096, with at most 64 layers".to_owned());
        }
        if !self.side.is_multiple_of(self.patch) || !self.patch.is_multiple_of(self.block) {
            let Self {
                side, patch, block, ..
            } = self;
            return fail(format!(
                "block {block} must divide patch {patch}, and patch must divide side {side}"
            ));
        }
        if !self.width.is_multiple_of(self.heads) {
            return fail(format!("heads {} must divide width {}", self.heads, self.width));
        }
        if self.classes.is_empty() {
            return fail(
                "no class to learn: the dataset's maps hold no labelled pixel; train without a segmenter"
                    .to_owned(),
            );
        }
        if !self.classes.is_sorted_by(|a, b| a < b)
            || self.classes.iter().any(|&id| usize::from(id) >= CLASSES)
        {
            return fail("classes must be ADE20K ids (0 to 149), ascending, each once".to_owned());
        }
        Ok(())
    }

    /// Blocks along one side.
    fn grid(&self) -> usize {
        self.side / self.block
    }

    fn tokens(&self) -> usize {
        (self.side / self.patch).pow(2) + 1
    }

    /// Pixel values that a block sees of itself and its border.
    fn local(&self) -> usize {
        (self.block + 2 * CONTEXT).pow(2) * 3
    }
}

/// What the network takes: see [`CompactSegmenter::prepare`].
#[derive(Clone, Debug)]
pub struct CompactInput {
    /// Normalised pixels `[batch, 3, side, side]`.
    pixels: Tensor,
    /// The pixels round every block, `[batch * blocks, values]`, blocks patch by patch.
    surroundings: Tensor,
}

/// The class of every block of a batch, as [`CompactSegmenter::loss`] takes it.
#[derive(Clone, Debug)]
pub struct BlockTargets(Vec<u32>);

/// The segmenter.
#[derive(Clone, Debug)]
pub struct CompactSegmenter {
    config: CompactConfig,
    preprocessor: Preprocessor,
    device: Device,
    tokens: PhotoTokens,
    blocks: Vec<(SelfAttention, Mlp)>,
    norm: LayerNorm,
    spread: Linear,
    look: Linear,
    decide: Mlp,
    classify: Linear,
}

impl CompactSegmenter {
    /// The parameters, all trained.
    #[must_use]
    pub fn specs(config: &CompactConfig) -> Vec<ParameterSpec> {
        let blocks_a_patch = (config.patch / config.block).pow(2);
        let mut specs = PhotoTokens::specs("segmenter", config.patch, config.width, config.tokens());
        for layer in 0..config.layers {
            let [norm, attention, mlp_norm, up, down] = names(layer);
            specs.extend(SelfAttention::specs(&norm, &attention, config.width));
            let names = MlpNames {
                norm: &mlp_norm,
                up: &up,
                down: &down,
            };
            specs.extend(Mlp::specs(names, config.width, config.intermediate));
        }
        specs.extend(LayerNorm::specs("segmenter.norm", config.width));
        specs.extend(Linear::specs(
            "segmenter.spread",
            config.width,
            blocks_a_patch * config.features,
        ));
        specs.extend(Linear::specs("segmenter.look", config.local(), config.features));
        specs.extend(Mlp::specs(DECIDE, config.features, 2 * config.features));
        specs.extend(Linear::specs(
            "segmenter.classify",
            config.features,
            config.classes.len(),
        ));
        specs
    }

    /// Takes the parameters by name.
    ///
    /// # Errors
    /// When the configuration is not usable, or a parameter is missing.
    pub fn new(config: &CompactConfig, parameters: &Parameters) -> Result<Self> {
        config.validate()?;
        let activation = Activation::QuickGelu;
        let block = |layer: usize| {
            let [norm, attention, mlp_norm, up, down] = names(layer);
            let names = MlpNames {
                norm: &mlp_norm,
                up: &up,
                down: &down,
            };
            Ok((
                SelfAttention::new(parameters, &norm, &attention, config.heads, EPSILON)?,
                Mlp::new(parameters, names, activation, EPSILON)?,
            ))
        };
        Ok(Self {
            config: config.clone(),
            preprocessor: Preprocessor::with_side(config.side, MEAN, STD),
            device: parameters.device().clone(),
            tokens: PhotoTokens::new(parameters, "segmenter")?,
            blocks: (0..config.layers).map(block).collect::<Result<_>>()?,
            norm: LayerNorm::new(parameters, "segmenter.norm", EPSILON)?,
            spread: Linear::new(parameters, "segmenter.spread")?,
            look: Linear::new(parameters, "segmenter.look")?,
            decide: Mlp::new(parameters, DECIDE, activation, EPSILON)?,
            classify: Linear::new(parameters, "segmenter.classify")?,
        })
    }

    /// Its shape.
    #[must_use]
    pub fn config(&self) -> &CompactConfig {
        &self.config
    }

    /// Resizes photos to the working square (without regard to their aspect) and takes out the blocks' surroundings.
    ///
    /// # Errors
    /// [`Error::Image`] for no photo or one without pixels.
    pub fn prepare(&self, photos: &[RgbImage]) -> Result<CompactInput> {
        let side = self.config.side as u32;
        let squares = photos
            .par_iter()
            .map(|photo| match photo.dimensions() {
                (0, _) | (_, 0) => Err(Error::Image("a photo without pixels".to_owned())),
                size if size == (side, side) => Ok(photo.clone()),
                _ => Ok(imageops::resize(
                    photo,
                    side,
                    side,
                    imageops::FilterType::Triangle,
                )),
            })
            .collect::<Result<Vec<_>>>()?;
        let pixels = self.preprocessor.to_tensor(&squares, &self.device)?;
        let local = self.config.local();
        let per_photo = self.config.grid().pow(2) * local;
        let mut surroundings = vec![0.0_f32; squares.len() * per_photo];
        surroundings
            .par_chunks_mut(per_photo)
            .zip(&squares)
            .for_each(|(values, square)| {
                for (values, (left, top)) in values.chunks_exact_mut(local).zip(self.corners()) {
                    look_round(square, left, top, self.config.block, values);
                }
            });
        let rows = surroundings.len() / local;
        Ok(CompactInput {
            pixels,
            surroundings: Tensor::from_vec(surroundings, (rows, local), &self.device)?,
        })
    }

    /// The class of every block of maps that belong to photos: the most frequent one in the block.
    ///
    /// # Errors
    /// [`Error::Image`] for a map without pixels.
    pub fn targets(&self, maps: &[GrayImage]) -> Result<BlockTargets> {
        if maps.iter().any(|map| map.width() == 0 || map.height() == 0) {
            return Err(Error::Image("a segmentation map without pixels".to_owned()));
        }
        let mut index_of = [IGNORE; 256];
        for (index, &id) in self.config.classes.iter().enumerate() {
            index_of[usize::from(id)] = index as u32;
        }
        let (side, block) = (self.config.side as u64, self.config.block);
        let target = |map: &GrayImage, (left, top): (usize, usize)| {
            let mut counts = [0_u8; 256];
            for inner in 0..block * block {
                let nearest = |position: usize, length: u32| {
                    ((2 * position as u64 + 1) * u64::from(length) / (2 * side)) as u32
                };
                let x = nearest(left + inner % block, map.width());
                let y = nearest(top + inner / block, map.height());
                let count = &mut counts[usize::from(map.get_pixel(x, y)[0])];
                *count = count.saturating_add(1);
            }
            index_of[greatest(&counts)]
        };
        let per_map = |map: &GrayImage| {
            self.corners()
                .map(|corner| target(map, corner))
                .collect::<Vec<_>>()
        };
        Ok(BlockTargets(maps.par_iter().flat_map_iter(per_map).collect()))
    }

    /// Logits of every block, `[batch * blocks, classes]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn forward(&self, input: &CompactInput) -> Result<Tensor> {
        let mut tokens = self.tokens.forward(&input.pixels)?;
        for (attention, mlp) in &self.blocks {
            tokens = mlp.forward(&attention.forward(&tokens)?)?;
        }
        let patches = self.config.tokens() - 1;
        let tokens = self.norm.forward(&tokens.narrow(1, 1, patches)?)?;
        let features = self
            .spread
            .forward(&tokens)?
            .reshape(((), self.config.features))?;
        let features = (features + self.look.forward(&input.surroundings)?)?;
        self.classify.forward(&self.decide.forward(&features)?)
    }

    /// Mean cross-entropy over the blocks whose class it knows.
    ///
    /// # Errors
    /// When logits and targets differ in number.
    pub fn loss(&self, logits: &Tensor, targets: &BlockTargets) -> Result<Tensor> {
        cross_entropy(logits, &targets.0)
    }

    /// Corners `(left, top)` of the blocks, patch by patch, in the order of the logits.
    fn corners(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let CompactConfig {
            side, patch, block, ..
        } = self.config;
        let (grid, inner) = (side / patch, patch / block);
        (0..grid * grid).flat_map(move |index| {
            let (left, top) = (index % grid * patch, index / grid * patch);
            (0..inner * inner).map(move |block_index| {
                (
                    left + block_index % inner * block,
                    top + block_index / inner * block,
                )
            })
        })
    }

    /// One photo's block classes, spread to a map of any size.
    fn draw(&self, best: &[u8], width: u32, height: u32) -> GrayImage {
        let grid = self.config.grid();
        let mut blocks = vec![0_u8; grid * grid];
        for ((left, top), &class) in self.corners().zip(best) {
            blocks[top / self.config.block * grid + left / self.config.block] = class;
        }
        let grid = grid as u32;
        GrayImage::from_fn(width, height, |x, y| {
            let place = |position: u32, length: u32| {
                (u64::from(position) * u64::from(grid) / u64::from(length)) as u32
            };
            image::Luma([blocks[(place(y, height) * grid + place(x, width)) as usize]])
        })
    }
}

impl Segmenter for CompactSegmenter {
    fn name(&self) -> &str {
        "compact"
    }

    fn view(&self) -> View {
        View::Crop
    }

    fn segment(&self, photos: &[RgbImage]) -> Result<Vec<Option<GrayImage>>> {
        if photos.is_empty() {
            return Ok(Vec::new());
        }
        let logits = self.forward(&self.prepare(photos)?)?.detach();
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        let classes = self.config.classes.len();
        let per_photo = self.config.grid().pow(2) * classes;
        let draw = |(photo, logits): (&RgbImage, &[f32])| {
            let best: Vec<u8> = logits
                .chunks_exact(classes)
                .map(|row| self.config.classes[greatest(row)])
                .collect();
            Some(self.draw(&best, photo.width(), photo.height()))
        };
        Ok(photos
            .par_iter()
            .zip(logits.par_chunks(per_photo))
            .map(draw)
            .collect())
    }
}

const DECIDE: MlpNames<'static> = MlpNames {
    norm: "segmenter.decide.norm",
    up: "segmenter.decide.up",
    down: "segmenter.decide.down",
};

fn names(layer: usize) -> [String; 5] {
    ["norm1", "attention", "norm2", "up", "down"].map(|part| format!("segmenter.layers.{layer}.{part}"))
}

/// Index of the greatest value, the first of equals.
fn greatest<T: PartialOrd>(row: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// The pixels of a block and its border, normalised, edges repeated.
fn look_round(square: &RgbImage, left: usize, top: usize, block: usize, values: &mut [f32]) {
    let across = block + 2 * CONTEXT;
    let last = square.width() as usize - 1;
    for (index, values) in values.chunks_exact_mut(3).enumerate() {
        let x = (left + index % across).saturating_sub(CONTEXT).min(last);
        let y = (top + index / across).saturating_sub(CONTEXT).min(last);
        let pixel = square.get_pixel(x as u32, y as u32);
        for (channel, value) in values.iter_mut().enumerate() {
            *value = (f32::from(pixel[channel]) / 255.0 - MEAN[channel]) / STD[channel];
        }
    }
}
