//! A segmentation map's patches, projected, with a CLS token in front and positions added, as one operation.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::matrix::{Cores, Old, View, ViewMut, multiply};
use super::packed::{Packed, take, take_mut, tensor, values, with_values};
use super::{composite, kernels, work};
use crate::labels::{CLASSES, Labels};
use crate::{ParameterSpec, Parameters, Result};

/// The embedding of a segmentation map: class ids become palette vectors, patches of them become tokens.
#[derive(Clone, Debug)]
pub struct MapTokens {
    shape: MapShape,
    packed: Packed,
}

#[derive(Clone, Copy, Debug)]
struct MapShape {
    patch: usize,
    channels: usize,
    width: usize,
}

/// The sizes of a map's embedding.
#[derive(Clone, Copy, Debug)]
pub struct MapSizes {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Length of a palette vector.
    pub channels: usize,
    /// Width of a token.
    pub width: usize,
    /// Patches plus one.
    pub tokens: usize,
}

impl MapTokens {
    /// The parameters under `name`: `palette` `[151, channels]` (the last row is "unlabelled") if it is learned,
    /// `patch.weight` `[width, patch * patch * channels]` (row, column, channel), `patch.bias`, `class_token` and
    /// `positions` `[tokens, width]`.
    #[must_use]
    pub fn specs(name: &str, sizes: MapSizes, learned_palette: bool) -> Vec<ParameterSpec> {
        let MapSizes {
            patch,
            channels,
            width,
            tokens,
        } = sizes;
        let mut specs = Vec::new();
        if learned_palette {
            specs.push(
                ParameterSpec::weight(format!("{name}.palette"), &[CLASSES + 1, channels]).deviation(1.0),
            );
        }
        specs.extend(ParameterSpec::linear(
            &format!("{name}.patch"),
            patch * patch * channels,
            width,
        ));
        specs.push(ParameterSpec::positions(format!("{name}.class_token"), &[width]));
        specs.push(ParameterSpec::positions(
            format!("{name}.positions"),
            &[tokens, width],
        ));
        specs
    }

    /// Takes the parameters by name, the palette from `fixed_palette` if there is one.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(
        parameters: &Parameters,
        name: &str,
        patch: usize,
        fixed_palette: Option<Tensor>,
    ) -> Result<Self> {
        let get = |part: &str| parameters.get(&format!("{name}.{part}"));
        let palette = match fixed_palette {
            Some(palette) => palette,
            None => get("palette")?,
        };
        let channels = palette.dim(1)?;
        let palette = palette.to_dtype(get("patch.weight")?.dtype())?;
        let parts = vec![
            palette,
            get("patch.weight")?,
            get("patch.bias")?,
            get("class_token")?,
            get("positions")?,
        ];
        let width = parts[2].dim(0)?;
        Ok(Self {
            shape: MapShape {
                patch,
                channels,
                width,
            },
            packed: Packed::new(parts)?,
        })
    }

    /// Maps of `[batch, side, side]` to `[batch, tokens, width]`.
    ///
    /// # Errors
    /// When the side does not give as many tokens as there are positions.
    pub fn forward(&self, labels: &Labels) -> Result<Tensor> {
        let flat = self.packed.part(1);
        if !composite::wanted(flat) {
            return Ok(self.packed.flat()?.apply_op1(MapOp {
                shape: self.shape,
                labels: labels.clone(),
            })?);
        }
        let MapShape {
            patch,
            channels,
            width,
        } = self.shape;
        let (batch, grid) = (labels.len(), labels.side() / patch);
        let classes: Vec<u32> = labels.classes().iter().map(|&class| u32::from(class)).collect();
        let classes = Tensor::from_vec(classes, batch * labels.side() * labels.side(), flat.device())?;
        let patches = self
            .packed
            .part(0)
            .index_select(&classes, 0)?
            .reshape(&[batch, grid, patch, grid, patch, channels])?
            .permute([0, 1, 3, 2, 4, 5])?
            .reshape((batch, grid * grid, patch * patch * channels))?;
        let tokens = composite::linear(&patches, self.packed.part(1), Some(self.packed.part(2)))?;
        let class = self
            .packed
            .part(3)
            .reshape((1, 1, width))?
            .broadcast_as((batch, 1, width))?;
        Ok(Tensor::cat(&[class.contiguous()?, tokens], 1)?.broadcast_add(self.packed.part(4))?)
    }
}

struct MapOp {
    shape: MapShape,
    labels: Labels,
}

impl MapShape {
    fn inputs(&self) -> usize {
        self.patch * self.patch * self.channels
    }

    fn lengths(&self) -> [usize; 4] {
        [
            (CLASSES + 1) * self.channels,
            self.width * self.inputs(),
            self.width,
            self.width,
        ]
    }
}

impl MapOp {
    /// Classes of one map in the order in which its patches take them.
    fn unfold<'a>(&self, map: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let (patch, side) = (self.shape.patch, self.labels.side());
        let grid = side / patch;
        (0..grid * grid).flat_map(move |index| {
            let corner = index / grid * patch * side + index % grid * patch;
            (0..patch * patch)
                .map(move |inner| usize::from(map[corner + inner / patch * side + inner % patch]))
        })
    }

    fn rows(&self, map: &[u8], palette: &[f32], rows: &mut [f32]) {
        let channels = self.shape.channels;
        for (class, row) in self.unfold(map).zip(rows.chunks_exact_mut(channels)) {
            row.copy_from_slice(&palette[class * channels..(class + 1) * channels]);
        }
    }
}

impl CustomOp1 for MapOp {
    fn name(&self) -> &'static str {
        "map-tokens"
    }

    fn cpu_fwd(&self, flat: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = self.shape;
        let width = shape.width;
        let mut flat = values(flat, layout)?;
        let [palette, patch, bias, class] = shape.lengths().map(|length| take(&mut flat, length));
        let positions = flat;
        let patches = (self.labels.side() / shape.patch) * (self.labels.side() / shape.patch);
        let tokens = patches + 1;
        if positions.len() != tokens * width {
            let side = self.labels.side();
            candle_core::bail!("maps of {side} px do not give {} tokens", positions.len() / width);
        }
        let patch = View::new(patch, width, shape.inputs());
        let mut out = vec![0.0; self.labels.len() * tokens * width];
        work::forward(self.labels.len(), 1, tokens * width, &mut out, |index, _, out| {
            let mut rows = vec![0.0; patches * shape.inputs()];
            self.rows(self.labels.map(index), palette, &mut rows);
            out.copy_from_slice(positions);
            let (first, out) = out.split_at_mut(width);
            kernels::add(first, class);
            for out in out.chunks_exact_mut(width) {
                kernels::add(out, bias);
            }
            let rows = View::new(&rows, patches, shape.inputs());
            multiply(
                ViewMut::new(out, patches, width),
                Old::Add,
                1.0,
                rows,
                patch.transposed(),
                Cores::One,
            );
        });
        Ok((
            CpuStorage::F32(out),
            Shape::from((self.labels.len(), tokens, width)),
        ))
    }

    fn bwd(&self, flat: &Tensor, _out: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let shape = self.shape;
        let (width, channels) = (shape.width, shape.channels);
        let patches = (self.labels.side() / shape.patch) * (self.labels.side() / shape.patch);
        let length = (patches + 1) * width;
        let dp = with_values([flat, gradient], |[flat, gradient]| {
            let mut rest = flat;
            let [palette, patch, ..] = shape.lengths().map(|length| take(&mut rest, length));
            let patch = View::new(patch, width, shape.inputs());
            let outs = [&mut [] as &mut [f32], &mut []];
            Ok(work::backward(
                self.labels.len(),
                1,
                [0, 0],
                outs,
                flat.len(),
                |index, _, _, dp| {
                    let mut dp = dp;
                    let [d_palette, d_patch, d_bias, d_class] =
                        shape.lengths().map(|length| take_mut(&mut dp, length));
                    let gradient = &gradient[index * length..(index + 1) * length];
                    kernels::add(dp, gradient);
                    kernels::add(d_class, gradient);
                    kernels::add_rows(d_bias, &gradient[width..]);
                    let map = self.labels.map(index);
                    let mut rows = vec![0.0; patches * shape.inputs()];
                    self.rows(map, palette, &mut rows);
                    let outer = View::new(&gradient[width..], patches, width);
                    let view = View::new(&rows, patches, shape.inputs());
                    let d_patch = ViewMut::new(d_patch, width, shape.inputs());
                    multiply(d_patch, Old::Add, 1.0, outer.transposed(), view, Cores::One);
                    multiply(
                        ViewMut::new(&mut rows, patches, shape.inputs()),
                        Old::Replace,
                        1.0,
                        outer,
                        patch,
                        Cores::One,
                    );
                    for (class, row) in self.unfold(map).zip(rows.chunks_exact(channels)) {
                        kernels::add(&mut d_palette[class * channels..(class + 1) * channels], row);
                    }
                },
            ))
        })?;
        Ok(Some(tensor(dp, flat.dims())?))
    }
}
